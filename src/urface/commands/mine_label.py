"""`urface mine label`."""

from __future__ import annotations

import sys
from pathlib import Path

from tqdm import tqdm

from urface.commands.parser import CommandParser, note
from urface.types import UserError

SUMMARY = """\
Label every image of a data set (a folder, tar, manifest or CelebA; several with commas between them)
with the attributes that MODEL learned, as probabilities of 0..1. OUT has the columns path, identity and
one per attribute; `urface train` reads it by --data.labels. The cells of an image that cannot be decoded
are left empty."""
EXAMPLES = """\
  urface mine label runs/mine faces.tar -o labels.parquet
  urface mine label runs/mine/model.safetensors celeba.tar,celeba64.tar -o labels.csv"""


def run(arguments: list[str]) -> int:
    parser = CommandParser("urface mine label", SUMMARY, EXAMPLES)
    parser.add("model", str, help="model.safetensors of `urface mine train`, or its folder")
    parser.add("data", str, help="what to label")
    parser.add_argument("-o", "--output", required=True, metavar="OUT", help=".parquet or .csv")
    parser.add_passes()
    given = parser.read_passes(arguments)
    if Path(given.output).suffix.lower() not in (".csv", ".parquet"):
        raise UserError(f"{given.output}: labels are written as .parquet or .csv")
    from urface.config import RunSettings
    from urface.data.manifest import write_manifest
    from urface.data.open import open_faces
    from urface.environment import environment
    from urface.evaluation.attribute_reading import read_attributes
    from urface.models.attribute_files import load_attributes

    model = load_attributes(given.model)
    source = open_faces(given.data)
    read = read_attributes(model, source, environment(RunSettings()), given.batch_size)
    allowed = max(1.0, given.corrupt_share * len(source)) if given.corrupt_share else 0
    if len(read.corrupt) > allowed or len(read.corrupt) == len(source):
        raise UserError(
            f"{len(read.corrupt)} of {len(source)} images cannot be decoded, more than "
            f"--corrupt-share {given.corrupt_share:g} allows; one: {next(iter(read.corrupt.values()))}"
        )
    for reason in read.corrupt.values():
        tqdm.write(f"not labelled: {reason}", file=sys.stderr)
    people = [source.identities[label] for label in source.labels]
    write_manifest(given.output, source.keys, people, model.network.names, read.probabilities)
    left_out = f", {len(read.corrupt)} undecodable without a label" if read.corrupt else ""
    note(f"{given.output}: {len(source):,} images{left_out}")
    return 0
