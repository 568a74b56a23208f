"""`-e provider=gcp` alone is enough where the cluster tells the rest, and nothing is created where it can't be used."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from .gcp_lab import CLOUD_PROJECT, REGION
from .lab import Lab
from .play import ROOT, environment

pytestmark = pytest.mark.cluster  # the Helm of `make up`
ANSWERS: dict[str, Any] = {
    "/version": {"gitVersion": "v1.34.4"},
    "/.well-known/openid-configuration": {"issuer": "https://issuer.example.org"},
    "/api/v1/nodes": {
        "items": [
            {
                "metadata": {"labels": {"topology.kubernetes.io/region": REGION}},
                "spec": {"providerID": f"gce://{CLOUD_PROJECT}/{REGION}-b/gke-demo"},
            }
        ]
    },
    "/apis/storage.k8s.io/v1/storageclasses": {"items": []},
}
PLAY = [
    {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "roles": ["nebari.mlflow.inputs"],
        "tasks": [
            {"ansible.builtin.include_role": {"name": "nebari.mlflow.inputs", "tasks_from": "cluster"}},
            {"ansible.builtin.include_role": {"name": "nebari.mlflow.{{ mlflow_provider }}"}},
            {"ansible.builtin.set_stats": {"data": {"storage": "{{ gcp_storage }}", "cluster": "{{ cluster_facts }}"}}},
        ],
    }
]


class Cluster(BaseHTTPRequestHandler):
    """An API server that only says what its objects are."""

    def do_GET(self) -> None:
        found = ANSWERS.get(self.path.partition("?")[0])
        body = json.dumps(found or {"kind": "Status", "message": "not found"}).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Iterator[Path]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Cluster) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        path = tmp_path / "kubeconfig"
        cluster = {"server": f"http://127.0.0.1:{server.server_port}"}
        path.write_text(
            yaml.safe_dump(
                {
                    "current-context": "a",
                    "contexts": [{"name": "a", "context": {"cluster": "c", "user": "u"}}],
                    "clusters": [{"name": "c", "cluster": cluster}],
                    "users": [{"name": "u", "user": {"token": "t"}}],
                }
            )
        )
        path.chmod(0o600)
        yield path
        server.shutdown()


def run(lab: Lab, tmp_path: Path, **variables: Any) -> tuple[int, str, dict[str, Any]]:
    """Run the two roles as the playbook does, in check mode."""
    path = tmp_path / "play.yml"
    path.write_text(json.dumps(PLAY))
    done = subprocess.run(
        ["ansible-playbook", str(path), "--check", "-e", json.dumps(variables)],
        cwd=ROOT,
        env=environment({**lab.environment(), **lab.extra}),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    start = done.stdout.index("{\n") if "{\n" in done.stdout else done.stdout.index("{")
    return done.returncode, done.stdout, json.loads(done.stdout[start:]).get("global_custom_stats", {})


@pytest.fixture
def gcp(labs: dict[str, Lab], enter: dict[str, Lab]) -> Lab:
    del labs
    enter["gcp"].reset()
    return enter["gcp"]


def test_provider_alone_suffices_if_the_cluster_tells_the_rest(gcp: Lab, kubeconfig: Path, tmp_path: Path) -> None:
    code, output, stats = run(gcp, tmp_path, provider="gcp", mlflow_kubeconfig=str(kubeconfig))
    assert code == 0, output
    assert stats["cluster"]["project"] == CLOUD_PROJECT
    assert stats["storage"]["uri"].startswith("gs://nebari-mlflow-")
    assert f"project={CLOUD_PROJECT}" in output, "what was found is shown"


def test_what_is_given_wins_over_what_the_cluster_says(gcp: Lab, kubeconfig: Path, tmp_path: Path) -> None:
    given = {"provider": "gcp", "mlflow_kubeconfig": str(kubeconfig), "mlflow_gcp_project": "another-project-1"}
    _, output, _ = run(gcp, tmp_path, **given)
    assert "another-project-1" in output


def test_undiscovered_inputs_are_named_all_at_once(
    gcp: Lab, kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ANSWERS, "/api/v1/nodes", None)
    code, output, _ = run(gcp, tmp_path, provider="gcp", mlflow_kubeconfig=str(kubeconfig))
    assert code != 0
    for word in ("mlflow_gcp_project, mlflow_gcp_region", "gcloud projects list", "gcloud container clusters list"):
        assert word in output
    assert gcp.cloud.calls == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"mlflow_helm": "/nonexistent/helm"}, "/nonexistent/helm"),
        ({"mlflow_kubeconfig": "/nonexistent/kubeconfig"}, "/nonexistent/kubeconfig"),
        ({"mlflow_context": "none"}, "'none' is not in the kubeconfig"),
    ],
)
def test_unusable_helm_or_cluster_is_refused_before_any_cloud_call(
    gcp: Lab, kubeconfig: Path, tmp_path: Path, given: dict[str, str], words: str
) -> None:
    code, output, _ = run(gcp, tmp_path, provider="gcp", **{"mlflow_kubeconfig": str(kubeconfig), **given})
    assert code != 0
    assert words in output
    assert gcp.cloud.calls == []
