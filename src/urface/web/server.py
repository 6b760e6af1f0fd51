"""The service on a socket."""

from __future__ import annotations

import logging
import resource
import socket
from typing import Any

import uvicorn

from urface.types import UserError
from urface.web.app import create_app
from urface.web.connections import protocol
from urface.web.service import Service

LOOPBACK_HOSTS = ("127.0.0.1", "::1", "localhost")
MOST_FILES = 8192


def listen(host: str, port: int) -> socket.socket:
    """A bound socket. Raises UserError where the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        words = getattr(error, "strerror", None) or error
        raise UserError(f"{host}:{port}: {words}; choose another with --host and --port") from None
    return listener


def build_server(service: Service) -> uvicorn.Server:
    """A server that is run with ``server.run(sockets=[listen(...)])``."""
    config = uvicorn.Config(
        create_app(service),
        http=protocol(service.limits),
        ws="none",
        log_config=None,
        access_log=False,  # it would write queries; Shield writes a line without them
        server_header=False,
        date_header=True,
        proxy_headers=False,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=10,
        backlog=1024,
    )
    return uvicorn.Server(config)


def serve(service: Service, listener: socket.socket) -> None:
    """Answer until interrupted."""
    _allow_files()
    _log_to_stderr()
    build_server(service).run(sockets=[listener])


def _allow_files() -> None:
    """As many open sockets as the system lets this process have, up to MOST_FILES."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(MOST_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _log_to_stderr() -> None:
    handler: logging.Handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%dT%H:%M:%S"))
    levels = {
        "urface.web": logging.INFO,
        "uvicorn.error": logging.WARNING,
        "python_multipart": logging.ERROR,  # warns of every form that is damaged
    }
    for name, level in levels.items():
        logger: Any = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(level)
        logger.propagate = False
