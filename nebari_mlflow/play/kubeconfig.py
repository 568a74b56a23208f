"""A copy of a kubeconfig that only its owner can read, made of files that nobody else could have written.

Nebari's own stands in the temporary folder, open to all. Every program gets the copy, so that what was checked is
what is used.
"""

from __future__ import annotations

import logging
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.nebari.mlflow.plugins.module_utils.kube.owned import NotOwned, read_owned

from ..errors import SetupError, UntrustedError
from .workspace import no_room

LOG = logging.getLogger("nebari_mlflow")
OTHERS = stat.S_IRGRP | stat.S_IROTH | stat.S_IWGRP | stat.S_IWOTH
DEFAULT = "~/.kube/config"
FILES = ("certificate-authority", "client-certificate", "client-key", "tokenFile")
SECTIONS = ("clusters", "users", "contexts")


@dataclass(frozen=True)
class File:
    """One kubeconfig as it was read."""

    path: Path
    text: str
    open_to_others: bool


def named(given: str) -> str:
    """Return what kubectl would read: what is given, KUBECONFIG, or the file in the home folder."""
    return given or os.environ.get("KUBECONFIG", "") or DEFAULT


def is_there(given: str) -> bool:
    """Say if one of the files is there."""
    return bool(_present(given))


def read(given: str) -> list[File]:
    """Read the files that are there of one or, as in KUBECONFIG, several.

    Raises:
        SetupError: None is there, or one cannot be read.
        UntrustedError: Another user could have written one.
    """
    found = _present(given)
    if not found:
        raise SetupError(
            "NML304",
            f"The kubeconfig {given} cannot be used: No such file or directory.",
            "Deploy the stage 02-infrastructure, which writes it, or repair it.",
        )
    return [_read(path) for path in found]


def _present(given: str) -> list[Path]:
    paths = [Path(part).expanduser() for part in given.split(os.pathsep) if part]
    return [path for path in paths if os.path.lexists(path)]


def private_copy(given: str, folder: Path) -> Path:
    """Copy with mode 0600, with relative paths made absolute; several files become one, as kubectl merges them.

    Raises SetupError and UntrustedError, as `read` does.
    """
    import yaml

    merged: dict[str, Any] = {}
    for file in read(given):
        document = _parse(file)
        if file.open_to_others:
            LOG.warning("NML305: other users of this machine can read %s. Run: chmod 600 %s", file.path, file.path)
        _make_absolute(document, file.path.parent)
        _add(merged, document)
    try:
        handle, copy = tempfile.mkstemp(prefix="kubeconfig-", dir=folder)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            yaml.safe_dump(merged, stream)
    except OSError as error:
        raise no_room(error, folder) from error
    return Path(copy)


def _read(path: Path) -> File:
    try:
        text, mode = read_owned(path)
    except NotOwned as error:
        raise UntrustedError("NML307", error.cause, error.fix) from error
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not YAML"
        raise SetupError("NML304", f"The kubeconfig {path} cannot be used: {reason}.", "Repair it.") from error
    return File(path, text, bool(mode & OTHERS))


def _parse(file: File) -> dict[str, Any]:
    import yaml

    try:
        document = yaml.safe_load(file.text)
    except yaml.YAMLError as error:
        cause = f"The kubeconfig {file.path} cannot be used: it is not YAML."
        raise SetupError("NML304", cause, "Repair it.") from error
    if not isinstance(document, dict):
        raise SetupError("NML304", f"The kubeconfig {file.path} cannot be used: it is not a mapping.", "Repair it.")
    return document


def _add(merged: dict[str, Any], document: dict[str, Any]) -> None:
    """What an earlier file says stays."""
    for section in SECTIONS:
        there = merged.setdefault(section, [])
        names = {entry.get("name") for entry in there}
        there.extend(entry for entry in document.get(section) or [] if entry.get("name") not in names)
    for key, value in document.items():
        merged[key] = merged.get(key) or value


def _make_absolute(document: dict[str, Any], folder: Path) -> None:
    """Let relative paths begin at the original's folder: files, and login programs that are given as a path."""
    base = folder.absolute()
    for section, part in (("clusters", "cluster"), ("users", "user")):
        for entry in document.get(section) or []:
            values = entry.get(part) or {}
            for key in FILES:
                if values.get(key):
                    values[key] = str(base / values[key])
            program = values.get("exec") or {}
            if "/" in str(program.get("command") or ""):
                program["command"] = str(base / program["command"])
