# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""A container that a cluster adds to a pod, and that keeps the pod alive when the chart's own container has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .problems import AGAIN, Problem

if TYPE_CHECKING:
    from ..kube.objects import Object

COMPONENT = "app.kubernetes.io/component"
GRACE = 20.0  # seconds: some of them end by themselves
LABELS, ANNOTATIONS = "podLabels", "podAnnotations"
SETTINGS = {
    "istio-proxy": (LABELS, 'sidecar.istio.io/inject: "false"'),
    "linkerd-proxy": (ANNOTATIONS, "linkerd.io/inject: disabled"),
    "kuma-sidecar": (LABELS, "kuma.io/sidecar-injection: disabled"),
    "consul-dataplane": (ANNOTATIONS, 'consul.hashicorp.com/connect-inject: "false"'),
    "vault-agent": (ANNOTATIONS, 'vault.hashicorp.com/agent-inject: "false"'),
    "daprd": (ANNOTATIONS, 'dapr.io/enabled: "false"'),
    "envoy": (ANNOTATIONS, "appmesh.k8s.aws/sidecarInjectorWebhook: disabled"),
}
"""By the container's name: where the injector reads, and what tells it to leave a pod alone."""


def of_pod(pod: Object, own: list[str]) -> Problem | None:
    """Return a problem if all containers of the chart, named by `own`, have ended while another one runs."""
    states = {
        each["name"]: each.get("state") or {} for each in (pod.get("status") or {}).get("containerStatuses") or []
    }
    ended = {name: states.get(name, {}).get("terminated") for name in own}
    others = [name for name, state in states.items() if name not in own and "running" in state]
    if not others or not own or not all(ended.values()):
        return None
    other, name = others[0], own[0]
    code = int((ended[name] or {}).get("exitCode") or 0)
    where = f"Pod/{pod['metadata']['name']}"
    block = str((pod["metadata"].get("labels") or {}).get(COMPONENT) or "the pod")
    kind, setting = SETTINGS.get(other, ("", ""))
    keep_out = (
        f"Keep it out: set {block}.{kind} to {{{setting}}} in the values"
        if kind
        else f"Keep it out by the label or annotation that its injector reads, in {block}.podLabels or "
        f"{block}.podAnnotations of the values, or have it injected as an init container that restarts always"
    )
    return Problem(
        where,
        "sidecar",
        f"container {other} still runs",
        f"{where} never ends: container {name} ended with exit code {code}, but {other}, which is not of the chart, "
        "still runs.",
        f"{keep_out}; {AGAIN}.",
        grace=GRACE,
        pod=pod["metadata"]["name"],
        log_of=name if code else "",
    )
