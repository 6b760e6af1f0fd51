"""`urface gallery export`."""

from __future__ import annotations

import json

from urface.atomic import atomic_path
from urface.commands.gallery_given import gallery_parser, open_gallery
from urface.commands.parser import note

SUMMARY = """\
What is kept of everyone, or with --person of one (who may ask for it), as JSON: name, consents, numbers.
Templates are written only with --embeddings, to a file of their own: no key protects them there."""
EXAMPLES = """\
  urface gallery export people -o people.json --key people.key
  urface gallery export people --person "Ann Lee" -o ann.json --key people.key
  urface gallery export people -o people.json --embeddings people.safetensors --key people.key"""


def run(arguments: list[str]) -> int:
    parser = gallery_parser("export", SUMMARY, EXAMPLES)
    parser.add("--person", str, "", help="one alone")
    parser.add_argument(
        "-o", "--output", default="", metavar="FILE", help="JSON; without it, stdout"
    )
    parser.add("--embeddings", str, "", help="a .safetensors for the templates, in the clear")
    given = parser.read(arguments)
    with open_gallery(given) as gallery:
        person = given.person or None
        text = json.dumps(gallery.export(person), indent=1, ensure_ascii=False)
        if given.output:
            with atomic_path(given.output) as temporary:
                temporary.touch(0o600)  # names and consents: the owner's alone
                temporary.write_text(text + "\n", encoding="utf-8")
        else:
            print(text)
        if given.embeddings:
            names, faces = gallery.export_embeddings(person)
            faces.save(given.embeddings, names)
            note(f"{given.embeddings}: {len(names)} templates with names, which no key protects")
    return 0
