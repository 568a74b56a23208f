# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""One account and region of AWS: calls that say which permission they lack."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection, Mapping
from typing import Any

try:
    import boto3
    import botocore.session
    from botocore import exceptions
    from botocore.config import Config

    MISSING: ImportError | None = None
except ImportError as error:
    MISSING = error

from ..cloud.errors import CloudError, library_missing, not_permitted, option, text_of
from ..cloud.retry import until
from ..supervise.progress import Progress
from .credentials import chosen, region

# What else a moment's patience solves; 5xx and lost connections are botocore's own to repeat.
TRANSIENT = {
    "OperationAborted",
    "ConcurrentModification",
    "ConcurrentModificationException",
    "ConditionalRequestConflict",
}
# Too many calls: nothing was done, so even what is sent once may be sent again. botocore gives up after half a minute.
THROTTLED = {
    "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestThrottledException",
    "RequestLimitExceeded", "TooManyRequests", "TooManyRequestsException", "SlowDown", "EC2ThrottledException",
    "BandwidthLimitExceeded", "429",
}  # fmt: skip
# What a change is told about an object that was made a moment ago, which is not known everywhere yet.
NOT_YET = {"NoSuchBucket", "NoSuchEntity", "NotFoundException"}
CHANGES = ("put_", "create_alias", "enable_key", "tag_role", "update_assume_role_policy")
ROLE_NOT_YET = "Role provided in the request does not exist"  # EKS, with a code that says nothing
REFUSED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403", "Forbidden", "AllAccessDisabled"}
EXPIRED = {
    "ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "InvalidAccessKeyId", "SignatureDoesNotMatch",
    "UnrecognizedClientException", "AuthFailure", "TokenRefreshRequired",
}  # fmt: skip
PATIENCE = 60.0  # seconds
# Operations of S3 whose permission has another name.
PERMISSIONS = {
    "s3:PutBucketEncryption": "s3:PutEncryptionConfiguration",
    "s3:GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "s3:PutPublicAccessBlock": "s3:PutBucketPublicAccessBlock",
    "s3:GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
    "s3:ListObjectVersions": "s3:ListBucketVersions",
    "s3:DeleteObjects": "s3:DeleteObjectVersion",
    "s3:ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "iam:GetOpenIdConnectProvider": "iam:GetOpenIDConnectProvider",
}
REGION = option("region", "mlflow_aws_region")
CLUSTER = option("cluster_name", "mlflow_aws_cluster_name")
TAKEN = "If the name is another account's, use another project name: bucket names are global."
HOW_TO_CONFIGURE = "Give it the parameters of botocore.config.Config."
HOW_TO_LOG_IN = "Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN)."


class Aws:
    """Clients for one region, and the account that the credentials belong to."""

    def __init__(self, params: Mapping[str, Any], progress: Progress) -> None:
        if MISSING is not None:
            raise library_missing("aws", sys.executable, MISSING)
        self.progress = progress
        self._params = params
        self._clients: dict[tuple[str, bool], Any] = {}
        self._session = self._log_in(region(params, os.environ))
        self.region: str = self._session.region_name or ""
        if not self.region:
            raise CloudError("No region of AWS is given.", f"Give {REGION}, or set AWS_REGION.")
        identity = self.call("sts", "get_caller_identity")
        self.account: str = identity["Account"]
        self.partition: str = identity["Arn"].split(":")[1]

    def client(self, service: str, once: bool = False) -> Any:
        """Return a client; with `once` nothing is sent a second time by itself."""
        if (service, once) not in self._clients:
            config = Config(
                retries={"mode": "standard", "total_max_attempts": 1 if once else 6},
                connect_timeout=10,
                read_timeout=60,
            )
            secure = self._params.get("validate_certs", True)
            self._clients[service, once] = self._session.client(
                service,
                config=_configured(self._params.get("aws_config"), config),
                endpoint_url=self._params.get("endpoint_url"),
                verify=(self._params.get("aws_ca_bundle") or None) if secure else False,
            )
        return self._clients[service, once]

    def _log_in(self, where: str) -> Any:
        """Return a session of the one credential that is named, or of what boto3 finds."""
        found = chosen(self._params, os.environ)
        names = {"access_key": "aws_access_key_id", "secret_key": "aws_secret_access_key"}
        keys = {names.get(name, "aws_session_token"): value for name, value in found.keys.items()}
        try:
            # With keys, a profile that the environment names is not even looked for.
            bare = botocore.session.Session(session_vars={"profile": (None, None, None, None)}) if keys else None
            return boto3.session.Session(
                region_name=where or None, profile_name=found.profile, botocore_session=bare, **keys
            )
        except exceptions.BotoCoreError as error:
            raise _unreachable(error, "log in", where) from error

    def call(
        self, service: str, operation: str, *, absent: Collection[str] = (), once: bool = False, settle: float = 0.0,
        **parameters: Any
    ) -> Any:  # fmt: skip
        """Return the answer, None for an error code in `absent`, or raise a CloudError that says what to do.

        For `settle` seconds a refusal may only mean that a new object is not known everywhere.
        """
        name = "".join(part.capitalize() for part in operation.split("_"))
        what = f"{service}:{name}"
        target = next((str(value) for key, value in parameters.items() if key != "ExpectedBucketOwner"), self.region)

        passing = TRANSIENT | THROTTLED | (REFUSED if settle else set())
        passing |= NOT_YET if operation.startswith(CHANGES) else set()

        def send() -> Any:
            return getattr(self.client(service, once), operation)(**parameters)

        def again(error: Exception) -> bool:
            return code_of(error) in passing or ROLE_NOT_YET in str(error)

        try:
            return until(send, again, self.progress, f"{what} on {target}", max(PATIENCE, settle))
        except exceptions.ClientError as error:
            if code_of(error) in absent:
                return None
            raise _explained(error, what, target) from error
        except exceptions.BotoCoreError as error:
            raise _unreachable(error, what, self.region) from error


def _configured(given: Mapping[str, Any] | None, ours: Any) -> Any:
    """Return a client's configuration with what the option `aws_config` adds; our retries stay."""
    try:
        return Config(**given).merge(ours) if given else ours
    except (TypeError, ValueError, exceptions.BotoCoreError) as error:
        said = f"aws_config is not a configuration of botocore: {text_of(error)}."
        raise CloudError(said, HOW_TO_CONFIGURE) from error


def code_of(error: BaseException) -> str:
    """Return the error code that AWS answered with, "" for any other failure."""
    return str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))


def _explained(error: Any, what: str, target: str) -> CloudError:
    code, said = code_of(error), str(error.response["Error"].get("Message", "")).rstrip(".")
    if code in REFUSED:
        named = re.search(r"perform: ([\w-]+:\w+)", said)
        permission = named.group(1) if named else PERMISSIONS.get(what, what)
        return not_permitted("AWS", target, permission, said or code)
    if code in EXPIRED:
        return CloudError(
            f"AWS does not accept the credentials: {code}: {said}.",
            f"Renew them. {HOW_TO_LOG_IN} A region that the account has not enabled refuses good ones too.",
        )
    if code == "ResourceNotFoundException" and what.startswith("eks:"):
        return CloudError(f"{said}.", f"Give {CLUSTER} as in: aws eks list-clusters")
    if code == "BucketAlreadyExists":
        return CloudError(f"S3 bucket {target} cannot be created: {said}.", TAKEN)
    return CloudError(f"{what} on {target} failed: {code}: {said}.", "Run it again; it resumes where it stopped.")


def _unreachable(error: Exception, what: str, region: str) -> CloudError:
    if isinstance(error, exceptions.NoCredentialsError | exceptions.PartialCredentialsError):
        return CloudError(f"No complete AWS credentials were found: {text_of(error)}.", HOW_TO_LOG_IN)
    if isinstance(error, exceptions.TokenRetrievalError | exceptions.SSOError | exceptions.CredentialRetrievalError):
        return CloudError(
            f"AWS credentials could not be obtained: {text_of(error)}.", "Log in again, for example: aws sso login"
        )
    if isinstance(error, exceptions.ProfileNotFound):
        return CloudError(f"{text_of(error)}.", HOW_TO_LOG_IN)
    return CloudError(
        f"{what}: AWS did not answer in region {region!r}: {text_of(error)}.",
        f"Check that {REGION} is a region of AWS that your account has enabled, and check the network and the proxy.",
    )
