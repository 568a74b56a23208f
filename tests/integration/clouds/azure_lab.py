"""Azure, simulated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.nebari.mlflow.plugins.module_utils.azure.storage import converge
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud import naming

from tests.simulators import azure
from tests.simulators.http import Request, Response, answer
from tests.simulators.proxy import Proxy

from .lab import NAMESPACE, PROJECT, Lab

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
    converge_function = staticmethod(converge)
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
        for everything in (arm.resources, arm.unknown_for, arm.operations, arm.names):
            everything.clear()
        arm.lag = 2
        arm.names.add("theirs")
        arm.resources.update(
            {
                GROUP: {"id": GROUP, "location": "westeurope", "tags": {"owner": "they"}},
                THEIRS: {"id": THEIRS, "location": "westeurope", "sku": {"name": "Standard_GRS"}, "properties": {}},
                f"{THEIRS}/blobservices/default": {"properties": {"isVersioningEnabled": False}},
                THEIR_IDENTITY: {"id": THEIR_IDENTITY, "properties": {"clientId": "c", "principalId": "p"}},
                f"{THEIRS}/providers/microsoft.authorization/roleassignments/1": {
                    "properties": {"principalId": "p", "roleDefinitionId": "r", "scope": THEIRS}
                },
            }
        )

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
            "public_access": lambda: arm.resources[CONTAINER]["properties"].update(publicAccess="Blob"),
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

    def store(self) -> None:
        self.arm.resources[CONTAINER]["blobs"] = ["artifacts/model"]

    def has_data(self) -> bool:
        return self.arm.resources.get(CONTAINER, {}).get("blobs") == ["artifacts/model"]

    def duplicates(self) -> int:
        return len([path for path in self.arm.resources if "roleassignments" in path]) - 2
