"""The log of all that was done with a gallery: a chain in which no line can be changed unseen (G43).

Line n carries HMAC(key, chain of line n - 1, line n). The newest line's chain is also kept apart, in the file
audit.head, so that lines missing at the end are noticed. No line holds a name or a number of an embedding;
people are called by their numbers, which say nothing once they are erased.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import os
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from urface.gallery.database import Database
from urface.types import UserError

HEAD = "audit.head"
SLOT = 160  # bytes; below a disk's sector, so that a slot is old or new
_actor: ContextVar[str] = ContextVar("urface_gallery_actor", default="")


@contextlib.contextmanager
def acting_as(who: str) -> Iterator[None]:
    """In the block, lines of this thread say ``who`` acted, such as the identifier of an API key."""
    token = _actor.set(who)
    try:
        yield
    finally:
        _actor.reset(token)


Head = tuple[int, bytes]  # lines, and the chain over them


@dataclass(frozen=True)
class AuditReport:
    """lines  in the log; head  what to note elsewhere and compare with later: "number:chain";
    problems  one line each, none where the log is whole."""

    lines: int
    head: str
    problems: list[str]


class Audit:
    """The log in ``database`` and its head in ``folder``."""

    def __init__(self, database: Database, folder: Path, key: bytes) -> None:
        self._database = database
        self._head = folder / HEAD
        self._key = key

    def add(self, act: str, when: datetime, **details: Any) -> None:
        """A line, as part of the writing that is under way."""
        place, chain = self._last()
        told: dict[str, Any] = {"line": place + 1, "at": when.isoformat(timespec="seconds")}
        told |= {"act": act} | details
        if who := _actor.get():
            told["by"] = who
        line = json.dumps(told, ensure_ascii=True)
        self._database.run(
            "INSERT INTO audit VALUES (?, ?, ?)", (place + 1, line, self._link(chain, line))
        )

    def note_head(self, sync: bool = True) -> None:
        """Bring audit.head up to the log. After the write: a head behind is right, one ahead an alarm."""
        place, chain = self._last()
        text = f"{place} {chain.hex() or '-'}"
        slot = f"{text} {self._seal(text)}".ljust(SLOT - 1).encode() + b"\n"
        descriptor = os.open(self._head, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # Two slots in turn: a slot that a kill left half-written costs one line, not the head.
            os.pwrite(descriptor, slot, SLOT * (place % 2))
            if sync:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def report(self, head: Head | None, noted: str = "") -> AuditReport:
        """Whether the log is whole, up to ``head`` and to a head ``noted`` elsewhere.

        head  of ``kept_head``, read before the snapshot of the database: another process moves it on
        """
        problems = []
        chain, place, chains = b"", 0, {}
        heads = {"audit.head": head, "the head given": self._parse(noted)}
        wanted = {head[0] for head in heads.values() if head}
        for found, line, link in self._database.rows(
            "SELECT place, line, chain FROM audit ORDER BY place"
        ):
            if found != place + 1:
                problems.append(f"lines {place + 1} to {found - 1} are missing")
            elif not hmac.compare_digest(self._link(chain, line), bytes(link)):
                problems.append(f"line {found} was changed")
            chain, place = bytes(link), found
            if place in wanted:
                chains[place] = chain
        if heads["audit.head"] is None:
            problems.append(f"{self._head}: missing or changed")
        for name, head in heads.items():
            if head and head[0] > place:
                problems.append(f"lines {place + 1} to {head[0]} are missing: {name} knows of them")
            elif head and head[0] > 0 and chains.get(head[0]) != head[1]:
                problems.append(f"line {head[0]} is another than {name} says")
        return AuditReport(place, f"{place}:{chain.hex()}", problems)

    def lines(self) -> Iterator[dict[str, Any]]:
        """All lines, oldest first."""
        for (line,) in self._database.rows("SELECT line FROM audit ORDER BY place"):
            try:
                yield json.loads(line)
            except ValueError:
                yield {"damaged": str(line)}

    def _last(self) -> tuple[int, bytes]:
        found = self._database.run("SELECT place, chain FROM audit ORDER BY place DESC LIMIT 1")
        return (int(found[0][0]), bytes(found[0][1])) if found else (0, b"")

    def _link(self, chain: bytes, line: Any) -> bytes:
        return hmac.digest(self._key, chain + str(line).encode("utf-8", "replace"), "sha256")

    def _seal(self, text: str) -> str:
        return hmac.digest(self._key, b"head " + text.encode(), "sha256").hex()[:32]

    def kept_head(self) -> Head | None:
        """What audit.head says: lines and the chain over them; None where it is missing or changed."""
        try:
            data = self._head.read_bytes()
        except OSError:
            return None
        heads = []
        for start in range(0, 2 * SLOT, SLOT):
            words = data[start : start + SLOT].decode("ascii", "replace").split()
            if len(words) == 3 and hmac.compare_digest(
                self._seal(" ".join(words[:2])).encode(), words[2].encode()
            ):
                heads.append((int(words[0]), bytes.fromhex(words[1].strip("-"))))
        return max(heads, default=None)

    @staticmethod
    def _parse(noted: str) -> tuple[int, bytes] | None:
        if not noted:
            return None
        number, _, chain = noted.partition(":")
        try:
            head = int(number), bytes.fromhex(chain)
            if head[0] < 1 or len(head[1]) != 32:
                raise ValueError
            return head
        except ValueError:
            raise UserError(f"{noted!r} is no head of an audit log, such as 12:9f3a...") from None
