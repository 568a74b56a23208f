"""The project is one thing with one version, and the wheel holds all of it."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
COLLECTION = ROOT / "collections/ansible_collections/nebari/mlflow"


def test_one_version_everywhere() -> None:
    chart = yaml.safe_load((COLLECTION / "roles/server/files/mlflow/Chart.yaml").read_text())
    galaxy = yaml.safe_load((COLLECTION / "galaxy.yml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert chart["version"] == galaxy["version"] == project["version"]


def test_the_wheel_holds_the_plugin_and_the_whole_collection(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "uv", "build", "--quiet", "--wheel", "--out-dir", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    tracked = subprocess.run(
        ["git", "ls-files", "nebari_mlflow", "collections/ansible_collections"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert packed >= {name.removeprefix("collections/") for name in tracked}
    assert not [name for name in packed if name.startswith(("tests/", "molecule/"))]
    pages = {name.rpartition("/")[2] for name in packed if "/share/doc/nebari-mlflow/errors/" in name}
    assert pages == {path.name for path in (ROOT / "docs/reference/errors").iterdir()}


def test_no_package_shadows_the_shared_namespace() -> None:
    for folder in ("collections", "collections/ansible_collections", "collections/ansible_collections/nebari"):
        assert not (ROOT / folder / "__init__.py").exists()
    assert not [path for path in COLLECTION.rglob("*") if path.is_symlink()]
