"""`urface data`: make synthetic faces, look at a data set, find its bad images and its face meshes."""

from __future__ import annotations

from urface.commands.parser import Command, dispatch

SUMMARY = (
    "Make synthetic faces, and look at data sets: folders identity/image, tars, manifests, CelebA."
)
EXAMPLES = """\
  urface data synthesize faces --identities 100 --shots 10
  urface data landmarks faces.tar -o meshes.parquet
  urface data info faces.tar
  urface data inspect faces.tar
  urface data check faces/manifest.parquet --against test.tar
  urface data dedup faces.tar cleaned"""
COMMANDS = {
    "synthesize": Command(
        "urface.commands.synthesize", "write synthetic faces with their labels as a data set"
    ),
    "landmarks": Command(
        "urface.commands.landmarks", "find the face meshes that pose augmentation turns"
    ),
    "info": Command("urface.commands.info", "count images and people, and what is known to vary"),
    "inspect": Command("urface.commands.inspect", "formats, sizes, people, broken headers"),
    "check": Command(
        "urface.commands.check", "damaged and duplicate images, shared people, likely wrong labels"
    ),
    "dedup": Command("urface.commands.dedup", "a copy without damaged and duplicate images"),
}


def run(arguments: list[str]) -> int:
    return dispatch("urface data", SUMMARY, EXAMPLES, COMMANDS, arguments)
