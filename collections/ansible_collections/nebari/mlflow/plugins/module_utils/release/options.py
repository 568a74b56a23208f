# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the module is asked to do."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from typing import Any

from ..errors import RefusedInput

LONGEST_NAME = 53  # Helm's limit: a Service name of 63 characters less what charts append
INSTANCE = "app.kubernetes.io/instance"
MANAGED_BY = "app.kubernetes.io/managed-by"
OURS = "nebari-mlflow"
CLAIM, RELEASE = "claim/", "release"  # what a Secret may open
KINDS = frozenset({"alphanumeric", "fernet"})  # of generated values


@dataclass(frozen=True)
class SecretSpec:
    """A Secret to keep: `keys` maps each key to the kind of value that is generated when it is missing.

    `opens` is the data that cannot be used without it, and `loss` what a new one would cost.
    """

    name: str
    keys: dict[str, str]
    opens: str = ""
    loss: str = ""
    both: list[str] = field(default_factory=list)  # keys of which workloads know two values while they are rotated

    @property
    def claim(self) -> str:
        """Return the name of the volume claim that it opens; empty if it opens something else."""
        return self.opens.removeprefix(CLAIM) if self.opens.startswith(CLAIM) else ""


@dataclass(frozen=True)
class Options:
    """The module's parameters, with their documented names."""

    name: str
    namespace: str
    chart: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    state: str = "present"
    network: bool = False
    secrets: tuple[SecretSpec, ...] = ()
    new_secrets: tuple[str, ...] = ()
    delete_data: bool = False
    gone: tuple[dict[str, str], ...] = ()
    create_namespace: bool = True
    namespace_labels: dict[str, str] = field(default_factory=dict)
    kubeconfig: str = ""
    context: str = ""
    helm: str = "helm"
    timeout: int = 600
    lasts: int = 120
    waited: float = 0.0
    verify_timeout: int = 60
    assume_changed: bool = False
    again: bool = False
    revision: int = 0
    of_secrets: tuple[str, ...] = ()
    rolling_only: bool = False

    @classmethod
    def from_params(cls, params: dict[str, Any]) -> Options:
        """Return the options of a module's parameters. Raises ReleaseError if they contradict each other."""
        params = {"name": params.get("release"), **params}
        known = {f.name for f in fields(cls)}
        given = {key: value for key, value in params.items() if key in known and value is not None}
        specs = ({key: value for key, value in spec.items() if value} for spec in given.get("secrets", ()))
        given["secrets"] = tuple(SecretSpec(**{"keys": {}, **spec}) for spec in specs)
        for name in ("new_secrets", "of_secrets"):
            given[name] = tuple(given.get(name, ()))
        options = cls(**given)
        options.check()
        return options

    def check(self) -> None:
        """Refuse what Kubernetes or Helm would refuse only half-way through."""
        label = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
        if len(self.name) > LONGEST_NAME:
            raise RefusedInput(
                f"name: {self.name!r} has {len(self.name)} characters; Helm allows {LONGEST_NAME}.",
                "Use a shorter name.",
            )
        for key, value, limit in (("name", self.name, LONGEST_NAME), ("namespace", self.namespace, 63)):
            if not re.fullmatch(label, value) or len(value) > limit:
                raise RefusedInput(
                    f"{key}: {value!r} is not a Kubernetes name.",
                    f"Use lower-case letters, digits and '-', at most {limit}, "
                    "starting and ending with a letter or digit.",
                )
        for spec in self.secrets:
            for kind in sorted({*spec.keys.values()} - KINDS):
                raise RefusedInput(
                    f"secrets: {kind!r} in {spec.name!r} is not a kind of value.",
                    f"Use one of: {', '.join(sorted(KINDS))}.",
                )
            if spec.opens not in ("", RELEASE) and not spec.claim:
                raise RefusedInput(
                    f"secrets: {spec.name!r} opens {spec.opens!r}, which is neither a claim nor the release.",
                    f"Use {CLAIM}NAME or {RELEASE}.",
                )
        unknown = sorted({*self.new_secrets} - {spec.name for spec in self.secrets})
        if unknown:
            raise RefusedInput(
                f"new_secrets: {', '.join(unknown)} is not one of `secrets`.",
                f"Use names of `secrets`: {', '.join(spec.name for spec in self.secrets) or 'it is empty'}.",
            )
        if self.timeout < 1:
            raise RefusedInput(f"timeout: {self.timeout} is not a positive number of seconds.", "Give 1 or more.")
