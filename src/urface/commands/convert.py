"""`urface data convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from urface.commands.parser import CommandParser, note
from urface.types import UserError

SUMMARY = """\
Copy a data set into another container. The ending of TARGET says which: a folder, .tar,
faces-{000..N}.tar (shards, also for webdataset), .rec (RecordIO with .idx and property), .parquet or
.csv (a new folder with that manifest). Images keep their bytes. What a container cannot hold, names of
people and variation columns in a .rec, is said on standard error. A verification set (.bin, a pickle,
read without running it) becomes a folder of its images with pairs.csv, and such a folder a .bin.
TARGET must not exist; it appears whole or not at all."""
EXAMPLES = """\
  urface data convert faces_emore/train.rec faces.tar
  urface data convert faces.tar 'shards/faces-{000..N}.tar' --shard-megabytes 500
  urface data convert faces.tar packed/train.rec --layout header-less
  urface data convert lfw.bin lfw_pairs"""
Layout = Literal["classic", "header-less"]


def run(arguments: list[str]) -> int:
    parser = CommandParser("urface data convert", SUMMARY, EXAMPLES)
    parser.add("source", str, help="what to read: any data set, or a verification set .bin")
    parser.add("target", str, help="what to write; its ending says which container")
    parser.add("--layout", Layout, "classic", help="of a .rec: with identity records, or without")
    parser.add("--shard_megabytes", int, 1000, help="size of a numbered tar")
    parser.add_flag("--swap_colours", help="exchange red and blue; images are encoded anew, as PNG")
    given = parser.read(arguments)
    if given.shard_megabytes < 1:
        raise UserError(f"--shard-megabytes must be at least 1, got {given.shard_megabytes}")
    from urface.data.pair_folder import PAIRS

    if given.source.endswith(".bin") or (Path(given.source) / PAIRS).is_file():
        return _convert_pairs(given)
    from urface.data.colours import check_colours
    from urface.data.convert import convert
    from urface.data.open import open_faces

    source = open_faces(given.source, given.swap_colours)
    _warn_of_colours(check_colours(len(source), source.image), given.swap_colours)
    done = convert(source, given.target, given.layout, given.shard_megabytes * 1_000_000)
    for line in done.notes:
        note(line)
    where = done.files[0] if len(done.files) == 1 else f"{len(done.files)} files {given.target}"
    print(f"{where}: {done.images:,} images of {done.people:,} people")
    return 0


def _convert_pairs(given: Any) -> int:
    from urface.data.colours import check_colours, swap_colours
    from urface.data.decode import decode_image
    from urface.data.pair_folder import read_pair_folder, write_pair_folder
    from urface.data.verification_bin import (
        VerificationSet,
        read_verification_bin,
        write_verification_bin,
    )

    packed = given.source.endswith(".bin")
    if given.target.endswith(".bin") == packed:
        raise UserError(
            f"{given.source} to {given.target}: a .bin becomes a folder, a folder a .bin"
        )
    pairs = (read_verification_bin if packed else read_pair_folder)(given.source)
    if given.swap_colours:
        pairs = VerificationSet([swap_colours(image) for image in pairs.images], pairs.same)
    seen = check_colours(len(pairs.images), lambda place: decode_image(pairs.images[place]))
    _warn_of_colours(seen, given.swap_colours)
    if packed:
        write_pair_folder(given.target, pairs)
    elif Path(given.target).exists():
        raise UserError(f"{given.target}: exists already: remove it or name another file")
    else:
        write_verification_bin(given.target, pairs.images, pairs.same)
    same = int(pairs.same.sum())
    print(f"{given.target}: {len(pairs.same):,} pairs, {same:,} of one person")
    return 0


def _warn_of_colours(seen: Any, swapped: bool) -> None:
    if seen.looks_swapped:
        advice = "leave out --swap-colours" if swapped else "--swap-colours exchanges them"
        note(
            f"warning: red and blue look exchanged: only {seen.reddish} of {seen.coloured} coloured "
            f"faces are reddish: {advice}"
        )
