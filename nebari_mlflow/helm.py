"""Which Helm a play uses: the one on PATH, or the one that Nebari downloads for itself."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from ansible_collections.nebari.mlflow.plugins.module_utils.kube.owned import NotOwned, check_owned
from ansible_collections.nebari.mlflow.plugins.module_utils.release.helm import OLDEST

from .errors import UntrustedError

NEEDED = f"Helm {OLDEST[0]}.{OLDEST[1]} or a later {OLDEST[0]}"
DOWNLOAD = "from _nebari.provider.helm import download_helm_binary; download_helm_binary()"
PATIENCE = 20  # seconds for `helm version`
DOWNLOADING = 180  # seconds for Nebari's download


def on_path() -> str:
    """Return the helm that a shell would run; "" if there is none."""
    return shutil.which("helm") or ""


def version(program: str) -> str:
    """Return what a program says its version is; "" if it is not Helm.

    Raises:
        OSError: It cannot be run.
        subprocess.TimeoutExpired: It does not answer.
    """
    line = [program, "version", "--short"]
    return subprocess.run(line, capture_output=True, text=True, timeout=PATIENCE, check=False).stdout.strip()


def supported(said: str) -> bool:
    """Say if this version works."""
    match = re.match(r"v(\d+)\.(\d+)", said)
    return match is not None and OLDEST <= (int(match[1]), int(match[2])) < (OLDEST[0] + 1, 0)


def works(program: str) -> bool:
    """Say if a program is a supported Helm."""
    try:
        return bool(program) and supported(version(program))
    except (OSError, subprocess.TimeoutExpired):
        return False


def of_nebari(*, download: bool) -> str:
    """Return the Helm that Nebari keeps in the temporary directory; "" if there is none.

    Raises:
        UntrustedError: Another user could have put it there.
    """
    try:
        from _nebari.constants import HELM_VERSION
    except ImportError:  # the collection, used without Nebari
        return ""
    program = Path(tempfile.gettempdir(), "helm", HELM_VERSION, "helm")
    try:
        _check(program)
        if not program.exists() and download:
            line = [sys.executable, "-P", "-c", DOWNLOAD]
            subprocess.run(line, capture_output=True, timeout=DOWNLOADING, check=False)
            _check(program)
    except NotOwned as error:
        raise UntrustedError("NML307", error.cause, f"Install {NEEDED} on PATH instead.") from error
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return str(program) if os.access(program, os.X_OK) else ""


def _check(program: Path) -> None:
    for path in (program.parents[1], program.parent, program):
        if os.path.lexists(path):
            check_owned(path)


def choose() -> str:
    """Return Nebari's Helm if PATH has no supported one; "" to leave the choice to the play, which explains it."""
    return "" if works(on_path()) else next(filter(works, [of_nebari(download=True)]), "")
