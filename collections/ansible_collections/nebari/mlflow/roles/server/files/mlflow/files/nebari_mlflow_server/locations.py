"""Where artifacts may live: the server's own store, and what its administrator lists.

Locations are compared by their parts, never as text: `s3://bucket-other` begins with `s3://bucket`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

PROXIED = "mlflow-artifacts"
"""The scheme of what clients reach through the server; without a host it is the server's own store."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class LocationError(ValueError):
    """One sentence: the location, and which ones are allowed."""


@dataclass(frozen=True)
class Location:
    """The parts of an artifact location. A local path and a `file:` URI are the same."""

    scheme: str
    authority: str
    path: tuple[str, ...]
    query: str

    def contains(self, other: Location) -> bool:
        """Say whether the other one is this one or lies below it."""
        here = (self.scheme, self.authority, self.query, self.path)
        return here == (other.scheme, other.authority, other.query, other.path[: len(self.path)])


def parse(text: str) -> Location:
    """Take a location apart; raise ValueError if different programs may read it differently."""
    # Python's parser drops line ends and tabs: "s3://buck\net" would be "s3://bucket".
    if text != text.strip() or _CONTROL.search(text) or {"\\", "#"} & set(text):
        raise ValueError(text)
    parts = urlsplit(text)
    path = unquote(parts.path) if parts.scheme == "file" else parts.path
    check_path(parts.path)
    if path and not path.startswith("/"):
        raise ValueError(text)
    segments = tuple(path.split("/")[1:])
    if parts.scheme not in {"", "file"}:
        return Location(parts.scheme, parts.netloc, segments, parts.query)
    if parts.netloc or parts.query or not path:
        raise ValueError(text)
    return Location("file", "", tuple(each for each in segments if each), "")


def check_path(path: str) -> None:
    """Raise ValueError if a path, however often it is decoded, leaves its folder or holds control characters."""
    while True:
        if _CONTROL.search(path) or {".", ".."} & set(re.split(r"[/\\]", path)):
            raise ValueError(path)
        decoded = unquote(path)
        if decoded == path:
            return
        path = decoded


class Locations:
    """The locations that a server opens."""

    def __init__(self, store: str, more: Iterable[str] = ()) -> None:
        self.texts = [f"{PROXIED}:/", store, *more]
        self._roots = [self._root(text) for text in self.texts]

    @staticmethod
    def _root(text: str) -> Location:
        found = parse(text)
        return Location(found.scheme, found.authority, _without_trailing_slashes(found.path), found.query)

    def check(self, text: str) -> None:
        """Raise LocationError unless the location is one of these or lies below one."""
        try:
            found = parse(text)
        except ValueError:
            found = None
        if found is None or not any(root.contains(found) for root in self._roots):
            raise self.error(text)

    def in_store(self, text: str) -> bool:
        """Say whether an allowed location is in the server's own store."""
        found = parse(text)
        return any(root.contains(found) for root in self._roots[:2])

    def check_below_store(self, path: str, text: str) -> None:
        """Raise LocationError if this path, to which a location was resolved, leaves the store."""
        try:
            check_path(path)
        except ValueError:
            raise self.error(text) from None

    def error(self, text: str) -> LocationError:
        """Say which locations are allowed."""
        allowed = ", ".join(self.texts)
        return LocationError(
            f"The artifact location {text[:200]!r} is not allowed: this server opens only {allowed} and what its "
            "administrator lists in tracking.artifactLocations."
        )


def _without_trailing_slashes(path: tuple[str, ...]) -> tuple[str, ...]:
    while path and not path[-1]:
        path = path[:-1]
    return path
