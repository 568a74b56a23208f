"""Reading what Nebari's earlier stages returned. Nothing else knows their names and shapes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import UpstreamError

if TYPE_CHECKING:
    from collections.abc import Mapping

INFRASTRUCTURE = "stages/02-infrastructure"
INGRESS = "stages/04-kubernetes-ingress"
SERVICES = "stages/07-kubernetes-services"


@dataclass(frozen=True)
class Output:
    """One output of an earlier stage, and the variable that it fills."""

    variable: str
    stage: str
    name: str


COMMON = (
    Output("mlflow_kubeconfig", INFRASTRUCTURE, "kubeconfig_filename"),
    Output("mlflow_domain", INGRESS, "domain"),
    Output("mlflow_route", SERVICES, "forward-auth-middleware"),
)
LOGIN = Output("mlflow_access", SERVICES, "forward-auth-service")


def read(stage_outputs: Mapping[str, Mapping[str, Any]], output: Output) -> Any:
    """Return an output; Nebari stores some as {"value": x} and some as x.

    Raises UpstreamError if it is missing or empty.
    """
    try:
        found = stage_outputs[output.stage][output.name]
    except KeyError as error:
        raise UpstreamError(
            "NML201",
            f"{output.stage} gave no {output.name}, which {output.variable} comes from.",
            "Deploy that stage first: run `nebari deploy` for the whole configuration, with Nebari 2024.10.1 or later.",
        ) from error
    value = found.get("value") if isinstance(found, dict) else found
    if value in (None, ""):
        raise UpstreamError(
            "NML201",
            f"{output.stage} gave an empty {output.name}, which {output.variable} comes from.",
            f"Look at the output of {output.stage} above.",
        )
    return value
