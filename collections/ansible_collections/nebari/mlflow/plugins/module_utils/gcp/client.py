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

from ..cloud.errors import CloudError, library_missing, not_permitted, option, text_of
from ..cloud.retry import until
from ..supervise.progress import Progress
from .credentials import Chosen, chosen, universe

STORAGE = "https://storage.googleapis.com/storage/v1"
IAM = "https://iam.googleapis.com/v1"
PROJECTS = "https://cloudresourcemanager.googleapis.com/v3/projects"
TRANSIENT = {408, 429, 500, 502, 503, 504}
# Quotas of some services answer 403. https://cloud.google.com/storage/docs/json_api/v1/status-codes
THROTTLED = ("rateLimitExceeded", "userRateLimitExceeded")
PATIENCE = 120.0  # seconds
TIMEOUT = (10, 60)  # seconds to connect, and between two bytes of an answer
WRONG_PROJECT = f"Give {option('cloud_project', 'mlflow_gcp_project')} as in the first column of: gcloud projects list"
HOW_TO_LOG_IN = (
    "Set GOOGLE_CREDENTIALS to a service account's key or its file, or run: gcloud auth application-default login"
)


class GoogleError(Exception):
    """An error status of Google's; `said` are its own words."""

    def __init__(self, status: int, said: str, reason: str = "") -> None:
        self.status = status
        self.said = said
        self.reason = reason
        super().__init__(f"{status}: {said}")

    @property
    def is_passing(self) -> bool:
        """Say if the same call may succeed a moment later."""
        return self.status in TRANSIENT or self.reason in THROTTLED


class Gcp:
    """A session with one project."""

    def __init__(self, params: Mapping[str, Any], progress: Progress) -> None:
        """Log in. The project's number is read from Google if it is not given."""
        if MISSING is not None:
            raise library_missing("gcp", sys.executable, MISSING)
        self.project: str = params["cloud_project"]
        self.progress = progress
        self._number: str = params.get("project_number") or ""
        try:
            credentials = _credentials(chosen(params, os.environ))
            # Older releases of google-auth know one universe only.
            self.universe = universe(os.environ, getattr(credentials, "universe_domain", ""))
            self._session = AuthorizedSession(credentials, refresh_timeout=60)
        except (google.auth.exceptions.GoogleAuthError, ValueError, OSError) as error:
            raise CloudError(f"No usable Google credentials were found: {text_of(error)}.", HOW_TO_LOG_IN) from error
        of_play = params.get("env_type") or os.environ.get("GCP_ENV_TYPE")
        self._headers = {"User-Agent": "nebari-mlflow" + (f"-{of_play}" if of_play else "")}

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

        A status in `raw` is an GoogleError for the caller to handle, any other a CloudError that says what to do.
        """
        what = re.sub("^.*?/v[0-9]+/", "", url)
        try:
            return until(
                lambda: self._send(method, url, body, query),
                _is_passing,
                self.progress,
                f"{method} {what}",
                PATIENCE if method != "POST" else PATIENCE / 2,
            )
        except GoogleError as error:
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
        """Return the project's number, which Google uses instead of the id. A wrong id shows here.

        Raises CloudError.
        """
        if self._number:
            return self._number
        permission = "resourcemanager.projects.get"
        try:
            name: str = self.call("GET", f"{PROJECTS}/{self.project}", permission, raw=(403, 404))["name"]
        except GoogleError as error:
            refused = explained(error, f"projects/{self.project}", permission)
            raise CloudError(refused.cause, f"{refused.fix} {WRONG_PROJECT}") from error
        return name.rpartition("/")[2]

    def _send(self, method: str, url: str, body: Any, query: dict[str, str] | None) -> Any:
        url = url.replace("googleapis.com", self.universe, 1)
        response = self._session.request(method, url, params=query, json=body, timeout=TIMEOUT, headers=self._headers)
        if response.status_code >= 400:
            raise GoogleError(response.status_code, *_said(response.text))
        return response.json() if response.content else {}


def _credentials(chosen: Chosen) -> Any:
    """Return what google-auth makes of the chosen credentials."""
    if chosen.kind == "accesstoken":
        return google.oauth2.credentials.Credentials(chosen.value, scopes=chosen.scopes)
    if chosen.kind == "serviceaccount":
        return google.oauth2.service_account.Credentials.from_service_account_info(chosen.value, scopes=chosen.scopes)
    if chosen.kind == "machineaccount":
        return google.auth.compute_engine.Credentials(chosen.value or "default")
    return google.auth.default(scopes=chosen.scopes)[0]


def _is_passing(error: Exception) -> bool:
    """Check for what only time solves: a lost connection, a busy service or a quota, also where tokens come from."""
    if isinstance(error, GoogleError):
        return error.is_passing
    return isinstance(error, requests.ConnectionError | requests.Timeout) or getattr(error, "retryable", False)


def _said(text: str) -> tuple[str, str]:
    """Return Google's words, and the reason that it names."""
    try:
        error = json.loads(text)["error"]
        if not isinstance(error, dict):
            return str(error), ""
        reasons = [str(each.get("reason", "")) for each in error.get("errors", [])]
        return str(error["message"]), next(iter(reasons), "")
    except (ValueError, KeyError, TypeError):
        return " ".join(text.split())[:300], ""


def explained(error: GoogleError, what: str, permission: str) -> CloudError:
    """Return the error that a person can act on; `what` is the object, `permission` the one that was needed."""
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
            f"A cluster in another project's pool needs {option('workload_pool', 'mlflow_gcp_workload_pool')}.",
        )
    fix = "Remove that cause and run it again; it resumes where it stopped."
    return CloudError(f"{what} failed: {text_of(error)}.", fix)
