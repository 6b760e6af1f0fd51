"""`urface gallery renew`."""

from __future__ import annotations

from pathlib import Path

from urface.commands.gallery_given import gallery_parser, open_gallery, told
from urface.commands.parser import note
from urface.types import UserError

SUMMARY = """\
Give all templates another rotation and all rows other keys, after a theft or once a year: templates that
were copied before match none of the new ones. With --new-key the master key is another one too, in a new
file; the old one then opens nothing that is written from now on, but still every old copy: destroy it."""
EXAMPLES = """\
  urface gallery renew people --key people.key
  urface gallery renew people --key people.key --new-key people-2027.key"""


def run(arguments: list[str]) -> int:
    parser = gallery_parser("renew", SUMMARY, EXAMPLES)
    parser.add("--new_key", str, "", help="a new file for another master key")
    given = parser.read(arguments)

    from urface.gallery.keys import new_key, write_key

    folder = Path(given.gallery).resolve()
    if given.new_key and folder in Path(given.new_key).resolve().parents:
        raise UserError(f"{given.new_key}: in the gallery's own folder; keep the key apart from it")
    with open_gallery(given) as gallery:
        key = new_key() if given.new_key else None
        if key is not None:
            write_key(given.new_key, key)  # before: a key that is lost would lose the gallery
        try:
            gallery.renew(key)
        except BaseException:
            if key is not None:  # it may be the only one that opens the gallery now
                note(f"note: {given.new_key} is kept: the old key or this one opens the gallery")
            raise
        if given.new_key:
            note(
                f"{given.new_key}: the key from now on; {given.key or 'the old key'} opens no new file"
            )
        people = gallery.stats()["people"]
        print(told(gallery, renewed=people) if given.json else f"{people} people renewed")
    return 0
