"""Where artifacts were and where they are now: what MLflow's rows say of it leads to this deployment's store."""

from __future__ import annotations

import re

PROXIED = re.compile(r"^(?:mlflow-artifacts://[^/]*/|https?://.*?/api/2\.0/mlflow-artifacts/artifacts/)")
"""A location behind a server's artifact proxy, with its host: it is the same one as without."""

SYMBOLIC = re.compile(r"^(?:models:|runs:|prompts:|dummy-source$|prompt-template$|$)")
"""What names another row of the database, or nothing."""

ROOT = "mlflow-artifacts:/"
"""This deployment's own store, which clients reach through the server. It names no host."""


def plain(location: str) -> str:
    """Return a location without the proxy's host and without a slash at its end."""
    return PROXIED.sub(ROOT, location).rstrip("/")


def of_run(experiment: str, run: str) -> str:
    """Return the path below the store's root, as MLflow itself lays it out."""
    return f"{experiment}/{run}/artifacts"


def of_model(experiment: str, model: str) -> str:
    return f"{experiment}/models/{model}/artifacts"


class Moved:
    """Old locations, each with its new one."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def add(self, old: str, path: str) -> None:
        """Note that what was below a location is below a path of the store now."""
        if old:
            self._known[plain(old)] = f"{ROOT}{path}"

    def new(self, location: str) -> str | None:
        """Return where a location leads now: itself if it is symbolic, and None if it leads elsewhere."""
        if SYMBOLIC.match(location):
            return location
        head, tail = plain(location), ""
        while head:
            if head in self._known:
                return self._known[head] + tail
            head, slash, last = head.rpartition("/")
            if not slash:
                break
            tail = f"/{last}{tail}"
        return None


def root(location: str) -> str:
    """Return the beginning of a location, which many have in common."""
    found = re.match(r"^[A-Za-z0-9+.-]+://[^/]*|^[A-Za-z0-9+.-]+:/?[^/]*|^/[^/]*", location)
    return found[0] if found else location.partition("/")[0]
