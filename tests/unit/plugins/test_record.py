"""Helm's release record, as Helm writes it."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

from ansible_collections.nebari.mlflow.plugins.module_utils.release.record import PENDING, Record, decode, encode

MANIFEST = "---\n# Source: a.yaml\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n"
RELEASE: dict[str, Any] = {
    "name": "one",
    "version": 3,
    "info": {"status": "pending-upgrade", "description": "Preparing upgrade"},
    "config": {"a": 1},
    "chart": {"metadata": {"name": "tiny", "version": "0.1.0", "appVersion": "1"}},
    "manifest": MANIFEST,
    "hooks": [
        {"events": ["test"], "manifest": MANIFEST, "last_run": {"phase": "Succeeded"}},
        {"events": ["pre-install"], "manifest": MANIFEST, "last_run": {"phase": "Failed"}},
    ],
}


def record(**changes: Any) -> Record:
    return Record({}, {**RELEASE, **changes})


def test_both_directions() -> None:
    assert decode(encode(RELEASE)) == RELEASE
    inner = base64.b64decode(base64.b64decode(encode(RELEASE)))
    assert json.loads(gzip.decompress(inner)) == RELEASE  # two layers of base64, then gzip: Helm's own


def test_an_old_record_without_gzip() -> None:
    payload = base64.b64encode(base64.b64encode(json.dumps(RELEASE).encode())).decode()
    assert decode(payload) == RELEASE


def test_reading() -> None:
    found = record()
    assert found.revision == 3
    assert found.status in PENDING
    assert found.objects[0]["metadata"]["name"] == "a"
    assert len(found.hooks) == 2


def test_verified_only_by_tests_that_passed() -> None:
    def test(phase: str) -> list[dict[str, Any]]:
        return [{"events": ["test"], "manifest": "", "last_run": {"phase": phase}}]

    assert record().verified
    assert record(hooks=[]).verified
    assert not record(hooks=test("Failed")).verified
    assert not record(hooks=test("")).verified
    assert not record(hooks=test("Succeeded") + test("Running")).verified
