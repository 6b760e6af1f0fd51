"""A cleaned copy of a data set: what is left out and why is decided here, and written beside the copy."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from urface.atomic import sync_directory
from urface.data.duplicates import Duplicate
from urface.data.findings import Finding, write_findings
from urface.data.fingerprints import Fingerprints
from urface.data.manifest import write_manifest
from urface.data.source import FaceSource, select
from urface.types import UserError

REMOVED, MANIFEST = "removed.parquet", "manifest.parquet"
SAID = {"bytes": "the same bytes as", "pixels": "the same pixels as", "near": "nearly the same as"}


def duplicate_finding(source: FaceSource, other: FaceSource | None, found: Duplicate) -> Finding:
    """A duplicate as a line: of the same set, or of the ``other`` one, whose places come after."""
    there = source if other is None else other
    of = found.of if other is None else found.of - len(source)
    identity = source.identities[source.labels[found.place]]
    other_identity = there.identities[there.labels[of]]
    where = "" if other is None else f" in {there.name}"
    apart = f" ({found.score} of 64 bits apart, correlation {found.like:.3f})"
    words = f"{SAID[found.kind]} {there.keys[of]}{where}{apart if found.kind == 'near' else ''}"
    if other is None and identity != other_identity:
        words += ", under another identity"
    return Finding(
        found.kind,
        source.keys[found.place],
        identity,
        words,
        "" if other is None else there.name,
        there.keys[of],
        other_identity,
        float(found.score),
    )


def corrupt_findings(source: FaceSource, prints: Fingerprints) -> list[Finding]:
    """A line for each image that cannot be decoded."""
    return [
        Finding("corrupt", source.keys[place], source.identities[source.labels[place]], reason)
        for place, reason in sorted(prints.corrupt.items())
    ]


def what_to_remove(
    source: FaceSource,
    prints: Fingerprints,
    within: Sequence[Duplicate],
    across: Sequence[tuple[FaceSource, Sequence[Duplicate]]] = (),
) -> list[Finding]:
    """One line for each image that a cleaned copy leaves out, in the source's order.

    Images that cannot be decoded; images that another set (``across``, a test set) shows too; of images of
    one identity that show the same all but the largest, the first of the equally large; and ALL of those
    that show the same under two identities, for nothing tells which label is right.
    """
    reasons = dict(_corrupt(source, prints))
    for other, duplicates in across:
        for one in duplicates:
            reasons.setdefault(one.place, duplicate_finding(source, other, one))
    for group, links in _groups(within):
        names = {int(source.labels[place]) for place in group}
        best = min(group, key=lambda place: (-int(prints.area[place]), place))
        for place in group:
            if place == best and len(names) == 1:
                continue
            link = links.get(place)
            if link is None:  # the first of the group, which was not told as a duplicate itself
                of = next(one for one in links.values() if one.of == place)
                link = Duplicate(of.kind, place, of.place, of.score, of.like)
            reasons.setdefault(place, duplicate_finding(source, None, link))
    return [reasons[place] for place in sorted(reasons)]


def _corrupt(source: FaceSource, prints: Fingerprints) -> list[tuple[int, Finding]]:
    return list(zip(sorted(prints.corrupt), corrupt_findings(source, prints), strict=True))


def _groups(duplicates: Sequence[Duplicate]) -> list[tuple[list[int], dict[int, Duplicate]]]:
    """Images that show the same, through any chain of duplicates, with what was told of each."""
    parent: dict[int, int] = {}

    def root(place: int) -> int:
        while parent.setdefault(place, place) != place:
            parent[place] = place = parent[parent[place]]
        return place

    for one in duplicates:
        first, second = sorted((root(one.place), root(one.of)))
        parent[second] = first
    groups: dict[int, list[int]] = {}
    for place in sorted(parent):
        groups.setdefault(root(place), []).append(place)
    links = {one.place: one for one in duplicates}
    return [(group, {p: links[p] for p in group if p in links}) for group in groups.values()]


def write_cleaned(
    source: FaceSource,
    removed: Sequence[Finding],
    folder: str | Path,
    progress: bool = True,
) -> int:
    """Copy what is not ``removed`` to ``folder``/identity/image, byte for byte; how many were copied.

    A manifest with the identities and variation columns, and ``removed.parquet``, lie in it. The folder
    appears whole, by a rename, or not at all. Raises UserError where it exists, where nothing would be left,
    and for CelebA's own frames, which a copy would lose.
    """
    target = Path(folder)
    if target.exists() or target.is_symlink():
        raise UserError(
            f"{target}: is there already: name a new folder, nothing is changed in place"
        )
    if source.celeba_frame is not None and source.celeba_frame.any():
        raise UserError(
            f"{source.name}: CelebA's own frames would be lost in a copy: use --list for the list alone"
        )
    gone = {finding.key for finding in removed}
    kept = np.flatnonzero([key not in gone for key in source.keys])
    if not len(kept):
        raise UserError(f"{source.name}: no image would be left")
    rest = select(source, kept)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        made: set[Path] = set()
        for place in tqdm(
            range(len(rest)), desc="copying", unit=" images", disable=not progress, leave=False
        ):
            path = temporary / rest.keys[place]
            if path.parent not in made:
                path.parent.mkdir(parents=True, exist_ok=True)
                made.add(path.parent)
            path.write_bytes(rest.read(place))
        names = [rest.identities[label] for label in rest.labels]
        write_manifest(
            temporary / MANIFEST, rest.keys, names, rest.variation_names, rest.variations
        )
        write_findings(temporary / REMOVED, removed)
        os.rename(temporary, target)
        sync_directory(target.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return len(rest)
