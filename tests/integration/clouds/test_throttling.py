"""Too many calls: the same run repeats each of them, whatever the cloud says about when to come back."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud.errors import CloudError

from tests.simulators import aws
from tests.simulators.http import Request, Response, answer
from tests.simulators.proxy import Fault

from .aws_lab import AwsLab
from .azure_lab import AzureLab
from .gcp_lab import GcpLab
from .lab import Lab

TIMES = 8  # longer than the libraries themselves repeat a call


def throttle(lab: Lab, matches: Callable[[Request], bool], says: Callable[[Request], Response]) -> Fault:
    fault = Fault(matches, says, TIMES)
    lab.cloud.faults.append(fault)
    return fault


def of_azure(_: Request) -> Response:
    return answer(429, {"error": {"code": "TooManyRequests", "message": "The request is being throttled."}})


def of_google(status: int, reason: str, _: Request) -> Response:
    said = "Rate Limit Exceeded"
    return answer(status, {"error": {"code": status, "message": said, "errors": [{"reason": reason}]}})


def has(action: str, lab: Lab, request: Request) -> bool:
    return lab.cloud.name(request)[0] == action


@pytest.mark.parametrize(
    "action",
    [
        "Microsoft.Storage/storageAccounts/read",
        "Microsoft.Storage/storageAccounts/write",
        "Microsoft.Storage/checkNameAvailability/read",
        "Microsoft.Authorization/roleAssignments/write",
    ],
)
def test_azures_429_without_retry_after_is_waited_for(azure_lab: AzureLab, action: str, tmp_path: Path) -> None:
    fault = throttle(azure_lab, partial(has, action, azure_lab), of_azure)
    told = tmp_path / "progress"
    azure_lab.converge(progress=told)
    assert fault.hits == TIMES
    assert "The request is being throttled." in told.read_text(), "the wait says what it is for"
    assert not azure_lab.converge()["changed"]


def test_a_patch_and_a_deletion_on_azure_are_repeated_too(azure_lab: AzureLab) -> None:
    azure_lab.converge()
    azure_lab.drifts()["minimum_tls"]()
    patches = throttle(azure_lab, lambda request: request.method == "PATCH", of_azure)
    azure_lab.converge()
    blobs = throttle(azure_lab, lambda request: ".blob." in request.host, of_azure)
    deletions = throttle(azure_lab, lambda request: request.method == "DELETE", of_azure)
    azure_lab.converge(state="absent", delete_data=True)
    assert (patches.hits, blobs.hits, deletions.hits) == (TIMES, TIMES, TIMES)


@pytest.mark.parametrize(
    ("action", "status", "code"),
    [
        ("sts:GetCallerIdentity", 400, "Throttling"),
        ("s3:PutEncryptionConfiguration", 503, "SlowDown"),
        ("iam:CreateRole", 400, "Throttling"),
        ("kms:CreateKey", 400, "ThrottlingException"),
        ("kms:CreateAlias", 429, "TooManyRequestsException"),
    ],
)
def test_awss_throttling_is_waited_for(aws_lab: AwsLab, action: str, status: int, code: str) -> None:
    says = partial(aws.error_for, status=status, code=code, message="Rate exceeded")
    fault = throttle(aws_lab, partial(has, action, aws_lab), says)
    aws_lab.converge()
    assert fault.hits == TIMES
    assert aws_lab.duplicates() == 0, "a key is created once"
    assert not aws_lab.converge()["changed"]


@pytest.mark.parametrize(
    ("status", "reason"), [(429, "rateLimitExceeded"), (403, "rateLimitExceeded"), (403, "userRateLimitExceeded")]
)
@pytest.mark.parametrize(
    "action", ["storage.buckets.get", "storage.buckets.create", "iam.serviceAccounts.setIamPolicy"]
)
def test_googles_quotas_are_waited_for(gcp_lab: GcpLab, action: str, status: int, reason: str) -> None:
    fault = Fault(partial(has, action, gcp_lab), partial(of_google, status, reason), times=4)
    gcp_lab.cloud.faults.append(fault)
    gcp_lab.converge()
    assert fault.hits == 4
    assert not gcp_lab.converge()["changed"]


def test_a_refusal_of_google_is_not_taken_for_a_quota(gcp_lab: GcpLab) -> None:
    says = partial(of_google, 403, "forbidden")
    fault = Fault(partial(has, "storage.buckets.get", gcp_lab), says, times=4)
    gcp_lab.cloud.faults.append(fault)
    with pytest.raises(CloudError, match="Rate Limit Exceeded"):
        gcp_lab.converge()
    assert fault.hits == 1
