"""Google Cloud: buckets, service accounts, their IAM policies, and tokens, as the public references describe them.

What it does not know (a path, a method, a field of a body, a query) it refuses with 501, which fails the test.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..http import App, Request, Response, answer
from ..proxy import Cloud, Proxy
from .errors import DEPLOYER, Refused, denied
from .grants import Grant, allowed, needs
from .policies import Policy
from .routes import ROUTES, UNIVERSES, find
from .state import TOKEN, Google
from .tokens import known_bearer, principal

__all__ = ["DEPLOYER", "Google", "Grant", "Policy", "app", "denied", "environment", "principal", "serve"]

HOSTS = tuple(sorted({f"{route.host}.{universe}" for route in ROUTES for universe in UNIVERSES}))
OPEN = ("oauth2.", "sts.")  # endpoints that give tokens need none


def app(google: Google) -> App:
    def call(request: Request) -> Response:
        try:
            with google.lock:
                return _answer(google, request)
        except Refused as refused:
            return refused.response(request.host)

    return call


def _answer(google: Google, request: Request) -> Response:
    found = find(request)
    if found is None:
        raise Refused(501, f"not simulated: {request.method} {request.target}")
    route, names = found
    if request.host != f"{route.host}.{google.universe}":
        raise Refused(501, f"{request.host} is of another universe")
    if not request.host.startswith(OPEN) and not known_bearer(google, request):
        raise Refused(401, "Request had invalid authentication credentials. Expected OAuth 2 access token.")
    if request.host in google.disabled:
        # https://cloud.google.com/service-usage/docs/troubleshooting
        said = f"This API has not been used in project {google.number} before or it is disabled. Enable it by"
        link = f"https://console.developers.google.com/apis/api/{request.host}/overview?project={google.number}"
        raise Refused(403, f"{said} visiting {link} then retry.", "SERVICE_DISABLED", service=request.host)
    if google.grants is not None and route.permission != "token":
        for permission, resource in needs(route.permission, request, google.project):
            if not allowed(google.grants, permission, resource):
                raise denied(request.host, permission, resource)
    result = route.handler(google, request, *names)
    return result if isinstance(result, Response) else answer(200, result)


def name(request: Request) -> tuple[str, bool]:
    """Return the permission that a call needs, and whether it writes."""
    found = find(request)
    if found:
        return found[0].permission, found[0].write
    return f"unknown:{request.method} {request.target}", request.method not in ("GET", "HEAD")


@contextmanager
def serve(folder: Path, project: str, number: str, **listen: Any) -> Iterator[tuple[Proxy, Google]]:
    google = Google(project, number)
    google.clear()
    with Proxy(Cloud(HOSTS, app(google), name), folder, **listen) as proxy:
        yield proxy, google


def environment(proxy: Proxy) -> dict[str, str]:
    """Return what makes unmodified clients of Google talk to the simulator."""
    return {
        "HTTPS_PROXY": proxy.url,
        "NO_PROXY": "127.0.0.1,localhost",
        "REQUESTS_CA_BUNDLE": str(proxy.authority.bundle),
        "GCP_AUTH_KIND": "accesstoken",
        "GCP_ACCESS_TOKEN": TOKEN,
    }
