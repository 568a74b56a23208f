"""The project is one thing with one version, and the wheel holds all of it."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

from tests.support import BUILD_LOCK

ROOT = Path(__file__).parents[2]
COLLECTION = ROOT / "collections/ansible_collections/nebari/mlflow"


def test_one_version_everywhere() -> None:
    chart = yaml.safe_load((COLLECTION / "roles/server/files/mlflow/Chart.yaml").read_text())
    galaxy = yaml.safe_load((COLLECTION / "galaxy.yml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert chart["version"] == galaxy["version"] == project["version"]


def test_the_chart_lists_its_images_and_every_door_one_address() -> None:
    chart = yaml.safe_load((COLLECTION / "roles/server/files/mlflow/Chart.yaml").read_text())
    values = yaml.safe_load((COLLECTION / "roles/server/files/mlflow/values.yaml").read_text())
    tags = {"mlflow": f"v{chart['appVersion']}-full", "postgresql": values["postgresql"]["image"]["tag"]}
    images = {"mlflow": values["image"], "postgresql": values["postgresql"]["image"]}
    listed = yaml.safe_load(chart["annotations"]["artifacthub.io/images"])
    assert {each["name"]: each["image"] for each in listed} == {
        name: f"{image['registry']}/{image['repository']}:{image['tag'] or tags[name]}"
        for name, image in images.items()
    }
    galaxy = yaml.safe_load((COLLECTION / "galaxy.yml").read_text())
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]
    links = {link["name"]: link["url"] for link in yaml.safe_load(chart["annotations"]["artifacthub.io/links"])}
    assert galaxy["documentation"] == urls["Documentation"] == links["documentation"]
    assert galaxy["homepage"] == urls["Homepage"] == chart["home"] == chart["sources"][0]
    assert galaxy["issues"] == urls["Issues"] == links["support"]


def test_the_wheel_holds_the_plugin_and_the_whole_collection(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "uv", "build", "--quiet", "--wheel", *BUILD_LOCK, "--out-dir", str(tmp_path)],
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
    pages = {name.rpartition("/")[2] for name in packed if "/share/doc/nebari-mlflow/reference/errors/" in name}
    assert pages == {path.name for path in (ROOT / "docs/reference/errors").iterdir()}


SHIPPED = [ROOT / "docs" / folder for folder in ("explanation", "how-to", "reference")] + [COLLECTION]


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda path: path.name)
def test_no_link_of_what_is_shipped_leaves_it(folder: Path) -> None:
    """The wheel and the collection are installed without the repository around them."""
    root = folder if folder == COLLECTION else folder.parent
    for page in folder.rglob("*.md"):
        text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
            if not target.startswith(("http://", "https://")):
                assert (page.parent / target).resolve().is_relative_to(root), f"{page}: {target}"


def test_what_builds_the_package_is_locked_with_hashes(tmp_path: Path) -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lock = Path(BUILD_LOCK[1]).read_text()
    locked = {line.partition("==")[0]: line for line in lock.replace("\\\n", "").splitlines() if "==" in line}
    assert set(wanted["build-system"]["requires"]) <= set(wanted["dependency-groups"]["build"])
    assert "hatchling" in locked
    assert all("--hash=sha256:" in line for line in locked.values())
    (tmp_path / "exchanged.txt").write_text(re.sub(r"sha256:..", "sha256:00", lock))
    build = [sys.executable, "-m", "uv", "build", "--quiet", "--wheel", "--out-dir", str(tmp_path)]
    done = subprocess.run(
        [*build, BUILD_LOCK[0], str(tmp_path / "exchanged.txt")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "Hash mismatch" in done.stderr
    installs = [line for line in (ROOT / "Makefile").read_text().splitlines() if "--editable ." in line]
    assert installs
    assert all(f"{BUILD_LOCK[0]} requirements/build.txt" in line for line in installs)


def test_no_package_shadows_the_shared_namespace() -> None:
    for folder in ("collections", "collections/ansible_collections", "collections/ansible_collections/nebari"):
        assert not (ROOT / folder / "__init__.py").exists()
    assert not [path for path in COLLECTION.rglob("*") if path.is_symlink()]
