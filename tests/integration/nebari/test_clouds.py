"""`nebari deploy` on each cloud, end to end: storage and identity by the cloud's interface, data by the cloud's SDK.

The clouds are simulated (see cloud.py), and so are Nebari's own stages (see upstream.py); the roles, the chart, the
server, its SDKs and the cluster are real. A server gets in with the token of its service account and with nothing else.
Each step is taken on the three clouds at once; a test reads what came of it on one.
"""

from __future__ import annotations

import json
import re
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import unquote

import pytest

from tests.support import kubectl, run_pod, stores

from .cloud import Cloud, by_deployer, by_pods, cloud
from .support import ONE_WORKER, Project

pytestmark = pytest.mark.cluster

CLOUDS = ("aws", "azure", "gcp")
BLOCKS: dict[str, dict[str, Any]] = {
    "aws": {"amazon_web_services": {"region": "eu-west-1", "kubernetes_version": "1.31"}},
    "azure": {"azure": {"region": "westeurope", "kubernetes_version": "1.31.5", "storage_account_postfix": "abcd"}},
    "gcp": {
        "google_cloud_platform": {
            "project": "our-project-123",
            "region": "europe-west1",
            "kubernetes_version": "1.31.5-gke.1068000",
        }
    },
}
STORES = {
    "aws": r"s3://cloud-aws-mlflow-[0-9a-f]{8}/artifacts",
    "azure": r"wasbs://nebari-mlflow@cloudazuremlflow[0-9a-f]{8}\.blob\.core\.windows\.net/artifacts",
    "gcp": r"gs://cloud-gcp-mlflow-[0-9a-f]{8}/artifacts",
}
SIZE = 110 * 2**20  # more than one of the chunks of 100 MiB that Google's SDK uploads
# From here on MLflow's client would go to the store by itself, if the server told it of that way.
LARGE: dict[str, Any] = {"MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE": str(SIZE // 2)}
NOTEBOOK = f"""
import hashlib, json, os
import mlflow
with open("/tmp/big.bin", "wb") as file:
    file.write(os.urandom({SIZE}))
wanted = hashlib.file_digest(open("/tmp/big.bin", "rb"), "sha256").hexdigest()
with mlflow.start_run() as run:
    mlflow.log_artifact("/tmp/big.bin")
os.unlink("/tmp/big.bin")
back = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="big.bin")
print("same", hashlib.file_digest(open(back, "rb"), "sha256").hexdigest() == wanted)
print("listed", json.dumps([each.file_size for each in mlflow.MlflowClient().list_artifacts(run.info.run_id)]))
"""
# A pod is not known to the metadata server from its first moment, as on GKE.
ASK_METADATA = """
import time, urllib.error, urllib.request
url = "http://cloud:443/computeMetadata/v1/instance/service-accounts/default/token"
request = urllib.request.Request(url, headers={"Metadata-Flavor": "Google"})
for _ in range(60):
    try:
        print(urllib.request.urlopen(request).read().decode())
        break
    except urllib.error.HTTPError:
        time.sleep(1)
"""
REFUSALS = (401, 403, 501)
Result = TypeVar("Result")


@dataclass(frozen=True)
class Step:
    """What was done on one cloud: what it printed, the calls made meanwhile, and what is stored afterwards."""

    output: str
    calls: list[dict[str, Any]]
    stored: dict[str, int]


def everywhere(clouds: dict[str, Cloud], act: Callable[[Cloud], str]) -> dict[str, Step]:
    def step(cloud: Cloud) -> Step:
        before = len(cloud.calls())
        output = act(cloud)
        return Step(output, cloud.calls()[before:], cloud.objects())

    with ThreadPoolExecutor() as pool:
        return dict(zip(clouds, pool.map(step, clouds.values()), strict=True))


def nebari(cloud: Cloud, *arguments: str) -> str:
    code, output = cloud.project.quick(*arguments)
    assert code == 0, output
    return output


@pytest.fixture(scope="module")
def image() -> str:
    return stores()


@pytest.fixture(scope="module")
def clouds(tmp_path_factory: pytest.TempPathFactory, image: str) -> Iterator[dict[str, Cloud]]:
    folder = tmp_path_factory.mktemp("clouds")
    with ExitStack() as stack:

        def start(name: str) -> Cloud:
            made = Project(folder / name, f"cloud_{name}", f"cloud-{name}")
            made.folder.mkdir()
            made.configure({"enabled": True, "overrides": ONE_WORKER}, provider=name, **BLOCKS[name])
            stack.callback(kubectl, "delete", "namespace", made.namespace, "--ignore-not-found", "--wait=false")
            return stack.enter_context(cloud(name, image, made))

        with ThreadPoolExecutor() as pool:
            started = dict(zip(CLOUDS, pool.map(start, CLOUDS), strict=True))
        yield started


@pytest.fixture(scope="module")
def deployed(clouds: dict[str, Cloud]) -> dict[str, Step]:
    return everywhere(clouds, lambda cloud: nebari(cloud, "deploy"))


@pytest.fixture(scope="module")
def logged(clouds: dict[str, Cloud], deployed: dict[str, Step]) -> dict[str, Step]:
    del deployed

    def notebook(cloud: Cloud) -> str:
        uri = f"http://{cloud.project.release}-tracking.{cloud.project.namespace}.svc:5000"
        return run_pod(cloud.project.namespace, "notebook", NOTEBOOK, MLFLOW_TRACKING_URI=uri, **LARGE)

    return everywhere(clouds, notebook)


@pytest.fixture(scope="module")
def again(clouds: dict[str, Cloud], logged: dict[str, Step]) -> dict[str, Step]:
    del logged
    return everywhere(clouds, lambda cloud: nebari(cloud, "deploy"))


@pytest.fixture(scope="module")
def destroyed(clouds: dict[str, Cloud], again: dict[str, Step]) -> dict[str, Step]:
    del again
    return everywhere(clouds, lambda cloud: nebari(cloud, "destroy", "--disable-prompt"))


def refused(step: Step) -> list[dict[str, Any]]:
    return [call for call in step.calls if call["status"] in REFUSALS]


@pytest.mark.parametrize("name", CLOUDS)
def test_a_deploy_proves_itself_on_the_store_that_it_made(deployed: dict[str, Step], name: str) -> None:
    step = deployed[name]
    uri = re.search(r"(?:s3|wasbs|gs)://\S+", step.output)
    assert uri
    assert re.fullmatch(STORES[name], uri.group()), step.output
    used = [call for call in by_pods(step.calls) if call["status"] < 300]
    assert [call for call in used if call["method"] == "GET" and "/verify.bin" in unquote(call["target"])]
    assert [call for call in used if call["method"] in ("PUT", "POST") and call["write"]]
    assert refused(step) == []


TOKENS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "aws": lambda call: call["action"] == "sts:AssumeRoleWithWebIdentity",
    "azure": lambda call: call["action"] == "token",
    "gcp": lambda call: call["action"] == "plain" and "/token" in call["target"],
}


@pytest.mark.parametrize("name", CLOUDS)
def test_server_uses_its_service_account_and_holds_no_key(
    clouds: dict[str, Cloud], deployed: dict[str, Step], name: str
) -> None:
    assert next(call["status"] for call in by_pods(deployed[name].calls) if TOKENS[name](call)) == 200
    project = clouds[name].project
    deployment = kubectl("-n", project.namespace, "get", "deployment", f"{project.release}-tracking", "-o", "json")
    (container,) = json.loads(deployment)["spec"]["template"]["spec"]["containers"]
    names = [each["name"] for each in container["env"]]
    assert not [each for each in names if each.startswith(("AWS_ACCESS", "AWS_SECRET", "AZURE_", "GOOGLE_APP"))]
    assert "envFrom" not in container


def parts(name: str, calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The calls that uploaded a part of the large file."""
    mark = {"aws": "partNumber=", "azure": "comp=block&", "gcp": "upload_id="}[name]
    return [
        call for call in calls if call["method"] == "PUT" and mark in call["target"] and "big.bin" in call["target"]
    ]


@pytest.mark.parametrize("name", CLOUDS)
def test_notebook_logs_a_large_multipart_artifact_and_reads_it_back(logged: dict[str, Step], name: str) -> None:
    step = logged[name]
    assert "same True" in step.output
    assert f"listed [{SIZE}]" in step.output
    assert [size for key, size in step.stored.items() if key.endswith("/big.bin")] == [SIZE]
    assert len(parts(name, by_pods(step.calls))) == {"aws": 14, "azure": 28, "gcp": 2}[name]
    assert refused(step) == []


@pytest.mark.parametrize("name", CLOUDS)
def test_a_second_deploy_changes_nothing_and_writes_nothing(
    logged: dict[str, Step], again: dict[str, Step], name: str
) -> None:
    step = again[name]
    assert "changed:   nothing" in step.output
    assert [call["action"] for call in by_deployer(step.calls) if call["write"]] == []
    assert step.stored == logged[name].stored
    assert refused(step) == []


def ask(cloud: Cloud, url: str, form: dict[str, str] | None = None, **headers: str) -> int:
    """Call the cloud from this machine, as anybody may, and return the answer's status."""
    context = ssl.create_default_context(cafile=str(cloud.project.folder / "ca.pem"))
    proxy = urllib.request.ProxyHandler({"https": cloud.project.env["HTTPS_PROXY"]})
    opener = urllib.request.build_opener(proxy, urllib.request.HTTPSHandler(context=context))
    body = urllib.parse.urlencode(form).encode() if form else None
    try:
        with opener.open(urllib.request.Request(url, body, headers), timeout=30) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def assume(cloud: Cloud, account: str, audience: str = "sts.amazonaws.com") -> int:
    role = annotation(cloud, "eks.amazonaws.com/role-arn")
    form = {"Action": "AssumeRoleWithWebIdentity", "Version": "2011-06-15", "RoleArn": role, "RoleSessionName": "s"}
    return ask(
        cloud, "https://sts.eu-west-1.amazonaws.com/", form | {"WebIdentityToken": cloud.token(account, audience)}
    )


def log_in(cloud: Cloud, account: str, audience: str = "api://AzureADTokenExchange") -> int:
    form = {
        "grant_type": "client_credentials",
        "client_id": annotation(cloud, "azure.workload.identity/client-id"),
        "scope": "https://storage.azure.com/.default",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": cloud.token(account, audience),
    }
    return ask(cloud, f"https://login.microsoftonline.com/{cloud.project.env['ARM_TENANT_ID']}/oauth2/v2.0/token", form)


def annotation(cloud: Cloud, key: str) -> str:
    found = kubectl("-n", cloud.project.namespace, "get", "serviceaccount", "nebari-mlflow", "-o", "json")
    return str(json.loads(found)["metadata"]["annotations"][key])


def list_as(cloud: Cloud, account: str) -> int:
    """List the bucket with the token that the metadata server gives to a pod of that service account."""
    said = run_pod(cloud.project.namespace, f"intruder-{account}", ASK_METADATA, account=account)
    token = json.loads(said.splitlines()[-1])["access_token"]
    bucket = next(iter(cloud.objects())).partition("/")[0]
    return ask(cloud, f"https://storage.googleapis.com/storage/v1/b/{bucket}/o", Authorization=f"Bearer {token}")


@pytest.mark.usefixtures("again")
def test_aws_admits_no_other_service_account_or_audience(clouds: dict[str, Cloud]) -> None:
    tries = [("nebari-mlflow",), ("default",), ("nebari-mlflow", "https://kubernetes.default.svc.cluster.local")]
    assert [assume(clouds["aws"], *each) for each in tries] == [200, 403, 400]


@pytest.mark.usefixtures("again")
def test_azure_admits_no_other_service_account_or_audience(clouds: dict[str, Cloud]) -> None:
    tries = [("nebari-mlflow",), ("default",), ("nebari-mlflow", "https://kubernetes.default.svc.cluster.local")]
    assert [log_in(clouds["azure"], *each) for each in tries] == [200, 401, 401]


@pytest.mark.usefixtures("again")
def test_on_gcp_no_other_service_account_gets_in(clouds: dict[str, Cloud]) -> None:
    assert [list_as(clouds["gcp"], each) for each in ("nebari-mlflow", "default")] == [200, 403]


@pytest.mark.parametrize("name", CLOUDS)
def test_destroy_takes_the_identity_and_keeps_bucket_and_data(
    clouds: dict[str, Cloud], again: dict[str, Step], destroyed: dict[str, Step], name: str
) -> None:
    step = destroyed[name]
    assert "Nebari properly destroyed all resources without error" in step.output
    assert kubectl("-n", clouds[name].project.namespace, "get", "deploy,sts", "-o", "name") == ""
    assert step.stored == again[name].stored
    gone = {call["action"] for call in by_deployer(step.calls) if call["write"]}
    assert (
        gone
        == {
            "aws": {"iam:DeleteRolePolicy", "iam:DeleteRole"},
            "azure": {
                "Microsoft.Authorization/roleAssignments/delete",
                "Microsoft.ManagedIdentity/userAssignedIdentities/delete",
            },
            "gcp": {"storage.buckets.setIamPolicy", "iam.serviceAccounts.delete"},
        }[name]
    )
    assert refused(step) == []
