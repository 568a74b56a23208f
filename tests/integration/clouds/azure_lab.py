"""Azure, simulated."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ansible_collections.nebari.mlflow.plugins.module_utils.cloud import naming

from tests.simulators import azure
from tests.simulators.http import Request, Response, answer
from tests.simulators.proxy import Proxy

from .lab import NAMESPACE, PROJECT, Lab, projected_token

SUBSCRIPTION, RESOURCE_GROUP = "00000000-0000-0000-0000-00000000000a", "demo-dev"
ISSUER = "https://westeurope.oic.prod-aks.azure.com/tenant/cluster/"
SCOPE = (SUBSCRIPTION, RESOURCE_GROUP)
NAME = naming.account_name(PROJECT, NAMESPACE, *SCOPE)
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourcegroups/{RESOURCE_GROUP}"
ACCOUNT = f"{GROUP}/providers/microsoft.storage/storageaccounts/{NAME}"
IDENTITY_NAME = naming.bucket_name(PROJECT, NAMESPACE, *SCOPE)
IDENTITY = f"{GROUP}/providers/microsoft.managedidentity/userassignedidentities/{IDENTITY_NAME}"
CONTAINER = f"{ACCOUNT}/blobservices/default/containers/nebari-mlflow"
THEIRS = f"{GROUP}/providers/microsoft.storage/storageaccounts/theirs"
THEIR_IDENTITY = f"{GROUP}/providers/microsoft.managedidentity/userassignedidentities/theirs"


class AzureLab(Lab):
    provider = "azure"
    most_reads = 11  # three for the token, one for the group, one for each of seven objects
    variables = {  # noqa: RUF012
        "mlflow_azure_subscription_id": SUBSCRIPTION,
        "mlflow_azure_resource_group": RESOURCE_GROUP,
        "mlflow_azure_oidc_issuer_url": ISSUER,
    }
    params = {  # noqa: RUF012
        "subscription_id": SUBSCRIPTION,
        "resource_group": RESOURCE_GROUP,
        "location": "",
        "oidc_issuer_url": ISSUER,
        "replication": "LRS",
        "network_rules": None,
        "tags": {},
    }

    def __init__(self, proxy: Proxy, arm: azure.Arm) -> None:
        super().__init__(proxy)
        self.arm = arm

    def environment(self) -> dict[str, str]:
        return azure.environment(self.proxy)

    def reset(self) -> None:
        self.cloud.clear()
        arm = self.arm
        arm.clear()
        arm.lag, arm.page = 2, 1
        arm.names.add("theirs")
        arm.resources.update(
            {
                GROUP: {"id": GROUP, "location": "westeurope", "tags": {"owner": "they"}},
                THEIRS: {
                    "id": THEIRS,
                    "location": "westeurope",
                    "sku": {"name": "Standard_LRS"},
                    "properties": {"allowBlobPublicAccess": True},
                },
                f"{THEIRS}/blobservices/default": {"id": "", "properties": {"isVersioningEnabled": False}},
                THEIR_IDENTITY: {"id": THEIR_IDENTITY, "properties": {"clientId": "c", "principalId": "p"}},
                f"{THEIRS}/providers/microsoft.authorization/roleassignments/1": {
                    "id": "",
                    "properties": {"principalId": "p", "roleDefinitionId": "r", "scope": THEIRS},
                },
            }
        )

    def handed_over(self) -> dict[str, Any]:
        client_id = self.arm.resources[IDENTITY]["properties"]["clientId"]
        return {
            "uri": f"wasbs://nebari-mlflow@{NAME}.blob.core.windows.net/artifacts",
            "env": {},
            "secret": "",
            "service_account_annotations": {"azure.workload.identity/client-id": client_id},
            "pod_labels": {"azure.workload.identity/use": "true"},
            "volume": {},
            "network": {"metadata": []},
        }

    def slow(self, seconds: float) -> None:
        self.arm.settle = seconds

    def use(self, namespace: str, account: str, issuer: str = ISSUER) -> None:
        """As Azure's workload identity and its blob client do.

        https://azure.github.io/azure-workload-identity/docs/concepts.html
        """
        annotations = self.storage["service_account_annotations"]
        audience = "api://AzureADTokenExchange"
        form = {
            "grant_type": "client_credentials",
            "client_id": annotations["azure.workload.identity/client-id"],
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": projected_token(issuer, namespace, account, audience),
            "scope": "https://storage.azure.com/.default",
        }
        tenant = self.environment()["ARM_TENANT_ID"]
        got = self.send("POST", f"https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token", data=form)
        container, _, rest = self.storage["uri"].removeprefix("wasbs://").partition("@")
        host, _, prefix = rest.partition("/")
        blob = f"https://{host}/{container}/{prefix}/a%20b"
        headers = {"Authorization": f"Bearer {got.json()['access_token']}", "x-ms-version": "2024-11-04"}
        self.send("PUT", blob, data=b"data", headers={**headers, "x-ms-blob-type": "BlockBlob"})
        assert self.send("GET", blob, headers=headers).content == b"data"
        self.send("DELETE", blob, headers=headers)

    def others(self) -> Any:
        arm = self.arm
        return (arm.resources[GROUP], azure.snapshot(arm, THEIRS), azure.snapshot(arm, THEIR_IDENTITY))

    def fault(self, kind: str, request: Request) -> Response:
        status, code = {
            "throttled": (429, "TooManyRequests"),
            "broken": (500, "InternalServerError"),
            "conflict": (409, "ConcurrentFederatedIdentityCredentialsWritesForSingleManagedIdentity"),
        }[kind]
        del request
        return answer(status, {"error": {"code": code, "message": "Injected."}})

    def denial(self, action: str, request: Request) -> Response:
        if action == "token":
            return answer(401, {"error": "invalid_client", "error_description": "AADSTS7000215: no token for you"})
        said = f"The client does not have authorization to perform action '{action}' over scope '{request.path}'."
        return answer(403, {"error": {"code": "AuthorizationFailed", "message": said}})

    def drifts(self) -> dict[str, Callable[[], Any]]:
        arm = self.arm
        account, identity = arm.resources[ACCOUNT], arm.resources[IDENTITY]
        properties, service = account["properties"], f"{ACCOUNT}/blobservices/default"
        credential = f"{IDENTITY}/federatedidentitycredentials/nebari-mlflow"
        assignment = next(path for path in arm.resources if "roleassignments" in path and path.startswith(CONTAINER))

        def spoil_service(**changed: Any) -> None:
            arm.resources[service]["properties"].update(changed)

        return {
            "minimum_tls": lambda: properties.update(minimumTlsVersion="TLS1_0"),
            "public_access": lambda: properties.update(allowBlobPublicAccess=True),
            "container_access": lambda: arm.resources[CONTAINER]["properties"].update(publicAccess="Blob"),
            "shared_key": lambda: properties.pop("allowSharedKeyAccess"),
            "https_only": lambda: properties.update(supportsHttpsTrafficOnly=False),
            "replication": lambda: account.update(sku={"name": "Standard_GRS"}),
            "versioning": lambda: spoil_service(isVersioningEnabled=False),
            "soft_delete": lambda: spoil_service(deleteRetentionPolicy={"enabled": False}),
            "container_soft_delete": lambda: spoil_service(containerDeleteRetentionPolicy={"enabled": True, "days": 1}),
            "tags": lambda: identity.update(tags={}),
            "subject": lambda: arm.resources[credential]["properties"].update(subject="system:serviceaccount:x:y"),
            "principalId": lambda: arm.resources[assignment]["properties"].update(principalId="gone"),
        }

    def owned(self) -> dict[str, Callable[[str], Any]]:
        def mark(path: str, owner: str) -> None:
            self.arm.resources[path]["tags"]["nebari-mlflow-owner"] = owner

        return {"account": partial(mark, ACCOUNT), "identity": partial(mark, IDENTITY)}

    def store(self) -> None:
        self.arm.resources[CONTAINER]["blobs"] = {"artifacts/model": "data"}

    def has_data(self) -> bool:
        return bool(self.arm.resources.get(CONTAINER, {}).get("blobs") == {"artifacts/model": "data"})

    def duplicates(self) -> int:
        return len([path for path in self.arm.resources if "roleassignments" in path]) - 2
