"""The versions of Kubernetes that AKS has, which Nebari asks for."""

from __future__ import annotations

from typing import Any

from ..http import Request
from .arm import LOCATIONS, Arm, Refused

VERSIONS = ("1.30.9", "1.31.5")
KIND = "Microsoft.ContainerService/locations/orchestrators"


def orchestrator_list(_: Arm, request: Request, __: str, location: str) -> Any:
    """https://learn.microsoft.com/rest/api/aks/container-services/list-orchestrators"""
    if request.query.get("resource-type") != "managedClusters" or location not in LOCATIONS:
        raise Refused(400, "InvalidParameter", f"The location or the type of {request.target} is not valid.")
    found = [{"orchestratorType": "Kubernetes", "orchestratorVersion": version} for version in VERSIONS]
    return {"id": request.path, "name": "default", "type": KIND, "properties": {"orchestrators": found}}
