"""What Google keeps of all projects."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any

from .errors import Refused
from .grants import Grant
from .policies import Policy

TOKEN = "a-token"


@dataclass
class Google:
    """All projects; the deployer may use one of them.

    `lag` reads of a new service account answer 404, and so long no policy may name it. A member works `settle` seconds
    after its policy was written.
    """

    project: str
    number: str
    universe: str = "googleapis.com"  # what the names of its hosts end with
    lag: int = 0
    settle: float = 0.0
    page: int = 1000  # entries of a list in one answer
    sparse: bool = False  # whether the first page of a list is empty, and has a next one
    buckets: dict[str, dict[str, Any]] = field(default_factory=dict)
    accounts: dict[str, dict[str, Any]] = field(default_factory=dict)
    policies: dict[str, Policy] = field(default_factory=dict)
    objects: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    grants: list[Grant] | None = None  # what the deployer may do; None is everything
    shared: set[str] = field(default_factory=set)  # buckets of other projects that the deployer may use
    service_keys: dict[str, list[str]] = field(default_factory=dict)  # e-mail -> keys that people made
    held: set[str] = field(default_factory=set)  # objects that a retention policy protects
    data: dict[tuple[str, str], bytes] = field(default_factory=dict)
    unknown_for: dict[str, int] = field(default_factory=dict)
    pools: set[str] = field(default_factory=set)  # of workload identity
    disabled: set[str] = field(default_factory=set)  # hosts of services that the project has not enabled
    since: dict[str, float] = field(default_factory=dict)  # when a policy was written
    tokens: dict[str, str] = field(default_factory=dict)  # token -> member that it stands for
    keys: dict[str, str] = field(default_factory=dict)  # e-mail -> public key
    serial: int = 100
    lock: threading.RLock = field(default_factory=threading.RLock)

    def clear(self) -> None:
        for everything in (self.buckets, self.accounts, self.policies, self.objects, self.data, self.unknown_for):
            everything.clear()
        self.grants, self.universe = None, "googleapis.com"
        self.shared.clear()
        self.service_keys.clear()
        for more in (self.held, self.pools, self.disabled, self.since, self.tokens, self.keys):
            more.clear()
        self.pools.add(f"{self.project}.svc.id.goog")
        self.lag, self.settle, self.page, self.sparse = 0, 0.0, 1000, False

    def account(self, email: str) -> dict[str, Any]:
        """Return a service account; a new one is not known everywhere.

        https://cloud.google.com/iam/docs/service-accounts-create
        """
        if self.unknown_for.get(email, 0) > 0:
            self.unknown_for[email] -= 1
        elif email in self.accounts:
            return self.accounts[email]
        raise Refused(404, f"Unknown service account {email}")

    def may(self, member: str, role: str, of: str) -> bool:
        """Check whether a member has a role in a policy, and for long enough."""
        granted = any(each["role"] == role and member in each["members"] for each in self.policies[of].bindings)
        return granted and time.monotonic() >= self.since.get(of, 0.0) + self.settle
