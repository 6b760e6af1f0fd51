"""Connections that are slow to say what they want are closed (G35): uvicorn itself would wait for ever."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from urface.web.limits import Limits
from urface.web.refusal import Refusal


def protocol(limits: Limits) -> type[H11Protocol]:
    """uvicorn's HTTP protocol with a time for the head of a request and a bound on who has sent none."""
    waiting: dict[Any, None] = {}  # in the order in which they began to wait

    class Deadline(H11Protocol):
        _deadline: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._wait()

        def data_received(self, data: bytes) -> None:
            before = self.cycle
            super().data_received(data)
            if self.cycle is not before:  # a head was whole
                self._stop_waiting()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            if not self.transport.is_closing() and (
                self.cycle is None or self.cycle.response_complete
            ):
                self._wait()

        def send_400_response(self, msg: str) -> None:
            refusal = Refusal(400, "bad_http", "this is not an HTTP/1.1 request")
            fields = [*refusal.headers(), (b"connection", b"close")]
            for event in (
                h11.Response(status_code=400, headers=fields, reason=b"Bad Request"),
                h11.Data(data=refusal.body()),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
            self.transport.close()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_waiting()
            super().connection_lost(exc)

        def _wait(self) -> None:
            self._stop_waiting()
            self._deadline = self.loop.call_later(limits.head_seconds, self._too_slow)
            waiting[self] = None
            if len(waiting) > limits.idle_sockets:
                next(iter(waiting))._too_slow()

        def _stop_waiting(self) -> None:
            waiting.pop(self, None)
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

        def _too_slow(self) -> None:
            self._stop_waiting()
            self.transport.abort()

    return Deadline
