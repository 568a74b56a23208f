"""A real JupyterHub in the cluster, with notebook servers in pods."""

from __future__ import annotations

import hashlib
import json
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

from tests.support import CACHE, MLFLOW_IMAGE, kubectl

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "requirements.txt"
START_SECONDS = 600


def packages(requirements: Path = REQUIREMENTS) -> Path:
    """Install what a pod needs beside MLflow's image into the cache, once."""
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    folder = CACHE / f"{'jupyterhub' if requirements == REQUIREMENTS else requirements.stem}-{wanted}"
    if not folder.exists():
        part = folder.with_suffix(f".{secrets.token_hex(4)}")
        uv = next(path for path in (CACHE / "uv/bin/uv", Path("uv")) if path.exists() or path.name == str(path))
        install = [str(uv), "pip", "install", "--quiet", "--target", str(part), "--python", sys.executable]
        more = ["--python-version", "3.11", "--require-hashes", "--only-binary", ":all:", "-r", str(requirements)]
        subprocess.run([*install, *more], check=True)
        part.rename(folder)
    return folder


@dataclass(frozen=True)
class Hub:
    """The hub of a namespace."""

    namespace: str
    token: str

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """Use the hub's API as an administrator would, from the hub's own pod."""
        script = (
            "import json,sys,urllib.request as u,os\n"
            "m,p,b=json.loads(sys.stdin.read())\n"
            "r=u.Request('http://127.0.0.1:8081/hub/api/'+p,method=m,data=b.encode() if b else None,"
            "headers={'Authorization':'token '+os.environ['TESTS_TOKEN']})\n"
            "print(u.urlopen(r,timeout=60).read().decode())"
        )
        asked = json.dumps([method, path, "" if body is None else json.dumps(body)])
        answer = self.run("hub", script, stdin=asked)
        return json.loads(answer) if answer.strip() else None

    def run(self, pod: str, script: str, *arguments: str, stdin: str = "", **env: str) -> str:
        """Run Python in a pod, as a cell of a notebook would, and return what it printed."""
        given = ["-u", "PYTHONPATH", *(f"{name}={value}" for name, value in env.items())]
        command = ["exec", "-i", pod, "--", "env", *given, "python3", "-c", script, *arguments]
        return kubectl("-n", self.namespace, *command, stdin=stdin)

    def start(self, *names: str) -> None:
        """Start the notebook servers of people whom the configuration names, side by side."""
        for name in names:
            self.api("POST", f"users/{name}/server")
        end = time.monotonic() + START_SECONDS
        for name in names:
            while not self.api("GET", f"users/{name}")["servers"].get("", {}).get("ready"):
                if time.monotonic() > end:
                    log = kubectl("-n", self.namespace, "logs", "hub", "--tail=30")
                    raise AssertionError(f"{name}'s server does not start:\n{log}")
                time.sleep(1)

    def new_token(self, name: str, **more: Any) -> tuple[str, str]:
        """Create a token as a user does on the hub's page; return it and its id."""
        made = self.api("POST", f"users/{name}/tokens", {"note": "test", **more})
        return made["token"], made["id"]


@contextmanager
def hub(namespace: str, tracking_uri: str) -> Iterator[Hub]:
    """Run a hub in a namespace that the caller removes."""
    config = {"jupyterhub_config.py": (HERE / "jupyterhub_config.py").read_text()}
    token = secrets.token_hex(16)
    tokens = {"hub.services.mlflow.apiToken": secrets.token_hex(16), "hub.services.tests.apiToken": token}
    items: list[Any] = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "hub"}, "data": config},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hub"}, "stringData": tokens},
    ]
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    kubectl("-n", namespace, "apply", "-f", "-", stdin=listed)
    template = Template((HERE / "objects.yaml").read_text())
    objects = template.substitute(image=MLFLOW_IMAGE, tracking_uri=tracking_uri)
    kubectl("-n", namespace, "apply", "-f", "-", stdin=objects)
    send(namespace)
    kubectl("-n", namespace, "wait", "pod/hub", "--for=condition=Ready", f"--timeout={START_SECONDS}s")
    yield Hub(namespace, token)


def send(namespace: str, pod: str = "hub", requirements: Path = REQUIREMENTS) -> None:
    """Send packages to the volume of a pod, which waits for them."""
    running = "jsonpath={.status.initContainerStatuses[0].state.running}"
    kubectl("-n", namespace, "wait", f"pod/{pod}", f"--for={running}", f"--timeout={START_SECONDS}s")
    folder = packages(requirements)
    names = sorted(path.name for path in folder.iterdir())
    pack = ["tar", "-C", str(folder), "--exclude=__pycache__", "--exclude=tests", "-c", *names]
    unpack = ["kubectl", "-n", namespace, "exec", "-i", pod, "-c", "packages", "--", "tar", "-C", "/packages", "-xm"]
    with subprocess.Popen(pack, stdout=subprocess.PIPE) as packing:
        subprocess.run([*unpack, "--no-same-owner"], stdin=packing.stdout, check=True)
    kubectl("-n", namespace, "exec", pod, "-c", "packages", "--", "touch", "/packages/complete")
