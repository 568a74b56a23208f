"""Archives are what `docker load` and `ctr images import` read, and are the same bytes for the same input."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from .loading import CLUSTER, load

archive = load("roles/images/files/docker_archive.py")


def read(path: Path) -> tuple[list[dict[str, Any]], dict[str, bytes]]:
    with tarfile.open(path) as tar:
        files = {entry.name: tar.extractfile(entry).read() for entry in tar if entry.isfile()}  # type: ignore[union-attr]
    return json.loads(files["manifest.json"]), files


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    (tmp_path / "hello").write_text("hello")
    with tarfile.open(tmp_path / "base.tar", "w") as tar:
        tar.add(tmp_path / "hello", "hello")
    return tmp_path / "base.tar"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program"
    path.write_bytes(b"\x7fELF")
    path.chmod(0o700)
    return path


def test_layers_are_named_by_what_they_hold(tmp_path: Path, layer: Path, program: Path) -> None:
    image = archive.Image("a:1", layers=[str(layer)], files={"/usr/bin/program": str(program)}, config={"Cmd": ["x"]})
    archive.write(tmp_path / "out.tar", [image])
    (entry,), files = read(tmp_path / "out.tar")
    config = json.loads(files[entry["Config"]])
    assert config["config"] == {"Cmd": ["x"]}
    assert len(entry["Layers"]) == 2
    for name, diff_id in zip(entry["Layers"], config["rootfs"]["diff_ids"], strict=True):
        assert diff_id == f"sha256:{hashlib.sha256(files[name]).hexdigest()}"
    assert entry["Config"] == f"{hashlib.sha256(files[entry['Config']]).hexdigest()}.json"


def test_program_is_executable_and_its_folders_enterable_by_anyone(tmp_path: Path, program: Path) -> None:
    layer = tmp_path / "layer.tar"
    archive.write_layer(layer, {"/usr/local/bin/program": str(program)})
    with tarfile.open(layer) as tar:
        modes = {entry.name: (entry.mode, entry.uid, entry.isdir()) for entry in tar}
    assert modes == {
        "usr": (0o755, 0, True),
        "usr/local": (0o755, 0, True),
        "usr/local/bin": (0o755, 0, True),
        "usr/local/bin/program": (0o755, 0, False),
    }


def test_two_names_of_one_file_are_two_files(tmp_path: Path, program: Path) -> None:
    os.link(program, tmp_path / "same")
    archive.write_layer(tmp_path / "layer.tar", {"/a": str(program), "/b": str(tmp_path / "same")})
    with tarfile.open(tmp_path / "layer.tar") as tar:
        assert [tar.extractfile(entry).read() for entry in tar] == [b"\x7fELF", b"\x7fELF"]  # type: ignore[union-attr]


def test_images_share_the_layers_that_are_the_same(tmp_path: Path, layer: Path, program: Path) -> None:
    images = [archive.Image(f"{name}:1", layers=[str(layer)], files={f"/{name}": str(program)}) for name in "ab"]
    archive.write(tmp_path / "out.tar", images)
    first, second = read(tmp_path / "out.tar")[0]
    assert first["Layers"][0] == second["Layers"][0]
    assert first["Layers"][1] != second["Layers"][1]
    with tarfile.open(tmp_path / "out.tar") as tar:
        names = tar.getnames()
    assert len(names) == len(set(names)) == 3 + 2 + 1


def test_the_same_input_gives_the_same_bytes(tmp_path: Path, layer: Path, program: Path) -> None:
    for number, times in enumerate([(1, 1), (2_000_000_000, 2_000_000_000)]):
        os.utime(program, times)
        os.utime(layer, times)
        image = archive.Image("a:1", also="b:1", layers=[str(layer)], files={"/p": str(program)})
        archive.write(tmp_path / f"{number}.tar", [image])
    assert (tmp_path / "0.tar").read_bytes() == (tmp_path / "1.tar").read_bytes()
    assert read(tmp_path / "0.tar")[0][0]["RepoTags"] == ["a:1", "b:1"]


@pytest.mark.parametrize("consume", [True, False])
def test_layers_go_only_when_told(tmp_path: Path, layer: Path, consume: bool) -> None:
    words = [json.dumps({"name": "a:1", "layers": [str(layer)]}), *(["--consume"] if consume else [])]
    script = CLUSTER / "roles/images/files/docker_archive.py"
    subprocess.run([sys.executable, str(script), str(tmp_path / "out.tar"), *words], check=True)
    assert layer.exists() is not consume
