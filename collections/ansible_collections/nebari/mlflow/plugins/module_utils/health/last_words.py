# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the servers of a release said last, and what its network rules let them reach: why using it fails."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..errors import ApiError
from ..network.peers import describe, matches
from . import workloads
from .problems import PASSWORD

if TYPE_CHECKING:
    from ..kube.api import Api
    from ..kube.objects import Object

TAIL, LINES, LONGEST = 400, 4, 300
RAISED = re.compile(r"^(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Timeout|Refused|Denied)\b(?::|$)")
TOLD = re.compile(r"\b(?:ERROR|CRITICAL|FATAL)\b")


def errors(log: str) -> list[str]:
    """Return the last lines of a log that name an error: what was raised, or else what was logged as one."""
    lines = [PASSWORD.sub(r"\1***\2", line.strip())[:LONGEST] for line in log.splitlines()]
    for pattern in (RAISED, TOLD):
        found = list(dict.fromkeys(line for line in reversed(lines) if pattern.search(line)))
        if found:
            return found[:LINES][::-1]
    return []


def of_servers(api: Api, namespace: str, objects: list[Object]) -> dict[str, list[str]]:
    """Return the last errors of each pod of the release's Deployments, by name. What cannot be read is left out."""
    root, found = f"/api/v1/namespaces/{namespace}/pods", {}
    for item in objects:
        if item["kind"] != "Deployment":
            continue
        try:
            pods = api.request("GET", root, query={"labelSelector": workloads.selector(item)})["items"]
            for pod in pods:
                query = {"container": pod["spec"]["containers"][0]["name"], "tailLines": TAIL}
                said = errors(api.text(f"{root}/{pod['metadata']['name']}/log", query))
                if said:
                    found[str(pod["metadata"]["name"])] = said
        except ApiError:
            continue
    return found


def opened(api: Api, namespace: str, objects: list[Object]) -> dict[str, list[str]]:
    """Return what the network rules let the pods of the release's Deployments reach, by the rules' names."""
    labels = [
        item["spec"]["template"]["metadata"].get("labels") or {} for item in objects if item["kind"] == "Deployment"
    ]
    found = {}
    for policy in objects:
        if policy["kind"] != "NetworkPolicy" or not policy["spec"].get("egress"):
            continue
        if any(matches(policy["spec"].get("podSelector") or {}, each) for each in labels):
            path = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies/{policy['metadata']['name']}"
            try:
                live = api.find(path)
            except ApiError:
                live = None
            found[str(policy["metadata"]["name"])] = describe(live or policy)
    return found


def explain(api: Api, namespace: str, objects: list[Object]) -> str:
    """Return lines for an error: what the servers said last, and what they may reach."""
    parts = []
    for pod, lines in of_servers(api, namespace, objects).items():
        parts.append("\n".join([f"The last errors of Pod/{pod}:", *(f"  {line}" for line in lines)]))
    for policy, lines in opened(api, namespace, objects).items():
        parts.append("\n".join([f"NetworkPolicy/{policy} lets it reach:", *(f"  {line}" for line in lines)]))
    return "".join(f"{part}\n" for part in parts)
