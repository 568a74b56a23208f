"""Check a credential with whoever issued it.

JupyterHub knows its tokens, the platform's login knows the browser's cookies, Kubernetes knows the tokens of service
accounts, and an OpenID provider publishes the keys that its tokens are signed with. The server keeps no passwords.
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
LEEWAY_SECONDS = 60
"""How far the clocks of issuer and server may differ."""

SERVICE = "nebari-mlflow"
"""Name of the deployment's own pods, such as the smoke test's."""

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"]
"""Signatures with a public key. An HMAC would need the provider's secret."""

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
        message = f"no answer ({type(error).__name__})"
        raise UnavailableError(message) from None
    return Answer(found.status, found.headers, found.data)


@functools.cache
def _pool(authority: str) -> Any:
    urllib3 = importlib.import_module("urllib3")
    more = {"ca_certs": authority} if authority else {}
    return urllib3.PoolManager(
        maxsize=8, timeout=urllib3.Timeout(total=TIMEOUT_SECONDS), retries=urllib3.Retry(1, redirect=False), **more
    )


def named(what: str, answer: Answer) -> Answer:
    """Return an answer that decides; otherwise the one who was asked is not available."""
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
        return named("JupyterHub", self.ask("GET", url, {"Authorization": f"Bearer {token}"}))


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
    ask: Ask = ask

    def person(self, cookies: str) -> Person:
        asked = {
            "Cookie": cookies,
            "X-Forwarded-Method": "GET",
            "X-Forwarded-Proto": self.scheme,
            "X-Forwarded-Host": self.host,
            "X-Forwarded-Uri": self.path,
            "Accept": "application/json",
        }
        answer = named("The login", self.ask("GET", self.url, asked))
        name = answer.headers.get(self.user_header, "")
        if not _OK <= answer.status < 300 or not name:
            message = "Not logged in."
            raise RefusedError(message)
        listed = answer.headers.get(self.groups_header, None) if self.groups_header else None
        return Person(name, None if listed is None else names(listed))


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
        answer = named("Kubernetes", self.ask("POST", url, headers, json.dumps(review).encode(), str(API_AUTHORITY)))
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
        return Person(f"{namespace}/{short}", names(status["user"].get("groups", [])))


@dataclass(frozen=True)
class OpenID:
    """An OpenID provider, such as Keycloak: its signed access tokens, for our audience."""

    issuer: str
    audience: str
    username_claim: str = "preferred_username"
    groups_claim: str = "groups"
    jwks_uri: str = ""
    ask: Ask = ask

    def person(self, token: str) -> Person:
        jwt = importlib.import_module("jwt")
        try:
            claims = jwt.decode(
                token,
                self._key(jwt, token),
                algorithms=ALGORITHMS,
                audience=self.audience,
                issuer=self.issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud"]},
            )
        except jwt.PyJWTError as error:
            message = f"The token of {self.issuer} is not valid: {error}."
            raise RefusedError(message) from None
        name = claims.get(self.username_claim)
        if not isinstance(name, str) or not name:
            message = f"The token of {self.issuer} has no claim {self.username_claim!r}."
            raise RefusedError(message)
        return Person(name, names(claims.get(self.groups_claim, [])))

    def _key(self, jwt: Any, token: str) -> Any:
        wanted = jwt.get_unverified_header(token).get("kid")
        found = _keys(self, fresh=False)
        if wanted not in found:
            found = _keys(self, fresh=True)  # the provider changes its keys from time to time
        if wanted not in found:
            message = f"The token of {self.issuer} is signed with a key that its issuer does not publish."
            raise RefusedError(message)
        return found[wanted]


_published: dict[str, dict[str, Any]] = {}


def _keys(provider: OpenID, *, fresh: bool) -> dict[str, Any]:
    if not fresh and provider.issuer in _published:
        return _published[provider.issuer]
    jwt = importlib.import_module("jwt")
    uri = provider.jwks_uri
    if not uri:
        place = f"{provider.issuer.rstrip('/')}/.well-known/openid-configuration"
        uri = str(_document(provider, place).get("jwks_uri", ""))
    try:
        listed = jwt.PyJWKSet.from_dict(_document(provider, uri)).keys
    except jwt.PyJWTError as error:
        message = f"{provider.issuer} publishes no usable keys ({error})"
        raise UnavailableError(message) from None
    _published[provider.issuer] = {each.key_id: each.key for each in listed}
    return _published[provider.issuer]


def _document(provider: OpenID, uri: str) -> dict[str, Any]:
    answer = named(provider.issuer, provider.ask("GET", uri, {"Accept": "application/json"}))
    if answer.status != _OK:
        message = f"{provider.issuer} answers {answer.status} for {uri}"
        raise UnavailableError(message)
    return answer.json()
