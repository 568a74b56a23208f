"""A worker takes one new connection at a time, and sends on it without waiting for confirmations."""

from __future__ import annotations

import asyncio
import socket
from asyncio import base_events
from asyncio.selector_events import BaseSelectorEventLoop

import pytest
from nebari_mlflow_server import connections

CLIENTS = 20


@pytest.fixture(autouse=True)
def _asyncio_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    for place, name in ((BaseSelectorEventLoop, "_accept_connection"), (base_events, "_set_nodelay")):
        monkeypatch.setattr(place, name, getattr(place, name))  # put back at the end


class Taken(asyncio.Protocol):
    """Notes whether each connection sends at once."""

    at_once: list[bool]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        taken = transport.get_extra_info("socket")
        self.at_once.append(bool(taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)))
        transport.close()


def taken_by_one_turn() -> list[bool]:
    """Return what a loop takes when it comes round to a listening socket like uvicorn's, at which many clients wait."""
    Taken.at_once = []
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(2 * CLIENTS)
        listening.setblocking(False)
        clients = [socket.create_connection(listening.getsockname()) for _ in range(CLIENTS)]

        async def turn() -> None:
            loop = asyncio.get_running_loop()
            loop._accept_connection(Taken, listening, None, None, 2048)  # type: ignore[attr-defined]
            await asyncio.sleep(0.05)

        asyncio.run(turn())
        for client in clients:
            client.close()
    return Taken.at_once


def test_workers_take_new_connections_in_turns() -> None:
    assert len(taken_by_one_turn()) == CLIENTS, "asyncio takes all of them"
    connections.take_in_turns()
    assert len(taken_by_one_turn()) == 1


def test_answers_do_not_wait_for_confirmations() -> None:
    assert not any(taken_by_one_turn()), "asyncio does not know that it is TCP"
    connections.send_at_once()
    assert taken_by_one_turn() == [True] * CLIENTS


def test_sockets_of_other_kinds_are_left_alone() -> None:
    connections.send_at_once()
    one, other = socket.socketpair(socket.AF_UNIX)
    with one, other:
        base_events._set_nodelay(one)  # type: ignore[attr-defined]


def test_a_python_without_these_functions_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(BaseSelectorEventLoop, "_accept_connection")
    monkeypatch.delattr(base_events, "_set_nodelay")
    connections.take_in_turns()
    connections.send_at_once()
    assert not hasattr(BaseSelectorEventLoop, "_accept_connection")
    assert not hasattr(base_events, "_set_nodelay")
