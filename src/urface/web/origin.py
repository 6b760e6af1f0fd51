"""Which names a browser may reach the service by, and which pages may call it.

Without keys, who reaches this machine may do everything, and every page in the user's browser reaches it.
So a Host that is not this machine's is refused (a foreign name that was made to point here: DNS
rebinding), and a request that another page started (Origin, Sec-Fetch-Site: CSRF).
"""

from __future__ import annotations

import re
from typing import Any

from urface.web.refusal import Refusal

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::(\d{1,5}))?")


class OriginCheck:
    """ASGI middleware.

    hosts  names that Host may have, with any port; None: any, which is safe only behind keys
    """

    def __init__(self, app: Any, hosts: tuple[str, ...] | None) -> None:
        self._app = app
        self._hosts = None if hosts is None else {host.lower() for host in hosts}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            self._check(scope)
        await self._app(scope, receive, send)

    def _check(self, scope: Any) -> None:
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        given = [value.decode("latin-1") for name, value in headers if name == b"host"]
        host = HOST.fullmatch(given[0]) if len(given) == 1 else None
        if host is None:
            raise Refusal(400, "bad_host", "one Host header is needed")
        if self._hosts is not None and host[1].lower() not in self._hosts:
            raise Refusal(421, "wrong_host", "this service does not answer to that Host")
        # A link on another page may lead to this one: what comes then is shown, not read by that page.
        link = (b"sec-fetch-mode", b"navigate") in headers
        followed = link and scope["method"] == "GET" and scope["path"] == "/"
        for name, value in headers:
            text = value.decode("latin-1").lower()
            # Behind a proxy that ends TLS the scheme differs, so host and port alone are compared.
            if name == b"origin" and text.partition("://")[2] != given[0].lower():
                raise Refusal(403, "wrong_origin", "another page may not call this service")
            if name == b"sec-fetch-site" and text not in ("same-origin", "none") and not followed:
                raise Refusal(403, "wrong_origin", "another page may not call this service")
