"""The service as an ASGI application: layers outside in, then the endpoints."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI

import urface
from urface.web.access import Guard
from urface.web.body import BodyLimit
from urface.web.origin import OriginCheck
from urface.web.page_files import page_router
from urface.web.routes import router
from urface.web.service import Service
from urface.web.shield import Shield

log = logging.getLogger("urface.web")
PURGE_SECONDS = 3600.0  # between purges of people whose consent has ended; they are hidden at once


def create_app(service: Service) -> Any:
    """An ASGI application. A request passes Shield, OriginCheck, Guard and BodyLimit, then its endpoint."""
    app = FastAPI(
        title="urface",
        version=urface.__version__,
        description="Face recognition that knows what it does not know.",
        docs_url=None,  # its page would be loaded from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
    )
    app.state.service = service
    app.state.limits = service.limits
    app.include_router(router)
    app.include_router(page_router())
    _describe_keys(app)
    inner = BodyLimit(app, service.limits)
    guarded = Guard(inner, service.keys, service.limits, service.raw)
    return Shield(OriginCheck(guarded, service.hosts), service.limits)


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    service: Service = app.state.service
    purging = asyncio.create_task(_purge(service)) if service.gallery else None
    yield
    if purging:
        purging.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await purging
    service.engine.close()
    if service.gallery:
        service.gallery.close()


async def _purge(service: Service) -> None:
    """Erase people whose consent has ended, as long as the service runs."""
    gallery, _ = service.people()
    while True:
        try:
            removed = await asyncio.to_thread(gallery.purge)
            if removed:
                log.info("purged %d people whose consent had ended", removed)
        except Exception as error:
            log.error("purging failed: %s", type(error).__name__)
        await asyncio.sleep(PURGE_SECONDS)


def _describe_keys(app: FastAPI) -> None:
    """Say in /openapi.json how a key is given, and which role each endpoint needs."""
    from urface.web.access import ACCESS, ANYBODY

    plain = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema:
            return app.openapi_schema
        schema = plain()
        schemes = schema.setdefault("components", {}).setdefault("securitySchemes", {})
        schemes["key"] = {"type": "http", "scheme": "bearer", "bearerFormat": "urface_ID_SECRET"}
        for path, methods in schema["paths"].items():
            for method, operation in methods.items():
                needs = ACCESS[method.upper(), path]
                if needs != ANYBODY:
                    operation["security"] = [{"key": []}]
                    operation["x-needs"] = needs
        return schema

    app.openapi = described  # type: ignore[method-assign]
