"""Compute Engine's regions, zones and machine types, which Nebari asks for.

https://cloud.google.com/compute/docs/reference/rest/v1
"""

from __future__ import annotations

from typing import Any

from ..http import Request
from .errors import Refused
from .state import Google
from .storage import LOCATIONS

MACHINES = ("e2-standard-4", "e2-standard-8", "n1-standard-4")


def region_list(google: Google, _: Request, project: str) -> Any:
    return _listed(google, project, "region", sorted(each.lower() for each in LOCATIONS if each[-1].isdigit()))


def zone_list(google: Google, _: Request, project: str, region: str) -> Any:
    return _listed(google, project, "zone", [f"{region}-{letter}" for letter in "bcd"])


def machine_list(google: Google, _: Request, project: str, __: str) -> Any:
    return _listed(google, project, "machineType", list(MACHINES))


def _listed(google: Google, project: str, kind: str, names: list[str]) -> dict[str, Any]:
    if project != google.project:
        raise Refused(403, f"Required 'compute.{kind}s.list' permission for 'projects/{project}'")
    return {"kind": f"compute#{kind}List", "items": [{"kind": f"compute#{kind}", "name": name} for name in names]}
