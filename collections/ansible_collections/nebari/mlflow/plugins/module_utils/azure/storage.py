# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Storage and identity on Azure, whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..cloud import naming
from ..cloud.errors import CloudError
from ..cloud.neighbours import ADOPTED, holds
from ..cloud.plan import Plan
from . import account, container, group, identity
from .client import Azure


def converge(params: dict[str, Any], plan: Plan) -> dict[str, Any]:
    """Bring everything to its state, and return the storage."""
    project, namespace, resource_group = params["project"], params["namespace"], params["resource_group"]
    if not params["subscription_id"]:
        raise CloudError(
            "No subscription is given.",
            "Give mlflow_azure_subscription_id or ARM_SUBSCRIPTION_ID, as in: az account list --query '[].id'",
        )
    azure = Azure(params["subscription_id"], plan.progress)
    scope = (params["subscription_id"].lower(), resource_group.lower())
    owner = naming.owner_id(project, namespace, *scope)
    tags = naming.tags(project, namespace, owner, params["tags"])
    path = identity.id_of(azure, resource_group, naming.bucket_name(project, namespace, *scope))
    name = naming.account_name(project, namespace, *scope)
    if params["state"] == "absent":
        chosen, found = account.choose(azure, resource_group, name, params["adopt"])
        client_id = ""
        _absent(azure, plan, params, chosen, found, path, owner, chosen.name != name)
    else:
        location = group.ensure_present(azure, plan, resource_group, params["location"], tags)
        chosen, found = account.choose(azure, resource_group, name, params["adopt"])
        known = identity.find(azure, path, owner)
        rules = params["network_rules"]
        there = account.ensure_present(plan, chosen, found, tags, location, params["replication"], rules)
        container.ensure_service(plan, chosen, there)
        container.ensure_present(plan, chosen, there)
        made = identity.ensure_present(azure, plan, path, known, location, tags)
        identity.ensure_credential(azure, plan, path, known is not None, params["oidc_issuer_url"], namespace)
        existed = there and known is not None
        identity.ensure_assignment(azure, plan, container.id_of(chosen), path, made["principalId"], existed)
        client_id = made["clientId"]
    prefix = naming.PREFIX if chosen.name == name else ""
    return {
        "uri": f"wasbs://{container.NAME}@{chosen.name}.blob.core.windows.net/{prefix}".rstrip("/"),
        "env": {},
        "secret": "",
        "service_account_annotations": {"azure.workload.identity/client-id": client_id},
        "pod_labels": {"azure.workload.identity/use": "true"},
        "volume": {},
        # The webhook mounts a token, which Entra ID takes at port 443: no metadata service.
        "network": {"metadata": []},
    }


def _absent(
    azure: Azure, plan: Plan, params: dict[str, Any], chosen: account.Account, found: dict[str, Any] | None,
    path: str, owner: str, adopted: bool
) -> None:  # fmt: skip
    account.check_owner(chosen, found, owner)
    # All is read before anything is changed.
    fate = _fate(chosen, adopted) if found is not None and params["delete_data"] else None
    gone = {path} if identity.ensure_absent(azure, plan, container.id_of(chosen), path, owner) else set()
    if not params["delete_data"]:
        if found is not None:
            plan.keep(account.KIND, chosen.name)
        return
    if fate is None or _delete_data(plan, chosen, fate):
        gone.add(chosen.id)
    group.ensure_absent(azure, plan, params["resource_group"], owner, gone)


@dataclass(frozen=True)
class Fate:
    """What a removal with the data does: each reason spares what it is about; without one the account goes."""

    account: str
    container: str
    ours: dict[str, Any] | None  # the container


def _fate(chosen: account.Account, adopted: bool) -> Fate:
    if adopted:
        return Fate(ADOPTED, ADOPTED, None)
    ours, others = container.find(chosen), container.others(chosen)
    spared = container.spared(chosen, ours) if ours else ""
    return Fate(holds([*([f"{container.KIND} {container.NAME}"] if spared else []), *others]), spared, ours)


def _delete_data(plan: Plan, chosen: account.Account, fate: Fate) -> bool:
    """Delete the account, or of one that holds more only our container; return whether the account has gone."""
    if not fate.account:
        plan.delete(account.KIND, chosen.name, chosen.delete)
        return True
    if not fate.container:
        container.ensure_absent(plan, chosen, fate.ours)
    elif fate.ours:
        plan.keep(container.KIND, container.NAME, fate.container)
    plan.keep(account.KIND, chosen.name, fate.account)
    return False
