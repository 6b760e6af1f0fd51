"""Who may do what: one table of all endpoints, checked before a byte of the body is read (G37, G44)."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import Any

from urface.web.keys import ROLES, KeyFile
from urface.web.limits import Limits
from urface.web.rate import Rate
from urface.web.refusal import Refusal

ANYBODY, RAW = "anybody", "raw"

# (method, path) -> the least role that may, "raw" for its own permission, "anybody" without a key.
ACCESS: dict[tuple[str, str], str] = {
    ("GET", "/v1/health"): ANYBODY,
    ("GET", "/openapi.json"): ANYBODY,
    ("GET", "/"): ANYBODY,
    ("GET", "/page/{file}"): ANYBODY,
    ("GET", "/v1/model"): "search",
    ("POST", "/v1/compare"): "search",
    ("POST", "/v1/search"): "search",
    ("POST", "/v1/identify"): "search",
    ("GET", "/v1/people"): "enrol",
    ("POST", "/v1/people"): "enrol",
    ("GET", "/v1/people/{person}/template"): "enrol",
    ("DELETE", "/v1/people/{person}"): "admin",
    ("POST", "/v1/embed"): RAW,
}
PAGE = ("/", "/page/{file}")
_PATHS = {
    path: re.compile("".join(r"[^/]+" if part[0] == "{" else re.escape(part) for part in parts))
    for path, parts in (
        (path, re.findall(r"\{\w+\}|[^{}]+", path)) for path in {path for _, path in ACCESS}
    )
}
UNKNOWN = "unknown keys"  # the name under which wrong keys with ids that do not exist are counted


@dataclass(frozen=True)
class Caller:
    """Who asks.

    name   the key's, "local" on this machine without keys, None without a key
    role   None: nobody
    raw    may have raw embeddings
    """

    name: str | None
    role: str | None
    raw: bool

    def may(self, needs: str) -> bool:
        """Whether ``needs``, a value of ACCESS, is granted; anything unknown is not."""
        if needs == ANYBODY:
            return True
        if needs == RAW:
            return self.raw
        if needs not in ROLES or self.role not in ROLES:
            return False
        return ROLES.index(self.role) >= ROLES.index(needs)


NOBODY = Caller(None, None, False)


def template_of(path: str) -> str | None:
    """The path of ACCESS that ``path`` is one of; what is logged of it, for it names nobody."""
    return next((name for name, shape in _PATHS.items() if shape.fullmatch(path)), None)


def needed(method: str, path: str) -> str:
    """What a request needs by ACCESS. Raises Refusal: 404 for another path, 405 another method."""
    template = template_of(path)
    if template is None:
        raise Refusal(404, "not_found", "no such path; /openapi.json lists them")
    if method == "HEAD" and template in PAGE:
        method = "GET"
    if (method, template) not in ACCESS:
        methods = ", ".join(sorted(m for m, p in ACCESS if p == template))
        raise Refusal(405, "method_not_allowed", f"this path takes {methods}")
    return ACCESS[method, template]


class Guard:
    """ASGI middleware: lets a request through that its key allows, within the key's rate.

    keys   None: this machine only, without keys; everybody who reaches the service is "local"
    raw    whether "local" may have raw embeddings
    """

    def __init__(self, app: Any, keys: KeyFile | None, limits: Limits, raw: bool = False) -> None:
        self._app = app
        self._keys = keys
        self._local = Caller("local", "admin", raw)
        self._rate = Rate(limits.requests_per_second, limits.burst)
        self._wrong = Rate(limits.wrong_keys / 60, limits.wrong_keys)
        self._hashing = asyncio.Semaphore(1)  # scrypt for one at a time: it is made to cost much

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        needs = needed(scope["method"], scope["path"])
        caller = await self._caller(scope) if needs != ANYBODY else NOBODY
        if needs != ANYBODY:
            if caller.role is None:
                raise Refusal(401, "no_key", "give a key: Authorization: Bearer urface_...")
            if not caller.may(needs):
                what = "the permission for raw embeddings" if needs == RAW else f"the role {needs}"
                raise Refusal(403, "not_allowed", f"this needs {what}, which the key has not")
            if wait := self._rate.wait(caller.name or ""):
                raise Refusal(429, "too_often", "too many requests; wait a little", wait)
        scope.setdefault("state", {})["caller"] = caller
        await self._app(scope, receive, send)

    async def _caller(self, scope: Any) -> Caller:
        if self._keys is None:
            return self._local
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        if not given:
            return NOBODY
        scheme, _, text = given[0].decode("latin-1").partition(" ")
        text = text.strip()
        if len(given) > 1 or scheme.lower() != "bearer" or not text.isascii() or len(text) > 128:
            raise Refusal(401, "bad_key", "give one key: Authorization: Bearer urface_...")
        key = self._keys.remembered(text) or await self._check(text)
        if key is None:
            raise Refusal(401, "bad_key", "the key is not one of this service")
        return Caller(key.name, key.role, key.raw)

    async def _check(self, text: str) -> Any:
        """The key that ``text`` is, or None; refused without a look where too many were wrong."""
        assert self._keys is not None
        identifier = text[7:23]
        name = identifier if identifier in self._keys.by_id() else UNKNOWN
        if wait := self._wrong.wait(name, take=False):
            raise Refusal(429, "wrong_keys", "too many wrong keys; wait a little", wait)
        async with self._hashing:
            if key := self._keys.remembered(text):
                return key  # found by a request beside this one
            if wait := self._wrong.wait(name, take=False):
                raise Refusal(429, "wrong_keys", "too many wrong keys; wait a little", wait)
            key = await asyncio.to_thread(self._keys.find, text)
        if key is None:
            self._wrong.wait(name)
        return key
