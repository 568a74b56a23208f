"""`make up` where container registries answer: the way of nearly every newcomer.

A network of its own holds a registry behind the names of Docker Hub and ghcr.io, and a Docker daemon that trusts it.
Nothing else can be reached from there, so whatever is not pulled or on PATH makes `make up` fail.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import yaml

from tests.support import CACHE, MLFLOW_IMAGE, ROOT

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(not os.environ.get("NEBARI_MLFLOW_CAMPAIGN"), reason="long; `make campaign` runs it"),
]
NAMES = ("registry-1.docker.io", "docker.io", "ghcr.io")
ADDRESS = "10.203.0.1"  # of the registry and the name server, inside the network
GROUP = "nebari-mlflow-registry"  # of the containers' control groups
PROGRAMS = ("helm", "kind", "kubectl")
SETUP = f"""
set -eu
mount -t tmpfs tmpfs /run
mount --bind "$0/resolv.conf" /etc/resolv.conf
mount --bind "$0/hosts" /etc/hosts
ip link set lo up
ip address add {ADDRESS}/32 dev lo
exec sleep infinity
"""
LIMIT = 300  # seconds from nothing to a run in the UI, on a machine that does nothing else


def sh(*line: str, **options: object) -> str:
    done = subprocess.run(line, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return str(done.stdout)


def wait(holds: object, what: str) -> None:
    deadline = time.monotonic() + 60
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < deadline, what
        time.sleep(0.3)


@dataclass
class Network:
    """A network, a mount and a process namespace; all that runs inside ends with its first process."""

    folder: Path
    holder: subprocess.Popen[bytes]

    @classmethod
    def begin(cls, folder: Path) -> Network:
        (folder / "resolv.conf").write_text(f"nameserver {ADDRESS}\n")
        (folder / "hosts").write_text("127.0.0.1 localhost\n")
        line = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", SETUP]
        with (folder / "network.log").open("wb") as log:
            network = cls(folder, subprocess.Popen([*line, str(folder)], stdout=log, stderr=log))
        wait(lambda: "sleep" in network._first(), "the network did not begin")
        return network

    def _first(self) -> str:
        children = psutil.Process(self.holder.pid).children()
        return children[0].name() if children else ""

    def inside(self, *line: str) -> list[str]:
        first = psutil.Process(self.holder.pid).children()[0].pid
        return ["nsenter", "--target", str(first), "--net", "--mount", "--pid", "--wd=.", *line]

    def start(self, name: str, *line: str, **environ: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            subprocess.Popen(self.inside(*line), stdout=log, stderr=log, env={**os.environ, **environ})

    def end(self) -> None:
        for process in psutil.Process(self.holder.pid).children():
            process.send_signal(signal.SIGKILL)
        self.holder.wait()
        for group in Path("/sys/fs/cgroup").glob(f"*/{GROUP}"):
            for path, _folders, _files in os.walk(group, topdown=False):
                Path(path).rmdir()


def certificates(folder: Path) -> None:
    """Make an authority and one certificate for the registries' names."""
    if (folder / "ca.crt").exists():
        return
    names = ",".join(f"DNS:{name}" for name in NAMES)
    (folder / "names").write_text(f"subjectAltName={names}\n")
    key = ["-newkey", "rsa:2048", "-nodes", "-subj"]
    sh("openssl", "req", "-x509", *key, "/CN=test authority", "-keyout", "ca.key", "-out", "ca.crt", cwd=folder)
    sh("openssl", "req", *key, f"/CN={NAMES[0]}", "-keyout", "tls.key", "-out", "tls.csr", cwd=folder)
    signer = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names", "-days", "30"]
    sh("openssl", "x509", "-req", "-in", "tls.csr", *signer, "-out", "tls.crt", cwd=folder)


def packages(folder: Path) -> None:
    """Unpack Debian's registry, whose service is not wanted, and install its name server."""
    lock = ["-o", "DPkg::Lock::Timeout=300"]
    if not shutil.which("dnsmasq"):
        sh("apt-get", "install", "--yes", "--no-install-recommends", *lock, "dnsmasq-base")
    if not (folder / "registry/usr/bin/docker-registry").exists():
        sh("apt-get", "download", "docker-registry", cwd=folder)
        sh("dpkg", "-x", str(next(folder.glob("docker-registry_*.deb"))), str(folder / "registry"))


def own_docker() -> dict[str, str]:
    """Return the environment in which docker reaches the daemon that built the node's image."""
    state = json.loads((ROOT / ".cluster/state").read_text())
    config = json.loads((Path(state["cache"]) / "docker/daemon.json").read_text())
    return {**os.environ, "DOCKER_HOST": config["hosts"][0]}


@dataclass
class World:
    """The network, and what a newcomer has: a checkout, an empty cache, Docker, and the three programs on PATH."""

    network: Network
    checkout: Path
    environ: dict[str, str]

    def make(self, target: str) -> str:
        return self.run("make", target)

    def run(self, *line: str) -> str:
        return sh(*self.network.inside(*line), cwd=self.checkout, env=self.environ)


def fill(network: Network, folder: Path) -> dict[str, str]:
    """Push what was built here under the names that people pull; return those names."""
    docker = own_docker()
    listed = sh("docker", "image", "ls", "nebari-mlflow/node", "--format={{.Repository}}:{{.Tag}}", env=docker)
    built = listed.split()[0]
    version = re.search(r"^\s+k8s.io/kubernetes (v\S+)", (ROOT / "molecule/cluster/tools/go.mod").read_text(), re.M)
    assert version is not None
    values = yaml.safe_load((ROOT / CHART / "values.yaml").read_text())["postgresql"]["image"]
    names = {
        "node": f"docker.io/kindest/node:{version[1]}",
        "mlflow": MLFLOW_IMAGE,
        "postgres": f"{values['registry']}/{values['repository']}:{values['tag']}",
    }
    if (folder / "filled").exists():
        return names
    archive = folder / "node.tar"
    sh("docker", "save", "--output", str(archive), built, env=docker)
    for path in (archive, *(newest(f"{each}-*.tar") for each in ("mlflow", "postgres"))):
        sh(*network.inside("docker", "load", "--input", str(path)))
    archive.unlink()
    # A node trusts the registries that it pulls from: the test's authority stands for the public ones.
    (folder / "node").mkdir(exist_ok=True)
    shutil.copy(folder / "ca.crt", folder / "node/ca.crt")
    trust = f"FROM {built}\nCOPY ca.crt /tmp/\nRUN cat /tmp/ca.crt >>/etc/ssl/certs/ca-certificates.crt\n"
    (folder / "node/Dockerfile").write_text(trust)
    sh(*network.inside("docker", "build", "--network=none", f"--tag={names['node']}", str(folder / "node")))
    trusting = {**os.environ, "SSL_CERT_FILE": str(folder / "ca.crt")}
    for name in names.values():
        sh(*network.inside("docker", "push", name), env=trusting)
    sh(*network.inside("sh", "-c", "docker image rm --force $(docker image ls -q | sort -u)"))
    (folder / "filled").touch()
    return names


CHART = Path("collections/ansible_collections/nebari/mlflow/roles/server/files/mlflow")


def newest(pattern: str) -> Path:
    return max((CACHE / "images").glob(pattern), key=lambda path: path.stat().st_mtime)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "nsenter", "dockerd", "apt-get", "openssl"))):
        pytest.skip("needs root, Docker's daemon and Debian")
    if not (ROOT / ".cluster/state").exists() or not list((CACHE / "images").glob("mlflow-*.tar")):
        pytest.skip("the registry is filled from what `make up` built here, and it built nothing")
    folder = tmp_path_factory.mktemp("registry")
    kept = CACHE / "registry"
    kept.mkdir(parents=True, exist_ok=True)
    packages(kept)
    certificates(kept)
    (folder / "registry.yml").write_text(
        json.dumps(
            {
                "version": 0.1,
                "storage": {"filesystem": {"rootdirectory": str(kept / "data")}},
                "http": {
                    "addr": f"{ADDRESS}:443",
                    "tls": {"certificate": str(kept / "tls.crt"), "key": str(kept / "tls.key")},
                },
            }
        )
    )
    runtime = CACHE / "docker/runc"
    daemon = {"data-root": str(folder / "docker"), "cgroup-parent": f"/{GROUP}"}
    if runtime.exists():  # this machine withholds a capability
        daemon |= {"runtimes": {"own": {"path": str(runtime)}}, "default-runtime": "own"}  # type: ignore[dict-item]
    (folder / "daemon.json").write_text(json.dumps(daemon))
    network = Network.begin(folder)
    try:
        network.start("registry", str(kept / "registry/usr/bin/docker-registry"), "serve", str(folder / "registry.yml"))
        addresses = [f"--address=/{name}/{ADDRESS}" for name in NAMES]
        network.start(
            "names", "dnsmasq", "--keep-in-foreground", "--no-resolv", "--pid-file=", "--user=root", *addresses
        )
        trusted = str(kept / "ca.crt")
        network.start("docker", "dockerd", "--config-file", str(folder / "daemon.json"), SSL_CERT_FILE=trusted)
        asked = network.inside("docker", "version")
        wait(lambda: subprocess.run(asked, capture_output=True, check=False).returncode == 0, "dockerd did not start")
        fill(network, kept)
        yield World(network, checkout(folder), newcomer(folder, trusted))
    finally:
        network.end()
        shutil.rmtree(folder / "docker", ignore_errors=True)


def checkout(folder: Path) -> Path:
    """Copy what a clone would hold, with what is not committed yet."""
    listed = sh("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT).split("\0")
    for name in filter(None, listed):
        if (ROOT / name).is_file():
            (folder / "clone" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / "clone" / name)
    return folder / "clone"


def newcomer(folder: Path, trusted: str) -> dict[str, str]:
    """Return the environment of a shell that has the three programs on PATH, and neither Go nor uv."""
    (folder / "bin").mkdir()
    (folder / "home").mkdir()
    for name in PROGRAMS:
        (folder / "bin" / name).symlink_to((ROOT / ".cluster/bin" / name).resolve())
    python = Path(sys.base_prefix) / "bin"
    docker = Path(shutil.which("docker") or "").parent
    path = [folder / "bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin", docker, python]
    return {"HOME": str(folder / "home"), "PATH": os.pathsep.join(map(str, path)), "SSL_CERT_FILE": trusted}


def test_first_make_up_pulls_and_compiles_nothing(world: World) -> None:
    began = time.monotonic()
    others = os.getloadavg()[0] / (os.cpu_count() or 1)
    of_packages = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_", "HTTP", "SSL"))}
    sh("make", ".venv/.done", cwd=world.checkout, env={**world.environ, **of_packages})
    environment = time.monotonic() - began
    said = world.make("up")
    print(said)
    seconds = time.monotonic() - began
    print(f"from nothing: {seconds:.0f} s, of which the Python environment took {environment:.0f} s; load {others:.1f}")
    assert "Pull the node's image" in said
    assert re.search(r"run [0-9a-f]{32}: greeting=hello", said), said
    assert 'eval "$(make env)"' in said
    assert "Compile" not in said
    assert "built here" not in said
    cache = Path(world.environ["HOME"]) / ".cache/nebari-mlflow"
    assert not list(cache.glob("programs/*")), "helm, kind and kubectl of PATH were used"
    assert not list(cache.glob("images/*.tar")), "the images were pulled"
    assert seconds < LIMIT * max(1.0, others)


def test_second_make_up_changes_nothing(world: World) -> None:
    before = time.monotonic()
    said = world.make("up")
    print(said, f"{time.monotonic() - before:.0f} s")
    assert "Pull" not in said
    assert "applying" not in said


def test_docker_does_not_start_a_node_by_itself(world: World) -> None:
    nodes = world.run("docker", "ps", "--all", "--quiet").split()
    assert world.run("docker", "inspect", "--format={{.HostConfig.RestartPolicy.Name}}", *nodes).split() == ["no"]


def test_commands_of_readme_work_as_printed_in_a_new_shell(world: World) -> None:
    block = re.search(r"```bash\n(eval .+?)```", (world.checkout / "README.md").read_text(), re.S)
    assert block is not None
    shell = ["env", "-i", f"HOME={world.environ['HOME']}", "PATH=/usr/bin:/bin", "bash", "-euc"]
    said = world.run(*shell, block[1])
    assert "is deployed and tested: release nebari-mlflow, namespace mine" in said
    assert "nebari-mlflow-tracking" in said


def test_make_down_leaves_the_docker_daemon_as_it_was(world: World) -> None:
    world.make("down")
    assert world.run("docker", "ps", "--all", "--quiet") == ""
    assert "kind" not in world.run("docker", "network", "ls", "--format", "{{.Name}}").split()
