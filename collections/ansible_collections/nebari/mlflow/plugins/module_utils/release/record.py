# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Helm's own record of a release: one Secret for each revision, its payload gzip inside base64 inside base64."""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..kube.api import MERGE, METADATA_LIST
from .manifest import parse

if TYPE_CHECKING:
    from ..kube.api import Api
    from ..kube.objects import Object

PENDING = frozenset({"pending-install", "pending-upgrade", "pending-rollback", "uninstalling"})
DEPLOYED, FAILED, SUPERSEDED = "deployed", "failed", "superseded"


def decode(payload: str) -> dict[str, Any]:
    """Read the `release` key of a record's Secret, as the API returns it."""
    data = base64.b64decode(base64.b64decode(payload))
    result: dict[str, Any] = json.loads(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)
    return result


def encode(release: dict[str, Any]) -> str:
    """Return a record as Helm stores it: JSON, gzip, base64 twice."""
    data = gzip.compress(json.dumps(release, separators=(",", ":")).encode(), mtime=0)
    return base64.b64encode(base64.b64encode(data)).decode()


@dataclass(frozen=True)
class Record:
    """One revision. Its status is written twice, as a label and in the payload; Helm believes the payload."""

    secret: dict[str, Any]
    release: dict[str, Any]

    @property
    def revision(self) -> int:
        """Return the revision's number, from 1."""
        return int(self.release["version"])

    @property
    def status(self) -> str:
        """Return Helm's status, such as `deployed`."""
        return str(self.release["info"]["status"])

    @property
    def description(self) -> str:
        """Return Helm's description of what happened."""
        return str(self.release["info"].get("description", ""))

    @property
    def config(self) -> dict[str, Any]:
        """Return the values that were given."""
        return self.release.get("config") or {}

    @property
    def defaults(self) -> dict[str, Any]:
        """Return the chart's own values, under those of `config`."""
        return (self.release.get("chart") or {}).get("values") or {}

    @property
    def chart(self) -> dict[str, Any]:
        """Return the content of the chart's Chart.yaml."""
        return (self.release.get("chart") or {}).get("metadata") or {}

    @cached_property
    def objects(self) -> list[Object]:
        """Return the objects of the manifest."""
        return parse(self.release.get("manifest") or "")

    @cached_property
    def hooks(self) -> list[Object]:
        """Return the hooks, the tests among them."""
        return [item for hook in self.release.get("hooks") or [] for item in parse(hook.get("manifest") or "")]

    @property
    def test_phases(self) -> list[str]:
        """How the last run of each test ended in this revision: Succeeded, Failed, or "" when it never ran."""
        tests = (hook for hook in self.release.get("hooks") or [] if "test" in (hook.get("events") or []))
        return [str((hook.get("last_run") or {}).get("phase", "")) for hook in tests]

    @property
    def verified(self) -> bool:
        """Say if every test of this revision has passed."""
        return all(phase == "Succeeded" for phase in self.test_phases)


class Records:
    """The revisions of one release, newest first."""

    def __init__(self, api: Api, name: str, namespace: str) -> None:
        self._api = api
        self._path = f"/api/v1/namespaces/{namespace}/secrets"
        self._name = name

    def statuses(self) -> dict[int, str]:
        """Revision to status, from labels alone: a record holds its whole chart, so ten of them weigh a megabyte."""
        answer = self._api.request(
            "GET", self._path, query={"labelSelector": f"owner=helm,name={self._name}"}, accept=METADATA_LIST
        )
        labels = [item["metadata"]["labels"] for item in answer.get("items") or []]
        found = {int(label["version"]): str(label.get("status", "")) for label in labels}
        return dict(sorted(found.items(), reverse=True))

    def read(self, revision: int) -> Record | None:
        """Return a revision's record, or None. Raises ApiError."""
        secret = self._api.find(f"{self._path}/{self.secret_name(revision)}")
        return Record(secret, decode(secret["data"]["release"])) if secret else None

    def mark_failed(self, record: Record) -> None:
        """Make an interrupted revision one that Helm upgrades from.

        Conditional on the record not having changed, so a Helm that is still alive is not overwritten.
        """
        release = json.loads(json.dumps(record.release))
        release["info"]["status"] = FAILED
        release["info"]["description"] = (
            f"Interrupted while {record.status}; taken up again by nebari.mlflow.helm_release"
        )
        body = {
            "metadata": {
                "resourceVersion": record.secret["metadata"]["resourceVersion"],
                "labels": {"status": FAILED},
            },
            "data": {"release": encode(release)},
        }
        self._api.request("PATCH", f"{self._path}/{self.secret_name(record.revision)}", body=body, content_type=MERGE)

    def secret_name(self, revision: int) -> str:
        """Return the name of the Secret that holds a revision's record."""
        return f"sh.helm.release.v1.{self._name}.v{revision}"
