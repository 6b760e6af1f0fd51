"""`urface gallery remove`."""

from __future__ import annotations

from urface.commands.gallery_given import gallery_parser, open_gallery, told
from urface.commands.parser import note

SUMMARY = """\
Erase a person, or with --image some images of one: from the database, its log, the index and the audit
log, which keeps a number alone. The database is then rewritten, so that no byte of them is left in it."""
EXAMPLES = """\
  urface gallery remove people "Ann Lee" --key people.key
  urface gallery remove people "Ann Lee" --image 5f0c2a... --key people.key"""


def run(arguments: list[str]) -> int:
    parser = gallery_parser("remove", SUMMARY, EXAMPLES)
    parser.add_argument("person", metavar="PERSON", help="the name")
    parser.add_argument(
        "--image", action="append", default=[], help="an image alone; may be repeated"
    )
    given = parser.read(arguments)
    with open_gallery(given) as gallery:
        if given.image:
            left = gallery.remove_images(given.person, given.image).images
        else:
            gallery.remove(given.person)
            left = 0
        clean = gallery.compact()
        if not clean:
            note(
                "note: another process reads the gallery, or the disk is full: run `urface gallery purge` "
                "later to clear what is left of the database's old pages"
            )
        if given.json:
            print(told(gallery, person=given.person, images_left=left, compacted=clean))
        elif given.image:
            print(f"{given.person}: {len(given.image)} images erased, {left} left")
        else:
            print(f"{given.person}: erased")
    return 0
