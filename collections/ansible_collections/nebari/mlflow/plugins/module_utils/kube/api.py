# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""JSON requests to the Kubernetes API, retried while the failure is transient."""

from __future__ import annotations

import json
import random
import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode

import urllib3

from .errors import NotFoundError, from_exception, from_response, is_answer, is_transient
from .kubeconfig import load

if TYPE_CHECKING:
    from collections.abc import Mapping

Json = dict[str, Any]

STRATEGIC = "application/strategic-merge-patch+json"
MERGE = "application/merge-patch+json"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
CONNECT_TIMEOUT = 10.0  # seconds
READ_TIMEOUT = 60.0  # seconds between two bytes
RETRY_FOR = 60.0  # seconds
LONGEST_PAUSE = 8.0  # seconds
ERRORS = 400


class Api:
    """One connection to one cluster, usable from several threads."""

    def __init__(self, kubeconfig: str, context: str) -> None:
        self._connection = load(kubeconfig, context)
        self.server = self._connection.server
        self._skew = timedelta()
        self._reached = False

    def now(self) -> datetime:
        """Return the API server's time, to a second: the only clock that all deployers of a release share."""
        return datetime.now(UTC) + self._skew

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: object = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Json:
        """Send one request. Raise ApiError for an error status, ReleaseError when the server is not reached.

        A create whose answer was lost is sent again, so it may meet its own object (409).
        """
        return cast("Json", json.loads(self._send(method, path, query, body, content_type, accept) or b"{}"))

    def text(self, path: str, query: Mapping[str, Any]) -> str:
        """Read a body that is not JSON, such as a container's log."""
        return self._send("GET", path, query, None, "application/json", "*/*").decode("utf-8", "replace")

    def find(self, path: str) -> Json | None:
        """Read one object; None when there is none."""
        try:
            return self.request("GET", path)
        except NotFoundError:
            return None

    def delete(self, path: str, propagation: str = "Background", body: Json | None = None) -> bool:
        """Delete one object; False when there was none."""
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": propagation, **(body or {})}
        try:
            self.request("DELETE", path, body=options)
        except NotFoundError:
            return False
        return True

    def attempt(self, path: str, headers: Mapping[str, str], timeout: float) -> tuple[int, Mapping[str, str], bytes]:
        """Send one GET and return whatever answers, redirects too. Raise urllib3's HTTPError without an answer."""
        given = urllib3.HTTPHeaderDict({"User-Agent": "nebari-mlflow", **headers})
        self._connection.authorize(given)
        response = self._connection.pool.request(
            "GET",
            f"{self.server}{path}",
            headers=given,
            retries=False,
            redirect=False,
            timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT, read=timeout),
        )
        return response.status, response.headers, response.data

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None,
        body: object,
        content_type: str,
        accept: str,
    ) -> bytes:
        url = f"{self.server}{path}" + (f"?{urlencode(query)}" if query else "")
        payload = None if body is None else json.dumps(body)
        give_up = time.monotonic() + RETRY_FOR
        pause = 0.25
        while True:
            headers = urllib3.HTTPHeaderDict(
                {"Accept": accept, "Content-Type": content_type, "User-Agent": "nebari-mlflow"}
            )
            self._connection.authorize(headers)
            wait = random.uniform(0, pause)  # noqa: S311 (jitter)
            try:
                response = self._connection.pool.request(
                    method,
                    url,
                    body=payload,
                    headers=headers,
                    retries=False,
                    timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT, read=READ_TIMEOUT),
                )
            except urllib3.exceptions.HTTPError as error:
                self._reached |= is_answer(error)
                if not self._reached or time.monotonic() > give_up:
                    raise from_exception(error, self.server) from error
            else:
                self._heard(response.headers)
                if response.status < ERRORS:
                    return cast("bytes", response.data)
                if not is_transient(response.status, response.data) or time.monotonic() > give_up:
                    raise from_response(method, path, response.status, response.data)
                wait = max(wait, float(response.headers.get("Retry-After") or 0))
            time.sleep(min(wait, LONGEST_PAUSE))
            pause = min(pause * 2, LONGEST_PAUSE)

    def _heard(self, headers: Mapping[str, str]) -> None:
        self._reached = True
        if "Date" in headers:
            there = parsedate_to_datetime(headers["Date"])
            if abs(there - self.now()) > timedelta(seconds=1.5):
                self._skew = there - datetime.now(UTC)
