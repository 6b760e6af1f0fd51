"""Bodies in memory, counted as they stream in (G35): never on disk, never more than the limits."""

from __future__ import annotations

import asyncio
from typing import Any

from urface.web.limits import Limits
from urface.web.refusal import Refusal

PIECE = 64 * 1024  # bytes handed on at a time, so that parsing a large form lets others have a turn


class BodyLimit:
    """ASGI middleware: receives the whole body, then hands it on in pieces."""

    def __init__(self, app: Any, limits: Limits) -> None:
        self._app = app
        self._limits = limits
        self._held = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._check_length(scope["method"], scope["headers"])
        pieces: list[bytes] = []
        try:
            async with asyncio.timeout(self._limits.read_seconds):
                await self._read(receive, pieces)
        except TimeoutError:
            seconds = f"{self._limits.read_seconds:g}"
            self._held -= sum(map(len, pieces))
            raise Refusal(408, "slow_body", f"the body took over {seconds} s to arrive") from None
        except BaseException:
            self._held -= sum(map(len, pieces))
            raise
        size = sum(map(len, pieces))
        try:
            await self._app(scope, _replay(b"".join(pieces), receive), send)
        finally:
            self._held -= size

    def _check_length(self, method: str, headers: list[tuple[bytes, bytes]]) -> None:
        for name, value in headers:
            # The page needs no key, so its bodies would fill the room of those who have one.
            if method != "POST" and (
                name == b"transfer-encoding" or (name == b"content-length" and int(value) > 0)
            ):
                raise Refusal(413, "too_large", "this request takes no body")
            # h11 has refused what is no number, and two that differ.
            if name == b"content-length" and int(value) > self._limits.body_bytes:
                raise self._too_large()

    def _too_large(self) -> Refusal:
        limit = self._limits.body_bytes
        return Refusal(413, "too_large", f"a request may have {limit:,} bytes: send smaller images")

    async def _read(self, receive: Any, pieces: list[bytes]) -> None:
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            piece = message.get("body", b"")
            more = message.get("more_body", False)
            size += len(piece)
            if size > self._limits.body_bytes:
                raise self._too_large()
            if self._held + len(piece) > self._limits.held_bytes:
                raise Refusal(429, "busy", "too many bodies at once; try again", retry_after=1)
            if piece:
                pieces.append(piece)
                self._held += len(piece)


class Disconnected(Exception):
    """The client went before its request was whole: there is nobody to answer."""


def _replay(body: bytes, receive: Any) -> Any:
    place = 0
    done = False

    async def piecewise() -> dict[str, Any]:
        nonlocal place, done
        if done:
            message: dict[str, Any] = await receive()
            return message
        piece = body[place : place + PIECE]
        place += len(piece)
        done = place >= len(body)
        await asyncio.sleep(0)
        return {"type": "http.request", "body": piece, "more_body": not done}

    return piecewise
