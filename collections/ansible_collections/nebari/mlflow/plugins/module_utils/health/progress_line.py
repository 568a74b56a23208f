# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a container says that it waits for: our scripts write their clock at the end of such a line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..errors import ApiError

if TYPE_CHECKING:
    from ..kube.api import Api

CLOCK = re.compile(r" \(\d+ s of \d+ s\)$")


def waits_for(api: Api, namespace: str, pod: str, container: str) -> str:
    """Return the last line of a container's log without its clock; "" if it is another line or cannot be read."""
    query = {"tailLines": "1", "container": container}
    try:
        line = api.text(f"/api/v1/namespaces/{namespace}/pods/{pod}/log", query).strip()
    except ApiError:
        return ""  # its container has not begun, or its log is not for us
    return CLOCK.sub("", line) if CLOCK.search(line) else ""
