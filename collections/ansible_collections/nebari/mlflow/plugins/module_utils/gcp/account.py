# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""The Google service account that the server's Kubernetes service account speaks for.

https://cloud.google.com/iam/docs/reference/rest/v1/projects.serviceAccounts
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ..cloud.errors import foreign
from ..cloud.ledger import Ledger, Settings
from ..cloud.neighbours import holds
from . import member
from .client import IAM, Gcp
from .iam_policy import members

KIND = "service account"
DISPLAY_NAME = "MLflow tracking server"


def email_of(account_id: str, project: str) -> str:
    """Return an account's address; a project of a domain, `domain.org:project`, is written the other way round."""
    domain, _, name = project.rpartition(":")
    return f"{account_id}@{name}.{domain + '.' if domain else ''}iam.gserviceaccount.com"


def ensure_present(gcp: Gcp, plan: Ledger, account_id: str, owner: str, found: dict[str, Any] | None) -> None:
    """Create or repair the account, which is now `found`. Its description holds the owner id."""
    email = email_of(account_id, gcp.project)
    url = f"{IAM}/projects/{gcp.project}/serviceAccounts"
    wanted: Settings = {"displayName": DISPLAY_NAME, "description": f"nebari-mlflow-owner={owner}", "disabled": False}
    if found is None:
        body = {"accountId": account_id, "serviceAccount": {key: wanted[key] for key in ("displayName", "description")}}
        plan.create(
            KIND, email, wanted, lambda: gcp.call("POST", url, "iam.serviceAccounts.create", body=body, absent=(409,))
        )
        return

    def apply(fields: tuple[str, ...]) -> None:
        if "disabled" in fields:
            gcp.call("POST", f"{url}/{email}:enable", "iam.serviceAccounts.enable", body={})
        changed = [field for field in fields if field != "disabled"]
        if changed:
            body = {"serviceAccount": {key: wanted[key] for key in changed}, "updateMask": ",".join(changed)}
            gcp.call("PATCH", f"{url}/{email}", "iam.serviceAccounts.update", body=body)

    plan.update(KIND, email, {**found, "disabled": found.get("disabled", False)}, wanted, apply)


def ensure_absent(gcp: Gcp, plan: Ledger, account_id: str, ours: Collection[tuple[str, str]]) -> None:
    """Delete the account. If other people use it, remove only `ours`, which are pairs of a role and a member."""
    email = email_of(account_id, gcp.project)
    url = f"{IAM}/projects/{gcp.project}/serviceAccounts/{email}"
    policy = member.Target.service_account(gcp, email)
    others = [f"key {each['name'].rpartition('/')[2]}" for each in _keys(gcp, url)]
    granted = members(policy.read(absent=(404,)) or {})
    others += [f"{who} as {what}" for what, who in granted if (what, who) not in ours]
    if not others:
        plan.delete(KIND, email, lambda: gcp.call("DELETE", url, "iam.serviceAccounts.delete", absent=(404,)))
        return
    for role, speaker in ours:
        member.ensure_absent(plan, policy, role, speaker)
    plan.keep(KIND, email, holds(others))


def _keys(gcp: Gcp, url: str) -> list[dict[str, Any]]:
    """Return the keys that people made; Google's own are not among them."""
    query = {"keyTypes": "USER_MANAGED"}
    found = gcp.call("GET", f"{url}/keys", "iam.serviceAccountKeys.list", query=query, absent=(404,)) or {}
    keys: list[dict[str, Any]] = found.get("keys", [])
    return keys


def find(gcp: Gcp, account_id: str, owner: str) -> dict[str, Any] | None:
    """Return the account, None without one; refuse one that is another deployment's."""
    email = email_of(account_id, gcp.project)
    url = f"{IAM}/projects/{gcp.project}/serviceAccounts/{email}"
    found: dict[str, Any] | None = gcp.call("GET", url, "iam.serviceAccounts.get", absent=(404,))
    mark = "nebari-mlflow-owner="
    description = (found or {}).get("description", "")
    if description.startswith(mark) and description != mark + owner:
        raise foreign(KIND, email, description.removeprefix(mark), owner)
    return found
