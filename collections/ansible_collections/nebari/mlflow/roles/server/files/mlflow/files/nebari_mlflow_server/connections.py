"""How a worker takes new connections from the socket that it shares with the others, and how it sends on them."""

from __future__ import annotations

import functools
import socket
from asyncio import base_events
from asyncio.selector_events import BaseSelectorEventLoop
from typing import Any


def take_in_turns() -> None:
    """Take one connection each time that the event loop comes round, so that the other workers get theirs.

    asyncio takes all that wait at once, up to uvicorn's backlog of 2,048, and keeps them while their clients do. Of 40
    clients that came together, one of two workers got 37.
    """
    accept = getattr(BaseSelectorEventLoop, "_accept_connection", None)
    if accept is None:
        return  # a later Python, where it is asyncio's again

    @functools.wraps(accept)
    def accept_one(
        loop: Any, factory: Any, sock: Any, context: Any = None, server: Any = None, _most: int = 100, *more: Any
    ) -> None:
        accept(loop, factory, sock, context, server, 1, *more)

    BaseSelectorEventLoop._accept_connection = accept_one  # type: ignore[attr-defined]


def send_at_once() -> None:
    """Switch off Nagle's algorithm on connections of workers, as asyncio does on all others.

    asyncio looks for sockets that name their protocol, which the one of uvicorn's workers does not
    (https://github.com/Kludex/uvicorn/issues/3149). An answer is two packets, headers and body, and the second one
    waited 40 ms until the client confirmed the first.
    """
    if hasattr(base_events, "_set_nodelay"):
        base_events._set_nodelay = _set_nodelay


def _set_nodelay(sock: Any) -> None:
    if sock.family in {socket.AF_INET, socket.AF_INET6} and sock.type == socket.SOCK_STREAM:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
