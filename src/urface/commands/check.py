"""`urface data check`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from urface.commands.models import MODEL_HELP, add_reading_options, open_given
from urface.commands.parser import CommandParser, note
from urface.types import UserError

if TYPE_CHECKING:
    import numpy as np

    from urface.data.findings import Finding
    from urface.data.source import FaceSource
    from urface.evaluation.data_audit import Embed
    from urface.recognisers.recogniser import Recogniser

SUMMARY = """\
Look for what is wrong with a data set, one line each on standard output: images that cannot be
decoded; images that are there twice, by bytes, by pixels and nearly so; with --against the images
and the identities' names that another set has too; with --model also the people that it shares by
their faces, people under two names, and labels that are likely wrong, the most suspect first.
Of a RecordIO set (.rec) the frames, index, identity records and property are checked before that.

The exit code is 0 where nothing was found and 2 where anything was; what --model finds are
candidates for a look, which do not change it."""
EXAMPLES = """\
  urface data check faces.tar
  urface data check train.tar --against test.tar --near 0 > shared.txt
  urface data check faces --model runs/mine/model.safetensors -o found.parquet"""


def add_duplicates(parser: CommandParser) -> None:
    """--against and --near, of commands that look for duplicates."""
    parser.add("--against", str, "", help="another data set, such as the test set")
    parser.add(
        "--near", int, 4, help="bits of 64 in which near duplicates may differ; 0: exact only"
    )


def run(arguments: list[str]) -> int:
    parser = CommandParser("urface data check", SUMMARY, EXAMPLES)
    parser.add("path", str, help="folder identity/image, tar, manifest, .rec, or CelebA")
    add_duplicates(parser)
    parser.add("--model", str, "", help=f"to judge faces by: {MODEL_HELP}")
    add_reading_options(parser)
    parser.add("--false_flags", float, 0.05, help="share of right labels that may be flagged")
    parser.add_argument(
        "-o", "--output", default="", metavar="FILE", help="all findings as Parquet"
    )
    parser.add_passes()
    given = parser.read_passes(arguments)
    check_near(given.near)
    if not 0 < given.false_flags < 1:
        raise UserError(f"--false-flags must lie between 0 and 1, got {given.false_flags}")
    if given.output and Path(given.output).suffix.lower() != ".parquet":
        raise UserError(f"{given.output}: findings are written as .parquet")

    if given.path.endswith(".rec") and _damaged_records(given.path):
        return 2
    from urface.data.findings import write_findings
    from urface.data.open import open_faces

    source = open_faces(given.path)
    other = open_faces(given.against) if given.against else None
    findings = images_found(source, other, given.near)
    if other is not None:
        from urface.evaluation.data_audit import name_findings

        findings += name_findings(source, other)
    facts = len(findings)
    if given.model:
        findings += _by_model(given, source, other)
    for finding in findings:
        print(finding.line())
    if given.output:
        write_findings(given.output, findings)
    return 2 if facts else 0


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


def check_near(bits: int) -> None:
    """Raise UserError where --near is out of range, before anything is read."""
    from urface.data.near_hashes import MOST

    if not 0 <= bits <= MOST:
        raise UserError(f"--near must be from 0 to {MOST}, got {bits}")


def images_found(source: FaceSource, other: FaceSource | None, near: int) -> list[Finding]:
    """Corrupt images and duplicates, with a note of how many of each."""
    from urface.data.dedup import corrupt_findings, duplicate_finding
    from urface.data.duplicates import find_duplicates
    from urface.data.fingerprints import take_fingerprints

    prints = take_fingerprints(source)
    found = corrupt_findings(source, prints)
    note(f"{len(found):,} of {len(source):,} images cannot be decoded")
    within = find_duplicates((source,), (prints,), near)
    found += [duplicate_finding(source, None, one) for one in within]
    note(f"{counted([one.kind for one in within])} within it")
    if other is not None:
        across = find_duplicates((source, other), (prints, take_fingerprints(other)), near)
        found += [duplicate_finding(source, other, one) for one in across]
        note(f"{counted([one.kind for one in across])} shared with {other.name}")
    return found


def counted(kinds: Sequence[str]) -> str:
    """How many images there are twice, by kind."""
    numbers = ", ".join(
        f"{kinds.count(kind):,} by {words}"
        for kind, words in (("bytes", "bytes"), ("pixels", "pixels"), ("near", "look"))
    )
    return f"{len(kinds):,} images are there twice ({numbers})"


def _by_model(given: Any, source: FaceSource, other: FaceSource | None) -> list[Finding]:
    from urface.evaluation.data_audit import audit_identities

    recogniser = open_given(given)
    flags, batch = given.false_flags, given.batch_size
    audit = audit_identities(
        recogniser_embed(recogniser), source, other, false_flags=flags, batch=batch
    )
    for line in audit.notes:
        note(line)
    return audit.findings


def recogniser_embed(recogniser: Recogniser) -> Embed:
    """Faces and their keys -> [B, K * D], unit length per sub-embedding; NaN where there is no feature."""
    import numpy as np

    from urface.recognisers.usable import unusable

    def embed(faces: Sequence[np.ndarray], keys: Sequence[str]) -> np.ndarray:
        found = recogniser.features(faces if recogniser.needs_images else [], keys)
        vectors = found.vectors.astype(np.float32)
        vectors[list(unusable(found))] = np.nan
        split = vectors.reshape(len(keys), found.parts, -1)
        units: np.ndarray = split / np.linalg.norm(split, axis=2, keepdims=True)
        return units.reshape(len(keys), -1)

    return embed
