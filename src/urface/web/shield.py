"""The outermost layer: every answer has headers that keep a browser safe, every error is JSON of one line.

Logs one line a request with method, template of the path, status and time; never a name, a query or a key.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from urface.web.access import template_of
from urface.web.body import Disconnected
from urface.web.limits import Limits
from urface.web.refusal import refusal_of

log = logging.getLogger("urface.web")

POLICY = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)


class Shield:
    """ASGI middleware around all others; nothing gets past it as an exception."""

    def __init__(self, app: Any, limits: Limits) -> None:
        self._app = app
        self._seconds = limits.total_seconds

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 0
        began = time.perf_counter()

        async def guarded(message: dict[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                fields = list(message.get("headers", []))
                names = {name.lower() for name, _ in fields}
                fields += [field for field in HEADERS if field[0] not in names]
                if b"cache-control" not in names:
                    fields.append((b"cache-control", b"no-store"))
                message = {**message, "headers": fields}
            await send(message)

        try:
            async with asyncio.timeout(self._seconds):
                await self._app(scope, receive, guarded)
        except Disconnected:
            status = 499
        except Exception as error:
            if status == 0:
                await refusal_of(error).answer(guarded, close=True)
            else:
                raise RuntimeError("the answer broke off") from None
        finally:
            took = 1000 * (time.perf_counter() - began)
            path = template_of(scope["path"]) or "(unknown path)"
            method = scope["method"] if scope["method"] in METHODS else "(unknown method)"
            log.info("%s %s %d %.0f ms", method, path, status, took)


METHODS = ("GET", "HEAD", "POST", "DELETE", "PUT", "PATCH", "OPTIONS")
