"""What may be moved, with which login, and what is told of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.nebari.mlflow.plugins.filter.moving import credentials, move_faults, moved

URL = "https://mlflow.example.org/mlflow"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory with a file store, a file with a login, and an empty directory."""
    (tmp_path / "work/mlruns/0").mkdir(parents=True)
    (tmp_path / "work/mlruns/0/meta.yaml").write_text("name: Default")
    (tmp_path / "empty").mkdir()
    (tmp_path / "login").write_text("[mlflow]\nmlflow_tracking_token = 100%secret\n")
    (tmp_path / "other").write_text("token = hidden-token\n")
    return tmp_path


@pytest.mark.parametrize(
    "given",
    [
        {},
        "",
        {"url": URL},
        {"url": "http://mlflow.other.svc:5000", "secret": "login"},
        {"url": URL, "credentials": "login"},
        {"directory": "work"},
        {"directory": "work/mlruns"},
        '{"url": "https://mlflow.example.org"}',
    ],
)
def test_sources_that_can_be_moved(folder: Path, monkeypatch: pytest.MonkeyPatch, given: Any) -> None:
    monkeypatch.chdir(folder)
    assert move_faults(given) == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"uri": URL}, "has no key uri"),
        ({"secret": "login"}, "neither url nor directory"),
        ({"url": URL, "directory": "work"}, "url and directory"),
        ({"url": "sqlite:///mlflow.db"}, "Give an address such as"),
        ({"url": "mlflow.example.org"}, "Give an address such as"),
        ({"url": f"{URL}?token=1"}, "Give an address such as"),
        ({"url": "https://hidden-token@host"}, "holds a login"),
        ({"url": "https://me:hidden-token@host/x"}, "holds a login"),
        ({"url": URL, "secret": "a", "credentials": "login"}, "Give one of the two"),
        ({"url": URL, "credentials": "nowhere"}, "no file on this machine"),
        ({"url": URL, "credentials": "other"}, "other holds no login"),
        ({"directory": "nowhere"}, "no directory on this machine"),
        ({"directory": "empty"}, "holds no file store"),
        ({"directory": "work", "secret": "a"}, "needs no login"),
    ],
)
def test_a_wrong_source_is_refused_without_showing_a_login(
    folder: Path, monkeypatch: pytest.MonkeyPatch, given: Any, words: str
) -> None:
    monkeypatch.chdir(folder)
    faults = move_faults(given)
    assert words in " ".join(faults)
    assert "hidden-token" not in " ".join(faults)


def test_a_file_of_mlflow_is_a_login(folder: Path) -> None:
    assert credentials(str(folder / "login")) == {"MLFLOW_TRACKING_TOKEN": "100%secret"}


@pytest.mark.parametrize("text", ["", "hidden-token", "[other]\nmlflow_tracking_token = hidden-token", "[mlflow]\n"])
def test_a_file_without_a_login_is_refused_and_not_shown(tmp_path: Path, text: str) -> None:
    (tmp_path / "login").write_text(text)
    with pytest.raises(AnsibleFilterError, match="holds no login") as refused:
        credentials(str(tmp_path / "login"))
    assert "hidden-token" not in str(refused.value)


def test_a_report_names_what_was_not_taken() -> None:
    side = {"count": 3, "checksum": "a"}
    facts = moved(
        {
            "version": "3.17.2",
            "counts": {"runs": 3},
            "not_taken": {"webhooks": 1},
            "kinds": {"runs": {"old": side, "new": {**side, "checksum": "b"}}, "files": {"old": side, "new": side}},
            "different": ["runs x: tags"],
            "differences": 1,
            "elsewhere": {"s3://bucket": 2},
            "without_artifacts": True,
        },
        URL,
        look=False,
    )
    assert facts["lines"] == [
        f"source: {URL} (MLflow 3.17.2)",
        "holds: 3 runs",
        "not taken: 1 webhooks",
        "runs: 3 there, 3 of them here, they differ",
        "files: 3 there, 3 of them here, same checksum",
        "artifacts: left behind, as asked",
        "differs: runs x: tags",
        "2 x model version leads to s3://bucket, which is not this deployment's store",
    ]
    assert facts["differences"] == 1
