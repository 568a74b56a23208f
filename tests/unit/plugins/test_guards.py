"""What stops a deploy before its first write: what is in the namespace, what is wanted, and what is said."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any, cast

import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.errors import ReleaseError
from ansible_collections.nebari.mlflow.plugins.module_utils.release import guards
from ansible_collections.nebari.mlflow.plugins.module_utils.release.options import Options, SecretSpec
from ansible_collections.nebari.mlflow.plugins.module_utils.release.record import Record
from ansible_collections.nebari.mlflow.plugins.module_utils.release.session import Session

CHART = {"name": "tiny"}
FULL = {"metadata": {"name": "keys"}, "data": {"a": "eA=="}}
LABELS = {"app.kubernetes.io/instance": "one", "app.kubernetes.io/name": "tiny"}
BOUND = {"metadata": {"name": "data-db-0", "labels": LABELS}, "status": {"phase": "Bound"}}
PENDING = {**BOUND, "status": {"phase": "Pending"}}
LOST = {**BOUND, "status": {"phase": "Lost"}}
FOREIGN = {**BOUND, "metadata": {"name": "data-db-0", "labels": {"app.kubernetes.io/name": "postgresql"}}}


def session(opens: str, there: dict[str, Any], statuses: dict[int, str], new: tuple[str, ...] = ()) -> Session:
    """A session with a namespace that holds these objects and revisions; nothing can be written."""
    spec = SecretSpec("keys", {"a": "alphanumeric"}, opens)
    options = Options("one", "dev", secrets=(spec,), new_secrets=new)

    def read(revision: int) -> Record:
        info = {"status": statuses[revision]}
        return Record({}, {"version": revision, "info": info, "chart": {"metadata": CHART}})

    api = SimpleNamespace(find=lambda path: there.get(path.removeprefix("/api/v1/namespaces/dev/")))
    records = SimpleNamespace(read=read)
    return cast("Session", SimpleNamespace(options=options, api=api, records=records))


KEYS, CLAIM = "secrets/keys", "persistentvolumeclaims/data-db-0"


@pytest.mark.parametrize(
    ("opens", "there", "statuses", "told"),
    [
        ("claim/data-db-0", {}, {}, ""),
        ("claim/data-db-0", {}, {1: "deployed"}, ""),
        ("claim/data-db-0", {CLAIM: PENDING}, {1: "failed"}, ""),
        ("claim/data-db-0", {CLAIM: BOUND}, {1: "deployed"}, "keys in namespace dev is missing"),
        ("claim/data-db-0", {CLAIM: BOUND}, {}, "keys in namespace dev is missing"),
        ("claim/data-db-0", {CLAIM: LOST}, {}, "keys in namespace dev is missing"),
        ("claim/data-db-0", {CLAIM: BOUND, KEYS: FULL}, {1: "deployed"}, ""),
        ("claim/data-db-0", {CLAIM: BOUND, KEYS: {**FULL, "data": None}}, {}, "lacks a"),
        ("claim/data-db-0", {CLAIM: FOREIGN, KEYS: FULL}, {}, "belongs to another chart"),
        ("claim/data-db-0", {CLAIM: FOREIGN, KEYS: FULL}, {1: "deployed"}, ""),  # it has long been ours
        ("release", {}, {}, ""),
        ("release", {}, {1: "failed"}, "but the Helm release one, which it opens, exists"),
        ("release", {KEYS: FULL}, {1: "deployed"}, ""),
        ("", {CLAIM: BOUND}, {1: "deployed"}, ""),
    ],
)
def test_a_secret_is_generated_only_where_it_opens_nothing(opens: str, there: Any, statuses: Any, told: str) -> None:
    one = session(opens, there, statuses)
    records = guards.current(one, statuses)
    if told:
        with pytest.raises(ReleaseError, match=re.escape(told)):
            guards.refuse(one, records, CHART)
        return
    assert guards.refuse(one, records, CHART) == {"keys": there.get(KEYS)}


def test_records_count_back_to_the_last_good_one() -> None:
    statuses = {4: "pending-upgrade", 3: "failed", 2: "deployed", 1: "superseded"}
    assert [record.revision for record in guards.current(session("", {}, statuses), statuses)] == [4, 3, 2]


def test_leftover_request_for_new_secrets_is_reported() -> None:
    one = session("claim/data-db-0", {CLAIM: BOUND}, {}, new=("keys",))
    assert guards.unused(one, guards.refuse(one, [], CHART)) == []
    (warning,) = guards.unused(one, {"keys": FULL})
    assert "new_secrets names keys, which is complete" in warning
