"""The points of a metric as MLflow's database keeps them: NaN by a flag, infinities as the largest numbers."""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

LARGEST = 1.7976931348623157e308
LAYOUT = struct.Struct("<qqd?")


class Point(NamedTuple):
    """One row, but for the run and the metric's name."""

    step: int
    timestamp: int
    value: float
    is_nan: bool


def point(value: float, timestamp: int, step: int) -> Point:
    if math.isnan(value):
        return Point(step, timestamp, 0.0, True)
    return Point(step, timestamp, max(-LARGEST, min(LARGEST, float(value))), False)


def pack(metrics: Iterable[Any]) -> set[bytes]:
    """Return the distinct points, 25 bytes each: a key may have millions."""
    return {LAYOUT.pack(*point(each.value, each.timestamp, each.step)) for each in metrics}


def unpack(packed: bytes) -> Point:
    return Point(*LAYOUT.unpack(packed))


def digest(packed: Collection[bytes]) -> str:
    """Return their number and a checksum, whatever order they are in."""
    whole = hashlib.sha256()
    for each in sorted(packed):
        whole.update(each)
    return f"{len(packed)} {whole.hexdigest()[:32]}"


def latest(packed: Iterable[bytes]) -> Point:
    """Return the point that MLflow calls the latest one: by step, then time, then value."""
    return max(map(unpack, packed), key=lambda each: (each.step, each.timestamp, each.value))
