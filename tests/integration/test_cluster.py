"""The test cluster is what the other tests take it for: it enforces policies, makes volumes, and checks pods."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT, Played, environment, kubectl

pytestmark = pytest.mark.cluster
NAMESPACE = "test-cluster"
IMAGE = "ghcr.io/mlflow/mlflow:v3.17.2-full"
KUBECONFIG = Path(os.environ.get("KUBECONFIG", ROOT / ".cluster/kubeconfig"))
OWN = KUBECONFIG == ROOT / ".cluster/kubeconfig"


def pod(name: str, labels: dict[str, str], *script: str, **spec: Any) -> str:
    """Start a pod that Pod Security's `restricted` admits, and return its name."""
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 1000,
                "fsGroup": 1000,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "main",
                    "image": IMAGE,
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["python3", "-c", "\n".join(script)],
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                    **spec.pop("container", {}),
                }
            ],
            **spec,
        },
    }
    kubectl("-n", NAMESPACE, "apply", "-f", "-", stdin=json.dumps(manifest))
    return name


def wait(name: str, condition: str) -> None:
    kubectl("-n", NAMESPACE, "wait", f"pod/{name}", f"--for={condition}", "--timeout=90s")


@pytest.fixture(scope="module", autouse=True)
def namespace() -> Iterator[None]:
    """A namespace that admits only `restricted` pods."""
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait")
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}
    kubectl("apply", "-f", "-", stdin=json.dumps(made))
    yield
    kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.mark.skipif(not OWN, reason="this is about the cluster that `make up` starts")
def test_the_kubeconfig_is_only_for_whom_it_belongs_to() -> None:
    assert KUBECONFIG.stat().st_mode & 0o777 == 0o600


def test_the_node_counts_ephemeral_storage() -> None:
    (node, *_) = json.loads(kubectl("get", "nodes", "-o", "json"))["items"]
    assert "ephemeral-storage" in node["status"]["allocatable"]


def test_no_pod_compiles_mlflow_anew_at_its_start() -> None:
    """Half a minute of CPU at each start, and a pod can't keep what it compiled."""
    server = ("-n", "dev", "exec", "deploy/demo-mlflow-tracking", "-c", "tracking", "--")
    said = kubectl(*server, "sh", "-c", "python3 -v -c 'import mlflow.server' 2>&1")
    assert "import 'mlflow.server'" in said
    assert "bytecode is stale" not in said


def test_pod_security_refuses_what_restricted_forbids() -> None:
    with pytest.raises(AssertionError, match="violates PodSecurity"):
        kubectl("-n", NAMESPACE, "run", "privileged", f"--image={IMAGE}", "--privileged")


def test_the_default_storage_class_makes_volumes_for_anyone() -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Mi"}}},
    }
    kubectl("-n", NAMESPACE, "apply", "-f", "-", stdin=json.dumps(claim))
    pod(
        "writer",
        {},
        "import pathlib; pathlib.Path('/data/written').write_text('kept')",
        container={"volumeMounts": [{"name": "data", "mountPath": "/data"}]},
        volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
    )
    wait("writer", "jsonpath={.status.phase}=Succeeded")


CLIENT = (
    "import socket, time",
    "deadline = time.time() + 12",
    "while time.time() < deadline:",
    "    try:",
    "        socket.create_connection(('server', 8000), timeout=2).close()",
    "        print('let in'); break",
    "    except OSError:",
    "        time.sleep(0.3)",
    "else:",
    "    print('kept out')",
)


def test_a_network_policy_keeps_out_whom_it_does_not_name() -> None:
    pod(
        "server",
        {"app": "server"},
        "import http.server as h; h.HTTPServer(('', 8000), h.BaseHTTPRequestHandler).serve_forever()",
    )
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "server"},
        "spec": {"selector": {"app": "server"}, "ports": [{"port": 8000}]},
    }
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "server"},
        "spec": {
            "podSelector": {"matchLabels": {"app": "server"}},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "friend"}}}]}],
        },
    }
    kubectl("-n", NAMESPACE, "apply", "-f", "-", stdin=json.dumps(service))
    kubectl("-n", NAMESPACE, "apply", "-f", "-", stdin=json.dumps(policy))
    wait("server", "condition=Ready")
    time.sleep(3)  # a policy takes its controller a moment
    for name in ("friend", "stranger"):
        pod(name, {"app": name}, *CLIENT)
    for name in ("friend", "stranger"):
        wait(name, "jsonpath={.status.phase}=Succeeded")
    assert kubectl("-n", NAMESPACE, "logs", "friend").strip() == "let in"
    assert kubectl("-n", NAMESPACE, "logs", "stranger").strip() == "kept out"


FAILED = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "first-run"},
    "spec": {
        "backoffLimit": 0,
        "template": {
            "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": IMAGE, "command": ["false"]}]}
        },
    },
}


@pytest.mark.skipif(not OWN, reason="this is about the cluster that `make up` starts")
def test_second_make_up_repairs_a_failed_run_only() -> None:
    kubectl("-n", "dev", "delete", "job", "first-run", "--ignore-not-found")
    kubectl("-n", "dev", "apply", "-f", "-", stdin=json.dumps(FAILED))
    kubectl("-n", "dev", "wait", "job/first-run", "--for=condition=Failed", "--timeout=60s")
    names = {"mlflow_provider": "local", "mlflow_project_name": "demo", "mlflow_namespace": "dev"}
    variables = json.dumps({**names, "mlflow_kubeconfig": str(KUBECONFIG)})
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ansible-playbook")), "molecule/cluster/demo.yml", "-e", variables],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    played = Played(done.returncode, done.stdout, done.stderr)
    assert played.returncode == 0, played.failure
    assert played.tasks_that_changed == [
        "Remove a Job that failed, or was left half-way",
        "Log a run from a pod, as a notebook does",
    ]
    said = played.said("Say where everything is").splitlines()
    port = json.loads((ROOT / ".cluster/forward.json").read_text())["port"]
    assert said[0].startswith("run ")
    assert said[1].endswith(" http://demo-mlflow-tracking.dev.svc:5000")
    assert f"http://127.0.0.1:{port}" in said[2]
    assert ("port 5000 is taken" in said[2]) is (port != 5000)
    assert said[3].endswith(f" {KUBECONFIG}")


@pytest.mark.parametrize("locale", ["C", "xx_YY.UTF-8"])
def test_readme_s_commands_work_in_a_new_shell(locale: str) -> None:
    """As printed, but that the deploy is only predicted, and in whatever locale the shell has."""
    block = re.search(r"```bash\n(eval .+?)```", (ROOT / "README.md").read_text(), re.S)
    assert block is not None
    clean = {"HOME": str(Path.home()), "PATH": "/usr/bin:/bin", "LC_ALL": locale}
    own = {} if OWN else {"KUBECONFIG": str(KUBECONFIG)}
    script = re.sub(r"(ansible-playbook .+)", r"\1 --check", block[1])
    line = ["bash", "-euc", f"{script}\nhelm list -n dev"]
    done = subprocess.run(line, cwd=ROOT, env={**clean, **own}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "changed=" in done.stdout
    assert "demo-mlflow" in done.stdout
