"""MLflow's check sees each request, and the rest of the application runs only if it lets the request pass."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from nebari_mlflow_server.permissions import NEEDED, Permissions, check_at_less_cost

FLASKS, FASTAPIS = "/api/2.0/mlflow/runs/get", "/gateway/x"


class Whole:
    """Starlette's middleware, which says that it was used."""

    def __init__(self, app: Any, dispatch: Any) -> None:
        self.app, self.dispatch = app, dispatch

    async def __call__(self, scope: Any, _receive: Any, send: Any) -> None:
        await send(f"whole: {scope.get('path', '')}")


STARLETTE = SimpleNamespace(
    requests=SimpleNamespace(Request=lambda scope: SimpleNamespace(path=scope["path"])),
    middleware=SimpleNamespace(base=SimpleNamespace(BaseHTTPMiddleware=Whole)),
)


async def app(scope: Any, _receive: Any, send: Any) -> None:
    await send(f"answered: {scope['path']}")


async def refusal(_scope: Any, _receive: Any, send: Any) -> None:
    await send("refused")


async def lets_pass(request: Any, call_next: Any) -> Any:
    return await call_next(request)


async def refuses(_request: Any, _call_next: Any) -> Any:
    return refusal


async def changes_the_answer(request: Any, call_next: Any) -> Any:
    answer = await call_next(request)
    answer.headers["x"] = "y"
    return answer


async def fails(_request: Any, _call_next: Any) -> Any:
    message = "nobody knows"
    raise RuntimeError(message)


def said(check: Any, path: str, kind: str = "http") -> list[str]:
    """Return what a client hears."""
    heard: list[str] = []

    async def send(text: Any) -> None:
        heard.append(text)

    def is_flasks(scope: Any) -> bool:
        return bool(scope["path"] == FLASKS)

    made = Permissions(app, check=check, starlette=STARLETTE, is_flasks=is_flasks)
    asyncio.run(made({"type": kind, "path": path, "method": "GET"}, None, send))  # type: ignore[arg-type]
    return heard


@pytest.mark.parametrize(
    ("check", "path", "kind", "expected"),
    [
        (lets_pass, FLASKS, "http", f"answered: {FLASKS}"),
        (refuses, FLASKS, "http", "refused"),
        (lets_pass, FASTAPIS, "http", f"whole: {FASTAPIS}"),
        (refuses, FASTAPIS, "http", f"whole: {FASTAPIS}"),
        (lets_pass, FLASKS, "websocket", f"whole: {FLASKS}"),
    ],
)
def test_what_the_check_refuses_reaches_nobody(check: Any, path: str, kind: str, expected: str) -> None:
    assert said(check, path, kind) == [expected]


@pytest.mark.parametrize("check", [fails, changes_the_answer])
def test_a_check_that_fails_lets_nothing_through(check: Any) -> None:
    with pytest.raises((RuntimeError, AttributeError)):
        said(check, FLASKS)


@pytest.mark.parametrize("lost", NEEDED)
def test_an_mlflow_that_checks_in_another_way_is_left_alone(lost: str) -> None:
    auth = SimpleNamespace(**{name: None for name in NEEDED if name != lost})
    middlewares = [SimpleNamespace(kwargs={"dispatch": lets_pass})]
    check_at_less_cost(SimpleNamespace(user_middleware=middlewares), auth)
    assert middlewares == [SimpleNamespace(kwargs={"dispatch": lets_pass})]
