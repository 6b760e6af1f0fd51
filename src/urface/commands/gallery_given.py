"""What the commands of `urface gallery` have in common: key, model and the faces of photos."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from urface.commands.parser import CommandParser, note
from urface.models.box import DEMONSTRATION
from urface.types import FaceEmbedding, UserError

if TYPE_CHECKING:
    from urface.embedder import Embedder
    from urface.gallery import Gallery

DEMONSTRATION_NOTE = (
    "note: the demonstration model answers. It was trained on synthetic faces alone and is for trying "
    "urface out, not for use on real people"
)
KEY_HELP = "its key file; without it the variable URFACE_GALLERY_KEY"


def gallery_parser(command: str, summary: str, examples: str) -> CommandParser:
    """A parser with G, --key and --json."""
    parser = CommandParser(f"urface gallery {command}", summary, examples)
    parser.add_argument("gallery", metavar="G", help="the gallery's folder")
    parser.add("--key", str, "", help=KEY_HELP)
    parser.add_flag("--json", help="print JSON instead of text")
    return parser


def add_face_options(parser: CommandParser) -> None:
    """PHOTOS and how they are to be read."""
    from urface.commands.photo_options import add_photo_options

    parser.add_argument(
        "photos", nargs="+", metavar="PHOTOS", help="photos, or folders or tars of them"
    )
    parser.add_flag("--aligned", help="they are aligned faces: nothing is detected")
    add_photo_options(parser, faces=False)
    parser.add("--jobs", int, 1, help="processes that look for faces")
    parser.add("--model", str, "", help="where the model is now, if not where it was at `create`")


def open_gallery(given: Any) -> Gallery:
    """The gallery that ``given.gallery`` and ``given.key`` name."""
    from urface.gallery import Gallery
    from urface.gallery.keys import read_key

    return Gallery.open(given.gallery, read_key(given.key))


def model_digest(name: str) -> str:
    """What a gallery remembers a model by: its weights and settings, whatever its calibration says."""
    from urface.models.box import model_path
    from urface.recognisers.network import digest_of_ours

    return digest_of_ours(model_path(name))


def load_for(gallery: Gallery, given: Any) -> Embedder:
    """The gallery's own model, whose decision it then answers by. Raises UserError for another."""
    from urface.decision import decision_of
    from urface.embedder import load

    name = given.model or gallery.facts.path
    if not name:
        raise UserError("the gallery does not say where its model is: give --model")
    embedder = load(name)
    gallery.require_model(model_digest(name))
    gallery.decision = decision_of(embedder.facts)
    if is_demonstration(gallery):
        note(DEMONSTRATION_NOTE)
    return embedder


def is_demonstration(gallery: Gallery) -> bool:
    """Whether every answer must say that it is the demonstration model's."""
    rule = gallery.decision
    return gallery.facts.path == DEMONSTRATION or (rule is not None and rule.demonstration)


@dataclass(frozen=True)
class Given:
    """faces  of the photos ``keys``, one each; failures  photos without one, and why."""

    keys: list[str]
    faces: FaceEmbedding
    failures: dict[str, str]


def faces_given(given: Any, embedder: Embedder) -> Given:
    """The largest face of each photo, or with --aligned the images as they are.

    Photos without a face are named on stderr and counted. Raises UserError where there is no face at all.
    """
    from urface.commands.given import find_faces

    sources = find_faces(given.photos, photos=not given.aligned)
    total = sum(len(source) for _, source in sources)
    asked = [prefix + key for prefix, source in sources for key in source.keys]
    if given.aligned:
        from urface.commands.embed import FaceReader

        crops = FaceReader(sources, embedder, 1.0)
        faces = embedder.embed_frames(crops.batches(64), total, total > 64)
        keys, failures = crops.keys, {}
    else:
        from urface.commands.embed_photos import PhotoReader

        photos = PhotoReader(sources, embedder, 1.0)
        batches = photos.batches(64, given.detector, given.jobs)
        faces = embedder.embed_frames(batches, total, total > 64)
        keys, failures = photos.keys, {key: f"{what}: {why}" for key, what, why in photos.failures}
    failures |= dict.fromkeys(set(asked) - set(keys) - failures.keys(), "not decodable")
    if not keys:
        raise UserError(f"no face in any of {total} photos: {next(iter(failures.values()), '')}")
    if failures:
        note(f"note: {len(failures)} of {total} photos have no face that could be used")
    return Given(keys, faces, failures)


def told(gallery: Gallery, **values: Any) -> str:
    """An answer as JSON, which says where the demonstration model gave it."""
    return json.dumps(
        {"demonstration": is_demonstration(gallery)} | values, indent=1, ensure_ascii=False
    )


def percent(share: float | None) -> str:
    """A probability for a terminal."""
    return "" if share is None else f"{100 * share:.1f} %"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of text in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
