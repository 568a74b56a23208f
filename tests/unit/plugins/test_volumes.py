"""Sizes, and what may change in a claim that holds data."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.errors import ReleaseError
from ansible_collections.nebari.mlflow.plugins.module_utils.release.volumes import differences, size


@pytest.mark.parametrize(
    ("text", "number"),
    [("1", 1), ("1k", 1000), ("1Ki", 1024), ("2Gi", 2 * 1024**3), ("1.5G", 1_500_000_000), ("500m", Decimal("0.5"))],
)
def test_size(text: str, number: int | Decimal) -> None:
    assert size(text) == number


@pytest.mark.parametrize("text", ["big", "1 Gi", "1GB", "", "Gi"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ReleaseError, match="is not a Kubernetes quantity"):
        size(text)


def claim(storage: str = "1Gi", **fields: Any) -> dict[str, Any]:
    return {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": storage}}, **fields}


LIVE = claim(storageClassName="a", volumeName="pv")


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (claim(), []),
        (claim("1024Mi"), []),
        (claim("2Gi"), []),
        (claim("1G"), ["its size from 1Gi down to 1G"]),
        (claim(storageClassName="a"), []),
        (claim(storageClassName="b"), ["its storage class from 'a' to 'b'"]),
        (claim(accessModes=["ReadWriteMany"]), ["its access mode from ReadWriteOnce to ReadWriteMany"]),
    ],
)
def test_differences(wanted: dict[str, Any], told: list[str]) -> None:
    assert differences(wanted, LIVE) == told
