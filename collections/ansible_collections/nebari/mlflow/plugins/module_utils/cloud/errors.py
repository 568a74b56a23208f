# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""The error of every cloud module."""

from __future__ import annotations

from ..errors import ReleaseError


class CloudError(ReleaseError):
    """A cloud that refused, or an object that must not be touched: `cause` names it, `fix` the next thing to do."""


def text_of(error: BaseException) -> str:
    """Return what an error says, to go on within a sentence."""
    return " ".join(str(error).split()).rstrip(".")


def option(name: str, variable: str, value: str = "") -> str:
    """Return an option as a fix names it: the module's own, and the variable of the playbooks."""
    given = f"={value}" if value else ""
    return f"{name}{given} ({variable}{given} in the playbooks)"


def foreign(kind: str, name: str, owner: str, ours: str) -> CloudError:
    """Say that an object with our name belongs to another deployment."""
    return CloudError(
        f"{kind} {name} exists and belongs to {owner!r}, not to this deployment ({ours!r}). Nothing was changed.",
        "Use another project name or namespace, or remove that deployment first.",
    )


def not_permitted(kind: str, name: str, permission: str, said: str) -> CloudError:
    """Say which permission is missing; `said` are the cloud's own words."""
    return CloudError(
        f"{kind} {name}: the permission {permission} is missing ({said.rstrip('.')}).",
        f"Grant {permission} to the identity that deploys; the how-to of this provider lists all that are needed.",
    )


def library_missing(extra: str, interpreter: str, error: ImportError | None) -> CloudError:
    """Say the one command that installs what a cloud's module imports."""
    return CloudError(
        f"The libraries for {extra} are not installed for {interpreter} ({error}).",
        f"Install them: {interpreter} -m pip install 'nebari-mlflow[{extra}]'",
    )
