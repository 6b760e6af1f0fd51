"""`urface data check`."""

from __future__ import annotations

from urface.commands.parser import CommandParser, note

SUMMARY = """\
Decode every image of a data set once. Names each that fails, with the reason, on standard output.
Of a RecordIO set (.rec) all frames, the index, identity records and property are checked before that.
The exit code is 0 where all are fine and 2 where any is not."""
EXAMPLES = """\
  urface data check faces.tar
  urface data check faces/manifest.parquet > undecodable.txt"""


def run(arguments: list[str]) -> int:
    parser = CommandParser("urface data check", SUMMARY, EXAMPLES)
    parser.add("path", str, help="folder identity/image, tar, manifest, .rec, or CelebA")
    given = parser.read(arguments)
    if given.path.endswith(".rec") and _damaged_records(given.path):
        return 2
    from urface.data.check import check_images
    from urface.data.open import open_faces

    found = check_images(open_faces(given.path))
    for key, reason in found.corrupt:
        print(f"{key}: {reason}")
    note(f"{len(found.corrupt):,} of {found.total:,} images cannot be decoded")
    return 2 if found.corrupt else 0


def _damaged_records(path: str) -> bool:
    """Whether the frames, index or labels of a RecordIO set are damaged; names what is."""
    from urface.data.record_check import check_records

    found = check_records(path)
    for problem in found.problems:
        print(problem)
    if found.count > len(found.problems):
        note(f"the first {len(found.problems):,} of {found.count:,} problems are listed")
    layout = "classic" if found.classic else "header-less"
    note(
        f"{path}: {found.records:,} records, {layout}, {found.images:,} images of "
        f"{found.identities:,} people, {found.count:,} problems"
    )
    return found.count > 0
