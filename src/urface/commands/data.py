"""`urface data`: make synthetic faces, look at a data set, find its bad images and its face meshes."""

from __future__ import annotations

from urface.commands.parser import Command, dispatch

SUMMARY = "Make synthetic faces; look at data sets, check, convert and mend them (docs/formats.md)."
EXAMPLES = """\
  urface data synthesize faces --identities 100 --shots 10
  urface data make-miniature lfw small/lfw
  urface data landmarks faces.tar -o meshes.parquet
  urface data info faces.tar
  urface data check faces/manifest.parquet
  urface data convert faces_emore/train.rec faces.tar"""
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
    "check": Command("urface.commands.check", "decode every image and name those that fail"),
    "convert": Command(
        "urface.commands.convert", "copy a data set into another container, byte for byte"
    ),
    "repair": Command("urface.commands.repair", "rebuild a RecordIO index, leave off a cut tail"),
}


def run(arguments: list[str]) -> int:
    return dispatch("urface data", SUMMARY, EXAMPLES, COMMANDS, arguments)
