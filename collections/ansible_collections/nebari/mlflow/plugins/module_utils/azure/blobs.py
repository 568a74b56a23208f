# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""What is in our container, which only the storage service itself shows.

https://learn.microsoft.com/rest/api/storageservices/list-blobs
"""

from __future__ import annotations

import xml.etree.ElementTree as ET

from ..cloud.naming import PREFIX
from .account import TYPE
from .client import Azure

READ = f"{TYPE}/blobServices/containers/blobs/read"
OURS = f"{PREFIX}/"


def others(azure: Azure, account: str, container: str) -> list[str]:
    """Return what is outside of our folder at the container's root, old versions and what was deleted included."""
    url = f"https://{account}.{azure.environment.blobs}/{container}"
    query = {"restype": "container", "comp": "list", "delimiter": "/", "include": "deleted,versions"}
    names: set[str] = set()
    marker = ""
    while True:
        answer = azure.data(url, {**query, **({"marker": marker} if marker else {})}, READ)
        if answer is None:
            return []
        page = ET.fromstring(answer)  # noqa: S314 - by Azure, over TLS
        names |= {each.text or "" for kind in ("Blob", "BlobPrefix") for each in page.iterfind(f"Blobs/{kind}/Name")}
        marker = page.findtext("NextMarker") or ""
        if not marker:
            # With a hierarchical namespace a folder is a blob of its own, too.
            return sorted(names - {OURS, PREFIX})
