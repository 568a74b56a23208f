"""`make dist` in a copy of the checkout, and the three ways to install what it built. This needs no cluster."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from tests.support import ROOT

COLLECTION = "collections/ansible_collections/nebari/mlflow"
HELM = shutil.which("helm") or ""
EPOCH = {"SOURCE_DATE_EPOCH": "1800000000"}


def run(*command: str, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    """Run a command and return what it prints; show all of it if it fails."""
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def copy(to: Path, umask: int) -> Path:
    """Copy what git would commit, as another user with another umask would check it out."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    for name in filter(None, names):
        target = to / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / name).read_bytes())
        target.chmod((ROOT / name).stat().st_mode & ~umask)
    return to


@pytest.fixture(scope="module")
def checkouts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two copies of one state."""
    return copy(tmp_path_factory.mktemp("first"), 0o022), copy(tmp_path_factory.mktemp("second"), 0o077)


@pytest.fixture(scope="module")
def checkout(checkouts: tuple[Path, Path]) -> Path:
    """The copy in which `make dist` ran with all its checks. Galaxy's importer finds a description of each role."""
    said = run("make", "dist", cwd=checkouts[0], env={**os.environ, **EPOCH})
    assert "role metadata" not in said
    return checkouts[0]


@pytest.fixture(scope="module")
def dist(checkout: Path) -> dict[str, Path]:
    """The built files by kind."""
    names = {
        "wheel": "*.whl",
        "sdist": "nebari_mlflow-*.tar.gz",
        "collection": "nebari-mlflow-*.tar.gz",
        "chart": "mlflow-*.tgz",
        "bill": "*.cdx.json",
    }
    found = {kind: next((checkout / "dist").glob(name)) for kind, name in names.items()}
    assert set(found.values()) == set((checkout / "dist").iterdir())
    return found


@pytest.fixture(scope="module")
def installed(dist: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """An empty directory and the environment of a shell in which the wheel is installed, and nothing of a checkout."""
    home = tmp_path_factory.mktemp("home")
    uv = [sys.executable, "-m", "uv"]
    run(*uv, "venv", "--python", sys.executable, "venv", cwd=home)
    tested = str(ROOT / "requirements/test.txt")
    run(*uv, "pip", "install", "--python", "venv/bin/python", "-c", tested, str(dist["wheel"]), cwd=home)
    (home / "empty").mkdir()
    path = f"{home}/venv/bin:{Path(HELM).parent}:/usr/bin:/bin"
    return home / "empty", {"PATH": path, "HOME": str(home), "LC_ALL": "C.UTF-8"}


def test_another_checkout_builds_the_same_bytes(checkouts: tuple[Path, Path], dist: dict[str, Path]) -> None:
    first, other = checkouts
    path = f"{first}/.venv-dist/bin:{os.environ['PATH']}"
    run("python", "-m", "release.build", cwd=other, env={**os.environ, **EPOCH, "PATH": path})
    for file in dist.values():
        assert (other / "dist" / file.name).read_bytes() == file.read_bytes(), file.name


def test_all_files_carry_one_version_and_the_licence(dist: dict[str, Path]) -> None:
    version = dist["chart"].name.removeprefix("mlflow-").removesuffix(".tgz")
    assert all(f"-{version}" in file.name for kind, file in dist.items() if kind != "bill")
    bill = json.loads(dist["bill"].read_text())
    assert bill["metadata"]["component"]["version"] == version
    wanted = {"collection": {"LICENSE", "CHANGELOG.md", "README.md"}, "chart": {"mlflow/LICENSE", "mlflow/README.md"}}
    for kind, names in wanted.items():
        with tarfile.open(dist[kind]) as tar:
            assert names <= set(tar.getnames())
    with zipfile.ZipFile(dist["wheel"]) as wheel:
        assert [name for name in wheel.namelist() if name.endswith("licenses/LICENSE")]


def test_ansibles_tools_read_the_changelog_of_the_collection(
    checkout: Path, dist: dict[str, Path], tmp_path: Path
) -> None:
    with tarfile.open(dist["collection"]) as tar:
        tar.extractall(tmp_path, filter="data")
    lint = [str(checkout / ".venv-dist/bin/antsibull-changelog"), "lint-changelog-yaml", "changelogs/changelog.yaml"]
    run(*lint, cwd=tmp_path)
    found = yaml.safe_load((tmp_path / "changelogs/changelog.yaml").read_text())["releases"]
    version = yaml.safe_load((checkout / COLLECTION / "galaxy.yml").read_text())["version"]
    assert len(found[version]["changes"]["minor_changes"]) > 20
    assert found[version]["release_date"] == "2027-01-15"


def test_the_package_index_shows_no_relative_link(dist: dict[str, Path]) -> None:
    with zipfile.ZipFile(dist["wheel"]) as wheel:
        (name,) = [name for name in wheel.namelist() if name.endswith("/METADATA")]
        text = wheel.read(name).decode()
    links = [part.partition(")")[0] for part in text.split("](")[1:]]
    assert len(links) > 10
    assert not [link for link in links if not link.startswith("https://")]


def test_the_bill_of_materials_lists_libraries_and_images(checkout: Path, dist: dict[str, Path]) -> None:
    valid = "import sys; from cyclonedx.schema import SchemaVersion as V; "
    valid += "from cyclonedx.validation.json import JsonStrictValidator; "
    valid += "print(JsonStrictValidator(V.V1_6).validate_str(open(sys.argv[1]).read()))"
    assert run(str(checkout / ".venv-dist/bin/python"), "-c", valid, str(dist["bill"]), cwd=checkout) == "None\n"
    listed = {each["name"]: each["version"] for each in json.loads(dist["bill"].read_text())["components"]}
    assert {"ansible", "kubernetes", "pydantic", "typer"} <= set(listed)
    values = yaml.safe_load((checkout / COLLECTION / "roles/server/files/mlflow/values.yaml").read_text())
    assert listed["docker.io/library/postgres"] == values["postgresql"]["image"]["tag"]
    assert "ghcr.io/mlflow/mlflow" in listed


@pytest.mark.parametrize("command", [(), ("plan",), ("deploy",), ("status",)], ids=" ".join)
def test_the_wheel_alone_brings_the_command_line(
    installed: tuple[Path, dict[str, str]], command: tuple[str, ...]
) -> None:
    folder, env = installed
    shown = run("nebari-mlflow", *command, "--help", cwd=folder, env=env)
    assert f"nebari-mlflow {' '.join(command)}".strip() in shown
    assert "--" in shown


def test_the_wheel_alone_brings_the_collection(checkout: Path, installed: tuple[Path, dict[str, str]]) -> None:
    folder, env = installed
    listed = json.loads(run("ansible-doc", "-l", "-j", "nebari.mlflow", cwd=folder, env=env))
    modules = {f"nebari.mlflow.{path.stem}" for path in (checkout / COLLECTION / "plugins/modules").glob("*.py")}
    assert set(listed) == modules
    for playbook in ("mlflow", "destroy"):
        run("ansible-playbook", "--syntax-check", f"nebari.mlflow.{playbook}", cwd=folder, env=env)


def test_the_collection_alone_can_be_installed(
    dist: dict[str, Path], installed: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    _, env = installed
    galaxy = ["ansible-galaxy", "collection", "install", "--offline", "--no-deps", "--force", "-p", str(tmp_path)]
    run(*galaxy, str(dist["collection"]), cwd=tmp_path, env=env)
    assert (tmp_path / "ansible_collections/nebari/mlflow/LICENSE").exists()


@pytest.mark.skipif(not HELM, reason="helm is not on PATH")
def test_the_chart_alone_renders(dist: dict[str, Path], tmp_path: Path) -> None:
    rendered = run(HELM, "template", "demo", str(dist["chart"]), "--kube-version", "1.34.0", cwd=tmp_path)
    kinds = {each["kind"] for each in yaml.safe_load_all(rendered) if each}
    assert {"Deployment", "StatefulSet", "Service", "NetworkPolicy"} <= kinds
