"""Texts of nebari-config.yaml are data: Ansible evaluates none of them, and the cluster gets them to the letter."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.nebari.support import ONE_WORKER, Project, project
from tests.support import kubectl

LETTERS = {
    "vault.hashicorp.com/agent-inject-template-db": '{{- with secret "database/creds" -}}{{ .Data.x }}{{- end }}',
    "example.org/shell": "${#a[@]}",
    "example.org/raw": "{% raw %}",
    "example.org/prometheus": "{{ $labels.instance }}",
    "example.org/comment": "{#",
    "example.org/number": "123",
}


def attack(mark: Path) -> str:
    return f"{{{{ lookup('pipe', 'touch {mark}') }}}}"


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    return tmp_path / "mark"


@pytest.fixture
def attacked(tmp_path: Path, mark: Path) -> Iterator[Project]:
    """A project with an attack and what people write in places where every text is allowed."""
    with project(tmp_path / "project", "door-texts", "door-texts") as made:
        annotations = {**LETTERS, "example.org/attack": attack(mark)}
        variables = [{"name": "ATTACK", "value": attack(mark)}, {"name": "LETTER", "value": "{{ $labels.instance }}"}]
        tracking = {**ONE_WORKER["tracking"], "podAnnotations": annotations, "extraEnvVars": variables}
        made.configure({"verify": False, "overrides": {"tracking": tracking}})
        yield made


@pytest.mark.cluster
def test_texts_of_the_configuration_are_data(attacked: Project, mark: Path) -> None:
    planned = attacked.mlflow("plan", "--config", "nebari-config.yaml", "--json")
    assert planned.returncode == 2, planned.stdout + planned.stderr
    code, output = attacked.quick("deploy")
    assert code == 0, output
    deployment = json.loads(
        kubectl("-n", attacked.namespace, "get", "deployment", f"{attacked.release}-tracking", "-o", "json")
    )
    template = deployment["spec"]["template"]
    annotations = template["metadata"]["annotations"]
    assert {name: annotations[name] for name in LETTERS} == LETTERS
    assert annotations["example.org/attack"] == attack(mark)
    environment = {entry["name"]: entry.get("value") for entry in template["spec"]["containers"][0]["env"]}
    assert (environment["ATTACK"], environment["LETTER"]) == (attack(mark), "{{ $labels.instance }}")
    again = attacked.mlflow("plan", "--config", "nebari-config.yaml", "--json")
    assert json.loads(again.stdout)["changes"] == []
    deployed = attacked.mlflow("deploy", "--config", "nebari-config.yaml", "--json")
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr
    assert not mark.exists()


def blocks(text: str) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """For each place of a text: the `mlflow:` block, and the keys beside it."""
    cloud = {"provider": "gcp", "google_cloud_platform": {"project": "a-project", "region": "europe-west1"}}
    other = {"provider": "gcp", "google_cloud_platform": {"project": text, "region": text}}
    overrides = {"commonLabels": {"a": text}, "tracking": {"podAnnotations": {text: "a"}}}
    database = {"secret": "db", "key": text}
    local = {"storage_class": text}
    everything = {"overrides": overrides, "database": database, "image_registry": text, "local": local}
    return {
        "the block": (everything, {}),
        "a store": ({"storage": {"uri": f"s3://{text}", "env": {"A": text}, "pod_labels": {text: text}}}, {}),
        "labels of a cloud": ({"gcp": {"labels": {text: text}}}, cloud),
        "a region": ({}, other),
        "the domain": ({}, {"domain": text}),
        "the project": ({}, {"project_name": text}),
        "the namespace": ({}, {"namespace": text}),
    }


def test_a_file_of_ansible_s_variables_is_evaluated_as_ever(tmp_path: Path) -> None:
    made = Project(tmp_path, "door-texts-idle", "door-texts-idle")
    names = "provider: local\nproject_name: door-texts-idle\nnamespace: door-texts-idle\n"
    for text, becomes in (('\'{{ "A" ~ "B" }}\'', '"AB"'), ("!unsafe '{{ 1 }}'", '"{{ 1 }}"')):
        (tmp_path / "vars.yml").write_text(f"{names}mlflow_domain: {text}\n")
        done = made.mlflow("plan", "--vars", "vars.yml", "--json")
        assert f"domain is {becomes}" in json.loads(done.stdout)["error"]["cause"]


@pytest.mark.parametrize("place", blocks(""))
def test_no_text_of_the_configuration_runs_a_command(place: str, mark: Path, tmp_path: Path) -> None:
    made = Project(tmp_path, "door-texts-idle", "door-texts-idle")
    block, more = blocks(attack(mark))[place]
    made.configure(block, **more)
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        json.dumps(
            {
                "current-context": "a",
                "contexts": [{"name": "a", "context": {"cluster": "c"}}],
                "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
            }
        )
    )
    done = made.mlflow("plan", "--config", "nebari-config.yaml", "--kubeconfig", str(kubeconfig), "--json")
    assert done.returncode == 1
    assert "code" in json.loads(done.stdout)["error"]
    assert not mark.exists()
