# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a deployment has on Azure: names, owners, and which objects are not as they should be. Reads only."""

from __future__ import annotations

from typing import Any

from ..cloud import naming
from ..cloud.ledger import Ledger
from ..cloud.survey import Survey
from . import account, container, group, identity
from .client import Azure


def look(params: dict[str, Any], plan: Ledger) -> dict[str, Any]:
    """Read everything, refuse what is not ours, and return what the role's tasks need."""
    project, namespace, resource_group = params["project"], params["namespace"], params["resource_group"]
    azure = Azure(params, plan.progress)
    survey = Survey(plan.progress)
    scope = (azure.subscription_id.lower(), resource_group.lower())
    owner = naming.owner_id(project, namespace, *scope)
    tags = naming.tags(project, namespace, owner, params["tags"])
    identity_name = naming.bucket_name(project, namespace, *scope)
    path = identity.id_of(azure, resource_group, identity_name)
    name = naming.account_name(project, namespace, *scope)
    present, location = params["state"] == "present", params["location"]
    if present:
        location = group.ensure_present(azure, survey.part("group"), resource_group, location, tags)
    chosen, found = account.choose(azure, resource_group, name, params["adopt"])
    adopted = chosen.name != name
    if found is not None and not params["location"]:
        location = str(found["location"])  # an account stays where it is
    known = identity.find(azure, path, owner)
    made = {"clientId": "", "principalId": ""}
    stays = found is not None
    if present:
        of_account = survey.part("account")
        there = account.ensure_present(
            of_account, chosen, found, tags, location, params["replication"], params["network_rules"]
        )
        container.ensure_service(of_account, chosen, there)
        container.ensure_present(survey.part("container"), chosen, there)
        made = identity.ensure_present(azure, survey.part("identity"), path, known, location, tags)
        identity.ensure_credential(
            azure, survey.part("credential"), path, known is not None, params["oidc_issuer_url"], namespace
        )
        existed = there and known is not None
        part = survey.part("assignment")
        identity.ensure_assignment(azure, part, container.id_of(chosen), path, made["principalId"], existed)
    else:
        account.check_owner(chosen, found, owner)
        made["principalId"] = str(known["properties"]["principalId"]) if known else ""
        if stays and params["delete_data"]:
            stays = bool(container.why_account_stays(chosen, adopted))
    return {
        **survey.result(),
        "owner": owner,
        "tags": tags,
        "location": location,
        "account": {"name": chosen.name, "adopted": adopted, "stays": stays},
        "container_id": container.id_of(chosen),
        "identity": {
            "name": identity_name,
            "id": path,
            "client_id": made["clientId"],
            "principal_id": made["principalId"],
        },
        "storage": {
            "uri": f"wasbs://{container.NAME}@{chosen.name}.{azure.environment.blobs}"
            + ("" if adopted else f"/{naming.PREFIX}"),
            "env": {},
            "secret": "",
            "service_account_annotations": {"azure.workload.identity/client-id": made["clientId"]},
            "pod_labels": {"azure.workload.identity/use": "true"},
            "volume": {},
            # The webhook mounts a token, which Entra ID takes at port 443: no metadata service.
            "network": {"metadata": []},
        },
    }
