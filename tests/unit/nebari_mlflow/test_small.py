"""The small parts: redaction, the environment, failures, what is shown, names."""

from __future__ import annotations

import base64
import io
import logging
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from nebari_mlflow import names
from nebari_mlflow.cli import config_file, report
from nebari_mlflow.cli.context import Target
from nebari_mlflow.cli.doctor import Check
from nebari_mlflow.errors import InputError, PlayError, SetupError, UntrustedError
from nebari_mlflow.play import deployment, environment, failures, kubeconfig, runner, view
from nebari_mlflow.play.redact import Redactor
from nebari_mlflow.play.runner import Result

TEXT = st.text(st.characters(codec="ascii", min_codepoint=33), min_size=8, max_size=40)
PROJECT = st.from_regex(r"^[A-Za-z][A-Za-z0-9\-_]{1,14}[A-Za-z0-9]\Z", fullmatch=True)


@given(TEXT, st.text(max_size=10))
def test_secret_is_hidden_plain_in_a_url_and_base64(secret: str, lead: str) -> None:
    redact = Redactor([secret])
    assert secret not in redact(f"{lead} {secret} end")
    assert quote(secret, safe="") not in redact(f"{lead} {quote(secret, safe='')} end")
    encoded = base64.b64encode(f"{lead}{secret}".encode()).decode()
    whole = base64.b64encode(secret.encode()).decode()
    assert whole[:-4] not in redact(whole)
    assert redact(encoded) != encoded


def test_secret_logging_libraries_stay_silent_at_debug_level(monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "level", logging.DEBUG)
    deployment.hush()
    for name in ("kubernetes.client.rest", "urllib3.connectionpool", "botocore.endpoint", "azure.core", "google.auth"):
        assert not logging.getLogger(name).isEnabledFor(logging.DEBUG), name


def test_short_values_do_not_hide_ordinary_words() -> None:
    assert Redactor(["a", "", "dev"])("a dev cluster") == "a dev cluster"


@given(PROJECT)
def test_every_project_name_that_nebari_allows_gives_kubernetes_names(project: str) -> None:
    import re

    for name in (names.release(project), names.service(project), names.client_config(project)):
        assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", name)
    assert len(names.release(project)) <= 53


def test_the_environment_is_an_allow_list() -> None:
    given_ = {
        "PATH": "/bin",
        "HOME": "/home/me",
        "NEBARI_SECRET__x": "s",
        "GITHUB_TOKEN": "s",
        "ANSIBLE_CONFIG": "/elsewhere",
        "AWS_SECRET_ACCESS_KEY": "s",
        "ARM_CLIENT_SECRET": "s",
    }
    assert set(environment.allowed(given_, "local")) == {"PATH", "HOME", "LC_ALL", "PYTHONUTF8"}
    assert "AWS_SECRET_ACCESS_KEY" in environment.allowed(given_, "aws")
    azure = environment.allowed(given_, "azure")
    assert azure["ARM_CLIENT_SECRET"] == "s"
    assert "AWS_SECRET_ACCESS_KEY" not in azure


@pytest.mark.parametrize("found", [{"LC_ALL": "C"}, {"LC_CTYPE": "de_DE", "LANG": "xx_YY.UTF-8"}, {}])
def test_a_play_always_has_a_locale_that_ansible_accepts(found: dict[str, str]) -> None:
    given = environment.allowed(found, "local")
    assert {name: value for name, value in given.items() if name.startswith(("LC_", "LANG"))} == {"LC_ALL": "C.UTF-8"}


@pytest.mark.parametrize(
    ("result", "cause"),
    [
        ({"cause": "It broke.", "fix": "Mend it."}, "It broke."),
        ({"msg": "One line.\n\nMore text."}, "One line."),
        (
            {"msg": "MODULE FAILURE", "module_stderr": "Traceback (most recent call last):\n  x\nKeyError: 'a'"},
            "KeyError: 'a'",
        ),
        (
            {"censored": "the output has been hidden"},
            "The task failed, and its output is hidden because it holds secrets.",
        ),
        ({}, "The task failed without a message."),
    ],
)
def test_the_cause_of_a_failed_task_is_one_sentence(result: dict[str, Any], cause: str) -> None:
    assert failures.from_event("Do it", "server", result, "/log").cause == cause


def test_a_failure_says_what_the_play_did_about_it() -> None:
    record = runner._Record()
    for action, result in (
        ("nebari.mlflow.job_completed", {"msg": "It failed. Do this.", "cause": "It failed.", "code": "NML432"}),
        ("ansible.builtin.fail", {"msg": "The state before is back."}),
    ):
        data = {"task": "Do it", "role": "server", "task_action": action, "res": result}
        record.take({"event": "runner_on_failed", "event_data": data})
    assert record.failure is not None
    error = failures.from_event(*record.failure, "/log", record.aftermath)
    assert (error.code, error.cause) == ("NML432", "It failed. The state before is back.")


@pytest.mark.parametrize(
    ("result", "code"),
    [
        ({"msg": "Anything.", "code": "NML405"}, "NML405"),
        ({"msg": "Validation of arguments failed.", "argument_errors": ["a"]}, "NML402"),
        ({"msg": "It is refused.", "assertion": "a == b"}, "NML402"),
        ({"msg": "One or more items failed", "results": [{"msg": "No.", "assertion": "a", "failed": True}]}, "NML402"),
        ({"msg": "One or more items failed", "results": [{"assertion": "a", "failed": False}]}, "NML401"),
        ({"msg": "Something else."}, "NML401"),
        ({}, "NML401"),
    ],
)
def test_error_code_comes_from_the_module_not_its_wording(result: dict[str, Any], code: str) -> None:
    assert failures.from_event("Check the wording", "server", result, "/log").code == code


def show(width: int, *, terminal: bool = False) -> tuple[Console, io.StringIO]:
    stream = io.StringIO()
    return Console(file=stream, width=width, force_terminal=terminal, highlight=False, soft_wrap=True), stream


OUTPUTS: dict[str, Any] = {
    "tracking_uri": "http://a-long-project-mlflow-tracking.production.svc:5000",
    "ui_url": "https://nebari.example.org/mlflow",
    "artifact_uri": "/mlflow/artifacts",
    "versions": {"mlflow": "3.17.2"},
    "changes": [{"action": "create", "kind": "Secret", "name": "x", "fields": ["a"]}],
}


def test_forty_columns_cut_no_address() -> None:
    console, stream = show(40)
    view.show_summary(console, OUTPUTS, Result(OUTPUTS, True, 75.0, ""))
    text = stream.getvalue()
    assert OUTPUTS["tracking_uri"] in text
    assert "(1 min 15 s)" in text
    assert "  + Secret x  a" in text


def test_removal_reports_what_is_kept_and_how_to_delete() -> None:
    console, stream = show(40)
    about = Target("demo", "dev", "", "", "aws", "vars.yml", {}, options=("--vars", "vars.yml"))
    kept = [
        {"kind": "Secret", "name": "demo-mlflow-keys", "namespace": "dev"},
        {"kind": "S3 bucket", "name": "demo-mlflow-1f"},
    ]
    report.show_removed(console, about, {"changes": [{}], "kept": kept})
    assert stream.getvalue().splitlines() == [
        "demo-mlflow: removed.",
        "  kept: Secret demo-mlflow-keys in namespace dev",
        "  kept: S3 bucket demo-mlflow-1f",
        "  To delete it for good: nebari-mlflow destroy --vars vars.yml --delete-data demo",
    ]


def test_kept_objects_are_shown_with_their_reason() -> None:
    """And no command is offered that would not delete it either."""
    console, stream = show(80)
    about = Target("demo", "dev", "", "", "aws", "vars.yml", {}, options=("--vars", "vars.yml"))
    kept = [{"kind": "S3 bucket", "name": "demo-mlflow-1f", "reason": "it also holds reports/"}]
    report.show_removed(console, about, {"changes": [{}], "kept": kept})
    assert stream.getvalue().splitlines() == [
        "demo-mlflow: removed.",
        "  kept: S3 bucket demo-mlflow-1f: it also holds reports/",
    ]


def test_a_message_with_brackets_is_shown_as_it_is() -> None:
    console, stream = show(80)
    view.show_failure(console, PlayError("NML401", "[red]not markup[/red]", "Try [this].", task="a [b]", log="/l"))
    assert "[red]not markup[/red]" in stream.getvalue()
    assert "Try [this]." in stream.getvalue()


def test_without_a_terminal_every_line_stays() -> None:
    console, stream = show(80)
    with view.Progress(console) as shown:
        shown({"event": "playbook_on_task_start", "event_data": {"task": "Run the server"}})
        shown({"event": "verbose", "stdout": "  demo: waiting (1 s of 600 s)"})
        shown({"event": "verbose", "stdout": "[WARNING]: noise"})
    lines = stream.getvalue().splitlines()
    assert lines == ["[    0 s] Run the server", "          demo: waiting (1 s of 600 s)"]


def test_a_warning_of_a_module_is_shown_once() -> None:
    console, stream = show(80)
    told = {"event": "runner_on_ok", "event_data": {"role": "server", "res": {"warnings": ["no IngressClass [x]"]}}}
    with view.Progress(console) as shown:
        shown(told)
        shown(told)
        shown({"event": "runner_on_ok", "event_data": {"res": {"changed": True}}})
    assert stream.getvalue().splitlines() == ["Warning: no IngressClass [x]"]


@pytest.mark.parametrize("width", [40, 80])
def test_a_terminal_shows_the_whole_of_what_is_waited_for(width: int) -> None:
    console, stream = show(width, terminal=True)
    line = "demo-mlflow: waiting for Deployment/demo-mlflow-tracking 0/1 ready: "
    line += "Pod/demo-mlflow-tracking-6c458df454-mk5vq running, 0/1 ready (28 s of 600 s)"
    with view.Progress(console) as shown:
        shown({"event": "playbook_on_task_start", "event_data": {"task": "Run the server"}})
        shown({"event": "verbose", "stdout": f"  {line}"})
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue()).replace("\r", "\n")
    assert line.replace(" ", "") in re.sub(r"\s", "", text)
    assert max(map(len, text.splitlines())) <= width
    assert "✓ Run the server" in text


def test_a_console_sends_no_control_characters_of_a_text() -> None:
    console = view.make_console()
    stream = io.StringIO()
    console.file = stream
    attack = "\x1b]0;TITLE\x07\x1b[2J"
    view.show_failure(console, PlayError("NML401", attack, attack, task=attack, log="/l"))
    view.show_changes(console, [{"action": "create", "kind": attack, "name": attack, "fields": [attack]}])
    view.show_kept(console, [{"kind": attack, "name": attack}])
    report.show_check(console, Check("cluster", "ok", attack, attack))
    with view.Progress(console) as shown:
        shown({"event": "playbook_on_task_start", "event_data": {"task": attack}})
        shown({"event": "verbose", "stdout": f"  {attack}"})
    assert "\x1b" not in stream.getvalue()
    assert stream.getvalue().count("\\x1b]0;TITLE\\x07\\x1b[2J") == 12


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    console, stream = show(80, terminal=True)
    view.show_failure(console, PlayError("NML401", "x"))
    assert "\x1b[31m" not in stream.getvalue()
    assert "\x1b[1;31m" not in stream.getvalue()


def test_kubeconfig_open_to_others_is_copied_for_owner_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = tmp_path / "config"
    source.write_text("clusters: [{name: c, cluster: {certificate-authority: ca.crt}}]\nusers: []\n")
    source.chmod(0o644)
    (tmp_path / "run").mkdir()
    copy = kubeconfig.private_copy(str(source), tmp_path / "run")
    assert copy.stat().st_mode & 0o777 == 0o600
    assert str(tmp_path / "ca.crt") in copy.read_text()
    assert "NML305" in caplog.text


def test_several_kubeconfigs_become_one_as_kubectl_merges_them(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "sub/second"
    second.parent.mkdir()
    first.write_text("current-context: one\nclusters: [{name: c, cluster: {server: 'https://first'}}]\n")
    second.write_text(
        "current-context: two\nclusters: [{name: c, cluster: {server: 'https://second'}}]\n"
        "contexts: [{name: one, context: {cluster: c, user: u}}]\nusers: [{name: u, user: {client-key: u.key}}]\n"
    )
    for path in (first, second):
        path.chmod(0o600)
    named = os.pathsep.join(map(str, (first, tmp_path / "missing", second)))
    (tmp_path / "run").mkdir()
    merged = yaml.safe_load(kubeconfig.private_copy(named, tmp_path / "run").read_text())
    assert merged["current-context"] == "one"
    assert merged["clusters"] == [{"name": "c", "cluster": {"server": "https://first"}}]
    assert merged["contexts"] == [{"name": "one", "context": {"cluster": "c", "user": "u"}}]
    assert merged["users"] == [{"name": "u", "user": {"client-key": str(tmp_path / "sub/u.key")}}]


def test_a_login_program_beside_its_kubeconfig_is_still_found(tmp_path: Path) -> None:
    source = tmp_path / "config"
    source.write_text("users: [{name: a, user: {exec: {command: ./login}}}, {name: b, user: {exec: {command: aws}}}]\n")
    (tmp_path / "run").mkdir()
    copied = yaml.safe_load(kubeconfig.private_copy(str(source), tmp_path / "run").read_text())
    commands = [entry["user"]["exec"]["command"] for entry in copied["users"]]
    assert commands == [str(tmp_path / "login"), "aws"]


def test_another_user_s_kubeconfig_has_a_code_of_its_own(tmp_path: Path) -> None:
    source = tmp_path / "config"
    source.write_text("users: []\n")
    source.chmod(0o646)
    for given_ in (str(source), os.pathsep.join((str(tmp_path / "missing"), str(source)))):
        with pytest.raises(UntrustedError, match="NML307"):
            kubeconfig.private_copy(given_, tmp_path)


def test_programs_get_a_copy_and_messages_name_the_original(tmp_path: Path) -> None:
    source = tmp_path / "config"
    source.write_text("current-context: a\n")
    source.chmod(0o600)
    about = Target("demo", "dev", str(source), "", "aws", "vars.yml", {})
    copy = Path(about.kubectl("get")[2])
    assert copy != source
    assert yaml.safe_load(copy.read_text())["current-context"] == "a"
    assert about.told_kubectl("get") == f"kubectl --kubeconfig {source} get"
    about.opened.close()
    assert not copy.parent.exists()


def test_kubeconfig_that_exceeds_the_disk_is_reported(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("clusters: []\n")
    with pytest.raises(SetupError, match=r"NML302: Nothing can be written to /proc/self: "):
        kubeconfig.private_copy(str(tmp_path / "config"), Path("/proc/self"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mlflow: {", "is not YAML, line"),
        ("a: 1", "has no project_name"),
        ("project_name: demo\nmlflow: {replica: 2}", "did you mean replicas?"),
        ("project_name: demo\nmlflow: {database: {secret: 5}}", "mlflow.database.secret"),
        ("project_name: demo\nprovider: do\nmlflow: {}", "provider is do"),
    ],
)
def test_the_command_line_reads_the_configuration_as_strictly(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "nebari-config.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=said.replace("?", r"\?")):
        config_file.load(path)


@pytest.mark.parametrize(
    ("section", "provider"), [("local: {}", "local"), ("google_cloud_platform: {}", "gcp"), ("", "local")]
)
def test_the_provider_is_inferred_as_nebari_does(tmp_path: Path, section: str, provider: str) -> None:
    path = tmp_path / "nebari-config.yaml"
    path.write_text(f"project_name: demo\n{section}\n")
    assert config_file.load(path).provider == provider
