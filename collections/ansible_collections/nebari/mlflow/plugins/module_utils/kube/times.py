# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Times as Kubernetes writes them."""

from __future__ import annotations

from datetime import datetime


def parse_time(text: str) -> datetime | None:
    """Return a time as Kubernetes writes it, with its zone; None if it is none."""
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
