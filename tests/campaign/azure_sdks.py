"""An environment with the SDKs that azure.azcollection imports, which Nebari's pins exclude from the tests' own."""

from __future__ import annotations

import fcntl
import hashlib
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from tests.support import CACHE, ROOT

# In the collection's requirements, and imported by none of the modules that are used here.
SPARE = {
    "aiohttp", "netaddr", "oras", "pandas", "xmltodict", "azure-containerregistry", "azure-eventhub", "azure-iot-hub",
    "azure-keyvault", "azure-keyvault-securitydomain", "azure-nspkg", "azure-servicebus", "azure-mgmt-apimanagement",
    "azure-mgmt-cosmosdb", "azure-mgmt-devtestlabs", "azure-mgmt-hdinsight", "azure-mgmt-keyvault",
    "azure-mgmt-managedservices", "azure-mgmt-nspkg", "azure-mgmt-recoveryservices", "azure-mgmt-redis",
    "azure-mgmt-resourcegraph",
}  # fmt: skip


def requirements() -> list[str]:
    """Return what the installed azure.azcollection requires, without what is not needed here."""
    files = [each for each in metadata.files("ansible") or [] if str(each).endswith("azcollection/requirements.txt")]
    lines = Path(str(files[0].locate())).read_text(encoding="utf-8").split()
    return [line for line in lines if re.split("[=><]", line)[0] not in SPARE]


@pytest.fixture(scope="session")
def azure_python() -> str:
    """Return the Python of that environment, which the cache keeps; the test fails if it cannot be installed."""
    wanted = requirements()
    folder = CACHE / "azure-sdks" / hashlib.sha256("\n".join([sys.version, *wanted]).encode()).hexdigest()[:12]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            uv = next(path for path in (CACHE / "uv/bin/uv", ROOT / ".venv/bin/uv") if path.exists())
            steps = [
                [str(uv), "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(folder)],
                [str(uv), "pip", "install", "--quiet", "--python", str(folder / "bin/python"), *wanted],
            ]
            for step in steps:
                made = subprocess.run(step, capture_output=True, text=True, check=False)
                assert made.returncode == 0, f"the SDKs of azure.azcollection cannot be installed: {made.stderr}"
            (folder / "done").touch()
    return str(folder / "bin/python")
