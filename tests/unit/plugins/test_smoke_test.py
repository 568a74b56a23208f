"""What is said when the chart's tests fail: their log, or Helm's own first error; never the chart's NOTES."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.errors import ApiError
from ansible_collections.nebari.mlflow.plugins.module_utils.kube.api import Api
from ansible_collections.nebari.mlflow.plugins.module_utils.release.helm import HelmError
from ansible_collections.nebari.mlflow.plugins.module_utils.release.smoke_test import Pods, failure, is_unseen
from ansible_collections.nebari.mlflow.plugins.module_utils.supervise.progress import Progress

TEST = {"kind": "Pod", "metadata": {"name": "one-verify"}, "spec": {"containers": [{"name": "verify"}]}}
NOTES = "NAME: one\nSTATUS: deployed\nNOTES:\nMLflow 3.17.2 starts as one in dev.\n  helm test one -n dev --logs\n"
QUOTA = (
    'Error: warning: Hook test mlflow/templates/tests/pod.yaml failed: 1 error occurred:\n\t* pods "one-verify" is '
    "forbidden: exceeded quota: narrow, requested: pods=1, used: pods=3, limited: pods=3\n\n"
)


def pods(log: str | None) -> Pods:
    """The chart's test, whose pod has this log; None: there is no pod."""

    def text(path: str, query: dict[str, Any]) -> str:
        assert query["container"] == "verify", "with a sidecar, a log must be asked for by its container"
        if not log:
            raise ApiError(400, {}, f"{path} has not begun")
        return log

    pod = None if log is None else {"status": {"phase": "Failed"}}
    api = cast("Api", SimpleNamespace(find=lambda _path: pod, text=text))
    return Pods(api, "dev", [TEST, {"kind": "ConfigMap", "metadata": {"name": "x"}}])


def test_pod_refused_by_a_quota_shows_the_quotas_words() -> None:
    found = failure(pods(None), [], HelmError("test", NOTES + QUOTA))
    assert "exceeded quota: narrow, requested: pods=1, used: pods=3, limited: pods=3." in found.cause
    assert "Raise that ResourceQuota" in found.fix
    assert "NOTES" not in found.cause
    assert "starts as" not in found.cause


def test_a_test_that_failed_shows_its_log() -> None:
    lines = "\n".join(f"line {number}" for number in range(20))
    found = failure(pods(lines), [], HelmError("test", f"{NOTES}Error: pod one-verify failed"))
    assert "line 19" in found.cause
    assert "line 4" not in found.cause
    assert "NOTES" not in found.cause


def test_a_test_without_a_log_shows_what_helm_says() -> None:
    found = failure(pods(""), [], HelmError("test", f"{NOTES}Error: timed out waiting for the condition"))
    assert "Helm says: timed out waiting for the condition." in found.cause
    assert "NOTES" not in found.cause


@pytest.mark.parametrize(
    ("phases", "is_late", "again"),
    [
        (["Succeeded"], True, True),
        (["Running"], False, True),
        (["Pending"], False, True),
        (["Running"], True, False),
        (["Failed"], False, False),
    ],
)
def test_a_test_that_helm_lost_sight_of_is_run_again(phases: list[str], is_late: bool, again: bool) -> None:
    assert is_unseen(phases, is_late) is again


def test_shown_time_continues_from_the_previous_task() -> None:
    assert Progress(None, "one").waited() < 1
    assert 40 <= Progress(None, "one", 40.0).waited() < 41
    assert Progress(None, "one", 40.0).elapsed() < 1
