# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Try the UI's address through its controller, and say in one sentence what it answers.

The request goes from the API server to a pod of the controller, with the address's host name, so neither the name nor a
load balancer has to work yet.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import urllib3

from . import edge
from .known import layered
from .peers import Pod, matches
from .reading import Reading
from .services import targets

if TYPE_CHECKING:
    from ..kube.api import Api
    from ..kube.objects import Object
    from .edge import Problem

PATIENCE = 8.0  # seconds for an answer: a controller that is kept from the server waits for half a minute
SETTLE = 20.0  # seconds until a controller has read a new route
LOGIN = (301, 302, 303, 307, 308, 401)
PASSING = (0, 404, 502, 503)
PORTS = {True: (443, ("websecure", "https"), (443, 8443)), False: (80, ("web", "http"), (80, 8080, 8000))}


@dataclass
class Trial:
    """What is known of the way to the UI; `ok` is None where it could not be tried."""

    address: str = ""
    through: str = ""
    status: int = 0
    says: str = ""
    ok: bool | None = None
    problems: list[Problem] = field(default_factory=list)

    def report(self) -> dict[str, Any]:
        """Return it as the module `route_info` does."""
        return {
            "address": self.address,
            "through": self.through,
            "status": self.status,
            "says": self.says,
            "ok": self.ok,
            "problems": [{"cause": each.cause, "fix": each.fix} for each in self.problems],
        }


def look(api: Api, defaults: Object, given: Object, home: str, settle: float = SETTLE) -> Trial | None:
    """Look at what serves the route of a release, and try its address; None without a route."""
    values = layered(defaults, given)
    route = values.get("route") or {}
    if route.get("type", "none") == "none":
        return None
    trial = Trial(f"{'https' if route['tls'] else 'http'}://{route['domain']}{route['path'].rstrip('/')}/")
    found = edge.look(Reading(api), values, home)
    if found is None:
        trial.says = f"The address of a {route['type']} route is not tried: its operator says how it is."
        return trial
    trial.problems = [*found.problems, *edge.shut_out(found, values["networkPolicy"], home)]
    pod = next((each for each in found.pods if each.ready), None)
    if trial.problems:
        trial.ok, trial.says = False, trial.problems[0].cause
    elif found.outside:
        trial.says = f"The address is not tried: {found.title} is a load balancer of the cloud."
    elif pod is None:
        trial.says = f"The address is not tried: no pod of {found.title} is ready, or may be seen."
    else:
        _try(api, trial, pod, route, settle)
    return trial


def _try(api: Api, trial: Trial, pod: Pod, route: Object, settle: float) -> None:
    port = target(pod, _services(api, pod), tls=route["tls"])
    trial.through = f"Pod/{pod.name} in namespace {pod.namespace}"
    path = f"/api/v1/namespaces/{pod.namespace}/pods/{'https' if route['tls'] else 'http'}:{pod.name}:{port}/proxy"
    end = time.monotonic() + settle
    while True:
        trial.status, body, untried = _ask(api, f"{path}{route['path'].rstrip('/')}/", route["domain"])
        if untried:
            trial.says = f"The address is not tried: {untried}"
            return
        trial.ok, trial.says = judge(trial.status, body, trial.through)
        if trial.ok or trial.status not in PASSING[1:] or time.monotonic() > end:
            return
        time.sleep(0.5)


def _ask(api: Api, path: str, host: str) -> tuple[int, str, str]:
    """Return status and body, 0 if nothing answers in time; or why the API server did not pass the request on."""
    try:
        status, _, data = api.attempt(path, {"Host": host, "Accept": "text/html"}, PATIENCE)
    except urllib3.exceptions.HTTPError:
        return 0, "", ""
    body = data.decode("utf-8", "replace")
    try:
        message = json.loads(body)
    except ValueError:
        return status, body, ""
    if isinstance(message, dict) and message.get("kind") == "Status":
        return status, body, str(message.get("message") or "the API server refuses it")
    return status, body, ""


def judge(status: int, body: str, through: str) -> tuple[bool, str]:
    """Say if people reach the UI, and why or why not. Status 0 stands for no answer."""
    if status == 0:
        return False, (
            f"{through} does not answer within {PATIENCE:.0f} s: it does not reach the server. "
            "networkPolicy.ingressController must select it."
        )
    if status == 200 and "mlflow" in body.lower():
        return True, f"{through} answers with MLflow's UI."
    if status in LOGIN:
        return True, f"{through} asks for a login (HTTP {status})."
    if status == 404:
        return False, f"{through} answers 404: it does not know the route. Its log says why it refused it."
    if status in (502, 503, 504):
        return False, (
            f"{through} answers {status}: it does not reach the server. "
            "networkPolicy.ingressController must select it, and a service mesh must let it in."
        )
    first = body.strip().splitlines()[0][:120] if body.strip() else "an empty page"
    return False, f"{through} answers {status}: {first}"


def _services(api: Api, pod: Pod) -> list[Object]:
    return Reading(api).items(f"/api/v1/namespaces/{pod.namespace}/services")


def target(pod: Pod, services: list[Object], *, tls: bool) -> int:
    """Return the pod's port for https or http: as a Service in front of it says, or by its name or number."""
    outside, names, numbers = PORTS[tls]
    for service in services:
        chosen = service["spec"].get("selector") or {}
        if not chosen or not matches({"matchLabels": chosen}, pod.labels):
            continue
        for each in service["spec"].get("ports") or []:
            found = targets(each, [pod])[0]
            if each["port"] == outside and isinstance(found, int):
                return found
    named = [number for name, number in pod.ports.items() if name in names]
    listed = [number for number in numbers if number in pod.ports.values()]
    return next(iter([*named, *listed]), numbers[-1] if not pod.ports and tls else outside)
