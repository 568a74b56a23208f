# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Load a kubeconfig, saying plainly what is wrong with a bad one."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import yaml

from .exceptions import ReleaseError

ASK = "Give `kubeconfig` the path of a working one, or set KUBECONFIG."


def load(kubeconfig: str, context: str) -> Any:
    """Return a kubernetes ApiClient; with no file at all, the pod's own service account is used."""
    try:
        from kubernetes import client, config
    except ImportError as error:
        raise ReleaseError(
            f"The Python package `kubernetes` is missing ({error}).",
            "Install it for the interpreter that Ansible uses: pip install 'kubernetes>=27.2'.",
        ) from error
    files = [Path(part).expanduser() for part in _paths(kubeconfig)]
    if not kubeconfig and not any(path.exists() for path in files) and os.environ.get("KUBERNETES_SERVICE_HOST"):
        settings = client.Configuration()
        config.load_incluster_config(client_configuration=settings)
        return client.ApiClient(settings)
    documents = [read(path) for path in files if kubeconfig or path.exists() or len(files) == 1]
    check_context(documents, context, os.pathsep.join(map(str, files)))
    said = _Listener()
    logging.getLogger().addHandler(said)
    try:
        return config.new_client_from_config(
            config_file=os.pathsep.join(map(str, files)), context=context or None, persist_config=False
        )
    except Exception as error:
        raise ReleaseError(f"The kubeconfig {files[0]} cannot be used: {error}.", ASK) from error
    finally:
        logging.getLogger().removeHandler(said)
        if said.lines:  # the client only logs that a login program failed, and goes on as nobody
            raise ReleaseError(
                f"The kubeconfig's login program failed: {said.lines[-1]}",
                "Run it by hand (`users[].user.exec` in the kubeconfig) and log in again.",
            )


def _paths(kubeconfig: str) -> list[str]:
    if kubeconfig:
        return [kubeconfig]
    given = os.environ.get("KUBECONFIG", "")
    return [part for part in given.split(os.pathsep) if part] or ["~/.kube/config"]


def read(path: Path) -> dict[str, Any]:
    """Read one file. Every way in which this fails has its own sentence."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ReleaseError(f"The kubeconfig {path} does not exist.", ASK) from error
    except IsADirectoryError as error:
        raise ReleaseError(f"The kubeconfig {path} is a directory.", ASK) from error
    except PermissionError as error:
        raise ReleaseError(
            f"The kubeconfig {path} may not be read by this user.", f"Run: chmod u+r {path}, or give another one."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ReleaseError(f"The kubeconfig {path} cannot be read ({error}).", ASK) from error
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        raise ReleaseError(f"The kubeconfig {path} is not YAML{where}.", ASK) from error
    if not isinstance(document, dict) or not isinstance(document.get("contexts"), list):
        raise ReleaseError(f"{path} is not a kubeconfig: it has no list `contexts`.", ASK)
    return document


def check_context(documents: list[dict[str, Any]], context: str, where: str) -> None:
    """Refuse a context that no file has; say which ones there are."""
    names = [str(entry.get("name")) for document in documents for entry in document["contexts"] or []]
    current = next((document["current-context"] for document in documents if document.get("current-context")), "")
    listed = ", ".join(sorted(names)) or "none"
    if context and context not in names:
        raise ReleaseError(f"context: {context!r} is not in the kubeconfig {where}.", f"It has: {listed}.")
    if not context and current not in names:
        raise ReleaseError(
            f"The kubeconfig {where} has no usable current-context ({current!r}).",
            f"Set `context` to one of: {listed}.",
        )


class _Listener(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
