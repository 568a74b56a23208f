# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Check before the first write that every write is allowed: half a deploy is worse than none."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..errors import ApiError, ClusterUnusable
from ..kube.errors import FORBIDDEN, RIGHT

if TYPE_CHECKING:
    from ..errors import ApiError
    from ..kube.api import Api, Json
    from ..kube.objects import Object
    from .plan import Plan
    from .session import Session

REVIEWS = "/apis/authorization.k8s.io/v1"


class Right(NamedTuple):
    """One verb on one kind of object; `resource` may name a subresource, such as `pods/log`."""

    verb: str
    group: str
    resource: str
    namespace: str = ""

    def __str__(self) -> str:
        what = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{self.verb} {what}" + (f" in namespace {self.namespace}" if self.namespace else "")


def explain(session: Session, objects: list[Object], error: ApiError) -> None:
    """Raise one error for all that a first deploy needs, when `error` is about a single right that is missing."""
    if error.status != FORBIDDEN or not RIGHT.search(error.message):
        return
    namespace = session.options.namespace
    rights = _always(session, objects)
    for item in objects:
        resource = session.discovery.get(item["apiVersion"], item["kind"])
        where = namespace if resource.namespaced else ""
        rights |= {Right(verb, resource.group, resource.plural, where) for verb in ("get", "create", "patch", "delete")}
    require(session, rights)


def _always(session: Session, objects: list[Object]) -> set[Right]:
    namespace = session.options.namespace
    rights = {Right(verb, "", "secrets", namespace) for verb in ("get", "list", "create", "update")}
    rights |= {Right(verb, "coordination.k8s.io", "leases", namespace) for verb in ("get", "create", "update")}
    makes_claims = any(item["kind"] == "StatefulSet" and item["spec"].get("volumeClaimTemplates") for item in objects)
    if makes_claims or any(spec.claim for spec in session.options.secrets):
        rights.add(Right("get", "", "persistentvolumeclaims", namespace))
    return rights | {Right("list", "", "pods", namespace)}


def needed(session: Session, plan: Plan) -> set[Right]:
    """Return the rights for what was planned."""
    versions = {item["kind"]: item["apiVersion"] for item in plan.objects}
    versions |= {"Secret": "v1", "PersistentVolumeClaim": "v1", "Namespace": "v1"}
    rights = _always(session, plan.objects)
    namespace = session.options.namespace
    verbs = {"create": ("create", "get"), "update": ("patch", "get"), "delete": ("delete",)}
    if plan.verify:
        rights |= {Right("create", "", "pods", namespace), Right("get", "", "pods/log", namespace)}
    for change in plan.changes:
        version = versions.get(change.kind)
        resource = session.discovery.find(version, change.kind) if version else None
        if resource is not None:
            where = change.namespace if resource.namespaced else ""
            rights |= {Right(verb, resource.group, resource.plural, where) for verb in verbs[change.action]}
    return rights


def require(session: Session, rights: set[Right], act: str = "the deploy") -> None:
    """Raise one error that names all rights that are missing for what is to be done."""
    namespace = session.options.namespace
    rules = _rules(session.api, namespace)
    sure = {right for right in rights if right.namespace == namespace and any(_grants(rule, right) for rule in rules)}
    unsure = sorted(rights - sure)
    missing = [right for right in unsure if not _may(session.api, right)]
    if missing:
        listed = "; ".join(str(right) for right in missing)
        raise ClusterUnusable(
            f"This kubeconfig's user lacks rights that {act} needs: {listed}. Nothing was changed.",
            "Have a cluster administrator grant them, or use another kubeconfig or context.",
        )


def _rules(api: Api, namespace: str) -> list[Json]:
    """What the authorizers tell about us in one request; some cannot list, so a missing rule proves nothing."""
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    answer = api.request("POST", f"{REVIEWS}/selfsubjectrulesreviews", body=body)
    rules: list[Json] = answer["status"].get("resourceRules") or []
    return rules


def _grants(rule: Json, right: Right) -> bool:
    if rule.get("resourceNames"):
        return False
    pairs = ((right.verb, "verbs"), (right.group, "apiGroups"), (right.resource, "resources"))
    return all(value in rule.get(part, []) or "*" in rule.get(part, []) for value, part in pairs)


def _may(api: Api, right: Right) -> bool:
    resource, _, subresource = right.resource.partition("/")
    attributes = {"verb": right.verb, "group": right.group, "resource": resource, "subresource": subresource}
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {**attributes, "namespace": right.namespace}},
    }
    return bool(api.request("POST", f"{REVIEWS}/selfsubjectaccessreviews", body=body)["status"].get("allowed"))
