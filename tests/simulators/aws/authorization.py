"""What each call needs, by the Service Authorization Reference: its actions, resources and condition keys.

https://docs.aws.amazon.com/service-authorization/latest/reference/
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree as ET

from moto.iam.models import iam_backends
from moto.kms.models import kms_backends

from ..http import Request, Response
from .evaluation import Need, Policy, allowed
from .names import bucket_of, error_for, form, name, region_of, service_of
from .trust import ACCOUNT

Context = dict[str, str | list[str]]
BOUNDARY = "iam:PermissionsBoundary"
# Actions that know the boundary of the role that they are about.
BOUNDED = {"iam:PutRolePolicy", "iam:DeleteRolePolicy", "iam:AttachRolePolicy", "iam:DetachRolePolicy"}


def refusal(policy: Policy, request: Request, associations: dict[str, dict[str, Any]], early: bool) -> Response | None:
    """Return the refusal of a call that a policy does not allow; while it is `early`, no tag of a key counts."""
    for need in needs(request, associations):
        untagged = {key: value for key, value in need.context.items() if not key.startswith("aws:ResourceTag/")}
        if early and service_of(request) == "kms":
            need = replace(need, context=untagged)
        if not allowed(policy, need):
            said = f"User is not authorized to perform: {need.action} on resource: {need.resource}"
            json_code = service_of(request) in ("kms", "eks")
            return error_for(request, 400 if json_code else 403, "AccessDenied" + "Exception" * json_code, said)
    return None


def needs(request: Request, associations: dict[str, dict[str, Any]]) -> list[Need]:
    action = name(request)[0]
    service = service_of(request)
    if service == "eks":
        return _eks(request, action, associations)
    by_service: dict[str, Callable[[Request, str], list[Need]]] = {"s3": _s3, "iam": _iam, "kms": _kms}
    return by_service[service](request, action) if service in by_service else []  # everybody may ask who he is


def _s3(request: Request, action: str) -> list[Need]:
    bucket = f"arn:aws:s3:::{bucket_of(request)}"
    if action == "s3:DeleteObjectVersion":
        keys = [each for each in ET.fromstring(request.body).iter() if each.tag.endswith("Key")]  # noqa: S314 - ours
        return [Need(action, f"{bucket}/{each.text}") for each in keys]
    hosted = re.match(r".+\.s3\.", request.host)
    key = request.path.strip("/") if hosted else request.path.strip("/").partition("/")[2]
    return [Need(action, f"{bucket}/{unquote(key)}" if key else bucket)]


def _iam(request: Request, action: str) -> list[Need]:
    given = form(request)
    if "RoleName" not in given:
        return [Need(action, given["OpenIDConnectProviderArn"])]
    arn = f"arn:aws:iam::{ACCOUNT}:role/{given['RoleName']}"
    role = next((each for each in iam_backends[ACCOUNT]["aws"].roles.values() if each.arn == arn), None)
    context = _tags("Resource", {each["Key"]: each["Value"] for each in role.tags} if role else {})
    asked = {given[f"Tags.member.{n}.Key"]: given[f"Tags.member.{n}.Value"] for n in range(1, len(given))
             if f"Tags.member.{n}.Key" in given}  # fmt: skip
    context |= _tags("Request", asked)
    if given.get("PermissionsBoundary"):
        context[BOUNDARY] = given["PermissionsBoundary"]
    elif role and role.permissions_boundary_arn and action in BOUNDED:
        context[BOUNDARY] = role.permissions_boundary_arn
    tagging = [Need("iam:TagRole", arn, context)] if asked and action == "iam:CreateRole" else []
    return [Need(action, arn, context), *tagging]


def _kms(request: Request, action: str) -> list[Need]:
    body = request.json() or {}
    where = f"arn:aws:kms:{region_of(request)}:{ACCOUNT}:"
    asked = _tags("Request", {each["TagKey"]: each["TagValue"] for each in body.get("Tags", [])})
    if action == "kms:CreateKey":
        # https://docs.aws.amazon.com/kms/latest/developerguide/tag-permissions.html
        return [Need(action, "*", asked), *([Need("kms:TagResource", f"{where}key/new", asked)] if asked else [])]
    if action in ("kms:ListKeys", "kms:ListAliases"):
        return [Need(action, "*")]
    alias = body.get("AliasName", "")
    backend = kms_backends[ACCOUNT][region_of(request)]
    named = body.get("TargetKeyId") or body.get("KeyId") or backend.get_key_id_from_alias(alias) or ""
    found = backend.get_key_id(named)
    key = found if found in backend.keys else backend.get_key_id_from_alias(named.rpartition(":")[2] or named)
    if key is None:
        return []  # AWS says that there is none
    tags = {each["TagKey"]: each["TagValue"] for each in backend.list_resource_tags(key)["Tags"]}
    aliases = [each.alias_name for each in backend.list_aliases(key)]
    context = asked | _tags("Resource", tags) | ({"kms:ResourceAliases": aliases} if aliases else {})
    if "PendingWindowInDays" in body:
        context["kms:ScheduleKeyDeletionPendingWindowInDays"] = str(body["PendingWindowInDays"])
    also = [Need(action, f"{where}{alias}")] if alias else []
    return [*also, Need(action, f"{where}key/{key}", context)]


def _eks(request: Request, action: str, associations: dict[str, dict[str, Any]]) -> list[Need]:
    where = f"arn:aws:eks:{region_of(request)}:{ACCOUNT}:"
    found = re.fullmatch("/clusters/([^/]+)/pod-identity-associations(?:/([^/]+))?", request.path)
    assert found
    cluster, identifier = found.groups()
    body: dict[str, Any] = (request.json() or {}) if request.method == "POST" else {}
    resource = f"{where}podidentityassociation/{cluster}/{identifier}" if identifier else f"{where}cluster/{cluster}"
    tags = associations.get(identifier or "", {}).get("tags", {})
    context = _tags("Resource", tags) | _tags("Request", body.get("tags", {}))
    # https://docs.aws.amazon.com/eks/latest/userguide/pod-id-association.html
    service: Context = {"iam:PassedToService": "pods.eks.amazonaws.com"}
    passing = [Need("iam:PassRole", body["roleArn"], service)] if "roleArn" in body else []
    made = f"{where}podidentityassociation/{cluster}/new"
    tagging = [Need("eks:TagResource", made, context)] if "tags" in body else []
    return [Need(action, resource, context), *passing, *tagging]


def _tags(kind: str, tags: dict[str, str]) -> Context:
    return {f"aws:{kind}Tag/{key}": value for key, value in tags.items()}
