"""Every single API call of a deploy fails once, in four ways; at most one more run must finish the job.

Prints a table: how a call failed, how often the first run got through it, and how often a second one was needed.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.faults import FAULTS, Proxy
from tests.integration.release import IMAGE, Release, fresh

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(not os.environ.get("NEBARI_MLFLOW_CAMPAIGN"), reason="long; `make campaign` runs it"),
]
SECRETS = [{"name": "one-keys", "keys": {"password": "alphanumeric"}}]
VALUES: dict[str, Any] = {"deployment": False, "extra": "a", "test": {"image": IMAGE, "command": ["true"]}}


@pytest.fixture
def release(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Release]:
    yield from fresh(tmp_path, request.node.name.removeprefix("test_"))


@pytest.mark.parametrize("fault", FAULTS)
def test_every_call_fails_once(
    release: Release, fault: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    outcomes: Counter[str] = Counter()
    needed: list[str] = []
    number = 1
    while True:
        with Proxy(lambda call, number=number: fault if call == number else "") as proxy:  # type: ignore[misc]
            path = proxy.kubeconfig(tmp_path / "proxy")
            run = release.run(values=VALUES, secrets=SECRETS, kubeconfig=path)
            if not proxy.failed:
                break
            if run.result.get("failed"):
                needed.append(f"call {number} ({proxy.calls[number - 1][:90]}): {run.result['msg'][:120]}")
                run = release.run(values=VALUES, secrets=SECRETS, kubeconfig=path)
                outcomes["second run"] += 1
            else:
                outcomes["first run"] += 1
        assert run.result.get("verified"), (number, run.result)
        assert list(release.revisions().values()).count("deployed") == 1
        assert not release.run(values=VALUES, secrets=SECRETS).changed
        removed = release.run(state="absent", secrets=SECRETS, delete_data=True)
        assert not removed.result.get("failed"), removed.result
        number += 1
    record_property("row", "\n       ".join([f"{fault:6} {number - 1} calls: {dict(outcomes)}", *needed]))
    assert outcomes["first run"] > outcomes["second run"]
