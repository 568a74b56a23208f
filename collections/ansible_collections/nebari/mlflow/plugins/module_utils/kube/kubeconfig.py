# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Load a kubeconfig, saying plainly what is wrong with a bad one."""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path
from typing import Any

import yaml

from ..errors import ClusterUnusable
from .connection import Connection, by_library, connect, impersonating, is_plain
from .owned import read_owned

FILES = {"certificate-authority", "client-certificate", "client-key", "tokenFile"}
ASK = "Give `kubeconfig` the path of a working one, or set KUBECONFIG."


def load(kubeconfig: str, context: str) -> Connection:
    """Check the kubeconfig and connect; with no file at all, a pod's own service account is used."""
    files = paths(kubeconfig)
    if not kubeconfig and not any(path.exists() for path in files) and os.environ.get("KUBERNETES_SERVICE_HOST"):
        return by_library("", "")
    present = [path for path in files if kubeconfig or path.exists() or len(files) == 1]
    documents = [read(path) for path in present]
    where = os.pathsep.join(map(str, present))
    name = check_context(documents, context, where)
    cluster, user = _entries(documents, name, where)
    if len(documents) == 1 and is_plain(cluster, user):
        return connect(cluster, user, present[0].parent)
    return impersonating(_log_in(where, name, str(cluster.get("proxy-url") or "")), user)


def find_entries(kubeconfig: str, context: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the cluster and the user of a context, with relative paths made absolute."""
    named = paths(kubeconfig)
    files = [path for path in named if kubeconfig or path.exists() or len(named) == 1]
    documents = [read(path) for path in files]
    for path, document in zip(files, documents, strict=True):
        for section, part in (("clusters", "cluster"), ("users", "user")):
            for entry in document.get(section) or []:
                values = entry.get(part) or {}
                for key in FILES & values.keys():
                    values[key] = str(path.parent / Path(values[key]).expanduser())
    where = os.pathsep.join(map(str, files))
    return _entries(documents, check_context(documents, context, where), where)


def _entries(documents: list[dict[str, Any]], context: str, where: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the cluster and the user of a context; what an earlier file says wins."""
    sections = ("contexts", "clusters", "users")
    merged = {section: [e for document in documents for e in document.get(section) or []] for section in sections}
    entry = _named(merged, "contexts", context, "context", where)
    cluster = _named(merged, "clusters", str(entry.get("cluster")), "cluster", where)
    user = _named(merged, "users", str(entry.get("user")), "user", where) if entry.get("user") else {}
    return cluster, user


def cluster_names(kubeconfig: str, context: str) -> list[str]:
    """Return the names that a kubeconfig gives to the context's cluster: EKS writes the cluster's ARN there."""
    documents = [read(path) for path in paths(kubeconfig) if path.exists()]
    name = check_context(documents, context, kubeconfig) if documents else ""
    entries = [entry for document in documents for entry in document["contexts"] if entry.get("name") == name]
    return [name, *(str((entry.get("context") or {}).get("cluster")) for entry in entries[:1])]


def check_owner(kubeconfig: str) -> None:
    """Raise NotOwned before any program logs in with a file that another user could have written."""
    for path in paths(kubeconfig):
        with contextlib.suppress(OSError, UnicodeDecodeError):  # load() says what is wrong with it
            read_owned(path)


def _log_in(where: str, context: str, proxy: str) -> Connection:
    said = _Listener()
    logging.getLogger().addHandler(said)
    try:
        connection = by_library(where, context, proxy)
    except ClusterUnusable:
        raise
    except Exception as error:
        raise ClusterUnusable(f"The kubeconfig {where} cannot be used: {error}.", ASK) from error
    finally:
        logging.getLogger().removeHandler(said)
    if said.lines:  # the library only logs that a login program failed, and goes on as nobody
        raise ClusterUnusable(
            f"The kubeconfig's login program failed: {said.lines[-1]}",
            "Run it by hand (`users[].user.exec` in the kubeconfig) and log in again.",
        )
    return connection


def _named(document: dict[str, Any], folder: str, name: str, kind: str, where: str) -> dict[str, Any]:
    for entry in document.get(folder) or []:
        if entry.get("name") == name:
            return entry.get(kind) or {}
    raise ClusterUnusable(f"The kubeconfig {where} names the {kind} {name!r}, but does not have it.", ASK)


def paths(kubeconfig: str) -> list[Path]:
    """Return the files that kubectl would read."""
    given = [part for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part] or ["~/.kube/config"]
    return [Path(part).expanduser() for part in ([kubeconfig] if kubeconfig else given)]


def read(path: Path) -> dict[str, Any]:
    """Read one file. Every way in which this fails has its own sentence. Raises ClusterUnusable."""
    try:
        text, _ = read_owned(path)
    except FileNotFoundError as error:
        raise ClusterUnusable(f"The kubeconfig {path} does not exist.", ASK) from error
    except IsADirectoryError as error:
        raise ClusterUnusable(f"The kubeconfig {path} is a directory.", ASK) from error
    except PermissionError as error:
        raise ClusterUnusable(
            f"The kubeconfig {path} may not be read by this user.", f"Run: chmod u+r {path}, or give another one."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ClusterUnusable(f"The kubeconfig {path} cannot be read ({error}).", ASK) from error
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        raise ClusterUnusable(f"The kubeconfig {path} is not YAML{where}.", ASK) from error
    if not isinstance(document, dict) or not isinstance(document.get("contexts"), list):
        raise ClusterUnusable(f"{path} is not a kubeconfig: it has no list `contexts`.", ASK)
    return document


def check_context(documents: list[dict[str, Any]], context: str, where: str) -> str:
    """Return the context's name. Refuse one that no file has, and say which ones there are."""
    names = [str(entry.get("name")) for document in documents for entry in document["contexts"] or []]
    current = next((document["current-context"] for document in documents if document.get("current-context")), "")
    listed = ", ".join(sorted(names)) or "none"
    if context and context not in names:
        raise ClusterUnusable(f"context: {context!r} is not in the kubeconfig {where}.", f"It has: {listed}.")
    if not context and current not in names:
        raise ClusterUnusable(
            f"The kubeconfig {where} has no usable current-context ({current!r}).",
            f"Set `context` to one of: {listed}.",
        )
    return context or str(current)


class _Listener(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
