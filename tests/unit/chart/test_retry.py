"""A busy server and an absent database: nobody waits for ever, and clients are told to come back."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from nebari_mlflow_server import database
from nebari_mlflow_server.gate import FullError, Gate
from nebari_mlflow_server.probes import Probes
from nebari_mlflow_server.retry import Retryable, Threads

from tests.unit.chart.exchange import Exchange, fine

SEARCH = "/api/2.0/mlflow/runs/search"


class Connections:
    """Counts what threads hold at the same time."""

    def __init__(self) -> None:
        self.open = self.most = 0
        self.lock = threading.Lock()

    def change(self, by: int) -> None:
        with self.lock:
            self.open += by
            self.most = max(self.most, self.open)


def nested(gate: Gate, connections: Connections, depth: int) -> None:
    """Take one connection inside of another, as MLflow does."""
    held = gate.enter()
    connections.change(1)
    time.sleep(0.001)
    if depth > 1:
        nested(gate, connections, depth - 1)
    connections.change(-1)
    gate.leave(held, working=True)


@pytest.mark.parametrize("places", [1, 3, 10])
@pytest.mark.parametrize("depth", [1, 2, 4])
def test_nested_connections_never_wait_for_each_other(places: int, depth: int) -> None:
    gate, connections = Gate(places, patience=20), Connections()
    with ThreadPoolExecutor(40) as pool:
        list(pool.map(lambda _: nested(gate, connections, depth), range(80)))
    assert connections.open == 0
    assert connections.most <= 2 * places + 2


def test_waiting_for_a_place_has_an_end() -> None:
    gate = Gate(1, patience=0.05)
    first = gate.enter()
    with ThreadPoolExecutor(1) as pool, pytest.raises(FullError):
        pool.submit(gate.enter).result()
    gate.leave(first, working=True)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(gate.enter).result()


def test_the_event_loop_never_waits_for_a_place() -> None:
    gate = Gate(1, patience=5)
    gate.enter()

    async def enter() -> None:
        began = time.monotonic()
        gate.leave(gate.enter(), working=True)
        assert time.monotonic() - began < 1

    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(enter())).result()


def driver_error(name: str, code: str | None = None) -> Exception:
    error: Exception = type(name, (Exception,), {"pgcode": code})()
    return error


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (driver_error("OperationalError"), True),
        (driver_error("InterfaceError"), True),
        (driver_error("AdminShutdown", "57P01"), True),
        (driver_error("CannotConnectNow", "57P03"), True),
        (driver_error("TooManyConnections", "53300"), True),
        (driver_error("ReadOnlySqlTransaction", "25006"), True),
        (driver_error("DeadlockDetected", "40P01"), True),
        (driver_error("UniqueViolation", "23505"), False),
        (driver_error("NumericValueOutOfRange", "22003"), False),
        (driver_error("UndefinedTable", "42P01"), False),
        (driver_error("ProgrammingError"), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_which_errors_pass_by_themselves(error: Exception, passes: bool) -> None:
    assert database.passes(error) is passes


def answering(status: int, *, trouble: bool) -> Any:
    """Answer as MLflow does after its thread met trouble with the database, or none."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        def work() -> None:
            found = database.trouble.get()
            assert found
            found.met = trouble

        await asyncio.to_thread(work)
        if not status:
            raise RuntimeError
        await fine(scope, receive, SimpleNamespace(send=send).send)

    async def with_status(scope: Any, receive: Any, send: Any) -> None:
        async def changed(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["status"] = status
            await send(message)

        await application(scope, receive, changed)

    return with_status


@pytest.mark.parametrize(
    ("status", "trouble", "answered"),
    [
        (400, True, 503),
        (500, True, 503),
        (503, True, 503),
        (0, True, 503),
        (404, True, 404),
        (400, False, 400),
        (200, True, 200),
    ],
)
def test_what_an_absent_database_spoils_can_be_tried_again(status: int, trouble: bool, answered: int) -> None:
    exchange = Exchange("POST", SEARCH, b"{}")
    assert asyncio.run(exchange.to(Retryable(answering(status, trouble=trouble)))) == answered
    assert (b"retry-after" in exchange.headers) is (answered == 503)
    assert len(exchange.sent) == 2, "one answer"


def test_an_error_of_mlflow_s_own_stays_one() -> None:
    with pytest.raises(RuntimeError):
        asyncio.run(Exchange("POST", SEARCH, b"{}").to(Retryable(answering(0, trouble=False))))


class Slow:
    """An application that answers when it is told to."""

    def __init__(self) -> None:
        self.go, self.running = asyncio.Event(), 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.running += 1
        await self.go.wait()
        await fine(scope, receive, send)


def test_requests_wait_for_a_thread_then_get_503() -> None:
    async def crowd() -> None:
        slow = Slow()
        limited = Threads(slow, threads=2, patience=0.2)
        exchanges = [Exchange("POST", SEARCH, b"{}") for _ in range(5)]
        tasks = [asyncio.create_task(each.to(limited)) for each in exchanges]
        await asyncio.sleep(0.05)
        assert slow.running == 2
        done, pending = await asyncio.wait(tasks, timeout=1)
        assert [task.result() for task in done] == [503] * 3
        assert b"retry-after" in next(each for each in exchanges if each.sent).headers
        slow.go.set()
        assert [await task for task in pending] == [200, 200]
        assert await Exchange("POST", SEARCH, b"{}").to(limited) == 200

    asyncio.run(crowd())


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "/api/2.0/mlflow-artifacts/artifacts/7/a"), ("GET", "/static-files/main.js"), ("GET", "/version")],
)
def test_transfers_of_artifacts_hold_no_thread_s_place(method: str, path: str) -> None:
    async def crowd() -> None:
        slow = Slow()
        limited = Threads(slow, threads=1, patience=0.1)
        tasks = [asyncio.create_task(Exchange(method, path).to(limited)) for _ in range(3)]
        await asyncio.sleep(0.05)
        assert slow.running == 3
        slow.go.set()
        assert [await task for task in tasks] == [200] * 3

    asyncio.run(crowd())


async def works() -> None:
    """Read from a database that answers."""


async def fails() -> None:
    """Read from a database that is away."""
    raise OSError("secret words")


async def unasked(*_: Any) -> None:
    """Stand for an application that no probe may reach."""
    raise AssertionError


def test_readiness_asks_the_database_unless_it_has_just_answered(tmp_path: Path) -> None:
    gate = Gate(1)
    probes = Probes(unasked, gate, fails, tmp_path / "draining")
    assert asyncio.run(Exchange("GET", "/health/ready").to(probes)) == 503
    gate.leave(gate.enter(), working=False)
    assert asyncio.run(Exchange("GET", "/health/ready").to(probes)) == 503
    gate.leave(gate.enter(), working=True)
    assert asyncio.run(Exchange("GET", "/health/ready").to(probes)) == 200
    assert asyncio.run(Exchange("GET", "/health").to(probes)) == 200


def test_readiness_tells_nothing_but_whether(tmp_path: Path) -> None:
    asked = Exchange("GET", "/health/ready")
    assert asyncio.run(asked.to(Probes(unasked, Gate(1), fails, tmp_path / "draining"))) == 503
    assert asked.sent[1]["body"] == b"not ready (OSError)"
    assert asyncio.run(Exchange("GET", "/health/ready").to(Probes(unasked, Gate(1), works, tmp_path / "d"))) == 200


def test_a_pod_that_goes_ends_its_connections(tmp_path: Path) -> None:
    draining = tmp_path / "draining"
    draining.touch()
    probes = Probes(fine, Gate(1), works, draining)
    before, after = Exchange("POST", SEARCH, b"{}"), Exchange("POST", SEARCH, b"{}")
    assert asyncio.run(before.to(probes)) == 200
    assert b"connection" not in before.headers, "a mark of the container's last life does not count"
    draining.touch()
    assert asyncio.run(after.to(probes)) == 200
    assert after.headers[b"connection"] == b"close"
