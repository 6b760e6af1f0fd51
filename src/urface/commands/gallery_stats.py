"""`urface gallery stats`."""

from __future__ import annotations

from urface.commands.gallery_given import (
    gallery_parser,
    is_demonstration,
    open_gallery,
    table,
    told,
)

SUMMARY = "Counts and facts of a gallery, no names."
EXAMPLES = "  urface gallery stats people --key people.key"


def run(arguments: list[str]) -> int:
    given = gallery_parser("stats", SUMMARY, EXAMPLES).read(arguments)
    with open_gallery(given) as gallery:
        # The gallery alone does not know its model's decision, but where the model is.
        stats = gallery.stats() | {"demonstration": is_demonstration(gallery)}
        if given.json:
            print(told(gallery, **{k: v for k, v in stats.items() if k != "demonstration"}))
        else:
            print(table([[name.replace("_", " "), str(value)] for name, value in stats.items()]))
    return 0
