"""What the token of a cluster says; who signed it is looked at where there is a cluster (see pod/cluster.py)."""

from __future__ import annotations

import base64
import json
from typing import Any


def claims_of(token: str) -> dict[str, Any]:
    """Return the claims; Kubernetes writes the audience as a list, and clouds take one of a single entry."""
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    audience = claims.get("aud")
    return {**claims, "aud": audience[0]} if isinstance(audience, list) and len(audience) == 1 else claims
