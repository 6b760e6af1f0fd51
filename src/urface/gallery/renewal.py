"""Another rotation and other keys for everyone: what was stolen before is worth nothing after (G42)."""

from __future__ import annotations

from urface.gallery.keys import GalleryKeys, new_key
from urface.gallery.people import People
from urface.gallery.rotation import rotated, rotations
from urface.gallery.template import face_bytes, faces_of


def renew_rows(people: People, generation: int) -> GalleryKeys:
    """Rewrite every row of ``people`` within the caller's transaction; the keys it then has.

    The audit log's key stays: a chain that nobody could check any more would prove nothing.
    """
    old = people.keys
    keys = GalleryKeys(old.gallery, new_key(), new_key(), old.audit, new_key(), new_key())
    renewed = People(people.database, keys, people.shape)
    back, on = rotations(old.rotation, people.shape), rotations(keys.rotation, people.shape)
    for person, _ in people.everyone():
        images = list(people.images(person).values())
        faces = faces_of(images, people.shape)
        turned = rotated(rotated(faces, back, back=True), on)
        people.database.run("DELETE FROM image WHERE person = ?", (person.number,))
        person.key = new_key()
        rows = [face_bytes(turned[i]) for i in range(len(turned))]
        renewed.rename(person)
        renewed.write(person, {renewed.add_image(person, row): row for row in rows}, generation)
    return keys
