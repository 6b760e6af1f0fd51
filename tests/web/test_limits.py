"""Claims about limits (G35), on a real socket with raw bytes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from small_model import one_thread  # noqa: F401
from urface.web.app import create_app
from urface.web.limits import Limits

from .running import running
from .stand_ins import NO_RATE, images, photo, service

QUICK = replace(NO_RATE, head_seconds=0.4, read_seconds=0.4, idle_sockets=50, waiting=0)
FORM = "multipart/form-data; boundary=x"


@pytest.fixture(scope="module")
def port(one_thread: None) -> Iterator[int]:  # noqa: F811
    with running(service(limits=QUICK, workers=1)) as found:
        yield found


def opened(port: int, sent: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=5)
    connection.sendall(sent)
    return connection


def answered(connection: socket.socket) -> tuple[int, dict[str, Any]]:
    """Status and JSON of what comes until the other side closes."""
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def head(port: int, *fields: str, path: str = "/v1/compare") -> bytes:
    lines = [f"POST {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Connection: close", *fields]
    return "\r\n".join([*lines, "", ""]).encode()


def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_sent(port: int):
    began = time.monotonic()
    with opened(
        port, head(port, f"Content-Type: {FORM}", "Content-Length: 10000001")
    ) as connection:
        status, told = answered(connection)
    assert (status, told["error"]["code"]) == (413, "too_large")
    assert time.monotonic() - began < 2


def test_a_body_that_does_not_say_is_counted_as_it_streams(port: int):
    with opened(port, head(port, f"Content-Type: {FORM}", "Transfer-Encoding: chunked")) as sender:
        sent = 0
        with contextlib.suppress(OSError):  # cut off while sending
            for _ in range(400):
                sender.sendall(b"20000\r\n" + b"x" * 0x20000 + b"\r\n")
                sent += 0x20000
        assert sent < 30_000_000


def test_a_body_that_trickles_is_cut_off(port: int):
    with opened(port, head(port, f"Content-Type: {FORM}", "Content-Length: 1000") + b"--x") as slow:
        status, told = answered(slow)
    assert (status, told["error"]["code"]) == (408, "slow_body")


def closes(port: int, sent: bytes, seconds: float) -> bool:
    """Whether the other side closes within ``seconds``."""
    with opened(port, sent) as connection:
        connection.settimeout(seconds)
        try:
            return connection.recv(1) == b""
        except TimeoutError:
            return False
        except ConnectionResetError:
            return True


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "])
def test_a_head_that_does_not_end_is_cut_off(port: int, sent: bytes):
    assert closes(port, sent, 4)


def test_the_second_head_of_a_connection_is_timed_too(port: int):
    request = f"GET /v1/health HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    with opened(port, request) as connection:
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        connection.sendall(b"G")  # ends uvicorn's own wait for an idle connection
        connection.settimeout(4)
        received = b"x"
        try:
            while received:
                received = connection.recv(65536)
        except ConnectionResetError:
            received = b""
        assert received == b""


def test_uvicorn_alone_would_wait_for_ever():
    """The control of the two tests above."""
    server = uvicorn.Server(
        uvicorn.Config(create_app(service(limits=QUICK)), http=H11Protocol, log_config=None)
    )
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        assert not closes(listener.getsockname()[1], b"GET / HTTP/1.1\r\n", 1.5)
        server.should_exit = True
        thread.join(15)


def test_of_too_many_waiting_sockets_the_oldest_go_and_answers_still_come(port: int):
    slow = [opened(port, b"POST /v1/comp") for _ in range(120)]
    try:
        assert httpx.get(f"http://127.0.0.1:{port}/v1/health", timeout=5).status_code == 200
        for connection in slow[:60]:
            connection.settimeout(5)
            with contextlib.suppress(ConnectionResetError):
                assert connection.recv(1) == b""
    finally:
        for connection in slow:
            connection.close()


def test_what_is_not_http_is_answered_in_json(port: int):
    with opened(port, b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n") as connection:
        status, told = answered(connection)
    assert (status, told["error"]["code"]) == (400, "bad_http")


def post(port: int, **more: Any) -> httpx.Response:
    return httpx.post(f"http://127.0.0.1:{port}/v1/compare", timeout=30, **more)


def test_a_form_has_a_few_parts_and_short_fields(port: int):
    many = post(port, files=[*images(1, name="a"), *images(2, name="b"), *images(*range(7))])
    assert many.status_code == 400
    assert "8" in many.json()["error"]["message"]
    long = post(port, data={"c": "x" * 65_537}, files=images(1, name="a"))
    assert long.status_code == 400
    assert post(port, content=b"{}", headers={"Content-Type": "text/plain"}).status_code == 415


def test_a_full_queue_is_told_at_once():
    built = service(limits=QUICK, workers=1)
    entered, gate = threading.Event(), threading.Event()

    def hold(*_: Any) -> Any:
        entered.set()
        gate.wait(20)
        raise ValueError("never mind")

    with running(built) as port:
        built.engine.faces = hold  # type: ignore[method-assign]
        pair = {"files": [*images(1, name="a"), *images(2, name="b")]}
        busy = threading.Thread(target=lambda: post(port, **pair))
        busy.start()
        assert entered.wait(10)
        took = []
        for _ in range(5):
            began = time.monotonic()
            refused = post(port, **pair)
            took.append(time.monotonic() - began)
            assert refused.status_code == 429
            assert refused.json()["error"]["code"] == "busy"
            assert int(refused.headers["retry-after"]) >= 1
        gate.set()
        busy.join()
    assert statistics.median(took) < 0.25  # 100 ms where this machine is not shared


def test_an_answer_that_takes_too_long_is_given_up():
    built = service(limits=replace(QUICK, total_seconds=0.3))
    gate = threading.Event()
    built.engine.faces = lambda *_: gate.wait(20)  # type: ignore[method-assign, assignment, return-value]
    with running(built) as port:
        answer = post(port, files=[*images(1, name="a"), *images(2, name="b")])
        gate.set()
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "too_slow"


def test_no_photo_becomes_a_temporary_file(monkeypatch: pytest.MonkeyPatch, port: int):
    import starlette.requests

    written: list[str] = []
    rollover = tempfile.SpooledTemporaryFile.rollover

    def noted(self: Any) -> None:
        written.append("a file")
        rollover(self)

    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", noted)
    large = photo(1) + b"\0" * 3_000_000  # what follows a PNG's end is not looked at
    files = [("a", ("a.png", large, "image/png")), *images(2, name="b")]
    assert post(port, files=files).status_code == 200
    assert written == []
    # the control: the parser that would have been used
    from urface.web import upload

    monkeypatch.setattr(upload, "InMemoryParser", starlette.requests.MultiPartParser)
    assert post(port, files=files).status_code == 200
    assert written


def test_the_default_limits_are_those_of_the_goal():
    limits = Limits()
    assert (limits.body_bytes, limits.parts, limits.field_bytes) == (10_000_000, 8, 65_536)
    assert (limits.read_seconds, limits.total_seconds) == (10.0, 30.0)
    assert limits.photo.max_pixels == 40_000_000
    assert limits.photo.max_side == 16_384


@pytest.mark.slow
def test_a_thousand_slow_sockets_leave_others_their_answers():
    with running(service(limits=NO_RATE, workers=1)) as port:

        def p99(count: int = 200) -> float:
            took = []
            with httpx.Client(timeout=30) as http:
                for _ in range(count):
                    began = time.monotonic()
                    files = [*images(1, name="a"), *images(2, name="b")]
                    answer = http.post(f"http://127.0.0.1:{port}/v1/compare", files=files)
                    took.append(time.monotonic() - began)
                    assert answer.status_code == 200
            return sorted(took)[int(0.99 * count)]

        alone = p99()
        slow = [opened(port, b"POST /v1/compare HTTP/1.1\r\nX: ") for _ in range(500)]
        body = head(port, f"Content-Type: {FORM}", "Content-Length: 9000000")
        slow += [opened(port, body + b"x") for _ in range(500)]
        beside = p99()
        for connection in slow:
            connection.close()
    assert beside <= 2 * alone, (alone, beside)


@pytest.mark.parametrize("field", ["Content-Length: 5", "Transfer-Encoding: chunked"])
def test_a_request_that_takes_no_body_is_refused_with_one(port: int, field: str):
    """The page needs no key: bodies sent to it would fill the room of those who have one."""
    request = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{field}\r\n\r\n".encode()
    with opened(port, request) as connection:
        status, told = answered(connection)
    assert (status, told["error"]["code"]) == (413, "too_large")
    plain = httpx.get(f"http://127.0.0.1:{port}/", headers={"Content-Length": "0"}, timeout=5)
    assert plain.status_code == 200


def test_work_whose_client_went_while_it_waited_is_not_done():
    engine = service(workers=1).engine
    done: list[int] = []
    gate = threading.Event()

    async def go() -> None:
        first = asyncio.create_task(engine.run(lambda: gate.wait(20)))
        left = asyncio.create_task(engine.run(lambda: done.append(1)))
        stays = asyncio.create_task(engine.run(lambda: done.append(2)))
        await asyncio.sleep(0.05)
        left.cancel()
        await asyncio.sleep(0.05)
        gate.set()
        await asyncio.gather(first, stays)
        assert left.cancelled()
        await asyncio.sleep(0.05)
        assert engine._busy == 0

    asyncio.run(go())
    assert done == [2]
