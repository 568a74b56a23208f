"""Writes container images as one docker-archive, the format of `docker save`, without a daemon.

An image is a list of layers, each the path of an uncompressed tar, and `files` (place in the image -> path here) that
become one more layer. Layers are named by their SHA-256, so images that share one store it once. The same input gives
the same bytes: times are 0 and owners root.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import platform
import tarfile
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

EPOCH = "1970-01-01T00:00:00Z"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Image:
    """One image: `config` takes Docker's own keys (Entrypoint, Cmd, Env, ...); `also` is a second name."""

    name: str
    also: str = ""
    layers: list[str] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)


def sha256(path: Path) -> str:
    """Return the hex digest of a file, which may be larger than memory."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def plain(entry: tarfile.TarInfo, mode: int = 0o644) -> tarfile.TarInfo:
    """Take from a tar entry what would differ from one run to the next."""
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    entry.mode = mode
    return entry


def write_layer(layer: Path, files: dict[str, str]) -> None:
    """Write files, and the folders that they need, as a layer."""
    folders = {str(parent) for place in files for parent in Path(place.lstrip("/")).parents} - {"."}
    with tarfile.open(layer, "w", format=tarfile.GNU_FORMAT) as tar:
        for folder in sorted(folders):
            entry = plain(tarfile.TarInfo(folder), 0o755)
            entry.type = tarfile.DIRTYPE
            tar.addfile(entry)
        for place, source in sorted(files.items()):
            mode = 0o755 if os.access(source, os.X_OK) else 0o644
            entry = plain(tar.gettarinfo(source, place.lstrip("/")), mode)
            entry.type, entry.linkname = tarfile.REGTYPE, ""  # gettarinfo calls a second link to a file a hard link
            entry.size = Path(source).stat().st_size
            with Path(source).open("rb") as stream:
                tar.addfile(entry, stream)


class Archive:
    """A docker-archive on its way."""

    def __init__(self, tar: tarfile.TarFile, scratch: Path) -> None:
        """Take the tar to write to and a folder for layers made of files."""
        self.tar = tar
        self.scratch = scratch
        self.names: set[str] = set()
        self.digests: dict[str, str] = {}
        self.manifest: list[dict[str, Any]] = []

    def add(self, image: Image) -> None:
        """Write an image's layers and configuration."""
        digests = [self._layer(Path(layer)) for layer in image.layers]
        if image.files:
            made = self.scratch / "layer.tar"
            write_layer(made, image.files)
            digests.append(self._layer(made, remember=False))
            made.unlink()
        config = {
            "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "created": EPOCH,
            "config": image.config,
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
            "history": [{"created": EPOCH} for _ in digests],
        }
        content = json.dumps(config, sort_keys=True).encode()
        name = f"{hashlib.sha256(content).hexdigest()}.json"
        self._content(name, content)
        self.manifest.append(
            {
                "Config": name,
                "RepoTags": [name for name in (image.name, image.also) if name],
                "Layers": [f"{digest}/layer.tar" for digest in digests],
            }
        )

    def finish(self) -> None:
        """Write the list of images."""
        self._content("manifest.json", json.dumps(self.manifest).encode())

    def _layer(self, layer: Path, *, remember: bool = True) -> str:
        digest = self.digests.get(str(layer)) or sha256(layer)
        if remember:
            self.digests[str(layer)] = digest
        name = f"{digest}/layer.tar"
        if name not in self.names:
            self.names.add(name)
            self.tar.add(layer, name, filter=plain)
        return digest

    def _content(self, name: str, content: bytes) -> None:
        if name not in self.names:
            self.names.add(name)
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            self.tar.addfile(entry, io.BytesIO(content))


def write(archive: Path, images: list[Image]) -> None:
    """Write all images to `archive`."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        tarfile.open(archive, "w", format=tarfile.GNU_FORMAT) as tar,
    ):
        writing = Archive(tar, Path(scratch))
        for image in images:
            writing.add(image)
        writing.finish()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Write container images as one docker-archive.")
    parser.add_argument("archive", type=Path)
    parser.add_argument("image", nargs="+", help="JSON: {name, also?, layers?, files?, config?}")
    parser.add_argument("--consume", action="store_true", help="remove the layers' files when the archive is written")
    given = parser.parse_args()
    images = [Image(**json.loads(image)) for image in given.image]
    write(given.archive, images)
    if given.consume:
        for layer in {layer for image in images for layer in image.layers}:
            Path(layer).unlink()


if __name__ == "__main__":
    main()
