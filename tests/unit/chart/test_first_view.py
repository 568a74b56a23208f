"""The UI's page is told what to show first, and nothing else is touched."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from nebari_mlflow_server.first_view import SCRIPT, SETTINGS, FirstView

from tests.unit.chart.exchange import Exchange

PAGE = b"<!doctype html><html><head><title>MLflow</title></head><body></body></html>"


def answering(kind: str = "text/html; charset=utf-8", status: int = 200, **more: str) -> Any:
    """An application that answers in two parts, as one that sends a file, and notes what it was asked."""

    async def application(scope: Any, _receive: Any, send: Any) -> None:
        application.asked = dict(scope["headers"])  # type: ignore[attr-defined]
        pairs = [(b"content-type", kind.encode()), (b"content-length", str(len(PAGE)).encode())]
        pairs += [(name.replace("_", "-").encode(), value.encode()) for name, value in more.items()]
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        await send({"type": "http.response.body", "body": PAGE[:20], "more_body": True})
        await send({"type": "http.response.body", "body": PAGE[20:]})

    return application


def body(exchange: Exchange) -> bytes:
    return b"".join(message.get("body", b"") for message in exchange.sent)


def test_the_page_sets_what_the_person_has_not_set() -> None:
    application = answering(ETag='"1"', Cache_Control="no-cache")
    exchange = Exchange("GET", "/", accept="text/html")
    exchange.scope["headers"] += [(b"If-None-Match", b'"1"')]  # type: ignore[operator]
    assert asyncio.run(exchange.to(FirstView(application))) == 200
    assert body(exchange) == PAGE.replace(b"<head>", b"<head>" + SCRIPT)
    assert exchange.headers[b"content-length"] == str(len(PAGE) + len(SCRIPT)).encode()
    assert (b"ETag" in exchange.headers, exchange.headers[b"Cache-Control"]) == (False, b"no-cache")
    assert application.asked == {b"accept": b"text/html"}
    assert all(name.encode() in SCRIPT for name in SETTINGS)
    assert b"getItem(k)===null" in SCRIPT


@pytest.mark.parametrize(
    ("method", "path", "application"),
    [
        ("GET", "/static-files/index.html", answering()),
        ("GET", "/api/2.0/mlflow/experiments/search", answering("application/json")),
        ("POST", "/", answering()),
        ("HEAD", "/", answering()),
        ("GET", "/", answering("text/plain")),
        ("GET", "/", answering(status=404)),
        ("GET", "/", answering(content_encoding="gzip")),
    ],
)
def test_other_answers_stay_as_they_are(method: str, path: str, application: Any) -> None:
    exchange = Exchange(method, path)
    asyncio.run(exchange.to(FirstView(application)))
    assert body(exchange) == PAGE
    assert exchange.headers[b"content-length"] == str(len(PAGE)).encode()
