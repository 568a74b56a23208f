"""kill -9 of a deploy, an upgrade and an uninstall at many moments, each followed by one run that must finish the job.

Prints a table: what was killed, when, what it left, and what the next run did.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.release import IMAGE, Release, fresh
from tests.support import kubectl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(not os.environ.get("NEBARI_MLFLOW_CAMPAIGN"), reason="long; `make campaign` runs it"),
]
SECRETS = [{"name": "one-keys", "keys": {"password": "alphanumeric"}}]
FIRST: dict[str, Any] = {
    "database": {"size": "1Gi"},
    "job": {"image": IMAGE, "command": ["sleep", "1"], "name": "first"},
    "test": {"image": IMAGE, "command": ["sleep", "1"]},
}
SECOND: dict[str, Any] = {**FIRST, "message": "second", "job": {**FIRST["job"], "name": "second"}}
MOMENTS = [0.3, 0.6, 0.9, 1.2, 1.5, 1.8, 2.2, 2.6, 3.0, 3.5, 4.0, 5.0, 6.0, 8.0, 10.0]  # seconds after the start
VICTIMS = ("module", "helm", "both")


@pytest.fixture
def release(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Release]:
    yield from fresh(tmp_path, request.node.name.removeprefix("test_"))


def programs(release: Release) -> list[int]:
    """The helm programs that work on the release."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if release.namespace.encode() in line and b"--namespace" in line:
            found.append(int(folder.name))
    return found


def strike(release: Release, process: subprocess.Popen[str], victim: str, moment: float) -> str:
    """Kill at the moment, and say what was left."""
    time.sleep(moment)
    helms = programs(release)
    if victim in {"module", "both"} and process.poll() is None:
        os.kill(process.pid, signal.SIGKILL)
    for pid in helms if victim in {"helm", "both"} else []:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.communicate()
    there = kubectl("get", "namespace", release.namespace, "--ignore-not-found")
    return str(release.revisions() if there else "no namespace")


def identities(release: Release) -> dict[str, str]:
    """What must survive: the Secret's content and the uids of the claims."""
    if not kubectl("get", "namespace", release.namespace, "--ignore-not-found"):
        return {}
    items = [
        item for item in release.get("secret,persistentvolumeclaim")["items"] if item.get("type") in {None, "Opaque"}
    ]
    return {item["metadata"]["name"]: str(item.get("data") or item["metadata"]["uid"]) for item in items}


@pytest.mark.parametrize("victim", VICTIMS)
@pytest.mark.parametrize("act", ["install", "upgrade", "uninstall"])
def test_kill(release: Release, act: str, victim: str, record_property: Callable[[str, object], None]) -> None:
    for moment in MOMENTS:
        if act != "install":
            release.deploy(secrets=SECRETS, **FIRST)
        wanted: dict[str, Any] = {"secrets": SECRETS, "values": FIRST if act == "install" else SECOND}
        if act == "uninstall":
            wanted = {"secrets": SECRETS, "state": "absent"}
        process = release.start(**wanted)
        left = strike(release, process, victim, moment)
        before = identities(release)
        started = time.monotonic()
        again = release.run(**wanted)
        assert not again.result.get("failed"), (moment, left, again.result)
        assert not programs(release)
        assert before.items() <= identities(release).items()
        statuses = list(release.revisions().values())
        if act == "uninstall":
            assert not statuses
        else:
            assert statuses.count("deployed") == 1
            assert not any(status.startswith("pending") for status in statuses)
            assert again.result["verified"]
        assert not release.run(**wanted).changed
        took = time.monotonic() - started
        record_property("row", f"{act:9} {victim:6} {moment:4.1f} s  {left:42} {took:4.1f} s {again.acts[:4]}")
        removed = release.run(state="absent", secrets=SECRETS, delete_data=True)
        assert not removed.result.get("failed"), removed.result
