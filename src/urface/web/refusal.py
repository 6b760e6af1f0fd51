"""Errors as a client sees them: a status and ``{"error": {"code", "message"}}``, one line, no traceback."""

from __future__ import annotations

import errno
import json
import logging
from typing import Any

from urface.data.image_header import DecodeError
from urface.types import UserError

log = logging.getLogger("urface.web")

MESSAGE_CHARACTERS = 300
FULL_DISK = (errno.ENOSPC, errno.EDQUOT)


class Refusal(Exception):
    """A request that is not answered, and why.

    status       of HTTP, 4xx where the client can put it right
    code         a word for programs
    retry_after  seconds, where trying again helps
    """

    def __init__(
        self, status: int, code: str, message: str, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = one_line(message)
        self.retry_after = retry_after

    def body(self) -> bytes:
        """The JSON that goes out."""
        return json.dumps({"error": {"code": self.code, "message": self.message}}).encode()

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Of the answer, but for those that every answer has."""
        length = str(len(self.body())).encode()
        fields = [(b"content-type", b"application/json"), (b"content-length", length)]
        if self.retry_after is not None:
            fields.append((b"retry-after", str(max(1, round(self.retry_after))).encode()))
        if self.status == 401:
            fields.append((b"www-authenticate", b"Bearer"))
        return fields

    async def answer(self, send: Any, close: bool = False) -> None:
        """Send it over ASGI; ``close``: the rest of the request is not waited for."""
        fields = self.headers() + ([(b"connection", b"close")] if close else [])
        await send({"type": "http.response.start", "status": self.status, "headers": fields})
        await send({"type": "http.response.body", "body": self.body()})


def one_line(message: str) -> str:
    """``message`` without line breaks and control characters, of a length to be read."""
    text = " ".join("".join(c if c.isprintable() else " " for c in message).split())
    return text if len(text) <= MESSAGE_CHARACTERS else text[: MESSAGE_CHARACTERS - 3] + "..."


def refusal_of(error: BaseException) -> Refusal:
    """What a client is told of ``error``: users' errors in their words, our own without any."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, DecodeError):
        return Refusal(400, "bad_image", str(error))
    if type(error).__name__ == "GalleryDamaged":  # the operator's to mend, not the client's
        log.error("the gallery is damaged: `urface gallery stats` says where")
        return Refusal(500, "gallery_damaged", "the service's gallery is damaged")
    if type(error).__name__ == "KeysDamaged":
        log.error("%s", error)
        return Refusal(500, "keys_damaged", "the service's file of keys is damaged")
    if isinstance(error, UserError):
        code = "no_face" if type(error).__name__ == "NoFace" else "not_possible"
        return Refusal(422, code, str(error))
    if isinstance(error, TimeoutError):
        return Refusal(503, "too_slow", "the answer took too long; try again", retry_after=5)
    if isinstance(error, OSError) and error.errno in FULL_DISK:
        return Refusal(507, "disk_full", "the service has no room left on its disk")
    # Where a fault of ours came through, without its message, which may hold what was sent.
    log.error("fault: %s", _track(error))
    return Refusal(500, "internal", "the service failed; its log says why")


def _track(error: BaseException) -> str:
    """The kind of an error and the places it came through."""
    places = []
    frame = error.__traceback__
    while frame is not None:
        code = frame.tb_frame.f_code
        places.append(f"{code.co_filename.rpartition('/')[2]}:{frame.tb_lineno}")
        frame = frame.tb_next
    return f"{type(error).__name__} at {' '.join(places[-6:])}"
