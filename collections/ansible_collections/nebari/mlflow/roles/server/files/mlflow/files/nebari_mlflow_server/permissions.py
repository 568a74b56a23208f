"""MLflow's check of the routes that FastAPI answers, at less cost for all others, which Flask answers and checks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from nebari_mlflow_server.asgi import App, Receive, Scope, Send

NAME = "fastapi_permission_middleware"
NEEDED = ("_native_fastapi_routes", "_scope_matches_native_route", "_find_fastapi_validator")
"""MLflow's functions that say who answers a request."""

PASSED = object()
"""What the check returns in place of an answer if it lets a request pass."""

Check = Callable[[Any, Callable[[Any], Awaitable[Any]]], Awaitable[Any]]


class Permissions:
    """ASGI middleware: asks MLflow's check about each request.

    Starlette runs the rest of the application in a task of its own, with a stream between them, so that a check can
    change the answer. Here that is so for FastAPI's routes only. A check that wanted more of another route's answer
    would fail, and so would the request.
    """

    def __init__(self, app: App, *, check: Check, starlette: Any, is_flasks: Callable[[Scope], bool]) -> None:
        self.app, self.check, self.is_flasks = app, check, is_flasks
        self.request = starlette.requests.Request
        self.whole = starlette.middleware.base.BaseHTTPMiddleware(app, dispatch=check)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self.is_flasks(scope):
            await self.whole(scope, receive, send)
            return
        answer = await self.check(self.request(scope), _pass)
        await (self.app if answer is PASSED else answer)(scope, receive, send)


async def _pass(_request: Any) -> Any:
    return PASSED


def check_at_less_cost(app: Any, auth: Any) -> None:
    """Put it in the place of MLflow's middleware. A release of MLflow that checks in another way is left alone."""
    if not all(hasattr(auth, name) for name in NEEDED):
        return
    import starlette.middleware.base
    import starlette.requests

    routes = auth._native_fastapi_routes(app)

    def is_flasks(scope: Scope) -> bool:
        if auth._scope_matches_native_route(routes, scope):
            return False
        return auth._find_fastapi_validator(scope["path"], scope["method"]) is None

    for place, each in enumerate(app.user_middleware):
        check = each.kwargs.get("dispatch")
        if getattr(check, "__name__", "") == NAME:
            app.user_middleware[place] = starlette.middleware.Middleware(
                Permissions, check=check, starlette=starlette, is_flasks=is_flasks
            )
