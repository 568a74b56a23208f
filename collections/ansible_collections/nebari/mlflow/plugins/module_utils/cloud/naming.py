# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Names that are valid in every cloud and never collide: a readable part and a short hash of what it belongs to."""

from __future__ import annotations

import hashlib
import re
from typing import Any

SERVICE_ACCOUNT = "nebari-mlflow"
MANAGED_BY = "nebari-mlflow"
PREFIX = "artifacts"  # where they are in a store; in one that is adopted they are at its root, as they were before
OWNER = "nebari-mlflow-owner"  # tag or label that holds the owner id
HASH = 8  # characters


def slug(text: str) -> str:
    """Return `text` in lower-case letters, digits and single dashes."""
    return re.sub("[^a-z0-9]+", "-", text.lower()).strip("-")


def short_hash(*parts: str) -> str:
    """Return the first characters of the SHA-256 of the parts, in hexadecimal."""
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:HASH]


def owner_id(project: str, namespace: str, *scope: str) -> str:
    """Return the id that marks everything of one deployment; `scope` is the account, project or resource group."""
    return f"{slug(project)[:46].rstrip('-')}-{short_hash(project, namespace, *scope)}"


def bucket_name(project: str, namespace: str, *scope: str) -> str:
    """Return a name for a bucket or role: at most 62 characters, since a project has at most 46."""
    readable = slug(project)[:46].rstrip("-")
    if re.search("g[o0]{2}g", readable):  # Google refuses names with its own, also misspelt
        readable = "nebari"
    return f"{readable}-mlflow-{short_hash(project, namespace, *scope)}"


def account_name(project: str, namespace: str, *scope: str) -> str:
    """Return a name for an Azure storage account: 3 to 24 lower-case letters and digits."""
    return f"{slug(project).replace('-', '')[:10]}mlflow{short_hash(project, namespace, *scope)}"


def account_id(project: str, namespace: str, *scope: str) -> str:
    """Return an id for a Google service account: 6 to 30 letters, digits and dashes, a letter first."""
    return f"{slug(project)[:14].rstrip('-')}-mlflow-{short_hash(project, namespace, *scope)}"


def tags(project: str, namespace: str, owner: str, more: dict[str, Any]) -> dict[str, str]:
    """Return the tags of every object. Ours win, whatever the case of `more`: to some services it means nothing."""
    ours = {"project": project, "namespace": namespace, "managed-by": MANAGED_BY, OWNER: owner}
    return {**{name: text(value) for name, value in more.items() if name.lower() not in ours}, **ours}


def marked(given: dict[str, Any], owner: str) -> dict[str, str]:
    """Return tags as text, with the owner's mark, which wins whatever its case in `given`."""
    return {**{name: text(value) for name, value in given.items() if name.lower() != OWNER}, OWNER: owner}


def text(value: Any) -> str:
    """Return a tag's value as YAML writes it: people give numbers and booleans too."""
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)
