"""Which credential a request carries, who checks it, and what then follows for the person.

A request names one credential: the Authorization header, or else the browser's cookies. One that is not valid is
refused, never replaced by another. A header that only says a name is nothing.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from nebari_mlflow_server.asgi import Scope, headers
from nebari_mlflow_server.credentials import SERVICE, Answer, Cluster, Hub, Login, Service
from nebari_mlflow_server.memory import Memory
from nebari_mlflow_server.openid import OpenID
from nebari_mlflow_server.people import ForbiddenError, Person, RefusedError

THREADS = 16
"""Threads that ask others, apart from those that serve MLflow: a hub that hangs stops nobody who is known already."""

NAME_LENGTH = 255
"""MLflow's column of names."""

_MISSING = "Give a token (Authorization: Bearer …), or log in."


@dataclass(frozen=True)
class Rules:
    """What follows from the groups of a person."""

    admin_groups: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    """Groups that may use the server. Empty: everyone whose credential is accepted."""

    def applied(self, person: Person) -> Person:
        known = person.groups or frozenset()
        if self.groups and not person.is_admin and not known & (self.groups | self.admin_groups):
            wanted = ", ".join(sorted(self.groups))
            message = f"{person.name!r} is in none of the groups that may use MLflow: {wanted}."
            raise ForbiddenError(message)
        return replace(person, is_admin=person.is_admin or bool(known & self.admin_groups))


@dataclass(frozen=True)
class Doors:
    """The services that identify users."""

    rules: Rules = field(default_factory=Rules)
    service: Service = field(default_factory=lambda: Service(""))
    hub: Hub | None = None
    login: Login | None = None
    cluster: Cluster | None = None
    providers: Mapping[str, OpenID] = field(default_factory=dict)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], environment: Mapping[str, str]) -> Doors:
        """Read what the chart wrote, and the two tokens that it gives by Secrets."""

        def built(key: str, kind: Callable[..., Any], **more: Any) -> Any:
            return kind(**settings[key], **more) if settings.get(key) else None

        cluster = settings.get("cluster")
        return cls(
            Rules(frozenset(settings.get("admin_groups", [])), frozenset(settings.get("groups", []))),
            Service(environment.get("NEBARI_MLFLOW_SERVICE_TOKEN", "")),
            built("hub", Hub, token=environment.get("NEBARI_MLFLOW_HUB_TOKEN", "")),
            built("login", Login),
            Cluster(cluster["audience"], frozenset(cluster["namespaces"])) if cluster else None,
            {each["issuer"]: OpenID(**each) for each in settings.get("openid", [])},
        )

    def person(self, token: str, cookies: str) -> Person:
        """Find out who it is; blocks."""
        if token and self.service.recognizes(token):
            return self.service.person()
        if token:
            return self.rules.applied(self._named(self._by_token(token)))
        if not cookies or self.login is None:
            raise RefusedError(_MISSING)
        person = self.login.person(cookies)
        if person.groups is None and self.hub is not None:
            person = replace(person, groups=self.hub.groups(person.name))
        return self.rules.applied(self._named(person))

    def _named(self, person: Person) -> Person:
        """Refuse a name that is another's: the deployment's own pods and service accounts have names, too."""
        kind = "It belongs to MLflow's own pods" if person.name == SERVICE else ""
        if "/" in person.name and not person.is_service_account and self.cluster is not None:
            kind = "Names with a slash belong to service accounts"
        if len(person.name) > NAME_LENGTH:
            kind = f"It is longer than {NAME_LENGTH} characters"
        if kind:
            message = f"The name {person.name[:NAME_LENGTH]!r} cannot be used here. {kind}."
            raise ForbiddenError(message)
        return person

    def _by_token(self, token: str) -> Person:
        issuer = issuer_of(token)
        if issuer is not None and issuer in self.providers:
            return self.providers[issuer].person(token)
        if issuer is not None:
            # Its issuer is the cluster's own, or nobody that we know: only Kubernetes can tell.
            if self.cluster is None:
                message = f"Tokens of {issuer[:200]!r} are not accepted here."
                raise RefusedError(message)
            return self.cluster.person(token)
        if self.hub is None:
            message = "Tokens of this kind are not accepted here."
            raise RefusedError(message)
        return self.hub.person(token)


def issuer_of(token: str) -> str | None:
    """Return whom a signed token (JWT) names as its issuer, unchecked. None: it is no such token."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, binascii.Error):
        return None
    return str(claims.get("iss", "")) if isinstance(claims, dict) else None


def credential(scope: Scope) -> tuple[str, str]:
    """Return the request's token and its cookies; the token counts if there is one.

    Clients that know only user and password give the token as the password.
    """
    given = headers(scope, "authorization")
    if len(given) > 1:
        message = "Several Authorization headers."
        raise RefusedError(message)
    cookies = "; ".join(headers(scope, "cookie"))
    if not given or not given[0].strip():
        return "", cookies
    kind, _, value = given[0].strip().partition(" ")
    if kind.lower() == "basic":
        try:
            _, _, value = base64.b64decode(value, validate=True).decode().partition(":")
        except (ValueError, binascii.Error):
            value = ""
    elif kind.lower() not in {"bearer", "token"}:
        value = ""
    if not value.strip():
        message = "The Authorization header holds no token (Authorization: Bearer …)."
        raise RefusedError(message)
    return value.strip(), cookies


class Doorkeeper:
    """Finds the person of each request, and remembers for `seconds` what was found out."""

    def __init__(self, doors: Doors, admit: Callable[[Person], None], seconds: float = 30.0) -> None:
        self.doors, self.admit = doors, admit
        self._memory: Memory[Person] = Memory(seconds)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="identity")

    async def person(self, scope: Scope) -> Person:
        token, cookies = credential(scope)
        key = hashlib.sha256(f"{token}\n{'' if token else cookies}".encode()).hexdigest()

        def find() -> Person:
            person = self.doors.person(token, cookies)
            self.admit(person)
            return person

        async def find_aside() -> Person:
            return await asyncio.get_running_loop().run_in_executor(self._threads, find)

        return await self._memory.get(key, find_aside)

    async def way_in(self, scope: Scope) -> Answer | None:
        """Return what sends a browser that opens a page to the login; None for a program, or if there is no login."""
        login = self.doors.login
        if login is None or headers(scope, "authorization") or not opens_page(scope):
            return None
        cookies = "; ".join(headers(scope, "cookie"))
        query = scope.get("query_string", b"").decode("latin-1")
        path = quote(scope["path"]) + (f"?{query}" if query else "")
        return await asyncio.get_running_loop().run_in_executor(self._threads, login.way_in, cookies, path)


def opens_page(scope: Scope) -> bool:
    """Say whether a browser asks for a page, rather than a page's script for data."""
    modes = headers(scope, "sec-fetch-mode")
    wants_page = any("text/html" in accepted for accepted in headers(scope, "accept"))
    return scope["method"] == "GET" and wants_page and modes in ([], ["navigate"])
