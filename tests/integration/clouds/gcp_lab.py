"""Google Cloud, simulated."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from ansible_collections.nebari.mlflow.plugins.module_utils.cloud import naming

from tests.simulators import gcp
from tests.simulators.http import Request, Response, answer
from tests.simulators.proxy import Proxy

from .lab import NAMESPACE, PROJECT, Lab, projected_token

CLOUD_PROJECT, NUMBER, REGION = "our-project-123", "4711", "europe-west1"
NAME = naming.bucket_name(PROJECT, NAMESPACE, CLOUD_PROJECT)
EMAIL = f"{naming.account_id(PROJECT, NAMESPACE, CLOUD_PROJECT)}@{CLOUD_PROJECT}.iam.gserviceaccount.com"
CLUSTER = f"https://container.googleapis.com/v1/projects/{CLOUD_PROJECT}/locations/{REGION}/clusters/demo"
THEIRS = f"theirs@{CLOUD_PROJECT}.iam.gserviceaccount.com"


class GcpLab(Lab):
    provider = "gcp"
    most_reads = 5  # the bucket, the project's number, the account and two policies
    variables = {"mlflow_gcp_project": CLOUD_PROJECT, "mlflow_gcp_region": REGION}  # noqa: RUF012
    params = {  # noqa: RUF012
        "cloud_project": CLOUD_PROJECT,
        "region": REGION,
        "workload_pool": "",
        "direct_identity": False,
        "labels": {},
    }

    def __init__(self, proxy: Proxy, google: gcp.Google) -> None:
        super().__init__(proxy)
        self.google = google

    def environment(self) -> dict[str, str]:
        return gcp.environment(self.proxy)

    def reset(self) -> None:
        self.cloud.clear()
        google = self.google
        google.clear()
        google.lag, google.page, google.sparse = 2, 1, True
        google.buckets["theirs"] = {"projectNumber": NUMBER, "location": "US", "lifecycle": {"rule": []}}
        google.policies["theirs"] = gcp.Policy(
            [{"role": "roles/storage.objectUser", "members": ["user:a@example.org"]}]
        )
        google.objects["theirs"] = [("artifacts/model", 1)]
        google.accounts[THEIRS] = {"email": THEIRS, "uniqueId": "1"}
        google.policies[THEIRS] = gcp.Policy(
            [{"role": "roles/iam.workloadIdentityUser", "members": ["user:a@example.org"]}]
        )

    def handed_over(self) -> dict[str, Any]:
        return {
            "uri": f"gs://{NAME}/artifacts",
            "env": {
                "GOOGLE_CLOUD_PROJECT": CLOUD_PROJECT,
                "DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA": "true",
            },
            "secret": "",
            "service_account_annotations": {"iam.gke.io/gcp-service-account": EMAIL},
            "pod_labels": {},
            "volume": {},
            "network": {
                "metadata": [
                    {"cidr": "169.254.169.254/32", "port": 80},
                    {"cidr": "169.254.169.254/32", "port": 8080},
                    {"cidr": "169.254.169.252/32", "port": 987},
                    {"cidr": "169.254.169.252/32", "port": 988},
                ]
            },
        }

    def slow(self, seconds: float) -> None:
        self.google.settle = seconds

    def use(self, namespace: str, account: str, issuer: str = CLUSTER) -> None:
        """As the metadata server of a node and the storage client in a pod do.

        https://cloud.google.com/kubernetes-engine/docs/concepts/workload-identity
        """
        pool = f"{CLOUD_PROJECT}.svc.id.goog"
        kind = "urn:ietf:params:oauth:token-type:"
        exchange = {
            "audience": f"identitynamespace:{pool}:{issuer}",
            "grantType": "urn:ietf:params:oauth:grant-type:token-exchange",
            "requestedTokenType": f"{kind}access_token",
            "scope": "https://www.googleapis.com/auth/cloud-platform",
            "subjectToken": projected_token(issuer, namespace, account, pool),
            "subjectTokenType": f"{kind}jwt",
        }
        token = self.send("POST", "https://sts.googleapis.com/v1/token", json=exchange).json()["access_token"]
        email = self.storage["service_account_annotations"].get("iam.gke.io/gcp-service-account")
        if email:
            url = f"https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{email}:generateAccessToken"
            headers = {"Authorization": f"Bearer {token}"}
            token = self.send("POST", url, json={"scope": [exchange["scope"]]}, headers=headers).json()["accessToken"]
        else:
            self.google.tokens[token] = gcp.principal(self.google, self.google.tokens[token])
        headers = {"Authorization": f"Bearer {token}"}
        bucket, _, prefix = self.storage["uri"].removeprefix("gs://").partition("/")
        base, name = "https://storage.googleapis.com", f"{prefix}%2Fa%20b"
        self.send(
            "POST", f"{base}/upload/storage/v1/b/{bucket}/o?uploadType=media&name={name}", data=b"data", headers=headers
        )
        url = f"{base}/storage/v1/b/{bucket}/o/{name}"
        assert self.send("GET", f"{url}?alt=media", headers=headers).content == b"data"
        self.send("DELETE", url, headers=headers)

    def others(self) -> Any:
        google = self.google
        return copy.deepcopy(
            (
                google.buckets["theirs"],
                google.policies["theirs"].read("3"),
                google.objects["theirs"],
                google.accounts[THEIRS],
                google.policies[THEIRS].read("3"),
            )
        )

    def fault(self, kind: str, request: Request) -> Response:
        status = {"throttled": 429, "broken": 500, "conflict": 409}[kind]
        if kind == "conflict" and request.host.startswith("storage"):
            status = 412
        return answer(status, {"error": {"code": status, "message": "Injected."}})

    def denial(self, action: str, request: Request) -> Response:
        return gcp.denied(request.host, action, "Google Cloud Storage bucket").response(request.host)

    def drifts(self) -> dict[str, Callable[[], Any]]:
        bucket, account = self.google.buckets[NAME], self.google.accounts[EMAIL]
        return {
            "labels": lambda: bucket.pop("labels"),
            "uniform_access": lambda: bucket["iamConfiguration"]["uniformBucketLevelAccess"].update(enabled=False),
            "public_access_prevention": lambda: self.google.buckets[NAME]["iamConfiguration"].update(
                publicAccessPrevention="inherited"
            ),
            "versioning": lambda: self.google.buckets[NAME].pop("versioning"),
            "soft_delete": lambda: self.google.buckets[NAME]["softDeletePolicy"].update(retentionDurationSeconds="0"),
            "displayName": lambda: account.update(displayName="?"),
            "disabled": lambda: account.update(disabled=True),
            "roles/storage.objectUser": lambda: self.google.policies[NAME].bindings.pop(),
            "roles/iam.workloadIdentityUser": lambda: self.google.policies[EMAIL].bindings.clear(),
        }

    def owned(self) -> dict[str, Callable[[str], Any]]:
        google = self.google
        return {
            "bucket": lambda owner: google.buckets[NAME]["labels"].update({"nebari-mlflow-owner": owner}),
            "account": lambda owner: google.accounts[EMAIL].update(description=f"nebari-mlflow-owner={owner}"),
        }

    def store(self) -> None:
        self.google.objects[NAME] = [("artifacts/a b+c/ü", 1), ("artifacts/a b+c/ü", 2)]

    def has_data(self) -> bool:
        return len(self.google.objects.get(NAME, [])) == 2

    def duplicates(self) -> int:
        return len(self.google.buckets) + len(self.google.accounts) - 4
