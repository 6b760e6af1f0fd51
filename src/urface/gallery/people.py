"""The rows of people: what is sealed under which key, and bound to which place.

Every person has a random key of its own, which lies in the person's row under the gallery's; without that
row nothing of the person can be read in any copy of the rest. The record (name and consents) and the
template are bound to the person's number and expiry, an image to number and digest.
"""

from __future__ import annotations

import hmac
import json
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from urface.gallery.database import Database
from urface.gallery.keys import GalleryKeys, new_key
from urface.gallery.seal import GalleryDamaged, seal, unseal
from urface.gallery.template import face_bytes, faces_of, template_of
from urface.types import FaceEmbedding, UserError

LONGEST_NAME = 200  # characters


@dataclass
class Person:
    """key  the person's own; record  name and consents, plain JSON; expires  seconds since 1970."""

    number: int
    key: bytes
    record: dict[str, Any]
    expires: int

    @property
    def name(self) -> str:
        return str(self.record["name"])

    @property
    def ends(self) -> datetime:
        return datetime.fromtimestamp(self.expires, UTC)


@dataclass
class People:
    """Reads and writes rows within the transaction of who calls."""

    database: Database
    keys: GalleryKeys
    shape: tuple[int, int]
    _names: dict[int, str] = field(default_factory=dict)

    def find(self, name: str) -> Person | None:
        """Raises GalleryDamaged where the row under that name is another person's."""
        found = self.database.run(
            "SELECT number, wrapped_key, record, expires FROM person WHERE name_hash = ?",
            (self._hash(name),),
        )
        if not found:
            return None
        person = self._person(*found[0])
        if person.name != name:
            raise GalleryDamaged(f"the row of person {person.number} was changed; restore a backup")
        return person

    def everyone(self) -> Iterator[tuple[Person, int]]:
        """All, by number, with how many images each has."""
        counts = dict(self.database.run("SELECT person, COUNT(*) FROM image GROUP BY person"))
        for row in self.database.run(
            "SELECT number, wrapped_key, record, expires FROM person ORDER BY number"
        ):
            yield self._person(*row), counts.get(row[0], 0)

    def name(self, number: int) -> str | None:
        """The name of a person that is there, else None."""
        if number not in self._names:
            person = self._read(number)
            if person is None:
                return None
            self._names[number] = person.name
        return self._names[number]

    def read(self, number: int) -> Person:
        """A person that is there."""
        person = self._read(number)
        assert person is not None
        return person

    def _read(self, number: int) -> Person | None:
        found = self.database.run(
            "SELECT number, wrapped_key, record, expires FROM person WHERE number = ?", (number,)
        )
        return self._person(*found[0]) if found else None

    def forget_names(self, numbers: list[int]) -> None:
        """Names that are cached in memory, of people who were erased."""
        for number in numbers:
            self._names.pop(number, None)

    def add(self, name: str, expires: int, record: dict[str, Any]) -> Person:
        """A new row, whose template is still missing: ``write`` follows in the same transaction."""
        number = self.database.insert(
            "INSERT INTO person (name_hash, wrapped_key, record, template, expires, changed) "
            "VALUES (?, x'', x'', x'', ?, 0)",
            (self._hash(name), expires),
        )
        return Person(number, new_key(), {"name": name} | record, expires)

    def write(self, person: Person, images: dict[bytes, bytes], generation: int) -> FaceEmbedding:
        """Bring the row up to ``person`` and its ``images`` (digest -> face_bytes); their template."""
        template = template_of(images.values(), self.shape)
        number = person.number
        told = json.dumps(person.record).encode()
        self.database.run(
            "UPDATE person SET wrapped_key = ?, record = ?, template = ?, expires = ?, changed = ? "
            "WHERE number = ?",
            (
                seal(self.keys.people, person.key, self._place("key", number)),
                seal(person.key, told, self._place("record", number, person.expires)),
                seal(person.key, face_bytes(template), self._template_place(person)),
                person.expires,
                generation,
                number,
            ),
        )
        return template

    def rename(self, person: Person) -> None:
        """Look the person up by the hash of ``keys`` from now on, which are new."""
        self.database.run(
            "UPDATE person SET name_hash = ? WHERE number = ?",
            (self._hash(person.name), person.number),
        )

    def is_template(self, person: Person, images: dict[bytes, bytes]) -> bool:
        """Whether the stored template is that of ``images``, to the bit."""
        return face_bytes(self.template(person)) == face_bytes(
            template_of(images.values(), self.shape)
        )

    def images(self, person: Person) -> dict[bytes, bytes]:
        """digest -> face_bytes of all images."""
        return {
            bytes(digest): unseal(
                person.key,
                bytes(face),
                self._image_place(person.number, bytes(digest)),
                f"an image of person {person.number}",
            )
            for digest, face in self.database.run(
                "SELECT digest, face FROM image WHERE person = ? ORDER BY digest", (person.number,)
            )
        }

    def add_image(self, person: Person, data: bytes) -> bytes:
        """Its digest: keyed by the person's key, so that it tells nothing of the face."""
        digest = self.digest(person, data)
        face = seal(person.key, data, self._image_place(person.number, digest))
        self.database.run("INSERT INTO image VALUES (?, ?, ?)", (person.number, digest, face))
        return digest

    @staticmethod
    def digest(person: Person, data: bytes) -> bytes:
        return hmac.digest(person.key, data, "sha256")[:16]

    def remove_image(self, person: Person, digest: bytes) -> None:
        self.database.run(
            "UPDATE image SET face = zeroblob(length(face)) WHERE person = ? AND digest = ?",
            (person.number, digest),
        )
        self.database.run(
            "DELETE FROM image WHERE person = ? AND digest = ?", (person.number, digest)
        )

    def remove(self, number: int, generation: int) -> None:
        """Erase the rows: the key is overwritten where it lies before its row goes."""
        self.database.run(
            "UPDATE person SET wrapped_key = zeroblob(length(wrapped_key)), "
            "record = zeroblob(length(record)), template = zeroblob(length(template)) "
            "WHERE number = ?",
            (number,),
        )
        self.database.run("DELETE FROM person WHERE number = ?", (number,))
        self._names.pop(number, None)
        self.database.run("INSERT INTO removed VALUES (?, ?)", (number, generation))

    def expired(self, now: int) -> list[int]:
        return [
            n for (n,) in self.database.run("SELECT number FROM person WHERE expires <= ?", (now,))
        ]

    def changed(self, since: int) -> Iterator[tuple[int, int, bytes]]:
        """Number, expiry and template (``face_bytes``) of people changed after generation ``since``."""
        for number, wrapped, template, expires in self.database.rows(
            "SELECT number, wrapped_key, template, expires FROM person WHERE changed > ? ORDER BY number",
            (since,),
        ):
            person = Person(number, self._unwrapped(number, wrapped), {}, expires)
            yield number, expires, self._template(person, bytes(template))

    def removed(self, since: int) -> list[int]:
        return [
            n
            for (n,) in self.database.run(
                "SELECT number FROM removed WHERE generation > ?", (since,)
            )
        ]

    def template(self, person: Person) -> FaceEmbedding:
        """As it is stored (rotated), B = 1."""
        ((data,),) = self.database.run(
            "SELECT template FROM person WHERE number = ?", (person.number,)
        )
        return faces_of([self._template(person, bytes(data))], self.shape)

    def _template(self, person: Person, data: bytes) -> bytes:
        what = f"the template of person {person.number}"
        return unseal(person.key, data, self._template_place(person), what)

    def _person(self, number: int, wrapped: bytes, record: bytes, expires: int) -> Person:
        key = self._unwrapped(number, wrapped)
        what = f"the record of person {number}"
        told = unseal(key, bytes(record), self._place("record", number, expires), what)
        return Person(number, key, json.loads(told), expires)

    def _unwrapped(self, number: int, wrapped: bytes) -> bytes:
        what = f"the key of person {number}"
        return unseal(self.keys.people, bytes(wrapped), self._place("key", number), what)

    def _hash(self, name: str) -> bytes:
        return hmac.digest(self.keys.names, name.encode(), "sha256")

    def _place(self, column: str, *values: int) -> bytes:
        return self.keys.gallery + f"|{column}|{'|'.join(map(str, values))}".encode()

    def _template_place(self, person: Person) -> bytes:
        return self._place("template", person.number, person.expires)

    def _image_place(self, number: int, digest: bytes) -> bytes:
        return self._place("image", number) + b"|" + digest


def checked_name(name: Any) -> str:
    """``name`` as it is kept: NFC, without blanks around it. Raises UserError where it is no name."""
    text = unicodedata.normalize("NFC", name).strip() if isinstance(name, str) else ""
    if not text or len(text) > LONGEST_NAME or not text.isprintable():
        raise UserError(
            f"a person's name is 1 to {LONGEST_NAME} characters of one line, got {name!r:.60}"
        )
    return text
