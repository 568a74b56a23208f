#!/usr/bin/python
"""Looks at this machine and at what there is of the test cluster. Changes nothing."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import platform
import re
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: survey
short_description: Look at what there is of the test cluster
description:
  - Everything that C(up.yml) and C(down.yml) decide, they decide by what this module sees, never by what an earlier run
    remembers to have done. So they go on from wherever a run was killed, and repair what a reboot took.
options:
  checkout: {type: path, required: true, description: The clone whose cluster it is. Its path names the cluster.}
  cache: {type: path, required: true, description: Where all clones keep what was built and the Docker daemon's data.}
  recipes:
    type: dict
    default: {}
    description: For each thing that is built, the files and words that decide what comes out.
author: [nebari-mlflow]
"""

EXAMPLES = """
- name: Look at what there is
  survey:
    checkout: "{{ playbook_dir | dirname | dirname }}"
    cache: "{{ lookup('env', 'HOME') }}/.cache/nebari-mlflow"
    recipes: {programs: [tools/go.mod, tools/go.sum]}
"""

RETURN = """
name: {returned: always, type: str, description: The cluster's name. It has 8 hex digits of the checkout's path.}
digests: {returned: always, type: dict, description: A digest for each recipe.}
versions: {returned: always, type: dict, description: 'The versions in tools/go.mod, by module path.'}
machine: {returned: always, type: dict, description: 'What the machine is and has: root, Go, a browser, what it lacks.'}
docker: {returned: always, type: dict, description: 'The Docker daemon: running, own, environment, images, registered.'}
links: {returned: always, type: dict, description: What the links in .cluster/bin point to.}
tools: {returned: always, type: dict, description: 'helm, kind and kubectl on PATH, if their versions are suitable.'}
node: {returned: always, type: dict, description: 'The cluster node: id, status, image; ready; images it has.'}
state: {returned: always, type: dict, description: What a finished up.yml wrote down about its node.}
"""

CAPABILITY = "CAP_SYS_RESOURCE"
CAPABILITY_BIT = 24
GO_MINIMUM = (1, 24)
HELM_VERSIONS = ((3, 15), (4, 0))  # from, and below: what the collection supports
KIND_VERSIONS = ((0, 30), (1, 0))  # the first that knows the node's Kubernetes
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
TARGETS = "$(ORIGIN)|$(LABEL)|$(REPO_URI)"
PATIENCE = 10  # seconds for a command that should take one


def output(*argv: str, env: dict[str, str] | None = None) -> str | None:
    """Return what a command prints; None when it fails, hangs or is not there."""
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=PATIENCE, check=False, env={**os.environ, **(env or {})}
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def short_name(path: Path) -> str:
    """Return 8 hex digits that stand for a path in the names of things."""
    return hashlib.sha256(str(path).encode()).hexdigest()[:8]


def digest(parts: list[str]) -> str:
    """Return hex digits for words and for files; a path that is a folder stands for all files under it."""
    total = hashlib.sha256()
    for part in parts:
        path = Path(part)
        files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
        for file in files:
            if path.is_absolute() and file.is_file():
                name = str(file.relative_to(path)) if file != path else path.name
                total.update(f"{name}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
            else:
                total.update(f"{part}\0".encode())
    return total.hexdigest()[:12]


def versions(go_mod: str) -> dict[str, str]:
    """Return the version of each module that a go.mod requires."""
    return dict(re.findall(r"^(?:require)?\s+(\S+) (v\S+)(?: // indirect)?$", go_mod, re.MULTILINE))


def go(cache: Path) -> str:
    """Return a Go compiler that is new enough; empty when there is none."""
    for found in (shutil.which("go"), "/usr/local/go/bin/go", *map(str, cache.glob("go-*/go/bin/go"))):
        said = output(found, "env", "GOVERSION", env={"GOTOOLCHAIN": "local", "GOFLAGS": ""}) if found else None
        numbers = re.match(r"go(\d+)\.(\d+)", said or "")
        if found and numbers and (int(numbers[1]), int(numbers[2])) >= GO_MINIMUM:
            return found
    return ""


def tools(kubernetes: str, links: Path) -> dict[str, str]:
    """Return helm, kind and kubectl on PATH, those of a suitable version; `links` is our own folder, which is left out.

    kubectl may differ from the API server by one minor version, as Kubernetes says.
    """
    ours = links.resolve()
    path = os.pathsep.join(
        part for part in os.environ.get("PATH", "").split(os.pathsep) if Path(part).resolve() != ours
    )
    major, minor = (int(number) for number in kubernetes.removeprefix("v").split(".")[:2])
    suitable = {
        "helm": (("version", "--short"), *HELM_VERSIONS),
        "kind": (("version",), *KIND_VERSIONS),
        "kubectl": (("version", "--client"), (major, minor - 1), (major, minor + 2)),
    }
    found = {}
    for name, (arguments, least, below) in suitable.items():
        program = shutil.which(name, path=path)
        numbers = re.search(r"\bv(\d+)\.(\d+)\.", output(program, *arguments) or "") if program else None
        if program and numbers and least <= (int(numbers[1]), int(numbers[2])) < below:
            found[name] = program
    return found


def mirrors(targets: str) -> dict[str, list[str]]:
    """Return sources.list lines by suite, from where this machine's own apt gets Debian; none where that is not Debian.

    `targets` is what `apt-get indextargets` prints: origin, label and address, one a line.
    """
    found: dict[str, str] = {}
    for line in targets.splitlines():
        origin, label, address = line.split("|")
        if origin == "Debian":
            found.setdefault(label, address)
    lines: dict[str, list[str]] = {"bookworm": [], "trixie": []}
    for suite in lines:
        if "Debian" in found:
            lines[suite] += [f"deb {found['Debian']} {name} main" for name in (suite, f"{suite}-updates")]
        if "Debian" in found and "Debian-Security" in found:
            lines[suite].append(f"deb {found['Debian-Security']} {suite}-security main")
    return lines


def apt_options(settings: str) -> list[str]:
    """Return mmdebstrap's options for the proxies that this machine's apt uses; `settings` is `apt-config dump`'s."""
    return [f"--aptopt={line}" for line in settings.splitlines() if re.match(r"Acquire::https?::Proxy", line, re.I)]


def machine(cache: Path) -> dict[str, Any]:
    """Return what this machine is and lacks."""
    status = Path("/proc/self/status")  # Linux only
    bounding = re.search(r"^CapBnd:\s*(\S+)", status.read_text(), re.MULTILINE) if status.exists() else None
    dropped = bounding is not None and not int(bounding[1], 16) >> CAPABILITY_BIT & 1
    return {
        "root": os.geteuid() == 0,
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()),
        "lacks": [name for name in ("docker", "dockerd", "iptables", "mmdebstrap") if not shutil.which(name)],
        "apt": shutil.which("apt-get") is not None,
        "apt_options": apt_options(output("apt-config", "dump") or ""),
        "mirrors": mirrors(output("apt-get", "indextargets", "--format", TARGETS, "IDENTIFIER: Packages") or ""),
        "dropped_capability": CAPABILITY if dropped else "",
        "go": go(cache),
        "uv": shutil.which("uv") or "",
        "browser": next(filter(None, map(shutil.which, BROWSERS)), ""),
    }


class Unix(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        """Take the path of the socket."""
        super().__init__("localhost", timeout=PATIENCE)
        self.path = path

    def connect(self) -> None:
        """Connect to the socket instead of a host."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(self.path)


def answers(path: Path) -> bool:
    """Tell whether a Docker daemon answers on a socket."""
    try:
        connection = Unix(str(path))
        connection.request("GET", "/_ping")
        return connection.getresponse().read() == b"OK"
    except OSError:
        return False


def docker(cache: Path) -> dict[str, Any]:
    """Return which Docker daemon is to be used: the project's own where it runs, else the user's."""
    run = Path("/run") / f"nebari-mlflow-{short_name(cache)}"
    host = f"unix://{run / 'docker.sock'}"
    own = {"own": True, "run": str(run), "env": {"DOCKER_HOST": host}, "images": []}
    if answers(run / "docker.sock"):
        return {**own, "running": True, "images": docker_images({"DOCKER_HOST": host})}
    if shutil.which("docker") and output("docker", "version", "--format", "{{.Server.Version}}"):
        return {"running": True, "own": False, "run": str(run), "env": {}, "images": docker_images({})}
    return {**own, "running": False}


def docker_images(env: dict[str, str]) -> list[str]:
    """Return the names of the images that a daemon has."""
    return (output("docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", env=env) or "").split()


def saved_state(folder: Path) -> dict[str, Any]:
    """Return what a finished up.yml wrote down; empty when there is nothing to read."""
    try:
        state: dict[str, Any] = json.loads((folder / "state").read_text())
    except (OSError, ValueError):
        return {}
    return state


def node(name: str, env: dict[str, str], folder: Path, state: dict[str, Any]) -> dict[str, Any]:
    """Return what there is of the cluster's node, and whether its API server answers through the kubeconfig."""
    label = f"label=io.x-k8s.kind.cluster={name}"
    listed = output("docker", "ps", "-aq", "--no-trunc", "--filter", label, env=env) or ""
    found: dict[str, Any] = {"ids": listed.split(), "status": "missing", "image": "", "ready": False, "images": []}
    if len(found["ids"]) != 1:
        return {**found, "status": "broken" if found["ids"] else "missing"}
    identity = found["ids"][0]
    inspected = json.loads(output("docker", "inspect", identity, env=env) or "[{}]")[0]
    found["status"] = inspected.get("State", {}).get("Status", "missing")
    found["image"] = inspected.get("Config", {}).get("Image", "")
    if state.get("node") != identity:
        return {**found, "status": "broken"}
    if found["status"] == "running":
        kubeconfig, kubectl = folder / "kubeconfig", folder / "bin/kubectl"
        private = kubeconfig.is_file() and kubeconfig.stat().st_mode & 0o077 == 0
        asked = output(str(kubectl), f"--kubeconfig={kubeconfig}", "get", "--raw=/readyz", "--request-timeout=5s")
        found["ready"] = private and asked == "ok"
        listed = output("docker", "exec", identity, "ctr", "-n", "k8s.io", "images", "ls", "-q", env=env) or ""
        found["images"] = [line for line in listed.split() if not line.startswith(("sha256:", "import-"))]
    return found


def look(checkout: Path, cache: Path, recipes: dict[str, list[str]]) -> dict[str, Any]:
    """Return everything that the playbooks decide by."""
    folder = checkout / ".cluster"
    name = f"nebari-mlflow-{short_name(checkout)}"
    state = saved_state(folder)
    cache = Path(state.get("cache") or cache)  # the cluster's own, whatever the environment says meanwhile
    daemon = docker(cache)
    absent = {"ids": [], "status": "missing", "image": "", "ready": False, "images": []}
    known = versions((checkout / "molecule/cluster/tools/go.mod").read_text())
    return {
        "name": name,
        "cache": str(cache),
        "folder": str(folder),
        "digests": {recipe: digest(parts) for recipe, parts in recipes.items()},
        "versions": known,
        "tools": tools(known["k8s.io/kubernetes"], folder / "bin"),
        "machine": machine(cache),
        "docker": {**daemon, "registered": (cache / "docker/users" / name).exists()},
        "links": {link.name: str(link.readlink()) for link in (folder / "bin").glob("*") if link.is_symlink()},
        "state": state,
        "node": node(name, daemon["env"], folder, state) if daemon["running"] else absent,
    }


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "checkout": {"type": "path", "required": True},
            "cache": {"type": "path", "required": True},
            "recipes": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    checkout, cache = (Path(module.params[name]).resolve() for name in ("checkout", "cache"))
    module.exit_json(changed=False, **look(checkout, cache, module.params["recipes"]))


if __name__ == "__main__":
    main()
