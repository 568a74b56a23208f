"""The environment of a run: what the play needs of the deployer's, and nothing else.

ansible-runner writes the environment to its directory and every module inherits it, so a variable that is not
listed here is not passed on: another cloud's keys, a CI system's tokens, Nebari's own secrets.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMES = frozenset(
    {
        "HOME", "USER", "LOGNAME", "PATH", "SHELL", "TERM", "TZ", "TMPDIR", "KUBECONFIG",
        "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
        "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE",
        "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME",
    }
)  # fmt: skip
PREFIXES = ("HELM_",)
# Ansible refuses to start in any other locale, and in one that is not installed.
LOCALE = "en_US.UTF-8" if sys.platform == "darwin" else "C.UTF-8"
OF_CLOUD = {
    "azure": ("ARM_", "AZURE_"),
    "gcp": ("GOOGLE_", "GCP_", "CLOUDSDK_"),
    "aws": ("AWS_",),
}


def allowed(environ: Mapping[str, str], provider: str) -> dict[str, str]:
    """Return what a play for this provider may see. Kubeconfig login programs of a cloud need that cloud's too."""
    prefixes = PREFIXES + OF_CLOUD.get(provider, ())
    if provider in ("local", "existing"):
        prefixes += tuple(prefix for group in OF_CLOUD.values() for prefix in group) if _exec_login(environ) else ()
    found = {name: value for name, value in environ.items() if name in NAMES or name.startswith(prefixes)}
    found["PATH"] = f"{Path(sys.executable).parent}:{found.get('PATH', '/usr/local/bin:/usr/bin:/bin')}"
    return {**found, "LC_ALL": LOCALE, "PYTHONUTF8": "1"}


def _exec_login(environ: Mapping[str, str]) -> bool:
    """Whether the person says that the kubeconfig's login program needs a cloud's keys."""
    return environ.get("NEBARI_MLFLOW_PASS_CLOUD_CREDENTIALS", "") not in ("", "0", "false")


def for_ansible(folder: Path, collections: Path) -> dict[str, str]:
    """Return the settings of one run: nothing of the caller's folder or home, nothing left behind."""
    return {
        "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
        "ANSIBLE_HOME": str(folder / "ansible"),
        "ANSIBLE_LOCAL_TEMP": str(folder / "tmp"),
        "ANSIBLE_REMOTE_TEMP": str(folder / "tmp"),
        "ANSIBLE_COLLECTIONS_PATH": str(collections),
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        "ANSIBLE_PIPELINING": "1",
        "ANSIBLE_NO_TARGET_SYSLOG": "1",
        "ANSIBLE_KEEP_REMOTE_FILES": "0",
        "ANSIBLE_RETRY_FILES_ENABLED": "0",
        "ANSIBLE_LOCALHOST_WARNING": "0",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "0",
        "ANSIBLE_DEPRECATION_WARNINGS": "0",
        "ANSIBLE_NOCOWS": "1",
        "ANSIBLE_NOCOLOR": "1",
    }
