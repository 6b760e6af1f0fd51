"""`urface gallery`: people whose faces may be known, kept safe (docs/gallery.md)."""

from __future__ import annotations

from urface.commands.parser import Command, dispatch

SUMMARY = """\
Keep a gallery of people who consented to it, and search it. G is its folder. Names and templates in it
are encrypted; the key is a file of its own (--key), or in the variable URFACE_GALLERY_KEY."""
EXAMPLES = """\
  urface gallery create people --model runs/mine --key ~/keys/people.key
  urface gallery enrol people "Ann Lee" ann1.jpg ann2.jpg --consent form-17 \\
      --purpose "door of the lab" --expires 2027-06-30 --key ~/keys/people.key
  urface gallery identify people visitor.jpg --fpir 0.01 --key ~/keys/people.key
  urface gallery remove people "Ann Lee" --key ~/keys/people.key"""
COMMANDS = {
    "create": Command("urface.commands.gallery_create", "a new gallery and its key"),
    "enrol": Command("urface.commands.gallery_enrol", "add photos of a person who consented"),
    "search": Command("urface.commands.gallery_search", "the most alike people of each photo"),
    "identify": Command(
        "urface.commands.gallery_identify", "who it is: a name, unknown, or too unsure to say"
    ),
    "calibrate": Command(
        "urface.commands.gallery_calibrate", "search strangers, to measure how often they are named"
    ),
    "remove": Command("urface.commands.gallery_remove", "erase a person"),
    "purge": Command(
        "urface.commands.gallery_purge", "erase everyone whose consent has ended; once a day"
    ),
    "list": Command("urface.commands.gallery_list", "who is enrolled, how many images, until when"),
    "export": Command("urface.commands.gallery_export", "what is kept of people, as JSON"),
    "stats": Command("urface.commands.gallery_stats", "counts and facts, no names"),
    "audit": Command("urface.commands.gallery_audit", "check the log of all acts, and every row"),
    "renew": Command("urface.commands.gallery_renew", "other keys, another rotation of templates"),
}


def run(arguments: list[str]) -> int:
    return dispatch("urface gallery", SUMMARY, EXAMPLES, COMMANDS, arguments)
