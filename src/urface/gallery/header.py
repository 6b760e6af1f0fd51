"""What a gallery is: its folder, its facts and its keys, as they are made and opened."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from urface.atomic import atomic_folder
from urface.gallery.consent import RETENTION
from urface.gallery.database import NAME, Database
from urface.gallery.keys import GalleryKeys
from urface.gallery.seal import GalleryDamaged
from urface.types import UserError


@dataclass(frozen=True)
class Facts:
    """model  digest of the model whose faces these are; K, D; index  a URL; retention  in days; path  of the
    model when the gallery was made, or empty."""

    model: str
    K: int
    D: int
    index: str
    retention: int
    path: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.model, str) or not self.model:
            raise UserError("a gallery belongs to one model: give its digest")
        if not (1 <= self.K <= 4096 and 1 <= self.D <= 4096):
            raise UserError(f"the shape of embeddings is (K, D), got {(self.K, self.D)}")
        if not 1 <= self.retention <= RETENTION.days:
            raise UserError(
                f"nobody is kept longer than three years: retention is 1 to {RETENTION.days} days, "
                f"got {self.retention}"
            )

        known = self.index in ("faiss:", "faiss-flat:", "exact:")
        if not known and not self.index.startswith(
            ("milvus:/", "milvus+http://", "milvus+https://")
        ):
            raise UserError(
                f"{self.index!r:.80} is no index: faiss:, faiss-flat:, exact:, milvus:/whole/path.db or "
                "milvus+http://host:port"
            )

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self), sort_keys=True).encode()


def create_files(folder: Path, facts: Facts, master: bytes) -> None:
    """A gallery's database in a new folder that is there whole or not at all, and its owner's alone."""
    gallery = os.urandom(16)
    keys = GalleryKeys.fresh(gallery)
    meta = {
        "id": gallery,
        "facts": facts.to_bytes(),
        "keys": keys.sealed(master, facts.to_bytes()),
        "generation": b"0",
        "state": os.urandom(16),
    }
    with atomic_folder(folder) as temporary:
        temporary.chmod(0o700)
        Database.create(temporary / NAME, meta)


def open_files(folder: Path, master: bytes) -> tuple[Database, Facts, GalleryKeys]:
    """Raises UserError where there is no gallery or the key is another one's."""
    database = Database.open(folder / NAME)
    try:
        facts, keys = read_header(database, master)
        return database, facts, keys
    except BaseException:
        database.close()
        raise


def read_header(database: Database, master: bytes) -> tuple[Facts, GalleryKeys]:
    gallery, told, sealed = (database.meta(name) for name in ("id", "facts", "keys"))
    if gallery is None or told is None or sealed is None:
        raise GalleryDamaged(f"{database.path}: its header is missing; restore a backup")
    keys = GalleryKeys.unsealed(gallery, sealed, master, told)  # before ``told`` is believed
    return Facts(**json.loads(told)), keys
