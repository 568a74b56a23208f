# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""One subscription of Azure: calls to the Resource Manager that say which permission they lack.

The pipeline (tokens, retries with Retry-After, long operations) is azure-core's, under every SDK of Azure.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

try:
    from azure.core import PipelineClient
    from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError
    from azure.core.pipeline.policies import BearerTokenCredentialPolicy, RequestIdPolicy, RetryPolicy
    from azure.core.polling import LROPoller
    from azure.core.rest import HttpRequest
    from azure.identity import (
        AzureCliCredential,
        CertificateCredential,
        ClientSecretCredential,
        CredentialUnavailableError,
        DefaultAzureCredential,
        ManagedIdentityCredential,
        WorkloadIdentityCredential,
    )
    from azure.mgmt.core import ARMPipelineClient
    from azure.mgmt.core.polling.arm_polling import ARMPolling

    MISSING: ImportError | None = None
except ImportError as error:
    MISSING = error

from ..cloud.errors import CloudError, library_missing, not_permitted, option, text_of
from ..cloud.retry import until
from ..supervise.progress import Progress
from . import environment
from .credentials import HOW_TO_LOG_IN, Chosen, chosen

STORAGE, STORAGE_VERSION = "https://storage.azure.com/.default", "2023-11-03"  # one scope in all clouds
PATIENCE = 600.0  # a new principal may be unknown for so many seconds
POLLING = 5  # seconds between two looks at a long operation that names no Retry-After
# What only time solves, beside what the pipeline repeats itself.
PASSING = {
    "PrincipalNotFound",
    "ConcurrentFederatedIdentityCredentialsWritesForSingleManagedIdentity",
    "StorageAccountOperationInProgress",
    "AnotherOperationInProgress",
    "ContainerBeingDeleted",
    "RetryableError",
}
# What a write is told about an object that was made a moment ago: Azure's front doors hear of it one by one.
NOT_YET = {"ParentResourceNotFound", "ResourceNotFound", "ResourceGroupNotFound"}
SUBSCRIPTION = option("subscription_id", "mlflow_azure_subscription_id")
WRONG_SUBSCRIPTION = ("SubscriptionNotFound", "InvalidSubscriptionId", "MissingSubscription")
# What the pipeline repeats only with a Retry-After, or only for other methods.
THROTTLED, BROKEN = 429, {408, 502}


class ArmError(Exception):
    """An error of the Resource Manager's, by its code."""

    def __init__(self, status: int, code: str, said: str) -> None:
        self.status = status
        self.code = code
        self.said = said
        super().__init__(f"{code}: {said}")


class Closed(Exception):
    """The network rules of a storage account refuse this machine."""


class Azure:
    """Azure Resource Manager, in the cloud and subscription that the options or the environment name.

    Raises CloudError without libraries, subscription or credentials.
    """

    def __init__(self, params: Mapping[str, Any], progress: Progress) -> None:
        if MISSING is not None:
            raise library_missing("azure", sys.executable, MISSING)
        found = chosen(params, os.environ, Path.home())
        self.environment = environment.named(found.cloud)
        self.subscription_id = found.subscription
        if not self.subscription_id:
            raise CloudError(
                "No subscription is given.",
                f"Give {SUBSCRIPTION} or set ARM_SUBSCRIPTION_ID, as in: az account list --query '[].id'",
            )
        self.subscription = f"/subscriptions/{self.subscription_id}"
        self.progress = progress
        try:
            self._credential = _credential(found, os.environ.get("AZURE_AUTHORITY_HOST") or self.environment.authority)
        except (ValueError, OSError) as error:
            raise CloudError(f"No usable Azure credentials were found: {text_of(error)}.", HOW_TO_LOG_IN) from error
        manager, scope = self.environment.manager, self.environment.scope
        self._client = ARMPipelineClient(base_url=manager, policies=self._policies(scope))

    def _policies(self, scope: str) -> list[Any]:
        token = BearerTokenCredentialPolicy(self._credential, scope)
        return [RequestIdPolicy(), RetryPolicy(retry_total=6), token]

    def data(self, url: str, query: dict[str, str], permission: str) -> bytes | None:
        """Return what the storage service answers, None for what does not exist; raise Closed or a CloudError."""
        name = url.removeprefix("https://")
        client = PipelineClient(base_url=url, policies=self._policies(STORAGE))

        def send() -> bytes:
            response = client.send_request(
                HttpRequest("GET", url, params=query, headers={"x-ms-version": STORAGE_VERSION})
            )
            if response.status_code >= 400:
                code = response.headers.get("x-ms-error-code", str(response.status_code))
                raise ArmError(response.status_code, code, response.reason or "")
            content: bytes = response.content
            return content

        try:
            return until(send, lambda e: _is_throttled(e, "GET"), self.progress, f"GET {name}", PATIENCE)
        except ClientAuthenticationError as error:
            raise _not_logged_in(error) from error
        except AzureError as error:
            # A private account's name leads nowhere from outside.
            raise Closed(f"{name}: Azure did not answer: {text_of(error)[:500]}") from error
        except ArmError as error:
            if error.status == 404:
                return None
            if error.status == 403 and error.code == "AuthorizationFailure":
                raise Closed(f"{name}: the network rules do not let this machine in") from error
            if error.status == 403:
                said = f"{error.code}, of which a new role assignment takes minutes"
                raise not_permitted("Azure", name, permission, said) from error
            raise CloudError(f"{name}: {error.code}.", "Run it again; it resumes where it stopped.") from error

    def get(self, path: str, version: str, permission: str, **query: str) -> dict[str, Any] | None:
        """Return a resource, None when it does not exist. A refusal is never taken for that. Raises CloudError."""
        try:
            found: dict[str, Any] = self._call("GET", path, version, None, query)
        except ArmError as error:
            if _is_absent(error):
                return None
            raise _explained(error, self._name(path), permission) from error
        return found

    def entries(self, path: str, version: str, permission: str, **query: str) -> list[dict[str, Any]]:
        """Return all entries of a list, [] when there is none; a page may be empty and still have a next one."""
        page = self.get(path, version, permission, **query)
        found: list[dict[str, Any]] = []
        while page is not None:
            found += page["value"]
            following = urlsplit(page.get("nextLink") or "")
            if not following.path:
                break
            query = dict(parse_qsl(following.query))
            page = self.get(unquote(following.path), query.pop("api-version"), permission, **query)
        return found

    def call(
        self, method: str, path: str, version: str, permission: str, body: Any = None, absent: Collection[str] = (),
        **query: str
    ) -> Any:  # fmt: skip
        """Return the answer when the operation has ended, None for an error code in `absent`, or raise a CloudError."""
        try:
            return self._call(method, path, version, body, query)
        except ArmError as error:
            if error.code in absent:
                return None
            raise _explained(error, self._name(path), permission) from error

    def _name(self, path: str) -> str:
        return path.removeprefix(f"{self.subscription}/")

    def _call(self, method: str, path: str, version: str, body: Any, query: dict[str, str]) -> Any:
        """Return the answer, or raise an ArmError for the caller to understand, or a CloudError."""
        name = self._name(path)
        passing = PASSING | (NOT_YET if method == "PUT" else set())
        try:
            return until(
                lambda: self._send(method, path, version, body, query),
                lambda e: (isinstance(e, ArmError) and e.code in passing) or _is_throttled(e, method),
                self.progress,
                f"{method} {name}",
                PATIENCE,
            )
        except ClientAuthenticationError as error:
            raise _not_logged_in(error) from error
        except AzureError as error:
            raise CloudError(
                f"{method} {name}: Azure did not answer: {text_of(error)[:500]}.",
                "Check the network, the proxy and its CA.",
            ) from error

    def _send(self, method: str, path: str, version: str, body: Any, query: dict[str, str]) -> Any:
        url = f"{self.environment.manager}{path}"
        request = HttpRequest(method, url, params={"api-version": version, **query}, json=body)
        answered = self._client.send_request(request, _return_pipeline_response=True)
        response = answered.http_response
        if response.status_code >= 400:
            raise _error(response)
        # A 201 alone is no long operation: to look at the object again would meet a front door that does not know it.
        if response.status_code == 202 or "Azure-AsyncOperation" in response.headers:
            return self._wait(answered, path)
        return response.json() if response.content else {}

    def _wait(self, answered: Any, path: str) -> Any:
        """Follow Azure-AsyncOperation or Location to its end; an operation without either has ended already."""
        poller = LROPoller(self._client, answered, lambda result: result, ARMPolling(POLLING))
        try:
            while not poller.done():
                self.progress.say(f"waiting for {path.rpartition('/')[2]}", poller.status())
                poller.wait(POLLING)
            final = poller.result()  # None without a body
        except ClientAuthenticationError:
            raise
        except HttpResponseError as error:
            # It was accepted, and failed.
            told = error.error
            said = (told.message if told else "") or text_of(error)
            raise ArmError(error.status_code or 0, (told.code if told else "") or "Failed", said) from error
        return final.http_response.json() if final and final.http_response.content else {}


def _credential(found: Chosen, authority: str) -> Any:
    """Return what azure-identity makes of the chosen credentials."""
    values = found.values
    tenant, client = values.get("tenant", ""), values.get("client_id", "")
    if found.kind == "secret":
        return ClientSecretCredential(tenant, client, values["secret"], authority=authority)
    if found.kind == "certificate":
        password = values.get("certificate_password") or None
        return CertificateCredential(
            tenant, client, values["x509_certificate_path"], password=password, authority=authority
        )
    if found.kind == "token":
        return WorkloadIdentityCredential(
            tenant_id=tenant, client_id=client, token_file_path=values["token_file"], authority=authority
        )
    if found.kind == "cli":
        return AzureCliCredential()
    if found.kind == "identity":
        return ManagedIdentityCredential(**({"client_id": client} if client else {}))
    return DefaultAzureCredential(exclude_interactive_browser_credential=True, authority=authority)


def _is_throttled(error: Exception, method: str) -> bool:
    """Check for too many calls, and for what the pipeline does not repeat for this method."""
    if not isinstance(error, ArmError):
        return False
    return error.status == THROTTLED or (error.status in BROKEN and method in ("POST", "PATCH"))


def _not_logged_in(error: Exception) -> CloudError:
    said = text_of(error)[:500]
    found_none = isinstance(error, CredentialUnavailableError) or said.startswith("DefaultAzureCredential")
    what = "No usable Azure credentials were found" if found_none else "Azure does not accept the credentials"
    return CloudError(f"{what}: {said}.", HOW_TO_LOG_IN)


def _error(response: Any) -> ArmError:
    try:
        error = response.json().get("error", {})
    except ValueError:
        error = {}
    return ArmError(
        response.status_code, error.get("code", str(response.status_code)), error.get("message", response.reason)
    )


def _is_absent(error: ArmError) -> bool:
    """Each provider has its own word for it: ContainerNotFound, RoleAssignmentNotFound, NotFound."""
    if error.code == "FeatureNotSupportedForAccount":  # a blob-only account has no file shares
        return True
    return error.status == 404 and error.code.endswith("NotFound") and error.code not in WRONG_SUBSCRIPTION


def _explained(error: ArmError, name: str, permission: str) -> CloudError:
    said = error.said.rstrip(".")
    if error.status == 401:
        return CloudError(f"Azure does not accept the credentials: {said}.", HOW_TO_LOG_IN)
    if error.code in WRONG_SUBSCRIPTION:
        return CloudError(f"{said}.", f"Give {SUBSCRIPTION} as in: az account list --query '[].id'")
    if error.code == "RequestDisallowedByPolicy":
        return CloudError(
            f"{name}: a policy of the subscription forbids it: {said}.", "Do as it says, or ask its owner."
        )
    if error.code == "ScopeLocked":
        return CloudError(f"{name}: {said}.", "Remove the lock, and put it back afterwards: az lock list")
    if error.status == 403:
        # With LinkedAuthorizationFailed the first action is the one that is permitted.
        named = re.findall(r"perform action '([^']+)'", said)
        return not_permitted("Azure", name, named[-1] if named else permission, said)
    if error.code == "MissingSubscriptionRegistration":
        space = re.search(r"Microsoft\.\w+", said)
        return CloudError(f"{said}.", f"az provider register --wait --namespace {space.group() if space else ''}")
    if error.code == "LocationNotAvailableForResourceType":
        given = option("location", "mlflow_azure_location")
        return CloudError(f"{said}.", f"Give {given} as in: az account list-locations --query '[].name'")
    return CloudError(f"{name}: {error.code}: {said}.", "Run it again; it resumes where it stopped.")
