"""What an embedding finds wrong with a data set: shared people and likely wrong labels.

Embeddings go to a file as they come and are worked on block by block, so memory does not grow with the set.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from tqdm import tqdm

from urface.data.centres import centres
from urface.data.decode import DecodeError
from urface.data.findings import Finding
from urface.data.identity_overlap import Overlap, overlap_by_embedding, same_names
from urface.data.label_audit import FALSE_FLAGS, LabelAudit, audit_labels
from urface.data.source import FaceSource, select
from urface.data.within import fit_within
from urface.types import UserError

# Aligned faces and their keys -> [B, D]; a row that is not finite is left out.
Embed = Callable[[Sequence[np.ndarray], Sequence[str]], np.ndarray]


@dataclass(frozen=True, eq=False)
class Embedded:
    """The images of a set that could be embedded, and their features [N, D] in a file."""

    source: FaceSource
    features: np.ndarray


def embed_to_file(
    embed: Embed, source: FaceSource, file: Path, batch: int = 64, progress: bool = True
) -> Embedded:
    """Embed ``source`` into ``file``; images that cannot be decoded or have no feature are left out.

    Raises UserError where none is left, or as ``embed`` does.
    """
    places: list[int] = []
    width = 0
    bar = tqdm(
        total=len(source), desc="embedding", unit=" faces", disable=not progress, leave=False
    )
    with bar, open(file, "wb") as out:
        for start in range(0, len(source), batch):
            faces: list[np.ndarray] = []
            read: list[int] = []
            for place in range(start, min(start + batch, len(source))):
                try:
                    faces.append(source.image(place))
                except DecodeError:
                    continue
                read.append(place)
            if faces:
                vectors = np.asarray(embed(faces, [source.keys[place] for place in read]))
                good = np.isfinite(vectors).all(1)
                width = vectors.shape[1]
                out.write(np.ascontiguousarray(vectors[good], np.float32).tobytes())
                places += np.array(read)[good].tolist()
            bar.update(min(batch, len(source) - start))
    if not places:
        raise UserError(f"{source.name}: none of its images can be decoded and gives a feature")
    features = np.memmap(file, np.float32, "r", shape=(len(places), width))
    return Embedded(select(source, places), features)


@dataclass(frozen=True, eq=False)
class IdentityAudit:
    """What was found, for a table, and how it was judged, for a reader."""

    findings: list[Finding]
    notes: list[str]


def audit_identities(
    embed: Embed,
    source: FaceSource,
    other: FaceSource | None = None,
    *,
    false_flags: float = FALSE_FLAGS,
    batch: int = 64,
    progress: bool = True,
) -> IdentityAudit:
    """People with two names, people shared with ``other``, and labels that are likely wrong, in that order.

    Labels, and names of one set, are judged in features whitened within identities (``fit_within``); another
    set by the model's own features, whose spread within people it may not share. Raises UserError as
    ``embed_to_file`` and ``overlap_by_embedding``.
    """
    with ExitStack() as stack:
        room = Path(stack.enter_context(TemporaryDirectory(prefix="urface-audit-")))
        mine = embed_to_file(embed, source, room / "mine", batch, progress)
        labels, people = mine.source.labels, len(mine.source.identities)
        whitening = fit_within(mine.features, labels)
        within = np.memmap(room / "within", np.float32, "w+", shape=mine.features.shape)
        whitening.apply(mine.features, within)
        inner = centres(within, labels, people)
        twice = overlap_by_embedding(within, labels, inner, progress=progress)
        findings = _people(mine.source, None, twice)
        notes = [_said_of(twice, source.name, source.name)]
        if other is not None:
            theirs = embed_to_file(embed, other, room / "theirs", batch, progress)
            ours, others = (
                centres(one.features, one.source.labels, len(one.source.identities))
                for one in (mine, theirs)
            )
            shared = overlap_by_embedding(mine.features, labels, ours, others, progress=progress)
            findings += _people(mine.source, theirs.source, shared)
            notes.append(_said_of(shared, source.name, other.name))
        audit = audit_labels(within, labels, inner, twice.pairs, false_flags, progress)
        findings += _labels(mine.source, audit)
        notes.append(
            f"{len(audit.place):,} of {audit.audited:,} labels flagged as likely wrong: another identity is "
            f"nearer, and at most {100 * false_flags:g}% are flagged; the bulk of the scores would hold "
            f"{audit.expected:.0f} of these by chance"
        )
        if audit.alone:
            notes.append(
                f"{audit.alone:,} images are alone in their identity: their labels cannot be judged"
            )
    return IdentityAudit(findings, notes)


def name_findings(source: FaceSource, other: FaceSource) -> list[Finding]:
    """Identities of ``source`` whose name ``other`` has too."""
    return [
        Finding(
            "name",
            "",
            source.identities[one],
            f"an identity of this name is in {other.name}: {other.identities[two]}",
            other.name,
            "",
            other.identities[two],
        )
        for one, two in same_names(source.identities, other.identities)
    ]


def _people(source: FaceSource, other: FaceSource | None, overlap: Overlap) -> list[Finding]:
    there = source if other is None else other
    where = "" if other is None else f" in {there.name}"
    found = []
    for (one, two), score in zip(overlap.pairs.tolist(), overlap.scores.tolist(), strict=True):
        name = there.identities[two]
        words = f"may be the person of {name}{where}: cosine {score:.3f}"
        found.append(
            Finding(
                "person",
                "",
                source.identities[one],
                words,
                "" if other is None else there.name,
                "",
                name,
                score,
            )
        )
    return found


def _said_of(overlap: Overlap, one: str, other: str) -> str:
    what = "under two names" if one == other else f"shared with {other}"
    return (
        f"{len(overlap.pairs):,} pairs of identities {what} at a cosine of {overlap.threshold:.3f} or more, "
        f"about {overlap.expected:.1f} of them by chance ({overlap.compared:,} pairs were compared); two "
        f"halves of one identity reach it in {overlap.genuine.format()}%"
    )


def _labels(source: FaceSource, audit: LabelAudit) -> list[Finding]:
    found = []
    columns = (audit.place, audit.score, audit.own, audit.other, audit.nearest)
    for place, score, own, near, nearest in zip(*(c.tolist() for c in columns), strict=True):
        identity, name = source.identities[source.labels[place]], source.identities[nearest]
        words = f"looks like {name} (cosine {near:.3f}) rather than {identity} ({own:.3f})"
        found.append(Finding("label", source.keys[place], identity, words, "", "", name, score))
    return found
