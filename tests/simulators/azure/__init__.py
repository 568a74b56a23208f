"""Azure: groups, storage accounts, identities and role assignments of the Resource Manager, tokens, and blobs.

What it does not know (a path, an api-version, a field of a body) it refuses with 501, which fails the test.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..http import App, Request, Response, answer
from ..proxy import Cloud, Proxy
from .arm import TOKEN, Arm, Refused, snapshot
from .blobs import LIST, blobs, is_list
from .clouds import ALL, PUBLIC
from .grants import Grant, allowed, attributes_of
from .login import CLIENT, TENANT, login
from .routes import find

__all__ = ["Arm", "Grant", "app", "environment", "serve", "snapshot"]

LOGIN, BLOBS = PUBLIC.login, PUBLIC.blobs
HOSTS = tuple(host for cloud in ALL for host in (cloud.manager, cloud.login, f"*{cloud.blobs}"))


def app(arm: Arm) -> App:
    def call(request: Request) -> Response:
        with arm.lock:
            if request.host == arm.hosts.login:
                return login(arm, request)
            if request.host.endswith(arm.hosts.blobs):
                return blobs(arm, request)
            if request.host != arm.hosts.manager:
                return answer(501, {"error": f"{request.host} is of another cloud"})
            try:
                return _manage(arm, request)
            except Refused as refused:
                return refused.response

    return call


def _manage(arm: Arm, request: Request) -> Response:
    found = find(request)
    if found is None:
        raise Refused(501, "NotSimulated", f"{request.method} {request.target}")
    if request.headers.get("Authorization") != f"Bearer {TOKEN}":
        raise Refused(401, "InvalidAuthenticationToken", "The access token is invalid.")
    route, names = found
    if f"/subscriptions/{arm.subscription}/" not in f"{request.path.lower()}/":
        raise Refused(404, "SubscriptionNotFound", f"The subscription '{names[0]}' could not be found.")
    _authorize(arm, request, route.action)
    result = route.handler(arm, request, *names)
    return result if isinstance(result, Response) else answer(200, result)


def _authorize(arm: Arm, request: Request, action: str) -> None:
    """Refuse what no grant allows; everybody may look at an operation of his own."""
    if arm.grants is None or action == "poll":
        return
    if not allowed(arm.grants, action, request.path, attributes_of(arm, action, request)):
        said = f"The client does not have authorization to perform action '{action}' over '{request.path}'."
        raise Refused(403, "AuthorizationFailed", said)


def name(request: Request) -> tuple[str, bool]:
    """Return the action of a call, and whether it writes."""
    if request.host in {cloud.login for cloud in ALL}:
        return "token", False
    is_blob = request.host.endswith(tuple(cloud.blobs for cloud in ALL))
    if is_blob and is_list(request):
        return LIST, False
    if is_blob:
        return f"data:{request.method}", request.method != "GET"
    found = find(request)
    if found is None:
        return f"unknown:{request.method} {request.target}", True
    action = found[0].action
    return action, not action.endswith("/read") and action != "poll"


@contextmanager
def serve(folder: Path, subscription: str, **listen: Any) -> Iterator[tuple[Proxy, Arm]]:
    arm = Arm(subscription)
    with Proxy(Cloud(HOSTS, app(arm), name), folder, **listen) as proxy:
        yield proxy, arm


def environment(proxy: Proxy, secret: str = "testing") -> dict[str, str]:
    """Return what makes unmodified clients of Azure talk to the simulator."""
    return {
        "HTTPS_PROXY": proxy.url,
        "NO_PROXY": "127.0.0.1,localhost",
        "REQUESTS_CA_BUNDLE": str(proxy.authority.bundle),
        "ARM_TENANT_ID": TENANT,
        "ARM_CLIENT_ID": CLIENT,
        "ARM_CLIENT_SECRET": secret,
    }
