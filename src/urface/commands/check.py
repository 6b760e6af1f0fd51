"""`urface data check`."""

from __future__ import annotations

from urface.commands.parser import CommandParser, note

SUMMARY = """\
Decode every image of a data set once. Names each that fails, with the reason, on standard output.
The exit code is 0 where all are fine and 2 where any is not."""
EXAMPLES = """\
  urface data check faces.tar
  urface data check faces/manifest.parquet > undecodable.txt"""


def run(arguments: list[str]) -> int:
    parser = CommandParser("urface data check", SUMMARY, EXAMPLES)
    parser.add("path", str, help="folder identity/image, tar, manifest, or CelebA")
    given = parser.read(arguments)
    from urface.data.check import check_images
    from urface.data.open import open_faces

    found = check_images(open_faces(given.path))
    for key, reason in found.corrupt:
        print(f"{key}: {reason}")
    note(f"{len(found.corrupt):,} of {found.total:,} images cannot be decoded")
    return 2 if found.corrupt else 0
