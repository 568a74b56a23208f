# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""One project of Google Cloud: JSON calls that say which permission they lack."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Collection, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

try:
    import google.auth
    import google.auth.compute_engine
    import google.auth.exceptions
    import google.oauth2.credentials
    import google.oauth2.service_account
    import requests
    from google.auth.transport.requests import AuthorizedSession

    MISSING: ImportError | None = None
except ImportError as error:
    MISSING = error

from ..cloud.errors import CloudError, library_missing, not_permitted, text_of
from ..cloud.retry import until
from ..supervise.progress import Progress

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
STORAGE = "https://storage.googleapis.com/storage/v1"
IAM = "https://iam.googleapis.com/v1"
PROJECTS = "https://cloudresourcemanager.googleapis.com/v3/projects"
# Nebari's name first, then those of the collection google.cloud; each is a key or the path of its file.
KEYS = ("GOOGLE_CREDENTIALS", "GCP_SERVICE_ACCOUNT_CONTENTS", "GCP_SERVICE_ACCOUNT_FILE")
KINDS = ("application", "machineaccount", "serviceaccount", "accesstoken")  # as google.cloud's auth_kind
TRANSIENT = {408, 429, 500, 502, 503, 504}
PATIENCE = 120.0
TIMEOUT = (10, 60)  # seconds to connect, and between two bytes of an answer
WRONG_PROJECT = "Give mlflow_gcp_project as in the first column of: gcloud projects list"
HOW_TO_LOG_IN = (
    "Set GOOGLE_CREDENTIALS to a service account's key or its file, or run: gcloud auth application-default login"
)


class ApiError(Exception):
    """An error status of Google's; `said` are its own words."""

    def __init__(self, status: int, said: str) -> None:
        self.status = status
        self.said = said
        super().__init__(f"{status}: {said}")


class Gcp:
    """A session with one project."""

    def __init__(self, project: str, progress: Progress, number: str = "") -> None:
        """Log in. The project's `number` is read from Google if it is not given."""
        if MISSING is not None:
            raise library_missing("gcp", sys.executable, MISSING)
        self.project = project
        self.progress = progress
        self._number = number
        try:
            self._session = AuthorizedSession(_credentials(os.environ), refresh_timeout=60)
        except (google.auth.exceptions.GoogleAuthError, ValueError, OSError) as error:
            raise CloudError(f"No usable Google credentials were found: {text_of(error)}.", HOW_TO_LOG_IN) from error

    def call(
        self,
        method: str,
        url: str,
        permission: str,
        *,
        body: Any = None,
        query: dict[str, str] | None = None,
        absent: Collection[int] = (),
        raw: Collection[int] = (),
    ) -> Any:
        """Return the answer, None for a status in `absent`, or raise.

        A status in `raw` is an ApiError for the caller to handle, any other a CloudError that says what to do.
        """
        what = re.sub("^.*?/v[0-9]+/", "", url)
        try:
            return until(
                lambda: self._send(method, url, body, query),
                lambda e: (
                    isinstance(e, requests.ConnectionError | requests.Timeout)
                    or (isinstance(e, ApiError) and e.status in TRANSIENT)
                ),
                self.progress,
                f"{method} {what}",
                PATIENCE if method != "POST" else PATIENCE / 2,
            )
        except ApiError as error:
            if error.status in absent:
                return None
            if error.status in raw:
                raise
            raise explained(error, what, permission) from error
        except google.auth.exceptions.GoogleAuthError as error:
            raise CloudError(f"Google does not accept the credentials: {text_of(error)}.", HOW_TO_LOG_IN) from error
        except requests.RequestException as error:
            raise CloudError(
                f"{method} {what}: Google did not answer: {text_of(error)}.", "Check the network, the proxy and its CA."
            ) from error

    @cached_property
    def number(self) -> str:
        """The project's number, which Google writes where people write its id. A wrong id is found here."""
        if self._number:
            return self._number
        permission = "resourcemanager.projects.get"
        try:
            name: str = self.call("GET", f"{PROJECTS}/{self.project}", permission, raw=(403, 404))["name"]
        except ApiError as error:
            refused = explained(error, f"projects/{self.project}", permission)
            raise CloudError(refused.cause, f"{refused.fix} {WRONG_PROJECT}") from error
        return name.rpartition("/")[2]

    def _send(self, method: str, url: str, body: Any, query: dict[str, str] | None) -> Any:
        response = self._session.request(method, url, params=query, json=body, timeout=TIMEOUT)
        if response.status_code >= 400:
            raise ApiError(response.status_code, _said(response.text))
        return response.json() if response.content else {}


def _credentials(environ: Mapping[str, str]) -> Any:
    """Return the credentials of the kind GCP_AUTH_KIND, else a token, a key, or the application default ones."""
    kind = environ.get("GCP_AUTH_KIND", "")
    if kind not in ("", *KINDS):
        raise ValueError(f"GCP_AUTH_KIND is {kind!r}, which is none of {', '.join(KINDS)}")
    if kind in ("", "accesstoken"):
        token = environ.get("GCP_ACCESS_TOKEN") or environ.get("GOOGLE_OAUTH_ACCESS_TOKEN")
        if token:
            return google.oauth2.credentials.Credentials(token)
    if kind in ("", "serviceaccount"):
        given = next((name for name in KEYS if environ.get(name)), "")
        if given:
            return google.oauth2.service_account.Credentials.from_service_account_info(
                _key(given, environ[given]), scopes=SCOPES
            )
    if kind == "machineaccount":
        return google.auth.compute_engine.Credentials(environ.get("GCP_SERVICE_ACCOUNT_EMAIL") or "default")
    if kind in ("accesstoken", "serviceaccount"):
        wanted = "GCP_ACCESS_TOKEN" if kind == "accesstoken" else " or ".join(KEYS)
        raise ValueError(f"GCP_AUTH_KIND is {kind!r}, and {wanted} is not set")
    return google.auth.default(scopes=SCOPES)[0]


def _key(name: str, given: str) -> Any:
    """Return a service account's key from its text or its file. An error never repeats what was given."""
    text = given
    if not given.lstrip().startswith("{"):
        try:
            text = Path(given).expanduser().read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            said = getattr(error, "strerror", None) or type(error).__name__
            raise ValueError(
                f"{name} is neither a key in JSON nor the path of a file that can be read ({said})"
            ) from None
    try:
        return json.loads(text)
    except ValueError:
        raise ValueError(f"{name} is not a service account's key in JSON") from None


def _said(text: str) -> str:
    try:
        error = json.loads(text)["error"]
        return str(error["message"] if isinstance(error, dict) else error)
    except (ValueError, KeyError, TypeError):
        return " ".join(text.split())[:300]


def explained(error: ApiError, what: str, permission: str) -> CloudError:
    said = error.said.rstrip(".")
    if error.status == 401:
        return CloudError(f"Google does not accept the credentials: {said}.", HOW_TO_LOG_IN)
    disabled = re.search(r"apis/api/([a-z.]+)/", said)
    if error.status == 403 and disabled:
        return CloudError(f"{what}: {said}.", f"gcloud services enable {disabled.group(1)}, and wait a minute.")
    if error.status == 403:
        # An account's own address looks like a permission of IAM.
        named = re.search(r"\b((?:storage|iam|resourcemanager)\.(?!gserviceaccount)[a-zA-Z]+\.[a-zA-Z]+)\b", said)
        if named or "ermission" in said:
            return not_permitted("Google Cloud", what, named.group(1) if named else permission, said)
    if "Unknown project" in said:
        return CloudError(f"{said}.", WRONG_PROJECT)
    if "Identity Pool does not exist" in said:
        return CloudError(
            f"{what}: {said}.",
            "Turn workload identity on: gcloud container clusters update NAME --workload-pool=PROJECT.svc.id.goog. "
            "A cluster of another project's pool wants mlflow_gcp_workload_pool.",
        )
    fix = "Remove that cause, and run it again: it goes on where it stopped."
    return CloudError(f"{what} failed: {text_of(error)}.", fix)
