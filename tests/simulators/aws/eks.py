"""EKS: Pod Identity, and the versions that an add-on is for, which moto has not.

https://docs.aws.amazon.com/eks/latest/APIReference/API_CreatePodIdentityAssociation.html and
https://docs.aws.amazon.com/eks/latest/APIReference/API_DescribeAddonVersions.html
"""

from __future__ import annotations

import re
import time
from typing import Any

from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

from ..claims import claims_of
from ..http import Request, Response, answer
from .names import error_for, region_of
from .rules import ACCOUNT, Rules
from .trust import allowed

PATH = "/clusters/([^/]+)/pod-identity-associations(?:/([^/]+))?"
AUDIENCE = "pods.eks.amazonaws.com"
VERSIONS = ("1.30", "1.31")


class Eks:
    """The associations of the `clusters` that exist."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.clusters: set[str] = set()
        self.associations: dict[str, dict[str, Any]] = {}

    def clear(self) -> None:
        self.clusters.clear()
        self.associations.clear()

    def __call__(self, request: Request) -> Response:
        if (request.method, request.target) == ("GET", "/addons/supported-versions"):
            builds = [{"compatibilities": [{"clusterVersion": version} for version in VERSIONS]}]
            return answer(200, {"addons": [{"addonName": "vpc-cni", "addonVersions": builds}]})
        found = re.fullmatch(PATH, request.path)
        if found is None:
            return answer(501, {"message": f"not simulated: {request.target}"})
        cluster, identifier = found.groups()
        if cluster not in self.clusters:
            return error_for(request, 404, "ResourceNotFoundException", f"No cluster found for name: {cluster}.")
        if identifier is None:
            return self._list(request, cluster) if request.method == "GET" else self._create(request, cluster)
        if identifier not in self.associations:
            return error_for(request, 404, "ResourceNotFoundException", "no such association")
        return self._one(request, identifier)

    def _list(self, request: Request, cluster: str) -> Response:
        """Answers without roles: https://docs.aws.amazon.com/eks/latest/APIReference/API_PodIdentityAssociationSummary.html"""
        shown = ("associationArn", "associationId", "clusterName", "namespace", "serviceAccount")
        wanted = {key: value for key, value in request.query.items() if key in ("namespace", "serviceAccount")}
        wanted["clusterName"] = cluster
        found = [each for each in self.associations.values() if wanted.items() <= each.items()]
        listed = [{key: each[key] for key in shown} for each in found]
        return answer(200, {"associations": listed})

    def _create(self, request: Request, cluster: str) -> Response:
        body = request.json() or {}
        wanted = {"namespace", "serviceAccount", "roleArn", "clientRequestToken", "tags"}
        if set(body) != wanted:
            return answer(501, {"message": f"not simulated: fields {sorted(set(body) ^ wanted)}"})
        if refused := self._role(request, body["roleArn"]):
            return refused
        for each in self.associations.values():
            if (
                all(each[key] == body[key] for key in ("namespace", "serviceAccount"))
                and each["clusterName"] == cluster
            ):
                said = f"Association already exists: {each['associationId']}"
                return error_for(request, 409, "ResourceInUseException", said)
        identifier = f"a-{len(self.associations)}"
        arn = f"arn:aws:eks:{region_of(request)}:{ACCOUNT}:podidentityassociation/{cluster}/{identifier}"
        kept: dict[str, Any] = {key: value for key, value in body.items() if key != "clientRequestToken"}
        self.associations[identifier] = {
            **kept, "clusterName": cluster, "associationId": identifier, "associationArn": arn
        }  # fmt: skip
        return answer(200, {"association": self.associations[identifier]})

    def _one(self, request: Request, identifier: str) -> Response:
        """https://docs.aws.amazon.com/eks/latest/APIReference/API_UpdatePodIdentityAssociation.html and the like"""
        if request.method == "DELETE":
            return answer(200, {"association": self.associations.pop(identifier)})
        if request.method == "POST":
            body = request.json()
            if set(body) != {"roleArn", "clientRequestToken"}:
                return answer(501, {"message": f"not simulated: fields {sorted(body)}"})
            if refused := self._role(request, body["roleArn"]):
                return refused
            self.associations[identifier]["roleArn"] = body["roleArn"]
        return answer(200, {"association": self.associations[identifier]})

    def _role(self, request: Request, arn: str) -> Response | None:
        """A role that was made a moment ago is not known here yet."""
        name = arn.rpartition("/")[2]
        exists = any(each.arn == arn for each in iam_backends[ACCOUNT]["aws"].roles.values())
        if not exists or self.rules.is_hidden(f"eks {name}"):
            said = "Role provided in the request does not exist."
            return error_for(request, 400, "InvalidParameterException", said)
        return None


def credentials(eks: Eks, request: Request) -> Response:
    """Give a pod the credentials of its role, as EKS does for the agent on a node.

    https://docs.aws.amazon.com/eks/latest/APIReference/API_auth_AssumeRoleForPodIdentity.html and, for the tags,
    https://docs.aws.amazon.com/eks/latest/userguide/pod-id-abac.html
    """
    cluster = request.path.split("/")[2]
    claims = claims_of(request.json()["token"])
    namespace, account = claims["sub"].split(":")[2:]
    found = [
        each for each in eks.associations.values()
        if (each["clusterName"], each["namespace"], each["serviceAccount"]) == (cluster, namespace, account)
    ]  # fmt: skip
    if not found or claims["aud"] != AUDIENCE:
        return error_for(request, 404, "ResourceNotFoundException", "No association for this service account")
    arn = found[0]["roleArn"]
    name = arn.rpartition("/")[2]
    context = {
        "aws:SourceAccount": ACCOUNT,
        "aws:RequestTag/eks-cluster-arn": f"arn:aws:eks:{region_of(request)}:{ACCOUNT}:cluster/{cluster}",
        "aws:RequestTag/eks-cluster-name": cluster,
        "aws:RequestTag/kubernetes-namespace": namespace,
        "aws:RequestTag/kubernetes-service-account": account,
    }
    trusted = all(allowed(name, {"Service": AUDIENCE}, act, context) for act in ("sts:AssumeRole", "sts:TagSession"))
    if not trusted or time.monotonic() < eks.rules.since.get(name, 0.0) + eks.rules.settle:
        return error_for(request, 400, "AccessDeniedException", "Trust policy does not let EKS take the role")
    made = sts_backends[ACCOUNT]["aws"].assume_role(
        region_name=region_of(request), role_session_name="pod", role_arn=arn, policy=None, duration=900, external_id=""
    )
    eks.rules.sessions[made.access_key_id] = name
    keys = {
        "accessKeyId": made.access_key_id, "secretAccessKey": made.secret_access_key, "sessionToken": made.session_token
    }  # fmt: skip
    return answer(200, {"credentials": keys})
