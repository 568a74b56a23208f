"""Which Helm is used: PATH's, otherwise Nebari's own, if nobody else could have put it there."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from _nebari.constants import HELM_VERSION

from nebari_mlflow import helm
from nebari_mlflow.errors import UntrustedError
from tests.support import give_away


def program(folder: Path, said: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "helm"
    path.write_text(f"#!/bin/sh\necho {said}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH, beside the temporary folder that Nebari keeps its Helm in."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    return tmp_path / "bin"


@pytest.fixture
def nebaris(tmp_path: Path) -> Path:
    """Nebari's Helm, where `_nebari.provider.helm` puts it."""
    return program(tmp_path / "tmp/helm" / HELM_VERSION, HELM_VERSION)


@pytest.mark.parametrize("said", ["", "v4.0.1", "v3.14.4", "v2.17.0", "something"])
def test_nebaris_helm_is_used_if_path_has_none(path: Path, nebaris: Path, said: str) -> None:
    if said:
        program(path, said)
    assert helm.choose() == str(nebaris)


@pytest.mark.parametrize("said", ["v3.15.0+gabc", "v3.19.4"])
def test_a_helm_on_path_that_works_is_used(path: Path, nebaris: Path, said: str) -> None:
    program(path, said)
    assert nebaris.exists()
    assert helm.choose() == ""


def test_nebari_downloads_where_it_is_looked_for(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`_nebari.provider.helm` itself, with what it runs replaced: the script that it pipes into bash."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setenv("PATH", f"{path}:/usr/bin:/bin")
    (tmp_path / "tmp").mkdir()
    script = f'printf "#!/bin/sh\\necho {HELM_VERSION}\\n" >"$HELM_INSTALL_DIR/helm"'
    (path / "curl").write_text(f"#!/bin/sh\ncat <<'E'\n{script}\nE\n")
    (path / "curl").chmod(0o755)
    assert helm.choose() == str(tmp_path / "tmp/helm" / HELM_VERSION / "helm")


def test_missing_helm_without_download_is_reported_by_the_play(path: Path, tmp_path: Path) -> None:
    assert list(path.iterdir()) == []
    (tmp_path / "tmp").mkdir()
    assert helm.choose() == ""


@pytest.mark.parametrize("part", ["helm", "its directory", "the directory above"])
def test_helm_writable_by_another_user_is_refused(path: Path, nebaris: Path, part: str) -> None:
    assert path.exists()
    give_away({"helm": nebaris, "its directory": nebaris.parent, "the directory above": nebaris.parents[1]}[part])
    with pytest.raises(UntrustedError, match=r"NML307.*nobody"):
        helm.choose()


def test_a_folder_that_anyone_can_write_to_is_refused(path: Path, nebaris: Path) -> None:
    assert path.exists()
    nebaris.parent.chmod(0o777)
    with pytest.raises(UntrustedError, match=r"NML307.*can write"):
        helm.choose()
