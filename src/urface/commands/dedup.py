"""`urface data dedup`."""

from __future__ import annotations

from pathlib import Path

from urface.commands.check import add_duplicates, check_near
from urface.commands.parser import CommandParser, note
from urface.types import UserError

SUMMARY = """\
Write a cleaned copy of a data set: a new folder DST with identity/image, a manifest, and
removed.parquet, which names each image left out and why. Left out are images that cannot be
decoded; of images of one identity that are there twice (by bytes, by pixels, or nearly so) all but
the largest; all of those that are there under two identities, for nothing tells which is right; and
with --against whatever the other set shows too. Files are copied byte for byte; SRC is only read.

With --list nothing is copied: DST is then the Parquet file of what would be left out."""
EXAMPLES = """\
  urface data dedup faces.tar cleaned
  urface data dedup train cleaned --against test.tar --near 0
  urface data dedup faces.tar removed.parquet --list"""


def run(arguments: list[str]) -> int:
    parser = CommandParser("urface data dedup", SUMMARY, EXAMPLES)
    parser.add("src", str, help="folder identity/image, tar, manifest, or CelebA")
    parser.add("dst", str, help="a folder that is not there yet; with --list a .parquet file")
    add_duplicates(parser)
    parser.add_flag("--list", "only write what would be left out, to DST")
    given = parser.read(arguments)
    check_near(given.near)
    only_list = bool(getattr(given, "list"))  # noqa: B009  (jsonargparse has a method of that name)
    target = Path(given.dst)
    if only_list and target.suffix.lower() != ".parquet":
        raise UserError(f"{target}: the list is written as .parquet")
    if not only_list and (target.exists() or target.is_symlink()):
        raise UserError(
            f"{target}: is there already: name a new folder, nothing is changed in place"
        )
    for name in (given.src, given.against):
        if name and not only_list and Path(name).resolve() in target.resolve().parents:
            raise UserError(f"{target}: lies within {name}, whose contents it would change")

    from urface.data.dedup import REMOVED, what_to_remove, write_cleaned
    from urface.data.duplicates import find_duplicates
    from urface.data.findings import write_findings
    from urface.data.fingerprints import take_fingerprints
    from urface.data.open import open_faces

    source = open_faces(given.src)
    other = open_faces(given.against) if given.against else None
    prints = take_fingerprints(source)
    within = find_duplicates((source,), (prints,), given.near)
    across = []
    if other is not None:
        shared = find_duplicates((source, other), (prints, take_fingerprints(other)), given.near)
        across.append((other, shared))
    removed = what_to_remove(source, prints, within, across)
    if only_list:
        write_findings(target, removed)
        note(f"{target}: {len(removed):,} of {len(source):,} images would be left out")
        return 0
    kept = write_cleaned(source, removed, target)
    note(f"{target}: {kept:,} images, {len(removed):,} left out ({target / REMOVED})")
    return 0
