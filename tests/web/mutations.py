"""Requests that are nearly right: seeded mutations of method, path, query, headers, form and images."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from .stand_ins import CONSENT, photo

BOUNDARY = "urface-boundary"
ODD = (
    "", "nan", "NaN", "inf", "-inf", "1e999", "-1", "0", "1.5", "true", "None", "null", "[]", "{}", "%00",
    "%", "'", '"', "../../etc/passwd", "http://127.0.0.1:1/", "file:///etc/passwd", "\u2603", "9" * 400,
    "x" * 5000, "2027-02-30", "likelihood", "0x10", "1_0", " 1 ", "1;2", "\ud800", "\u202e",
)  # fmt: skip
METHODS = ("GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS", "TRACE", "get", "BREW")
HEADERS = (
    ("content-type", "application/json"), ("content-type", "multipart/form-data"),
    ("content-type", f"multipart/form-data; boundary={'b' * 300}"), ("content-type", "text/html"),
    ("content-type", "multipart/form-data; boundary=\x7f"), ("content-type", ";;;=,"),
    ("content-type", "multipart/form-data; charset=utf-99; boundary=urface-boundary"),
    ("content-encoding", "gzip"), ("transfer-encoding", "chunked, chunked"), ("range", "bytes=0-1"),
    ("authorization", "Bearer x"), ("authorization", "Negotiate"), ("origin", "http://evil.example"),
    ("host", "evil.example"), ("sec-fetch-site", "cross-site"), ("if-none-match", "*"), ("expect", "x"),
    ("cookie", "a=b; " * 50), ("x-forwarded-for", "1"), ("accept", "image/avif"), ("content-length", "0"),
)  # fmt: skip


@dataclass
class Wanted:
    """A request before it becomes bytes; parts are (name, file name or None, content)."""

    method: str
    path: str
    query: list[tuple[str, str]] = field(default_factory=list)
    headers: list[tuple[str, str]] = field(default_factory=list)
    parts: list[tuple[str, str | None, bytes]] = field(default_factory=list)
    body: bytes | None = None

    def whole(self) -> bytes:
        if self.body is not None:
            return self.body
        lines = []
        for name, file, content in self.parts:
            more = "" if file is None else f'; filename="{file}"\r\nContent-Type: image/png'
            head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'
            lines.append(head.encode("utf-8", "surrogatepass") + content + b"\r\n")
        return b"".join(lines) + f"--{BOUNDARY}--\r\n".encode() if lines else b""


def starts(person: str) -> list[Wanted]:
    """One right request of each endpoint."""
    consent = [(name, None, value.encode()) for name, value in CONSENT.items()]
    form = [("content-type", f"multipart/form-data; boundary={BOUNDARY}")]
    image = [("image", "a.png", photo(1))]
    return [
        Wanted("GET", "/v1/health"),
        Wanted("GET", "/v1/model"),
        Wanted("GET", "/v1/people", [("offset", "0"), ("limit", "10")]),
        Wanted("GET", f"/v1/people/{person}/template"),
        Wanted("DELETE", f"/v1/people/{person}x"),
        Wanted("POST", "/v1/search", [("k", "3"), ("method", "cosine")], form, image),
        Wanted("POST", "/v1/identify", [("fpir", "0.1"), ("aligned", "true")], form, image),
        Wanted("POST", "/v1/embed", [("aligned", "true")], form, [("images", "a.png", photo(2))]),
        Wanted(
            "POST", "/v1/compare", [("aligned_a", "true")], form,
            [("a", "a.png", photo(1)), ("b", "b.png", photo(2))],
        ),
        Wanted(
            "POST", "/v1/people", [], form,
            [("name", None, b"Ada"), *consent, ("images", "a.png", photo(3))],
        ),
        Wanted("GET", "/page/page.css"),
    ]  # fmt: skip


def mutated(rng: random.Random, known: list[Wanted]) -> Wanted:
    """One of ``known``, changed in one to three ways."""
    start = rng.choice(known)
    wanted = Wanted(
        start.method, start.path, list(start.query), list(start.headers), list(start.parts)
    )
    for _ in range(rng.randint(1, 3)):
        rng.choice(CHANGES)(rng, wanted)
    return wanted


def _method(rng: random.Random, wanted: Wanted) -> None:
    wanted.method = rng.choice(METHODS)


def _path(rng: random.Random, wanted: Wanted) -> None:
    pieces = wanted.path.split("/")
    pieces[rng.randrange(len(pieces))] = rng.choice(ODD)[:200]
    wanted.path = "/" + "/".join(pieces).lstrip("/")


def _query(rng: random.Random, wanted: Wanted) -> None:
    if wanted.query and rng.random() < 0.8:
        place = rng.randrange(len(wanted.query))
        wanted.query[place] = (wanted.query[place][0], rng.choice(ODD))
    else:
        wanted.query.append((rng.choice(("k", "fpir", "url", "path", "aligned")), rng.choice(ODD)))


def _header(rng: random.Random, wanted: Wanted) -> None:
    name, value = rng.choice(HEADERS)
    wanted.headers = [field for field in wanted.headers if field[0] != name] + [(name, value)]


def _part(rng: random.Random, wanted: Wanted) -> None:
    if not wanted.parts:
        return
    place = rng.randrange(len(wanted.parts))
    name, file, content = wanted.parts[place]
    kind = rng.randrange(7)
    if kind == 0:
        del wanted.parts[place]
    elif kind == 1:
        wanted.parts.append(wanted.parts[place])
    elif kind == 2:
        wanted.parts[place] = (rng.choice(ODD)[:80].replace('"', ""), file, content)
    elif kind == 3:  # a file where a field is wanted, or the other way
        wanted.parts[place] = (name, None if file else "x", content)
    elif kind == 4:
        odd = rng.choice(ODD).encode("utf-8", "surrogatepass")
        wanted.parts[place] = (name, file, odd)
    else:
        wanted.parts[place] = (name, file, damaged(rng, content))


def _body(rng: random.Random, wanted: Wanted) -> None:
    whole = wanted.whole()
    kind = rng.randrange(5)
    if kind == 0:
        wanted.body = rng.randbytes(rng.randrange(400))
    elif kind == 1:
        wanted.body = whole[: rng.randrange(len(whole) + 1)]
    elif kind == 2:
        wanted.body = damaged(rng, whole)
    elif kind == 3:
        wanted.body = b'{"image": NaN, "a": [' + b"[" * rng.randrange(3000)
    else:
        wanted.body = (b"\r\n--" + BOUNDARY.encode()) * rng.randrange(1, 60) + whole


def damaged(rng: random.Random, data: bytes) -> bytes:
    """``data`` with bytes flipped, cut out or doubled."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        if not changed:
            break
        place = rng.randrange(len(changed))
        kind = rng.randrange(3)
        if kind == 0:
            changed[place] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del changed[place : place + rng.randrange(1, 200)]
        else:
            changed[place:place] = changed[place : place + rng.randrange(1, 60)]
    return bytes(changed)


CHANGES: tuple[Any, ...] = (_method, _path, _query, _query, _header, _part, _part, _part, _body)
