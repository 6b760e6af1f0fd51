"""What one request may cost, on by default (reliability goal G35)."""

from __future__ import annotations

from dataclasses import dataclass

from urface.data.decode import DecodeLimits


@dataclass(frozen=True)
class Limits:
    """All are refused with 4xx and one line.

    body_bytes      of a whole request
    parts           of a form, files and fields together
    field_bytes     of a field that is no file
    head_seconds    from the connection, or the answer before, to the end of the request's head
    read_seconds    to receive the body
    total_seconds   to answer
    waiting         requests that wait for a worker; one more is answered 429 at once
    held_bytes      bodies in memory of all requests together
    idle_sockets    connections that have sent no whole head; of more, the oldest is closed
    requests_per_second, burst   of one key, or of everybody where there are no keys
    wrong_keys      a minute, for each key id and for all unknown ones together
    pixels          of one photo
    """

    body_bytes: int = 10_000_000
    parts: int = 8
    field_bytes: int = 64 * 1024
    head_seconds: float = 10.0
    read_seconds: float = 10.0
    total_seconds: float = 30.0
    waiting: int = 32
    held_bytes: int = 256_000_000
    idle_sockets: int = 512
    requests_per_second: float = 20.0
    burst: int = 60
    wrong_keys: int = 10
    pixels: int = 40_000_000

    @property
    def photo(self) -> DecodeLimits:
        """The limits that ``urface.data.decode`` checks before it decodes."""
        return DecodeLimits(max_bytes=self.body_bytes, max_pixels=self.pixels)
