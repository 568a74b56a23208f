"""What a deployer's shell and machine may be like: proxies, private authorities, locales, homes, shared memory."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

pytestmark = pytest.mark.cluster
CLI = str(Path(sys.executable).parent / "nebari-mlflow")
NAME = "kubernetes.default.svc"  # in the certificate of every API server, and outside of a cluster in no DNS
INHERITED = ("PATH", "USER", "TMPDIR", "PYTHONUTF8")


class Proxy(socketserver.ThreadingTCPServer):
    """A CONNECT proxy that knows one host. `agents` says who asked for it."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        self.agents: set[str] = set()
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(socketserver.StreamRequestHandler):
    server: Proxy

    def handle(self) -> None:
        method, host, _ = self.rfile.readline().decode().split()
        headers = {}
        while line := self.rfile.readline().decode().strip():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        if (method, host.partition(":")[0]) != ("CONNECT", NAME):
            self.wfile.write(b"HTTP/1.1 403 Forbidden\r\n\r\n")
            return
        self.server.agents.add("helm" if "Go-http-client" in headers.get("user-agent", "") else "python")
        with socket.create_connection(self.server.target) as upstream:
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
            back = threading.Thread(target=pump, args=(upstream, self.connection), daemon=True)
            back.start()
            pump(self.connection, upstream)
            back.join()


def pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


def real() -> dict[str, Any]:
    """The cluster and the user of the kubeconfig in use."""
    line = ["kubectl", "config", "view", "--raw", "--minify", "--flatten", "-o", "json"]
    document = json.loads(subprocess.run(line, capture_output=True, text=True, check=True).stdout)
    return {**document["clusters"][0]["cluster"], **document["users"][0]["user"]}


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    server = urlsplit(real()["server"])
    with Proxy((server.hostname or "", server.port or 443)) as running:
        threading.Thread(target=running.serve_forever, args=(0.05,), daemon=True).start()
        yield running
        running.shutdown()


def logged_in(folder: Path, found: dict[str, Any], way: str) -> dict[str, Any]:
    """The user of a kubeconfig: with a certificate in it, or with a program that prints one."""
    if "client-certificate-data" not in found:
        pytest.skip("this cluster's kubeconfig has no client certificate")
    if way == "certificate":
        return {name: found[name] for name in ("client-certificate-data", "client-key-data")}
    version = "client.authentication.k8s.io/v1"
    names = {"clientCertificateData": "client-certificate-data", "clientKeyData": "client-key-data"}
    status = {name: base64.b64decode(found[key]).decode() for name, key in names.items()}
    (folder / "login.json").write_text(json.dumps({"apiVersion": version, "kind": "ExecCredential", "status": status}))
    program = {
        "apiVersion": version,
        "command": "cat",
        "args": [str(folder / "login.json")],
        "interactiveMode": "Never",
    }
    return {"exec": program}


def plan(folder: Path, kubeconfig: Path | str, *wrapped_by: str, **environ: str) -> tuple[int, str]:
    """Run `nebari-mlflow plan` for what `make up` deployed, in a clean shell."""
    variables = folder / "vars.yml"
    variables.write_text(yaml.safe_dump({"provider": "local", "project_name": "demo", "namespace": "dev"}))
    env = {name: os.environ[name] for name in INHERITED if name in os.environ}
    line = [*wrapped_by, CLI, "plan", "--vars", str(variables), "--kubeconfig", str(kubeconfig)]
    done = subprocess.run(
        line, cwd=folder, env={**env, "HOME": str(folder), **environ}, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("way", ["certificate", "program"])
def test_shells_proxy_and_authority_reach_helm_and_cluster(tmp_path: Path, proxy: Proxy, way: str) -> None:
    found = real()
    (tmp_path / "ca.crt").write_bytes(base64.b64decode(found["certificate-authority-data"]))
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": f"https://{NAME}:443"}}],
        "users": [{"name": "u", "user": logged_in(tmp_path, found, way)}],
    }
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(document))
    kubeconfig.chmod(0o600)
    shell = {"HTTPS_PROXY": proxy.url, "SSL_CERT_FILE": str(tmp_path / "ca.crt")}
    code, said = plan(tmp_path, kubeconfig, **shell, NO_PROXY="example.org,10.0.0.0/8")
    assert (code, "Nothing to change." in said) == (0, True), said
    assert proxy.agents == {"helm", "python"}
    proxy.agents.clear()
    code, said = plan(tmp_path, kubeconfig, **shell, NO_PROXY=".svc")
    assert (code, NAME in said, proxy.agents) == (1, True, set()), said


@pytest.mark.parametrize("locale", ["C", "POSIX", "xx_YY.UTF-8", "de_DE.ISO-8859-1"])
def test_every_locale_works(tmp_path: Path, locale: str) -> None:
    code, said = plan(tmp_path, os.environ["KUBECONFIG"], LC_ALL=locale)
    assert (code, "Nothing to change." in said) == (0, True), said


def isolated(script: str) -> tuple[str, ...]:
    """Run what follows in a mount namespace of its own, after a script."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("only root can mount")
    return ("unshare", "--mount", "sh", "-euc", script + '\nexec "$@"', "sh")


def test_a_home_and_shared_memory_that_run_nothing_are_enough(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    mounts = f"mount -t tmpfs -o noexec,mode=1777 tmpfs /dev/shm\nmount -t tmpfs -o ro tmpfs {home}"
    code, said = plan(tmp_path, os.environ["KUBECONFIG"], *isolated(mounts), HOME=str(home))
    assert (code, "Nothing to change." in said) == (0, True), said
    assert f"No log is kept: {home}" in said


def test_shared_memory_that_ansible_cannot_use_is_named(tmp_path: Path) -> None:
    mounts = "mount -t tmpfs -o ro tmpfs /dev/shm"
    code, said = plan(tmp_path, os.environ["KUBECONFIG"], *isolated(mounts))
    assert (code, "NML308" in said, "mount -t tmpfs -o mode=1777 tmpfs /dev/shm" in said) == (1, True, True), said
