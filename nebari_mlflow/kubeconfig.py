"""A copy of a kubeconfig that only its owner can read. Nebari's own stands in the temporary folder, open to all."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path
from typing import Any

from .errors import SetupError
from .rundir import no_room

LOG = logging.getLogger("nebari_mlflow")
OTHERS = stat.S_IRGRP | stat.S_IROTH | stat.S_IWGRP | stat.S_IWOTH
FILES = ("certificate-authority", "client-certificate", "client-key", "tokenFile")
SECTIONS = ("clusters", "users", "contexts")


def files(named: str) -> list[Path]:
    """Return the files that are there of one or, as in KUBECONFIG, several; SetupError if none is."""
    paths = [Path(part).expanduser() for part in named.split(os.pathsep) if part]
    found = [path for path in paths if path.is_file()]
    if not found:
        raise SetupError(
            "NML304",
            f"The kubeconfig {named} cannot be used: No such file or directory.",
            "Deploy the stage 02-infrastructure, which writes it, or repair it.",
        )
    return found


def private_copy(source: str, folder: Path) -> Path:
    """Copy with mode 0600, with relative paths made absolute; several files become one, as kubectl merges them."""
    import yaml

    merged: dict[str, Any] = {}
    for path in files(source):
        document = _read(path)
        if path.stat().st_mode & OTHERS:
            LOG.warning("NML305: other users of this machine can read %s. Run: chmod 600 %s", path, path)
        _make_absolute(document, path.parent)
        _add(merged, document)
    copy = folder / "kubeconfig"
    try:
        with os.fdopen(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
            yaml.safe_dump(merged, stream)
    except OSError as error:
        raise no_room(error, folder) from error
    return copy


def _read(path: Path) -> dict[str, Any]:
    import yaml

    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = getattr(error, "strerror", None) or "it is not YAML"
        raise SetupError("NML304", f"The kubeconfig {path} cannot be used: {reason}.", "Repair it.") from error
    if not isinstance(document, dict):
        raise SetupError("NML304", f"The kubeconfig {path} cannot be used: it is not a mapping.", "Repair it.")
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
    for section, part in (("clusters", "cluster"), ("users", "user")):
        for entry in document.get(section) or []:
            values = entry.get(part) or {}
            for key in FILES:
                if values.get(key):
                    values[key] = str(folder / values[key])
