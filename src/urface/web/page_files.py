"""The page's files, read once: there is no path from a request to the disk."""

from __future__ import annotations

import hashlib
from importlib import resources

from fastapi import APIRouter, Request, Response

KINDS = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".jpg": "image/jpeg",
}


def page_files() -> dict[str, tuple[bytes, str]]:
    """Content and type by name."""
    folder = resources.files("urface.web") / "page"
    found = {}
    for file in folder.iterdir():
        ending = "." + file.name.rpartition(".")[2]
        if ending in KINDS:
            found[file.name] = (file.read_bytes(), KINDS[ending])
    return found


def page_router() -> APIRouter:
    """``/`` and ``/page/...``."""
    router = APIRouter(include_in_schema=False)
    files = page_files()
    tags = {name: f'"{hashlib.sha256(data).hexdigest()[:32]}"' for name, (data, _) in files.items()}

    def answer(request: Request, name: str) -> Response:
        if name not in files:
            body = b'{"error": {"code": "not_found", "message": "the page has no such file"}}'
            return Response(body, 404, media_type="application/json")
        data, kind = files[name]
        headers = {"etag": tags[name], "cache-control": "no-cache"}
        if request.headers.get("if-none-match") == tags[name]:
            return Response(status_code=304, headers=headers)
        return Response(data, headers=headers, media_type=kind)

    @router.api_route("/", methods=["GET", "HEAD"])
    async def index(request: Request) -> Response:
        return answer(request, "index.html")

    @router.api_route("/page/{file}", methods=["GET", "HEAD"])
    async def page(request: Request, file: str) -> Response:
        return answer(request, file)

    return router
