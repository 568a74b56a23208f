"""Stand-ins for Nebari's stages before ours: they write what the real ones would, and do nothing else.

Loaded by `nebari --exclude-default-stages --import-plugin upstream.py`. The configuration is the real one.
Where Nebari checks it against a cloud, a simulator can answer; but the versions of GKE, which it asks for by gRPC, are
given here.
UPSTREAM_OMIT names outputs (`stage:output`, comma-separated) that are left out; UPSTREAM_TRACE a file that each
stage's teardown is written to; UPSTREAM_ISSUER the issuer of the cluster's tokens.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from _nebari.provider.cloud import google_cloud
from _nebari.stages.infrastructure import InputSchema as InfrastructureInput
from _nebari.stages.kubernetes_ingress import InputSchema as IngressInput
from _nebari.stages.kubernetes_keycloak import InputSchema as KeycloakInput
from _nebari.stages.kubernetes_services import InputSchema as ServicesInput
from nebari.hookspecs import NebariStage, hookimpl
from nebari.plugins import nebari_plugin_manager

nebari_plugin_manager.exclude_default_stages = True  # Nebari 2025.10.1 does not act on its own flag (nebari#1957)
google_cloud.kubernetes_versions = lambda region: ["1.31.5-gke.1068000"]  # noqa: ARG005


def value(content: Any) -> dict[str, Any]:
    return {"value": content}


class Stage(NebariStage):  # type: ignore[misc]  # Nebari has no types
    @property
    def outputs(self) -> dict[str, Any]:
        return {}

    def _write(self, stage_outputs: dict[str, Any]) -> None:
        omitted = os.environ.get("UPSTREAM_OMIT", "").split(",")
        stage_outputs[f"stages/{self.name}"] = {
            name: content for name, content in self.outputs.items() if f"{self.name}:{name}" not in omitted
        }

    @contextlib.contextmanager
    def deploy(self, stage_outputs: dict[str, Any], disable_prompt: bool = False) -> Iterator[None]:  # noqa: ARG002
        self._write(stage_outputs)
        yield

    @contextlib.contextmanager
    def destroy(self, stage_outputs: dict[str, Any], status: dict[str, bool]) -> Iterator[None]:
        self._write(stage_outputs)
        yield
        status[f"stages/{self.name}"] = True
        if "UPSTREAM_TRACE" in os.environ:
            with Path(os.environ["UPSTREAM_TRACE"]).open("a") as trace:
                trace.write(f"{self.name}\n")


class Infrastructure(Stage):
    name = "02-infrastructure"
    priority = 20
    input_schema = InfrastructureInput

    @property
    def outputs(self) -> dict[str, Any]:
        return {
            "kubeconfig_filename": value(os.environ.get("UPSTREAM_KUBECONFIG", "/nonexistent/kubeconfig")),
            "kubernetes_credentials": value({"token": os.environ.get("UPSTREAM_TOKEN", "")}),
            "node_selectors": {"general": {"key": "kubernetes.io/os", "value": "linux"}},
            "cluster_oidc_issuer_url": value(os.environ.get("UPSTREAM_ISSUER", "https://issuer.example.org/tenant/")),
            "resource_group_name": value("demo-dev"),
            "project_id": value(getattr(self.config.google_cloud_platform, "project", "demo-project")),
        }


class Ingress(Stage):
    name = "04-kubernetes-ingress"
    priority = 40
    input_schema = IngressInput

    @property
    def outputs(self) -> dict[str, Any]:
        return {"domain": self.config.domain or "203.0.113.7", "load_balancer_address": value({"ip": "203.0.113.7"})}


class Keycloak(Stage):
    name = "05-kubernetes-keycloak"
    priority = 50
    input_schema = KeycloakInput


class Services(Stage):
    name = "07-kubernetes-services"
    priority = 70
    input_schema = ServicesInput

    @property
    def outputs(self) -> dict[str, Any]:
        return {
            "forward-auth-middleware": value({"name": "traefik-forward-auth"}),
            "forward-auth-service": value({"name": "forwardauth-service"}),
            "service_urls": value({"jupyterhub": {"url": "https://hub", "health_url": None}}),
        }


class Last(NebariStage):  # type: ignore[misc]
    """A stage of somebody else's after ours: writes down what ours gave, to the file that UPSTREAM_OUTPUTS names."""

    name = "mlflow-reader"
    priority = 103

    @contextlib.contextmanager
    def deploy(self, stage_outputs: dict[str, Any], disable_prompt: bool = False) -> Iterator[None]:  # noqa: ARG002
        if "UPSTREAM_OUTPUTS" in os.environ:
            Path(os.environ["UPSTREAM_OUTPUTS"]).write_text(json.dumps(stage_outputs["stages/mlflow"]))
        yield


@hookimpl  # type: ignore[untyped-decorator]
def nebari_stage() -> list[type[NebariStage]]:
    return [Infrastructure, Ingress, Keycloak, Services, Last]
