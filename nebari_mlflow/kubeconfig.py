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


def private_copy(source: str, folder: Path) -> Path:
    """Copy the file with mode 0600, its relative paths made absolute. Warn when others can read the original."""
    import yaml

    path = Path(source).expanduser()
    try:
        mode = path.stat().st_mode
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = getattr(error, "strerror", None) or "it is not YAML"
        raise SetupError(
            "NML304",
            f"The kubeconfig {path} cannot be used: {reason}.",
            "Deploy the stage 02-infrastructure, which writes it, or repair it.",
        ) from error
    if not isinstance(document, dict):
        raise SetupError("NML304", f"The kubeconfig {path} cannot be used: it is not a mapping.", "Repair it.")
    if mode & OTHERS:
        LOG.warning("NML305: other users of this machine can read %s. Run: chmod 600 %s", path, path)
    _make_absolute(document, path.parent)
    copy = folder / "kubeconfig"
    try:
        with os.fdopen(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
            yaml.safe_dump(document, stream)
    except OSError as error:
        raise no_room(error, folder) from error
    return copy


def _make_absolute(document: dict[str, Any], folder: Path) -> None:
    for section, part in (("clusters", "cluster"), ("users", "user")):
        for entry in document.get(section) or []:
            values = entry.get(part) or {}
            for key in FILES:
                if values.get(key):
                    values[key] = str(folder / values[key])
