"""`urface data inspect`."""

from __future__ import annotations

from urface.commands.parser import CommandParser
from urface.types import UserError

SUMMARY = """\
Say what is in a data set: images, people, images per person, formats, sizes, variation labels, and
images whose headers are broken. Decodes nothing; `urface data check` does. The exit code is 0, and
2 with one line where the data set itself cannot be read."""
EXAMPLES = """\
  urface data inspect faces.tar
  urface data inspect faces/manifest.parquet --sample 10000 --json"""


def run(arguments: list[str]) -> int:
    parser = CommandParser("urface data inspect", SUMMARY, EXAMPLES)
    parser.add("path", str, help="folder identity/image, tar, manifest, or CelebA")
    parser.add("--sample", int, 0, help="headers to read, evenly spread; 0 reads all")
    parser.add_flag("--json", "print JSON, with every size and every broken image")
    given = parser.read(arguments)
    if given.sample < 0:
        raise UserError(f"--sample must be 0 or more, got {given.sample}")
    import json

    from urface.data.inspect import contents_text, inspect_source
    from urface.data.open import open_faces

    contents = inspect_source(open_faces(given.path), given.sample)
    print(json.dumps(contents.to_dict(), indent=2) if given.json else contents_text(contents))
    return 0
