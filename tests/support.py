"""What tests of the real thing share: the shipped playbooks, kubectl, and pods that use MLflow."""

from __future__ import annotations

import json
import os
import pwd
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2 import Environment

ROOT = Path(__file__).parents[1]
NOTEBOOK = Environment(autoescape=False).from_string(  # noqa: S701 (it makes YAML)
    (ROOT / "molecule/shared/templates/notebook.yml.j2").read_text()
)
BUILD_LOCK = ["--build-constraints", str(ROOT / "requirements/build.txt")]
"""Options of uv that let it build this package with nothing but what is locked, and compare its hashes."""
CACHE = Path(os.environ.get("NEBARI_MLFLOW_CACHE") or "~/.cache/nebari-mlflow").expanduser()
"""Where all checkouts keep what they build."""
MLFLOW_IMAGE = "ghcr.io/mlflow/mlflow:v3.17.2-full"


def give_away(path: Path) -> None:
    """Make another user the owner, which only root can; skip the test for others."""
    try:
        os.lchown(path, pwd.getpwnam("nobody").pw_uid, -1)
    except PermissionError:
        pytest.skip("only root can make a file another user's")


def printed(page: Path) -> list[Any]:
    """Return the YAML examples that a page prints."""
    return [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)]


@dataclass(frozen=True)
class Played:
    """One run of a playbook."""

    returncode: int
    stdout: str
    stderr: str

    @cached_property
    def report(self) -> dict[str, Any]:
        """The JSON of the callback ansible.posix.json."""
        report: dict[str, Any] = json.loads(self.stdout[self.stdout.index("{\n") :])
        return report

    @property
    def changed(self) -> int:
        """How many tasks changed something, or would."""
        return int(self.report["stats"]["localhost"]["changed"])

    @property
    def tasks_that_changed(self) -> list[str]:
        """Their names, without their roles'."""
        tasks = [task for play in self.report["plays"] for task in play["tasks"]]
        changed = [task for task in tasks if any(result.get("changed") for result in task["hosts"].values())]
        return [str(task["task"]["name"]).rpartition(" : ")[2] for task in changed]

    def said(self, name: str) -> str:
        """What the debug task of this name says."""
        tasks = [task for play in self.report["plays"] for task in play["tasks"]]
        return "".join(
            str(result["msg"]) for task in tasks if name in task["task"]["name"] for result in task["hosts"].values()
        )

    @property
    def mlflow(self) -> dict[str, Any]:
        """What the playbook reports through set_stats."""
        facts: dict[str, Any] = self.report["global_custom_stats"]["mlflow"]
        return facts

    @property
    def failure(self) -> str:
        """The message of the task that failed; empty when none did."""
        for play in self.report["plays"]:
            for task in play["tasks"]:
                for result in task["hosts"].values():
                    if result.get("failed"):
                        items = [item["msg"] for item in result.get("results", []) if item.get("failed")]
                        return " ".join(items) or str(result["msg"])
        return ""


def command(playbook: str, *arguments: str, **variables: Any) -> list[str]:
    """Return the command line that runs a playbook of the repository with these extra variables."""
    return [
        str(Path(sys.executable).with_name("ansible-playbook")),
        f"playbooks/{playbook}.yml",
        "--extra-vars",
        json.dumps(variables),
        *arguments,
    ]


def environment(**more: str) -> dict[str, str]:
    """Return the environment in which a playbook prints JSON."""
    return {**os.environ, "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json", "ANSIBLE_SHOW_CUSTOM_STATS": "1", **more}


def play(playbook: str, *arguments: str, **variables: Any) -> Played:
    """Run a playbook to its end."""
    done = subprocess.run(
        command(playbook, *arguments, **variables),
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return Played(done.returncode, done.stdout, done.stderr)


def takes_ctrl_c() -> None:
    """Undo what a shell does to programs that it runs in the background; for `preexec_fn`."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def built(name: str) -> str:
    """Return the image that `make NAME` adds to the test cluster; skip the test if this cluster has none."""
    made, variable = ROOT / ".cluster" / name, f"NEBARI_MLFLOW_{name.upper()}_IMAGE"
    found = os.environ.get(variable) or (made.read_text().strip() if made.exists() else "")
    if not found:
        pytest.skip(f"this cluster has no image of {name}: `make {name}`, or set {variable}")
    return found


def stores() -> str:
    """Return the image that has the stores of all clouds; skip the test if this cluster has none."""
    return built("stores")


def kubectl(*arguments: str, stdin: str | None = None) -> str:
    """Run kubectl and return what it prints."""
    done = subprocess.run(["kubectl", *arguments], input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"kubectl {' '.join(arguments)}: {done.stderr or done.stdout}")
    return done.stdout


def objects(namespace: str, kinds: str) -> dict[str, str]:
    """Return the resourceVersion of each object, by kind/name."""
    found = json.loads(kubectl("-n", namespace, "get", kinds, "-o", "json"))["items"]
    return {f"{item['kind']}/{item['metadata']['name']}": item["metadata"]["resourceVersion"] for item in found}


def run_pod(
    namespace: str,
    name: str,
    script: str,
    *arguments: str,
    timeout: int = 240,
    labels: Mapping[str, str] | None = None,
    env_from: Sequence[Mapping[str, Any]] = (),
    account: str = "default",
    image: str = MLFLOW_IMAGE,
    **env: str,
) -> str:
    """Run a Python script in a pod that looks like a notebook's, and return what it printed; timeout in seconds."""
    rendered = NOTEBOOK.render(
        notebook_image=image,
        notebook_command=["python3", "-c", script, *arguments],
        notebook_env=env,
        notebook_env_from=env_from,
        **({} if labels is None else {"notebook_labels": labels}),
    )
    pod: dict[str, Any] = {"apiVersion": "v1", "kind": "Pod", **yaml.safe_load(rendered)}
    pod["metadata"]["name"] = name
    pod["spec"]["serviceAccountName"] = account
    kubectl("-n", namespace, "delete", "pod", name, "--ignore-not-found", "--grace-period=0", "--force")
    kubectl("-n", namespace, "apply", "-f", "-", stdin=json.dumps(pod))
    ended = "jsonpath={.status.containerStatuses[0].state.terminated.exitCode}"
    try:
        kubectl("-n", namespace, "wait", f"pod/{name}", f"--for={ended}", f"--timeout={timeout}s")
        assert kubectl("-n", namespace, "get", "pod", name, "-o", ended) == "0", f"pod/{name} failed"
    except AssertionError as error:
        raise AssertionError(f"{error}\n{kubectl('-n', namespace, 'logs', name)}") from error
    return kubectl("-n", namespace, "logs", name)
