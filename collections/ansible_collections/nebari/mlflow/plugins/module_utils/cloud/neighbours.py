# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""What other people keep within something of ours: it is named, and what holds it is never deleted. Pure."""

from __future__ import annotations

from collections.abc import Sequence

SHOWN = 3
ADOPTED = "it was adopted, not created by this deployment"


def holds(names: Sequence[str]) -> str:
    """Return the reason to spare an object that holds these, "" for none."""
    if not names:
        return ""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"it also holds {', '.join(names[:SHOWN])}{more}"
