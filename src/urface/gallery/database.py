"""The gallery's truth: one SQLite file whose every acknowledged write survives what comes (G30, G31)."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from urface.gallery.seal import GalleryDamaged
from urface.types import UserError

NAME = "gallery.db"
FORMAT = 1
WAIT = 30.0  # seconds for another process's write to end

# Numbers of people are never given twice (AUTOINCREMENT): the audit log would speak of two people.
SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE person (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    name_hash BLOB NOT NULL UNIQUE,
    wrapped_key BLOB NOT NULL,
    record BLOB NOT NULL,
    template BLOB NOT NULL,
    expires INTEGER NOT NULL,
    changed INTEGER NOT NULL
);
CREATE INDEX person_changed ON person (changed);
CREATE TABLE image (
    person INTEGER NOT NULL REFERENCES person (number) ON DELETE CASCADE,
    digest BLOB NOT NULL,
    face BLOB NOT NULL,
    PRIMARY KEY (person, digest)
) WITHOUT ROWID;
CREATE TABLE removed (number INTEGER PRIMARY KEY, generation INTEGER NOT NULL);
CREATE INDEX removed_generation ON removed (generation);
CREATE TABLE audit (place INTEGER PRIMARY KEY, line TEXT NOT NULL, chain BLOB NOT NULL);
"""


class Database:
    """One connection. Its owner lets one thread at a time use it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self.errors():
            self._connection = sqlite3.connect(
                path, timeout=WAIT, isolation_level=None, check_same_thread=False
            )
            for setting in (
                "journal_mode = WAL",
                "synchronous = FULL",  # an acknowledged write is on the disk
                "secure_delete = ON",  # what is deleted is overwritten with zeros
                "foreign_keys = ON",
                "temp_store = MEMORY",
                "cell_size_check = ON",
                "trusted_schema = OFF",  # a hostile file's schema calls no functions
            ):
                self._connection.execute(f"PRAGMA {setting}")

    @staticmethod
    def create(path: Path, meta: dict[str, bytes]) -> None:
        # SQLite gives its other files the mode of the first.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        database = Database(path)
        try:
            with database.errors():
                database._connection.executescript(SCHEMA)
            with database.write():
                database.run(f"PRAGMA user_version = {FORMAT}")
                for name, value in meta.items():
                    database.set_meta(name, value)
        finally:
            database.close()

    @staticmethod
    def open(path: Path) -> Database:
        """Raises UserError where there is no gallery, or one of another format."""
        if not path.is_file():
            raise UserError(f"{path.parent}: no gallery here; `urface gallery create` makes one")
        database = Database(path)
        ((version,),) = database.run("PRAGMA user_version")
        if version != FORMAT:
            database.close()
            raise UserError(f"{path}: format {version}, this urface reads {FORMAT}")
        return database

    def run(self, text: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        with self.errors():
            return self._connection.execute(text, values).fetchall()

    def rows(self, text: str, values: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        """As ``run``, but one at a time: a million templates need not be in memory together."""
        with self.errors():
            yield from self._connection.execute(text, values)

    def insert(self, text: str, values: tuple[Any, ...]) -> int:
        with self.errors():
            return int(self._connection.execute(text, values).lastrowid or 0)

    def meta(self, name: str) -> bytes | None:
        found = self.run("SELECT value FROM meta WHERE name = ?", (name,))
        return bytes(found[0][0]) if found else None

    def set_meta(self, name: str, value: bytes) -> None:
        self.run("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    @contextmanager
    def write(self) -> Iterator[None]:
        """All in the block is written at its end, or nothing is. One writer at a time, others wait."""
        with self._transaction("BEGIN IMMEDIATE"):
            yield

    @contextmanager
    def read(self) -> Iterator[None]:
        """All in the block sees one state."""
        with self._transaction("BEGIN"):
            yield

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        self.run(begin)
        try:
            yield
            self.run("COMMIT")
        except BaseException:
            # A full disk may have rolled it back already.
            if self._connection.in_transaction:
                self._connection.rollback()
            raise

    def settle(self) -> bool:
        """Empty the write-ahead log into the database; False where another process's reading prevents it."""
        ((busy, _, _),) = self.run("PRAGMA wal_checkpoint(TRUNCATE)")
        return not busy

    def vacuum(self) -> bool:
        """Write the database anew without a byte of what was deleted; as ``settle``."""
        # It builds the whole database anew before it copies it back: not in memory.
        self.run("PRAGMA temp_store = FILE")
        try:
            self.run("VACUUM")
        finally:
            self.run("PRAGMA temp_store = MEMORY")
        return self.settle()

    def problems(self) -> list[str]:
        """What SQLite itself finds wrong."""
        found = [str(row[0]) for row in self.run("PRAGMA integrity_check")]
        lost = [f"row {row[1]} of {row[0]} lacks its person" for row in self._orphans()]
        return [line for line in found if line != "ok"] + lost

    def _orphans(self) -> list[tuple[Any, ...]]:
        return self.run("PRAGMA foreign_key_check")

    def close(self) -> None:
        with self.errors():
            self._connection.close()

    @contextmanager
    def errors(self) -> Iterator[None]:
        """SQLite's errors as what they are: OSError of a disk, GalleryDamaged of a file."""
        try:
            yield
        except (sqlite3.OperationalError, sqlite3.DatabaseError) as error:
            raise self._typed(error) from None

    def _typed(self, error: sqlite3.Error) -> Exception:
        code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return GalleryDamaged(f"{self.path}: damaged ({error}); restore a backup")
        number = ERRORS.get(code)
        if number is None:
            return error
        return OSError(number, f"{os.strerror(number)} ({error})", str(self.path))


ERRORS = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_IOERR: errno.EIO,
    sqlite3.SQLITE_BUSY: errno.EBUSY,
    sqlite3.SQLITE_LOCKED: errno.EBUSY,
    sqlite3.SQLITE_READONLY: errno.EROFS,
    sqlite3.SQLITE_CANTOPEN: errno.EACCES,
    sqlite3.SQLITE_PERM: errno.EACCES,
}
