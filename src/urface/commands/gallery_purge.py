"""`urface gallery purge`."""

from __future__ import annotations

from urface.commands.gallery_given import gallery_parser, open_gallery, told
from urface.commands.parser import note

SUMMARY = """\
Erase everyone whose consent has ended, and rewrite the database without them. They are never returned from
that moment on, purged or not; run this once a day, so that they are also gone."""
EXAMPLES = """\
  urface gallery purge people --key people.key"""


def run(arguments: list[str]) -> int:
    given = gallery_parser("purge", SUMMARY, EXAMPLES).read(arguments)
    with open_gallery(given) as gallery:
        erased = gallery.purge()
        clean = gallery.compact()
        print(told(gallery, erased=erased, compacted=clean) if given.json else f"{erased} erased")
        if not clean:
            note("note: the database could not be rewritten now; purge again later")
    return 0
