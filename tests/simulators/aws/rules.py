"""What AWS checks and moto does not: regions, owners, trust, the right to a key, and that changes need time."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from typing import Any

from moto.iam.models import iam_backends
from moto.s3.models import s3_backends

from ..http import Request, Response
from .names import bucket_of, error_for, form, name, region_of, service_of
from .trust import Denied, assume, check_document

ACCOUNT = "123456789012"
# Policies that need no time to be seen: reading what one wrote is another matter than having the right.
LAGGING = {"PutRolePolicy", "TagRole", "GetRole", "GetRolePolicy", "UpdateAssumeRolePolicy"}


@dataclass
class Rules:
    """For `lag` calls a new role or key is unknown; a grant or a trust works `settle` seconds after it was written."""

    lag: int = 0
    settle: float = 0.0
    taken: set[str] = field(default_factory=set)  # names of buckets that other accounts have
    hidden: dict[str, int] = field(default_factory=dict)  # calls for which a role or key is not there yet
    since: dict[str, float] = field(default_factory=dict)  # when a role's trust or policy was written
    sessions: dict[str, str] = field(default_factory=dict)  # access key -> role that it stands for

    def clear(self) -> None:
        for everything in (self.taken, self.hidden, self.since, self.sessions):
            everything.clear()
        self.lag, self.settle = 0, 0.0

    def before(self, request: Request) -> Response | None:
        """Return the refusal of a call that moto would let pass."""
        action = name(request)[0].partition(":")[2]
        if service_of(request) == "s3":
            return self._bucket(request, action)
        if service_of(request) == "iam":
            return self._role(request, action)
        if service_of(request) == "kms":
            return self._key(request, action)
        if action == "AssumeRoleWithWebIdentity":
            return self._web_identity(request)
        return None

    def after(self, request: Request, response: Response) -> None:
        """Remember what a call has made."""
        action = name(request)[0].partition(":")[2]
        if response.status >= 300:
            return
        if action == "CreateRole":
            for where in ("", "eks "):  # each service hears of it by itself
                self.hidden[where + form(request)["RoleName"]] = self.lag
        if action in ("CreateRole", "UpdateAssumeRolePolicy", "PutRolePolicy"):
            self.since[form(request)["RoleName"]] = time.monotonic()
        if action == "CreateKey":
            self.hidden[json.loads(response.body)["KeyMetadata"]["KeyId"]] = self.lag
        if action == "AssumeRoleWithWebIdentity":
            key = re.search("<AccessKeyId>(.+?)</AccessKeyId>", response.body.decode())
            assert key
            self.sessions[key.group(1)] = form(request)["RoleArn"].rpartition("/")[2]

    def _bucket(self, request: Request, action: str) -> Response | None:
        bucket = bucket_of(request)
        if bucket in self.taken:
            # https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
            if action == "CreateBucket":
                return error_for(request, 409, "BucketAlreadyExists", "The requested bucket name is not available.")
            return error_for(request, 403, "AccessDenied", "Access Denied")
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html
        if request.headers.get("X-Amz-Expected-Bucket-Owner", ACCOUNT) != ACCOUNT:
            return error_for(request, 403, "AccessDenied", "Access Denied")
        kept = s3_backends[ACCOUNT]["aws"].buckets.get(bucket)
        if kept is None:
            if action == "CreateBucket":
                return _location(request)
            return None
        if kept.region_name != region_of(request) and (action, region_of(request)) != (
            "GetBucketLocation",
            "us-east-1",
        ):
            # https://docs.aws.amazon.com/AmazonS3/latest/userguide/Redirects.html
            said = "The bucket you are attempting to access must be addressed using the specified endpoint."
            headers = {"x-amz-bucket-region": kept.region_name}
            return error_for(request, 301, "PermanentRedirect", said, **headers)
        credential = re.search(r"Credential=([^/]+)/", request.headers.get("Authorization", ""))
        role = self.sessions.get(credential.group(1), "") if credential else ""
        if role and time.monotonic() < self.since[role] + self.settle:
            return error_for(request, 403, "AccessDenied", "Access Denied")
        if role and action == "PutObject" and (key := _default_key(kept)) and not _may_encrypt(role, key):
            said = f"User: {role} is not authorized to perform: kms:GenerateDataKey on resource: {key}"
            return error_for(request, 403, "AccessDenied", said)
        return None

    def _role(self, request: Request, action: str) -> Response | None:
        given = form(request)
        if action in ("CreateRole", "UpdateAssumeRolePolicy"):
            document = given.get("AssumeRolePolicyDocument") or given["PolicyDocument"]
            if problem := check_document(document):
                return error_for(request, 400, "MalformedPolicyDocument", problem)
        # https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency
        if action in LAGGING and self.is_hidden(given.get("RoleName", "")):
            return error_for(request, 404, "NoSuchEntity", f"The role with name {given['RoleName']} cannot be found.")
        return None

    def _key(self, request: Request, action: str) -> Response | None:
        """https://docs.aws.amazon.com/kms/latest/developerguide/accessing-kms.html#programming-eventual-consistency"""
        body = request.json()
        key = str(body.get("TargetKeyId") or body.get("KeyId") or "").rpartition("/")[2]
        if action in ("CreateAlias", "EnableKeyRotation") and self.is_hidden(key):
            return error_for(request, 400, "NotFoundException", f"Key {key} does not exist")
        return None

    def is_hidden(self, key: str) -> bool:
        if self.hidden.get(key, 0) <= 0:
            return False
        self.hidden[key] -= 1
        return True

    def _web_identity(self, request: Request) -> Response | None:
        """https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html"""
        given = form(request)
        role = given["RoleArn"].rpartition("/")[2]
        if time.monotonic() < self.since.get(role, 0.0) + self.settle:
            return error_for(request, 403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
        try:
            assume(role, given["WebIdentityToken"])
        except Denied as denied:
            return error_for(request, denied.status, denied.code, str(denied))
        return None


def _location(request: Request) -> Response | None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html"""
    constraint = re.search(r"<LocationConstraint[^>]*>(.*?)</LocationConstraint>", request.body.decode())
    region = region_of(request)
    if region == "us-east-1" and constraint and constraint.group(1) == "us-east-1":
        return error_for(request, 400, "InvalidLocationConstraint", "The specified location-constraint is not valid")
    if region != "us-east-1" and (constraint is None or constraint.group(1) != region):
        said = "The location constraint is incompatible for the region specific endpoint this request was sent to."
        return error_for(request, 400, "IllegalLocationConstraintException", said)
    return None


def _default_key(bucket: Any) -> str:
    rule = (bucket.encryption or {}).get("Rule", {}).get("ApplyServerSideEncryptionByDefault", {})
    return str(rule.get("KMSMasterKeyID", "")) if rule.get("SSEAlgorithm") == "aws:kms" else ""


def _may_encrypt(role: str, key: str) -> bool:
    """A multipart upload needs both: https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuAndPermissions.html"""
    policies = iam_backends[ACCOUNT]["aws"].get_role(role).policies
    allowed = {
        action
        for document in policies.values()
        for statement in json.loads(document)["Statement"]
        if statement["Effect"] == "Allow" and (statement["Resource"] == "*" or statement["Resource"].endswith(key))
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }
    return {"kms:Decrypt", "kms:GenerateDataKey"} <= allowed
