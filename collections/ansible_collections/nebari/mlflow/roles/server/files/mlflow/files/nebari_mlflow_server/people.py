"""Who asks: a name, the groups, and why a credential is not accepted."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class Person:
    """Someone whose credential was accepted.

    `groups` is None if the credential's issuer does not say which groups the person is in.
    """

    name: str
    groups: frozenset[str] | None = None
    is_admin: bool = False
    is_service_account: bool = False


current: ContextVar[Person | None] = ContextVar("person", default=None)
"""Who sent the request that is being served. Threads that serve it get a copy of its context."""


class RefusedError(Exception):
    """The credential is not valid; the message says why and never shows any of it."""


class UnavailableError(Exception):
    """Whoever could check the credential does not answer."""


class ForbiddenError(Exception):
    """The person is known and may not use this server."""
