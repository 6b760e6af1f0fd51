"""`urface data`: make synthetic faces, look at a data set, find its bad images and its face meshes."""

from __future__ import annotations

from urface.commands.parser import Command, dispatch

SUMMARY = "Make synthetic faces; look at data sets, check, convert and mend them (docs/formats.md)."
EXAMPLES = """\
  urface data synthesize faces --identities 100 --shots 10
  urface data make-miniature lfw small/lfw
  urface data landmarks faces.tar -o meshes.parquet
  urface data info faces.tar
  urface data convert faces_emore/train.rec faces.tar
  urface data inspect faces.tar
  urface data check faces/manifest.parquet --against test.tar
  urface data dedup faces.tar cleaned"""
COMMANDS = {
    "synthesize": Command(
        "urface.commands.synthesize", "write synthetic faces with their labels as a data set"
    ),
    "make-miniature": Command(
        "urface.commands.make_miniature", "write a small data set in a benchmark's own layout"
    ),
    "landmarks": Command(
        "urface.commands.landmarks", "find the face meshes that pose augmentation turns"
    ),
    "info": Command("urface.commands.info", "count images and people, and what is known to vary"),
    "convert": Command(
        "urface.commands.convert", "copy a data set into another container, byte for byte"
    ),
    "repair": Command("urface.commands.repair", "rebuild a RecordIO index, leave off a cut tail"),
    "inspect": Command("urface.commands.inspect", "formats, sizes, people, broken headers"),
    "check": Command(
        "urface.commands.check", "damaged and duplicate images, shared people, likely wrong labels"
    ),
    "dedup": Command("urface.commands.dedup", "a copy without damaged and duplicate images"),
}


def run(arguments: list[str]) -> int:
    return dispatch("urface data", SUMMARY, EXAMPLES, COMMANDS, arguments)
