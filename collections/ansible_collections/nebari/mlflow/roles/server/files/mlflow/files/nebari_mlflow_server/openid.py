"""Access tokens of an OpenID provider, such as Keycloak, checked without asking it each time.

A token is signed. The provider publishes the keys, which the server fetches once an hour, and sooner if a token names a
key that it does not know yet. Signature, issuer, audience or client, kind and time must all be right.
"""

from __future__ import annotations

import contextlib
import importlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

from nebari_mlflow_server.credentials import Ask, ask, decide, names
from nebari_mlflow_server.people import Person, RefusedError, UnavailableError

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"]
"""Signatures with a public key. An HMAC would need the provider's secret."""

LEEWAY_SECONDS = 60
"""How far the clocks of issuer and server may differ."""

KEYS_SECONDS = 3600.0
"""How long published keys are used without a look at whether the provider has withdrawn one."""

STALE_SECONDS = 24 * 3600.0
"""How long keys serve on while the provider does not answer."""

RETRY_SECONDS = 60.0
"""Between two attempts to renew keys that still serve."""

PAUSE_SECONDS = 5.0
"""Between two fetches because of unknown keys: forged tokens must not become requests to the provider."""

HEADER_KINDS = frozenset({"", "jwt", "at+jwt", "application/at+jwt"})
OTHER_KINDS = frozenset({"id", "refresh", "offline", "logout", "action-token"})
"""What Keycloak writes into the claim `typ` of tokens that are no access tokens; theirs is `Bearer`."""


class Keys:
    """The public keys of a provider, by their id."""

    def __init__(self, fetch: Callable[[], dict[str | None, Any]], clock: Callable[[], float]) -> None:
        self._fetch, self._clock = fetch, clock
        self._found: dict[str | None, Any] = {}
        self._renew_at = self._until = self._asked = float("-inf")
        self._failed: UnavailableError | None = None
        self._lock = threading.Lock()

    def get(self, wanted: str | None) -> Any:
        """Return a key; None if the provider does not publish it. Raise UnavailableError if it does not answer."""
        with self._lock:
            now = self._clock()
            if now >= self._until:
                self._ask(now)
                self._asked = float("-inf")  # a key that is not among them may be a new one
            elif now >= self._renew_at:
                self._renew_at = now + RETRY_SECONDS
                with contextlib.suppress(UnavailableError):
                    self._keep(self._fetch(), now)
            if wanted not in self._found:
                self._ask(now)
            return self._found.get(wanted)

    def _ask(self, now: float) -> None:
        """Fetch the keys, unless that was done a moment ago; then it is as it was."""
        if now - self._asked < PAUSE_SECONDS:
            if self._failed is not None:
                raise UnavailableError(str(self._failed))
            return
        self._asked, self._failed = now, None
        try:
            self._keep(self._fetch(), now)
        except UnavailableError as error:
            self._failed = error
            raise

    def _keep(self, found: dict[str | None, Any], now: float) -> None:
        self._found, self._renew_at, self._until = found, now + KEYS_SECONDS, now + STALE_SECONDS


@dataclass(frozen=True)
class OpenID:
    """A provider, and whose tokens of it are accepted: those for our audience, those issued to our clients, or both."""

    issuer: str
    audience: str = ""
    clients: tuple[str, ...] = ()
    username_claim: str = "preferred_username"
    groups_claim: str = "groups"
    jwks_uri: str = ""
    ask: Ask = field(default=ask, compare=False)
    clock: Callable[[], float] = field(default=time.monotonic, compare=False)
    keys: Keys = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.audience and not self.clients:
            message = f"The OpenID provider {self.issuer} needs an audience or clients."
            raise ValueError(message)
        object.__setattr__(self, "clients", tuple(self.clients))
        object.__setattr__(self, "keys", Keys(self._fetch, self.clock))

    def person(self, token: str) -> Person:
        claims = self._claims(token)
        name = claims.get(self.username_claim)
        if not isinstance(name, str) or not name:
            message = f"The token of {self.issuer} has no claim {self.username_claim!r}."
            raise RefusedError(message)
        return Person(name, names(claims.get(self.groups_claim, [])))

    def _claims(self, token: str) -> dict[str, Any]:
        jwt = importlib.import_module("jwt")
        try:
            header = jwt.get_unverified_header(token)
            kind = str(header.get("typ") or "").lower()
            if kind not in HEADER_KINDS:
                self._refuse(f"it is of type {kind[:40]!r}")
            if header.get("alg") not in ALGORITHMS:
                self._refuse(f"it is signed by {str(header.get('alg'))[:40]!r}, not with a public key")
            key = self.keys.get(header.get("kid"))
            if key is None:
                self._refuse("it is signed with a key that its issuer does not publish")
            found: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                audience=self.audience or None,
                issuer=self.issuer,
                leeway=LEEWAY_SECONDS,
                options={
                    "require": ["exp", "iss", *(["aud"] if self.audience else [])],
                    "verify_aud": bool(self.audience),
                },
            )
        except jwt.PyJWTError as error:
            self._refuse(self._why(jwt, error))
        if str(found.get("typ") or "").lower() in OTHER_KINDS:
            self._refuse(f"it is no access token but of type {found['typ']!r}")
        if self.clients and found.get("azp", found.get("client_id")) not in self.clients:
            self._refuse(f"it was issued to another client than {', '.join(self.clients)}")
        return found

    def _why(self, jwt: Any, error: Exception) -> str:
        if isinstance(error, jwt.ExpiredSignatureError):
            return "it has expired"
        if isinstance(error, jwt.ImmatureSignatureError):
            clocks = f"the clocks of its issuer and of this server differ by more than {LEEWAY_SECONDS} s"
            return f"it is not valid yet, or {clocks}"
        if isinstance(error, jwt.InvalidAudienceError) or getattr(error, "claim", "") == "aud":
            return f"it is not for the audience {self.audience!r}"
        return str(error)

    def _refuse(self, why: str) -> NoReturn:
        message = f"The token of {self.issuer} is not valid: {why}."
        raise RefusedError(message)

    def _fetch(self) -> dict[str | None, Any]:
        jwt = importlib.import_module("jwt")
        uri = self.jwks_uri
        if not uri:
            described = self._document(f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
            if described.get("issuer") != self.issuer:
                message = f"{self.issuer} describes itself as another issuer: {str(described.get('issuer'))[:200]!r}"
                raise UnavailableError(message)
            uri = str(described.get("jwks_uri", ""))
        try:
            listed = jwt.PyJWKSet.from_dict(self._document(uri)).keys
        except jwt.PyJWTError as error:
            message = f"{self.issuer} publishes no usable keys ({error})"
            raise UnavailableError(message) from None
        return {each.key_id: each.key for each in listed if each.public_key_use in {None, "sig"}}

    def _document(self, uri: str) -> dict[str, Any]:
        answer = decide(self.issuer, self.ask, "GET", uri, {"Accept": "application/json"})
        if answer.status != 200:
            message = f"{self.issuer} answers {answer.status} for {uri}"
            raise UnavailableError(message)
        return answer.json()
