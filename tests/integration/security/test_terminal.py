"""What a client of the cluster wrote reaches the deployer's terminal as text that can be read, not as orders to it."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from ansible_collections.nebari.mlflow.plugins.module_utils.release.record import encode

CLI = str(Path(sys.executable).with_name("nebari-mlflow"))
ATTACK = "e\x1b]0;OWNED-TITLE\x07\x1b[2J\x1b]52;c;T1dORUQ=\x07\x9b31mFAKE: all is fine\x1b[0m\u202e"
ORDERS = re.compile(r"\x1b\](?!8;)|\x1b\[2J|\x07|\x9b|\u202e|\x1b\[0;OWNED")
RELEASE = "demo-mlflow"
RECORD: dict[str, Any] = {
    "metadata": {
        "name": f"sh.helm.release.v1.{RELEASE}.v1",
        "labels": {"name": RELEASE, "owner": "helm", "status": "deployed", "version": "1"},
    },
    "data": {"release": encode({"name": RELEASE, "version": 1, "info": {"status": "deployed"}})},
}


class Cluster(BaseHTTPRequestHandler):
    """An API server in which everything that a stranger may write is an attack."""

    is_deployed = False

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if self.is_deployed and path.endswith(RECORD["metadata"]["name"]):
            self._send(json.dumps(RECORD))
            return
        if path.endswith("/log"):
            self._send(f"DETAIL:  Key (name)=({ATTACK}) already exists.\r\nnext line\n", "text/plain")
            return
        metadata = {"name": f"{RELEASE}-tracking-0", "creationTimestamp": "2026-01-01T00:00:00Z"}
        waiting = {"reason": "CreateContainerConfigError", "message": ATTACK}
        pod = {
            "metadata": metadata,
            "spec": {"containers": [{"name": "tracking"}]},
            "status": {"containerStatuses": [{"name": "tracking", "state": {"waiting": waiting}}]},
        }
        claim = {"metadata": {"name": ATTACK, "labels": {}}}
        items = {"pods": [pod], "storageclasses": [claim], "persistentvolumeclaims": [claim]}
        items["secrets"] = [RECORD] if self.is_deployed else []
        self._send(json.dumps({"gitVersion": ATTACK, "items": items.get(path.rpartition("/")[2], [])}))

    def _send(self, text: str, kind: str = "application/json") -> None:
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def options(tmp_path: Path) -> Iterator[list[str]]:
    """The options of a command that is about a release in that cluster."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Cluster)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    document = {
        "current-context": "a",
        "contexts": [{"name": "a", "context": {"cluster": "c"}}],
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
    }
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(document))
    kubeconfig.chmod(0o600)
    variables = tmp_path / "vars.yml"
    variables.write_text("{provider: local, project_name: demo, namespace: dev}\n")
    yield ["--vars", str(variables), "--kubeconfig", str(kubeconfig)]
    server.shutdown()
    server.server_close()


def on_a_terminal(*command: str, **env: str) -> str:
    """Run a command on a terminal of its own, and return every byte that reached it as text."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "xterm-256color", **env}
    )
    os.close(theirs)
    seen = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        seen += part
    os.close(ours)
    process.wait()
    return seen.decode()


@pytest.mark.parametrize("command", ["logs", "status", "doctor"])
def test_a_stranger_s_text_gives_the_terminal_no_orders(command: str, options: list[str]) -> None:
    seen = on_a_terminal(CLI, command, *options)
    assert "OWNED-TITLE" in seen
    assert "\\x1b]0;OWNED-TITLE" in seen, "it is still shown"
    assert ORDERS.findall(seen) == []


def test_lines_of_a_log_stay_lines(options: list[str]) -> None:
    done = subprocess.run([CLI, "logs", *options], capture_output=True, text=True, check=True)
    assert "already exists.\nnext line\n" in done.stdout
    assert ORDERS.findall(done.stdout) == []
    pods = json.loads(subprocess.run([CLI, "logs", *options, "--json"], capture_output=True, check=True).stdout)["pods"]
    assert ATTACK in "".join(pods.values()), "for a program the text is as it was"


HELM = """#!{python}
import sys
if sys.argv[1] == "version":
    print("v3.19.4")
else:
    sys.exit("Error: execution error at (x): " + {attack!r})
"""


@pytest.mark.parametrize("command", ["plan", "deploy", "verify"])
def test_a_program_s_text_gives_no_orders(
    command: str, options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Cluster, "is_deployed", command == "verify")
    helm = tmp_path / "bin/helm"
    helm.parent.mkdir()
    helm.write_text(HELM.format(python=sys.executable, attack=ATTACK))
    helm.chmod(0o755)
    env = {"PATH": f"{helm.parent}:{os.environ['PATH']}", "XDG_STATE_HOME": str(tmp_path / "state")}
    seen = on_a_terminal(CLI, command, *options, **env)
    assert "\\x1b]0;OWNED-TITLE" in seen
    assert ORDERS.findall(seen) == []
    logs = [path.read_text() for path in (tmp_path / "state").rglob("*.log")]
    assert bool(logs) is (command != "verify")
    assert [ORDERS.findall(text) for text in logs] == [[] for _ in logs]


def test_ansible_s_own_output_gives_no_orders(options: list[str], tmp_path: Path) -> None:
    helm = tmp_path / "helm"
    helm.write_text(HELM.format(python=sys.executable, attack=ATTACK))
    helm.chmod(0o755)
    given = {"provider": "local", "project_name": "demo", "namespace": "dev", "mlflow_helm": str(helm)}
    line = [str(Path(sys.executable).with_name("ansible-playbook")), "playbooks/mlflow.yml", "-e", json.dumps(given)]
    seen = on_a_terminal(*line, "-e", f"mlflow_kubeconfig={options[3]}")
    assert "OWNED-TITLE" in seen
    assert ORDERS.findall(seen) == []
