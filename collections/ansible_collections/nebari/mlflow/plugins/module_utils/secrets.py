# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Secrets that are generated once and then belong to the data: kept by uninstall, never regenerated."""

from __future__ import annotations

import base64
import secrets
import string
from typing import TYPE_CHECKING

from .api_errors import NotFoundError
from .exceptions import ApiError, ReleaseError
from .kube import MERGE
from .manifest import HIDDEN
from .options import INSTANCE, MANAGED_BY, OURS

if TYPE_CHECKING:
    from .kube import Api, Json
    from .options import SecretSpec

LENGTH = 32
ALPHABET = string.ascii_letters + string.digits
CONFLICT = 409


def alphanumeric() -> str:
    """32 characters of [A-Za-z0-9], 190 bits: safe in a URI, a shell and alembic's configuration."""
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


def fernet() -> str:
    """A key for `cryptography.fernet`: 32 random bytes in URL-safe base64."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


GENERATORS = {"alphanumeric": alphanumeric, "fernet": fernet}


def missing(spec: SecretSpec, live: Json | None) -> list[str]:
    """The keys that have to be generated. A key that is there is never looked into."""
    return [name for name in spec.keys if name not in ((live or {}).get("data") or {})]


def before_and_after(spec: SecretSpec, live: Json | None) -> tuple[dict[str, str], dict[str, str]]:
    """The keys of a Secret for a diff, every value hidden."""
    there = sorted((live or {}).get("data") or {})
    return dict.fromkeys(there, HIDDEN), dict.fromkeys(sorted({*there, *spec.keys}), HIDDEN)


def ensure(api: Api, spec: SecretSpec, name: str, namespace: str) -> bool:
    """Create the Secret or add its missing keys; return whether anything was written."""
    path = f"/api/v1/namespaces/{namespace}/secrets"
    live = api.find(f"{path}/{spec.name}")
    wanted = missing(spec, live)
    if live is not None and not wanted:
        return False
    if live is not None and live.get("immutable"):
        raise ReleaseError(
            f"Secret/{spec.name} is immutable and lacks {', '.join(wanted)}.",
            "Make a Secret with all keys under that name, keeping the values of the present ones.",
        )
    data = {key: base64.b64encode(GENERATORS[spec.keys[key]]().encode()).decode() for key in wanted}
    try:
        if live is None:
            labels = {INSTANCE: name, MANAGED_BY: OURS}
            body = {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": spec.name, "labels": labels},
                "type": "Opaque",
                "data": data,
            }
            api.request("POST", path, body=body)
        else:
            version = live["metadata"]["resourceVersion"]
            body = {"metadata": {"resourceVersion": version}, "data": data}
            api.request("PATCH", f"{path}/{spec.name}", body=body, content_type=MERGE)
    except NotFoundError:
        raise
    except ApiError as error:
        if error.status != CONFLICT:
            raise
        return ensure(api, spec, name, namespace)  # someone wrote it meanwhile: theirs counts
    return True


def is_ours(live: Json, name: str) -> bool:
    """Whether this module made the Secret for this release; one made by hand is not ours to delete."""
    labels = live["metadata"].get("labels") or {}
    return labels.get(MANAGED_BY) == OURS and labels.get(INSTANCE) == name
