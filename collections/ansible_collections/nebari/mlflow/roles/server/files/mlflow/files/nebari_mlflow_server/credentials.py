"""Check a credential with whoever issued it.

JupyterHub knows its tokens, the platform's login knows the browser's cookies, and Kubernetes knows the tokens of
service accounts; `openid` checks those of an OpenID provider. The server keeps no passwords.
Every function blocks and is called in a thread.
"""

from __future__ import annotations

import functools
import hmac
import importlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from nebari_mlflow_server.people import Person, RefusedError, UnavailableError

TIMEOUT_SECONDS = 5.0
SERVICE = "nebari-mlflow"
"""Name of the deployment's own pods, such as the smoke test's."""

API_TOKEN = Path("/mlflow/kubernetes/token")
API_AUTHORITY = Path("/mlflow/kubernetes/ca.crt")

_OK = 200
_REFUSED = frozenset({401, 403})
_NOT_FOUND = 404


@dataclass(frozen=True)
class Answer:
    """What a server answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cookies: tuple[str, ...] = ()
    """What it sets: a header that may come several times."""

    def json(self) -> dict[str, Any]:
        try:
            found = json.loads(self.body)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            message = "its answer is not a JSON object"
            raise UnavailableError(message)
        return found


class Ask(Protocol):
    """How other servers are asked; redirects are answers, not followed."""

    def __call__(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None, authority: str = ""
    ) -> Answer: ...


def ask(method: str, url: str, headers: Mapping[str, str], body: bytes | None = None, authority: str = "") -> Answer:
    """Send one request. Raise UnavailableError if there is no answer."""
    urllib3 = importlib.import_module("urllib3")
    try:
        found = _pool(authority).request(method, url, headers=dict(headers), body=body, redirect=False)
    except urllib3.exceptions.HTTPError as error:
        message = f"does not answer ({_reason(error)})"
        raise UnavailableError(message) from None
    return Answer(found.status, found.headers, found.data, tuple(found.headers.getlist("Set-Cookie")))


def _reason(error: Exception) -> str:
    """Name what is behind an error of urllib3: that it gave up says nothing. Only a certificate's fault has details."""
    cause = getattr(error, "reason", None) or error
    kind = type(cause).__name__
    return f"{kind}: {cause}" if kind == "SSLError" else kind


@functools.cache
def _pool(authority: str) -> Any:
    urllib3 = importlib.import_module("urllib3")
    more = {"ca_certs": authority} if authority else {}
    return urllib3.PoolManager(
        maxsize=8, timeout=urllib3.Timeout(total=TIMEOUT_SECONDS), retries=urllib3.Retry(1, redirect=False), **more
    )


def decide(what: str, ask: Ask, *request: Any) -> Answer:
    """Ask someone, and return an answer that decides; otherwise say who is not available."""
    try:
        answer = ask(*request)
    except UnavailableError as error:
        message = f"{what} {error}"
        raise UnavailableError(message) from None
    if answer.status >= 500 or answer.status in {408, 429}:
        message = f"{what} answers {answer.status}"
        raise UnavailableError(message)
    return answer


def names(value: object) -> frozenset[str]:
    """Groups as an issuer lists them: names, paths such as Keycloak's `/team`, or one text with commas."""
    found: Iterable[object] = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else ()
    return frozenset(str(each).strip().removeprefix("/") for each in found if str(each).strip())


class Service:
    """The token of the deployment's own pods, which the deploy generated."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    def recognizes(self, token: str) -> bool:
        return bool(self._token) and hmac.compare_digest(self._token, token.encode())

    @staticmethod
    def person() -> Person:
        return Person(SERVICE, frozenset(), is_admin=True)


@dataclass(frozen=True)
class Hub:
    """JupyterHub: the tokens of notebook servers, and those that people make on its page."""

    url: str
    token: str = field(default="", repr=False)
    """A token of the hub's service for MLflow, to read the groups of people who come by the browser."""
    ask: Ask = ask

    def person(self, token: str) -> Person:
        answer = self._get("user", token)
        if answer.status != _OK:
            message = "JupyterHub does not know this token, or it has expired."
            raise RefusedError(message)
        found = answer.json()
        if found.get("kind") != "user" or not found.get("name"):
            message = "This is the token of a JupyterHub service, not a person's."
            raise RefusedError(message)
        return Person(str(found["name"]), names(found.get("groups", [])))

    def groups(self, name: str) -> frozenset[str] | None:
        """Return a person's groups; None if the hub may not be asked. An unknown person has none."""
        if not self.token:
            return None
        answer = self._get(f"users/{quote(name, safe='')}", self.token)
        if answer.status == _NOT_FOUND:
            return frozenset()
        if answer.status != _OK:
            message = f"JupyterHub refuses to name groups ({answer.status})"
            raise UnavailableError(message)
        return names(answer.json().get("groups", []))

    def _get(self, path: str, token: str) -> Answer:
        url = f"{self.url.rstrip('/')}/hub/api/{path}"
        return decide("JupyterHub", self.ask, "GET", url, {"Authorization": f"Bearer {token}"})


@dataclass(frozen=True)
class Login:
    """The platform's login, which the route asks before it lets a browser through. It is asked again, with the cookies.

    So no header that a client sends says who it is.
    """

    url: str
    host: str
    scheme: str = "https"
    path: str = "/"
    user_header: str = "X-Forwarded-User"
    groups_header: str = ""
    sign_in: str = ""
    """Page to send browsers to, if the login's answer leads to none."""
    ask: Ask = ask

    def person(self, cookies: str) -> Person:
        answer = self._asked(cookies, self.path, "application/json")
        name = answer.headers.get(self.user_header, "")
        if not _OK <= answer.status < 300 or not name:
            message = "Not logged in."
            raise RefusedError(message)
        listed = answer.headers.get(self.groups_header, None) if self.groups_header else None
        return Person(name, None if listed is None else names(listed))

    def way_in(self, cookies: str, path: str) -> Answer | None:
        """Return what sends a browser that opened `path` to the login; None if nothing does.

        It is the login's own answer with its cookies, as a proxy in front would hand it on.
        """
        uri = f"{self.path.rstrip('/')}{path}"
        if self.sign_in:
            back = quote(f"{self.scheme}://{self.host}{uri}", safe="")
            return Answer(302, {"Location": f"{self.sign_in}{'&' if '?' in self.sign_in else '?'}rd={back}"}, b"")
        answer = self._asked(cookies, uri, "text/html")
        return answer if 300 <= answer.status < 400 and answer.headers.get("Location") else None

    def _asked(self, cookies: str, uri: str, accept: str) -> Answer:
        asked = {
            "Cookie": cookies,
            "X-Forwarded-Method": "GET",
            "X-Forwarded-Proto": self.scheme,
            "X-Forwarded-Host": self.host,
            "X-Forwarded-Uri": uri,
            "Accept": accept,
        }
        return decide("the login", self.ask, "GET", self.url, asked)


@dataclass(frozen=True)
class Cluster:
    """Service accounts of Kubernetes, by tokens that are bound to our audience."""

    audience: str
    namespaces: frozenset[str] = frozenset()
    ask: Ask = ask

    def person(self, token: str) -> Person:
        review = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [self.audience]},
        }
        host = f"{os.environ.get('KUBERNETES_SERVICE_HOST', '')}"
        host = f"[{host}]" if ":" in host else host
        url = f"https://{host}:{os.environ.get('KUBERNETES_SERVICE_PORT', '443')}"
        url += "/apis/authentication.k8s.io/v1/tokenreviews"
        headers = {"Authorization": f"Bearer {API_TOKEN.read_text().strip()}", "Content-Type": "application/json"}
        answer = decide("Kubernetes", self.ask, "POST", url, headers, json.dumps(review).encode(), str(API_AUTHORITY))
        if answer.status in _REFUSED:
            message = "Kubernetes does not let the server review tokens (ClusterRole system:auth-delegator)"
            raise UnavailableError(message)
        status = answer.json().get("status", {})
        name = str(status.get("user", {}).get("username", ""))
        kind, _, account = name.partition(":serviceaccount:")
        if not status.get("authenticated") or self.audience not in status.get("audiences", []):
            message = f"Kubernetes refuses this token for the audience {self.audience!r}."
            raise RefusedError(message)
        namespace, _, short = account.partition(":")
        if kind != "system" or not short:
            message = "This is not the token of a service account."
            raise RefusedError(message)
        if self.namespaces and namespace not in self.namespaces:
            message = f"Service accounts of the namespace {namespace!r} are not accepted."
            raise RefusedError(message)
        groups = names(status["user"].get("groups", []))
        return Person(f"{namespace}/{short}", groups, is_service_account=True)
