"""Deciders of a move from another server or a file store."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from nebari_mlflow_move import answers, locations, points, records
from nebari_mlflow_move.__main__ import is_whole, take_credentials

RUN = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("old", "given", "new"),
    [
        (f"mlflow-artifacts:/7/{RUN}/artifacts", f"mlflow-artifacts:/7/{RUN}/artifacts/model", "/model"),
        (f"mlflow-artifacts:/7/{RUN}/artifacts", f"mlflow-artifacts:/7/{RUN}/artifacts", ""),
        (f"mlflow-artifacts:/7/{RUN}/artifacts", f"mlflow-artifacts://host:5000/7/{RUN}/artifacts/a/b", "/a/b"),
        (f"mlflow-artifacts://host/7/{RUN}/artifacts", f"mlflow-artifacts:/7/{RUN}/artifacts/m", "/m"),
        (f"s3://bucket/7/{RUN}/artifacts", f"s3://bucket/7/{RUN}/artifacts/m/", "/m"),
        (f"https://h/api/2.0/mlflow-artifacts/artifacts/7/{RUN}/artifacts", f"mlflow-artifacts:/7/{RUN}/artifacts", ""),
        (f"file:///home/me/mlruns/7/{RUN}/artifacts", f"file:///home/me/mlruns/7/{RUN}/artifacts/m", "/m"),
        (f"./mlruns/7/{RUN}/artifacts", f"./mlruns/7/{RUN}/artifacts/m", "/m"),
    ],
)
def test_what_led_to_a_run_leads_to_its_new_place(old: str, given: str, new: str) -> None:
    moved = locations.Moved()
    moved.add(old, locations.of_run("3", RUN))
    assert moved.new(given) == f"mlflow-artifacts:/3/{RUN}/artifacts{new}"


@pytest.mark.parametrize("given", ["", "models:/m-1", f"runs:/{RUN}/model", "dummy-source", "prompt-template"])
def test_what_names_another_row_stays(given: str) -> None:
    assert locations.Moved().new(given) == given


@pytest.mark.parametrize(
    ("given", "root"),
    [
        ("s3://bucket/7/other/artifacts", "s3://bucket"),
        ("mlflow-artifacts:/8/x/artifacts", "mlflow-artifacts:/8"),
        ("/srv/models/a", "/srv"),
        (f"s3://bucket/7/{RUN}/artifacts-of-another", "s3://bucket"),
        ("dummy-source-2", "dummy-source-2"),
    ],
)
def test_what_leads_elsewhere_is_told(given: str, root: str) -> None:
    moved = locations.Moved()
    moved.add(f"s3://bucket/7/{RUN}/artifacts", locations.of_run("3", RUN))
    assert moved.new(given) is None
    assert locations.root(given) == root


def metric(value: float, timestamp: int = 1, step: int = 0) -> Any:
    return SimpleNamespace(value=value, timestamp=timestamp, step=step)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (math.nan, (0, 1, 0.0, True)),
        (math.inf, (0, 1, points.LARGEST, False)),
        (-math.inf, (0, 1, -points.LARGEST, False)),
        (1e-300, (0, 1, 1e-300, False)),
        (3, (0, 1, 3.0, False)),
    ],
)
def test_a_point_is_what_the_database_keeps(value: float, kept: tuple[Any, ...]) -> None:
    (packed,) = points.pack([metric(value)])
    assert points.unpack(packed) == kept


def test_points_compare_whatever_their_order_and_repetition() -> None:
    many = [metric(math.nan), metric(0.1, 5, 2), metric(math.inf, 5, 2), metric(-1.5, -7, -3)]
    assert points.digest(points.pack(many)) == points.digest(points.pack([*reversed(many), *many]))
    assert points.digest(points.pack(many)).startswith("4 ")
    assert points.digest(points.pack(many)) != points.digest(points.pack([*many[:3], metric(-1.5, -7, -4)]))


@pytest.mark.parametrize(
    ("given", "last"),
    [
        ([metric(1, 9, 1), metric(2, 1, 2)], 2),
        ([metric(1, 9, 1), metric(2, 1, 1)], 1),
        ([metric(1, 9, 1), metric(2, 9, 1)], 2),
    ],
)
def test_the_latest_point_is_the_one_of_mlflow(given: list[Any], last: float) -> None:
    assert points.latest(points.pack(given)).value == last


BEFORE = {"name": "a", "tags": {"x": "1", "y": "2"}}


@pytest.mark.parametrize(
    ("after", "different"),
    [
        (BEFORE, []),
        ({"name": "a", "tags": {"x": "1", "y": "2", "added": "here"}}, []),
        ({"name": "a", "tags": {"x": "1"}}, ["tags"]),
        ({"name": "a", "tags": {"x": "1", "y": "changed"}}, ["tags"]),
        ({"name": "b", "tags": BEFORE["tags"]}, ["name"]),
        (None, ["name", "tags"]),
    ],
)
def test_what_was_added_is_no_difference_and_what_is_missing_is(after: Any, different: list[str]) -> None:
    assert records.differing(BEFORE, after) == different
    compared = records.Comparison()
    compared.add("runs", "one", BEFORE, after)
    sides = compared.report()["runs"]
    assert (sides["old"] == sides["new"]) == (not different)
    assert bool(compared.different) == bool(different)


@pytest.mark.parametrize(
    ("tags", "kept"),
    [
        ({"a": "1"}, {"a": "1"}),
        ({records.OF_PROMPTS: ",1,"}, {records.OF_PROMPTS: ",7,"}),
        ({records.OF_PROMPTS: ",0,1,9,"}, {records.OF_PROMPTS: ",0,7,9,"}),
    ],
)
def test_a_prompt_stays_with_its_experiments(tags: dict[str, str], kept: dict[str, str]) -> None:
    assert records.renumbered(tags, {"0": "0", "1": "7"}) == kept


def test_the_tag_that_makes_a_prompt_is_moved() -> None:
    prompt = SimpleNamespace(_tags={"mlflow.prompt.is_prompt": "true", "a": "b"}, tags={"a": "b"})
    assert records.tags_of(prompt) == {"mlflow.prompt.is_prompt": "true", "a": "b"}


def test_the_checksum_does_not_depend_on_the_order() -> None:
    one, other = records.Side(), records.Side()
    for name in "abc":
        one.add(name, {"value": name})
    for name in "cab":
        other.add(name, {"value": name})
    assert one == other
    other.add("d", None)
    assert one == other


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (200, "application/json", ""),
        (200, "application/json; charset=utf-8", ""),
        (200, "text/html", "a login stands before it"),
        (302, "text/html", "a login stands before it"),
        (401, "text/html", "wants a login"),
        (403, "application/json", "does not let this user"),
        (404, "text/html", "no MLflow"),
        (502, "text/html", "answered 502"),
    ],
)
def test_the_first_answer_says_what_to_do(status: int, kind: str, words: str) -> None:
    cause, fix = answers.judge(status, kind, "https://host")
    assert words in cause
    assert bool(cause) == bool(fix) == bool(words)


def test_the_login_of_the_deployment_is_not_sent_to_the_source(tmp_path: Path) -> None:
    (tmp_path / "MLFLOW_TRACKING_USERNAME").write_text("me\n")
    (tmp_path / "MLFLOW_TRACKING_PASSWORD").write_text("theirs")
    (tmp_path / "ca.crt").write_text("certificate")
    environment = {"MLFLOW_TRACKING_TOKEN": "ours", "MLFLOW_TRACKING_URI": "http://ours", "HOME": "/"}
    take_credentials(tmp_path, environment)
    assert environment == {
        "HOME": "/",
        "MLFLOW_TRACKING_USERNAME": "me",
        "MLFLOW_TRACKING_PASSWORD": "theirs",
        "MLFLOW_TRACKING_SERVER_CERT_PATH": str(tmp_path / "ca.crt"),
    }


def test_an_upload_is_whole_when_all_of_it_is_there(tmp_path: Path) -> None:
    from ansible_collections.nebari.mlflow.plugins.filter.moving import folder_facts

    (tmp_path / "0/tags").mkdir(parents=True)
    (tmp_path / "0/tags/empty").touch()
    (tmp_path / "0/meta.yaml").write_text("name: é")
    said = json.loads(json.dumps(folder_facts(str(tmp_path))))
    assert said == {"files": 2, "bytes": 8, "size": "2Gi"}
    assert is_whole(tmp_path, said)
    (tmp_path / "0/meta.yaml").write_text("name")
    assert not is_whole(tmp_path, said)
