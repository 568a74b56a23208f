"""The traps in other collections for which this project has modules of its own.

Each test shows a trap as it is. The day that its collection mends it, the test fails, and its message says which
module of ours can go. docs/explanation/collections.md has the list.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.campaign.azure_sdks import azure_python
from tests.campaign.tasks import run
from tests.integration.clouds import aws_lab as amazon
from tests.integration.clouds import azure_lab as azure
from tests.integration.clouds import gcp_lab as google
from tests.integration.clouds.aws_lab import AwsLab
from tests.integration.clouds.azure_lab import AzureLab
from tests.integration.clouds.gcp_lab import GcpLab
from tests.integration.clouds.keys import key_of
from tests.integration.release import CHART
from tests.simulators.gcp import DEPLOYER
from tests.simulators.http import Request, Response, answer
from tests.simulators.proxy import Fault
from tests.support import kubectl

__all__ = ["azure_python"]

pytestmark = pytest.mark.skipif(not os.environ.get("NEBARI_MLFLOW_CAMPAIGN"), reason="long; `make campaign` runs it")
SPACE = "clouds-traps"
IN_CLUSTER = {"kubeconfig": os.environ.get("KUBECONFIG", "")}
HELM = {**IN_CLUSTER, "name": "one", "namespace": SPACE, "chart_ref": str(CHART), "create_namespace": True}
VALUES = {"deployment": False, "extra": "a"}


def mended(collection: str, what: str, ours: str) -> str:
    return f"{collection} is mended: {what}. Use it instead of {ours}, and say so in docs/explanation/collections.md."


@pytest.fixture
def space() -> Iterator[str]:
    kubectl("delete", "namespace", SPACE, "--ignore-not-found", "--wait")
    yield SPACE
    kubectl("delete", "namespace", SPACE, "--ignore-not-found", "--wait=false")


@pytest.mark.cluster
def test_helm_of_kubernetes_core_sees_no_drift(space: str, tmp_path: Path) -> None:
    install = {"kubernetes.core.helm": {**HELM, "values": VALUES}}
    run({"install": install}, tmp_path, {})
    names = kubectl("get", "configmap", "-n", space, "-l", "app.kubernetes.io/managed-by=Helm", "-o", "name").split()
    assert names, "the chart has a ConfigMap"
    kubectl("delete", "-n", space, *names)
    again = run({"again": install}, tmp_path, {})["again"]
    assert again["changed"] is False, mended("kubernetes.core.helm", "it repairs what was deleted", "helm_release")


@pytest.mark.cluster
def test_helm_of_kubernetes_core_sees_no_pending_release(space: str, tmp_path: Path) -> None:
    install = {"kubernetes.core.helm": {**HELM, "values": VALUES}}
    run({"install": install}, tmp_path, {})
    leave_pending(space)
    info = {"kubernetes.core.helm_info": {**IN_CLUSTER, "name": "one", "namespace": space}}
    found = run({"info": info, "again": install}, tmp_path, {})
    assert not found["info"].get("status"), mended(
        "kubernetes.core.helm_info", "it sees a pending release", "helm_release"
    )
    assert found["again"].get("failed"), mended("kubernetes.core.helm", "it recovers a pending release", "helm_release")


def leave_pending(space: str) -> None:
    """Write Helm's record as a killed `helm install` leaves it."""
    name = "sh.helm.release.v1.one.v1"
    stored = json.loads(kubectl("get", "secret", name, "-n", space, "-o", "json"))["data"]["release"]
    record = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(stored))))
    record["info"]["status"] = "pending-install"
    packed = base64.b64encode(base64.b64encode(gzip.compress(json.dumps(record).encode()))).decode()
    patch = {"metadata": {"labels": {"status": "pending-install"}}, "data": {"release": packed}}
    kubectl("patch", "secret", name, "-n", space, "--type=merge", "-p", json.dumps(patch))


def test_storageaccount_of_azcollection_takes_a_403_for_absent(
    azure_lab: AzureLab, tmp_path: Path, azure_python: str
) -> None:
    azure_lab.converge()
    azure_lab.deny("Microsoft.Storage/storageAccounts/read")
    account = {
        "resource_group": azure.RESOURCE_GROUP,
        "name": azure.NAME,
        "account_type": "Standard_LRS",
        "subscription_id": azure.SUBSCRIPTION,
    }
    variables = {**azure_lab.environment(), **principal(azure_lab)}
    task = {"azure.azcollection.azure_rm_storageaccount": account}
    planned = run({"plan": task}, tmp_path, variables, "--check", interpreter=azure_python)["plan"]
    assert planned.get("changed"), mended(
        "azure_rm_storageaccount", f"a refused read is an error ({planned.get('msg')})", "azure_storage_account"
    )


def principal(lab: AzureLab) -> dict[str, str]:
    """Return the principal of the tests, as azure.azcollection reads it."""
    given = lab.environment()
    return {
        "AZURE_CLIENT_ID": given["ARM_CLIENT_ID"],
        "AZURE_SECRET": given["ARM_CLIENT_SECRET"],
        "AZURE_TENANT": given["ARM_TENANT_ID"],
        "AZURE_SUBSCRIPTION_ID": azure.SUBSCRIPTION,
    }


BUCKET: dict[str, Any] = {"name": google.NAME, "project": google.CLOUD_PROJECT, "location": google.REGION.upper()}
ACCOUNT: dict[str, Any] = {"name": google.EMAIL, "project": google.CLOUD_PROJECT}


@pytest.mark.parametrize(
    ("module", "given", "ours"),
    [
        ("gcp_storage_bucket", BUCKET, "gcp_bucket"),
        ("gcp_iam_service_account", ACCOUNT, "gcp_service_account"),
    ],
)
def test_writing_modules_of_google_cloud_have_no_check_mode(
    gcp_lab: GcpLab, tmp_path: Path, module: str, given: dict[str, Any], ours: str
) -> None:
    task = {f"google.cloud.{module}": {**given, "state": "present"}}
    planned = run({"plan": task}, tmp_path, gcp_lab.environment(), "--check")["plan"]
    assert planned.get("skipped"), mended(f"google.cloud.{module}", "it has check mode", ours)


def test_google_cloud_update_replaces_bucket_and_foreign_rules(gcp_lab: GcpLab, tmp_path: Path) -> None:
    sent: list[dict[str, Any]] = []
    kept = {**BUCKET, "kind": "storage#bucket", "versioning": {"enabled": False}, "cors": [], "lifecycle": {"rule": [
        {"action": {"type": "Delete"}, "condition": {"age": 7}}]}}  # fmt: skip

    def bucket(request: Request) -> Response:
        if request.method in ("PUT", "PATCH"):
            sent.append({"method": request.method, **request.json()})
        return answer(200, kept)

    gcp_lab.cloud.faults.append(Fault(lambda request: request.path.endswith(f"/b/{google.NAME}"), bucket, times=9))
    task = {"google.cloud.gcp_storage_bucket": {**BUCKET, "versioning": {"enabled": True}}}
    done = run({"update": task}, tmp_path, gcp_lab.environment())["update"]
    assert [each["method"] for each in sent] == ["PUT"], (
        mended("google.cloud.gcp_storage_bucket", "it patches", "gcp_bucket"), done
    )  # fmt: skip
    assert "lifecycle" not in sent[0], mended("google.cloud.gcp_storage_bucket", "it keeps others' rules", "gcp_bucket")


def test_google_cloud_session_fetches_a_token_each_call(gcp_lab: GcpLab, tmp_path: Path) -> None:
    gcp_lab.google.page = 1  # two accounts are there, so the list takes two calls
    gcp_lab.google.accounts["second"] = {"email": "second", "uniqueId": "2"}
    key, gcp_lab.google.keys[DEPLOYER] = key_of(DEPLOYER, google.CLOUD_PROJECT)
    path = tmp_path / "key.json"
    path.write_text(key)
    given = {"project": google.CLOUD_PROJECT, "auth_kind": "serviceaccount", "service_account_file": str(path)}
    scope = {"scopes": ["https://www.googleapis.com/auth/cloud-platform"]}
    variables = {name: value for name, value in gcp_lab.environment().items() if not name.startswith("GCP_")}
    gcp_lab.cloud.calls.clear()
    found = run({"list": {"google.cloud.gcp_iam_service_account_info": {**given, **scope}}}, tmp_path, variables)
    assert len(found["list"].get("resources", [])) == 2, found
    actions = [call.action for call in gcp_lab.cloud.calls]
    assert actions.count("iam.serviceAccounts.list") == 2, actions
    assert actions.count("token") >= 2, mended("google.cloud's GcpSession", "it keeps its token", "our own session")


def test_s3_bucket_of_amazon_has_no_check_mode(aws_lab: AwsLab, tmp_path: Path) -> None:
    task = {"amazon.aws.s3_bucket": {"name": amazon.NAME, "region": amazon.REGION}}
    planned = run({"plan": task}, tmp_path, aws_lab.environment(), "--check")["plan"]
    assert planned.get("skipped"), mended("amazon.aws.s3_bucket", "it has check mode", "aws_s3_bucket")


def test_iam_role_of_amazon_returns_no_arn_in_check_mode(aws_lab: AwsLab, tmp_path: Path) -> None:
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    task = {"amazon.aws.iam_role": {"name": amazon.NAME, "assume_role_policy_document": trust}}
    planned = run({"plan": task}, tmp_path, aws_lab.environment(), "--check")["plan"]
    assert planned.get("changed"), planned
    arn = planned.get("arn") or (planned.get("iam_role") or {}).get("arn")
    assert not arn, mended("amazon.aws.iam_role", "it predicts the ARN", "aws_iam_role")
