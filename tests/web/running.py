"""A service on a real socket, for tests of what only sockets show."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from urface.web.server import build_server, listen
from urface.web.service import Service


@contextmanager
def running(built: Service) -> Iterator[int]:
    """The port on 127.0.0.1 of ``built``, which ends with the block."""
    with listen("127.0.0.1", 0) as listener:
        server = build_server(built)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + 20
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()
