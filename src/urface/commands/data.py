"""`urface data`: make synthetic faces, look at a data set, find its bad images and its face meshes."""

from __future__ import annotations

from urface.commands.parser import Command, dispatch

SUMMARY = (
    "Make synthetic faces, and look at data sets: folders identity/image, tars, manifests, CelebA."
)
EXAMPLES = """\
  urface data synthesize faces --identities 100 --shots 10
  urface data make-miniature lfw small/lfw
  urface data landmarks faces.tar -o meshes.parquet
  urface data info faces.tar
  urface data check faces/manifest.parquet"""
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
}


def run(arguments: list[str]) -> int:
    return dispatch("urface data", SUMMARY, EXAMPLES, COMMANDS, arguments)
