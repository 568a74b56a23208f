"""`nebari deploy` and what comes of it, in the order in which a person does it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest
import yaml
from _nebari.constants import HELM_VERSION

from tests.documents import document
from tests.support import kubectl, objects, play, takes_ctrl_c

from . import pods
from .support import CLI, README, Project

pytestmark = pytest.mark.cluster
KINDS = "deploy,sts,svc,cm,pvc,secret,networkpolicy,ingressroute,job"
LOG_A_RUN = "import mlflow; run = mlflow.start_run(); mlflow.log_metric('m', 1.0); print('logged', run.info.run_id)"


def logged(output: str) -> str:
    """The id of the run that LOG_A_RUN made; mlflow itself prints more."""
    return next(line.split()[1] for line in output.splitlines() if line.startswith("logged "))


def test_a_second_deploy_changes_nothing_and_says_where_everything_is(deployed: Project, tmp_path: Path) -> None:
    before = objects(deployed.namespace, KINDS)
    code, output = deployed.quick("deploy", UPSTREAM_OUTPUTS=str(tmp_path / "outputs"))
    assert code == 0, output
    assert "changed:   nothing" in output
    assert objects(deployed.namespace, KINDS) == before
    given = {name: output["value"] for name, output in json.loads((tmp_path / "outputs").read_text()).items()}
    assert given["tracking_uri"] == "http://door-1-mlflow-tracking.door-one.svc:5000"
    assert given["ui_url"] == "https://nebari.example.org/mlflow"
    assert given["artifact_uri"] == "/mlflow/artifacts"
    assert given["service"] == {"name": "door-1-mlflow-tracking", "namespace": "door-one", "port": 5000}
    assert (given["versions"]["mlflow"], given["verified"]) == ("3.17.2", True)


def test_nebari_s_own_helm_is_used_and_every_locale_works(deployed: Project, tmp_path: Path) -> None:
    """As after `pip install` on a new machine: no helm on PATH, only what Nebari downloaded."""
    program = Path(shutil.which("helm") or "")
    parts = os.environ["PATH"].split(os.pathsep)
    path = os.pathsep.join(part for part in parts if not (Path(part) / "helm").exists())
    kept = tmp_path / "helm" / HELM_VERSION
    kept.mkdir(parents=True)
    shutil.copy(program.resolve(), kept / "helm")
    code, output = deployed.nebari("deploy", PATH=path, TMPDIR=str(tmp_path), LC_ALL="C")
    assert code == 0, output
    assert "changed:   nothing" in output


def test_rendering_is_reproducible_and_matches_the_plays_variables(deployed: Project) -> None:
    folder = deployed.folder / "stages/mlflow"
    first = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert deployed.quick("render")[0] == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == first
    assert set(first) == {"vars.yml", "README.md"}
    assert yaml.safe_load(first["vars.yml"])["mlflow_project_name"] == deployed.name


def test_what_was_rendered_repeats_the_deploy_by_hand(deployed: Project) -> None:
    plan = deployed.mlflow("plan", "--vars", "stages/mlflow/vars.yml", "--json")
    assert plan.returncode == 0, plan.stdout + plan.stderr
    assert json.loads(plan.stdout)["changes"] == []


def test_inventory_and_short_names_give_the_objects_of_nebari_deploy(deployed: Project, tmp_path: Path) -> None:
    """From the same configuration, each door finds every object as it wants it, and changes none."""
    given = yaml.safe_load((deployed.folder / "stages/mlflow/vars.yml").read_text())
    login = {"forwardAuth": {"name": "traefik-forward-auth", "namespace": deployed.namespace}}
    given |= {"mlflow_kubeconfig": os.environ["KUBECONFIG"], "mlflow_route": {"type": "traefik", "traefik": login}}
    short = {"provider": "local", "project_name": deployed.name, "namespace": deployed.namespace}
    short["domain"] = given["mlflow_domain"] = "nebari.example.org"
    rest = {name: value for name, value in given.items() if name.removeprefix("mlflow_") not in short}
    inventory, variables = tmp_path / "inventory.yml", tmp_path / "vars.yml"
    inventory.write_text(yaml.safe_dump({"all": {"hosts": {"localhost": given}}}))
    variables.write_text(yaml.safe_dump(rest))
    names = [f"--extra-vars={name}={value}" for name, value in short.items()]
    before = objects(deployed.namespace, KINDS)
    for arguments in (["--inventory", str(inventory)], [*names, f"--extra-vars=@{variables}"]):
        played = play("mlflow", *arguments)
        assert played.returncode == 0, played.failure
        assert (played.changed, played.mlflow["changes"]) == (0, []), played.mlflow["changes"]
    assert objects(deployed.namespace, KINDS) == before


def test_a_notebook_needs_no_further_line(deployed: Project) -> None:
    environment = pods.notebook_environment(deployed)
    assert environment["MLFLOW_TRACKING_URI"] == "http://door-1-mlflow-tracking.door-one.svc:5000"
    assert len(logged(pods.run_notebook(deployed, "notebook", LOG_A_RUN))) == 32


def test_a_dask_worker_needs_no_further_line(deployed: Project) -> None:
    assert len(logged(pods.run_dask_worker(deployed, LOG_A_RUN, {}))) == 32


def test_what_a_user_gives_to_a_dask_cluster_wins(deployed: Project) -> None:
    script = "import os; print(os.environ['MLFLOW_TRACKING_URI'])"
    assert pods.run_dask_worker(deployed, script, {"MLFLOW_TRACKING_URI": "http://mine"}).strip() == "http://mine"


def test_status_says_active_and_where_everything_is(deployed: Project) -> None:
    done = deployed.mlflow("status", "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["state"], found["version"]) == (0, "Active", "1.1"), done.stdout
    assert found["tracking_uri"] == "http://door-1-mlflow-tracking.door-one.svc:5000"
    assert found["ui_url"] == "https://nebari.example.org/mlflow"
    assert found["replicas"] == {"wanted": 1, "ready": 1}
    assert found["database"]["bytes"] > 1_000_000
    assert found["storage"]["phase"] == "Bound"


def test_doctor_finds_nothing_to_repair(deployed: Project) -> None:
    done = deployed.mlflow("doctor", "--json")
    checks = {check["name"]: check["result"] for check in json.loads(done.stdout)["checks"]}
    assert done.returncode == 0, done.stdout
    assert checks["release"] == checks["cluster"] == checks["access"] == "ok"
    assert "open to everyone whom the network lets in" in done.stdout


def test_the_plan_names_a_change_and_makes_none(deployed: Project) -> None:
    before = objects(deployed.namespace, "deploy")
    deployed.configure({**README["mlflow"], "overrides": {"tracking": {"logLevel": "DEBUG"}}})
    done = deployed.mlflow("plan", "--json")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Deployment" in {change["kind"] for change in json.loads(done.stdout)["changes"]}
    assert objects(deployed.namespace, "deploy") == before
    deployed.configure(README["mlflow"])


def test_the_plan_warns_of_another_artifact_store(deployed: Project) -> None:
    deployed.configure({**README["mlflow"], "storage": {"uri": "gs://another-store/mlflow"}})
    done = deployed.mlflow("plan", "--json")
    deployed.configure(README["mlflow"])
    assert done.returncode == 2, done.stdout + done.stderr
    (told,) = [text for text in json.loads(done.stdout)["warnings"] if "artifact store" in text]
    assert "door-1-mlflow-tracking changes from /mlflow/artifacts to gs://another-store/mlflow." in told
    assert "Warning: The artifact store" in done.stderr


def test_logs_and_verify_answer(deployed: Project) -> None:
    (pod,) = json.loads(deployed.mlflow("logs", "--json").stdout)["pods"].items()
    assert pod[0].startswith("door-1-mlflow-tracking-")
    assert "Uvicorn" in pod[1]
    done = deployed.mlflow("verify", "--json")
    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout)["proof"]["run_id"]


def test_open_leads_to_the_server(deployed: Project) -> None:
    process = subprocess.Popen(
        [CLI, "open", "--json", "--no-browser"],
        cwd=deployed.folder,
        env=deployed.environment(),
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=takes_ctrl_c,
    )
    try:
        assert process.stdout is not None
        url = document("".join(process.stdout.readline() for _ in range(5)), "open")["url"]
        with urllib.request.urlopen(f"{url}/version", timeout=30) as answer:  # noqa: S310
            assert answer.read() == b"3.17.2"
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    finally:
        process.kill()


def test_switching_off_and_on_keeps_the_data(deployed: Project, oldest: Path) -> None:
    """On again by the oldest Nebari, whose deploy is the newest's."""
    claims = kubectl("-n", deployed.namespace, "get", "pvc", "-o", "jsonpath={.items[*].metadata.uid}")
    run_id = logged(pods.run_notebook(deployed, "before", LOG_A_RUN))
    deployed.configure({"enabled": False})
    code, output = deployed.quick("deploy")
    assert code == 0, output
    assert kubectl("-n", deployed.namespace, "get", "deploy", "-o", "name") == ""
    assert "MLFLOW_TRACKING_URI" not in pods.notebook_environment(deployed)
    deployed.configure(README["mlflow"])
    code, output = deployed.by(oldest).nebari("deploy")
    assert code == 0, output
    assert "is ready" in output
    done = deployed.mlflow("deploy", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["outputs"]["tracking_uri"] == "http://door-1-mlflow-tracking.door-one.svc:5000"
    assert kubectl("-n", deployed.namespace, "get", "pvc", "-o", "jsonpath={.items[*].metadata.uid}") == claims
    script = f"import mlflow; print(mlflow.get_run('{run_id}').data.metrics)"
    assert "{'m': 1.0}" in pods.run_notebook(deployed, "after", script)
