"""An image of another MLflow version for the test cluster: the one that is there, with MLflow's own packages exchanged.

The new image is one layer more, and only that layer is sent to the node.
"""

from __future__ import annotations

import compileall
import functools
import hashlib
import io
import json
import os
import py_compile
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.support import CACHE, MLFLOW_IMAGE, kubectl

PACKAGES = ("mlflow", "mlflow-skinny", "mlflow-tracing")
OLDER = re.compile(r"2\.|3\.[0-5]\.")
"""Versions that cannot be used with SQLAlchemy 2.1 and protobuf 7, which the image has."""
FOLDED = ("mlflow", "sqlalchemy", "google/protobuf", "google/_upb")
"""What hides a folder of the image; all else stays beside it."""
FOLDERS = "usr/local/lib/python{minor}/{kind}-packages"
LAYER = "application/vnd.oci.image.layer.v1.tar"


def on_node(*arguments: str, stdin: bytes | None = None) -> bytes:
    """Run a program on the cluster's node."""
    node = kubectl("get", "nodes", "-o", "jsonpath={.items[0].metadata.name}").strip()
    config = CACHE / "docker/daemon.json"
    host = re.search(r'unix://[^"]*', config.read_text()) if config.exists() else None
    env = {**os.environ, **({"DOCKER_HOST": host[0]} if host else {})}
    command = ["docker", "exec", "-i", node, *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, env=env, check=False)
    assert done.returncode == 0, f"{arguments}: {done.stderr.decode()}"
    return done.stdout


def ctr(*arguments: str, stdin: bytes | None = None) -> bytes:
    """Run containerd's client on the cluster's node."""
    return on_node("ctr", "-n", "k8s.io", *arguments, stdin=stdin)


def content(digest: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ctr("content", "get", digest))
    return found


def manifest_of(image: str) -> dict[str, Any]:
    """Return the manifest of an image, that of this machine's platform if there are several."""
    for line in ctr("images", "ls", f"name=={image}").decode().splitlines()[1:]:
        digest = next(word for word in line.split() if word.startswith("sha256:"))
        found = content(digest)
        return content(found["manifests"][0]["digest"]) if "manifests" in found else found
    raise AssertionError(f"{image} is not on the node")


def tag(version: str) -> str:
    return f"of-{version}"


@functools.cache
def image(version: str) -> str:
    """Make the node have an image of this MLflow version, and return its name. Its tag is not taken for a release's."""
    name = f"{MLFLOW_IMAGE.rpartition(':')[0]}:{tag(version)}"
    if name in ctr("images", "ls", "-q").decode().split():
        return name
    base = manifest_of(MLFLOW_IMAGE)
    config = content(base["config"]["digest"])
    layer = _layer(version)
    config["rootfs"]["diff_ids"].append(_digest(layer))
    config.get("history", []).append({"created_by": f"MLflow {version}"})
    blobs = {_digest(layer): layer, _digest(_json(config)): _json(config)}
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **_sized(_json(config))},
        "layers": [*base["layers"], {"mediaType": LAYER, **_sized(layer)}],
    }
    blobs[_digest(_json(manifest))] = _json(manifest)
    index = {
        "schemaVersion": 2,
        "manifests": [
            {
                "mediaType": manifest["mediaType"],
                **_sized(_json(manifest)),
                "annotations": {"io.containerd.image.name": name},
                "platform": {"os": "linux", "architecture": config["architecture"]},
            }
        ],
    }
    files = {f"blobs/sha256/{digest.removeprefix('sha256:')}": blob for digest, blob in blobs.items()}
    files |= {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}', "index.json": _json(index)}
    ctr("images", "import", "-", stdin=_tar(files))
    return name


def _layer(version: str) -> bytes:
    """Return a layer that hides the packages of the image's MLflow and has those of another version."""
    minor = f"{sys.version_info[0]}.{sys.version_info[1]}"  # the image's, which the packages are compiled for
    with TemporaryDirectory() as folder:
        wanted = [f"{package}=={version}" for package in PACKAGES]
        if version.startswith("2."):
            wanted.remove(f"mlflow-tracing=={version}")  # is not older than MLflow 3
        if OLDER.match(version):
            wanted += ["sqlalchemy<2.1", "protobuf<7"]
        install = [sys.executable, "-m", "uv", "pip", "install", "-q", "--no-deps", "--target", folder, *wanted]
        subprocess.run(install, check=True, capture_output=True)
        compileall.compile_dir(folder, quiet=2, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as archive:
            for kind in ("dist", "site"):
                place = FOLDERS.format(minor=minor, kind=kind)
                hidden = [f".wh.{package.replace('-', '_')}-3.17.2.dist-info" for package in PACKAGES]
                for name in filter(lambda each: Path(folder, each).is_dir(), FOLDED):
                    for part in (*reversed(Path(name).parents[:-1]), Path(name)):
                        archive.add(Path(folder, part), f"{place}/{part}", recursive=False, filter=_plain)
                    hidden.append(f"{name}/.wh..wh..opq")
                for name in hidden:
                    archive.addfile(tarfile.TarInfo(f"{place}/{name}"))
                for path in sorted(Path(folder).iterdir()):
                    if path.name != "bin":
                        archive.add(path, f"{place}/{path.name}", filter=_plain)
        return stream.getvalue()


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    return entry


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _digest(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


def _sized(blob: bytes) -> dict[str, Any]:
    return {"digest": _digest(blob), "size": len(blob)}


def _tar(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, blob in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(blob)
            archive.addfile(entry, io.BytesIO(blob))
    return stream.getvalue()
