"""`urface embed`: faces from anywhere, streamed through the model into one file of embeddings."""

from __future__ import annotations

import hashlib
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from tqdm import tqdm

from urface.commands.given import find_faces
from urface.commands.parser import CommandParser, note
from urface.commands.photo_options import add_photo_options
from urface.data.remote import is_url
from urface.types import UserError

if TYPE_CHECKING:
    from urface.data.source import FaceSource
    from urface.embedder import Embedder

SUMMARY = """\
Embed the faces of photos, or with --aligned aligned faces. PATHS are image files, folders (images at any
depth), tars, manifests (.csv, .parquet) and CelebA. OUT holds mean, confidence and variance of every face,
and its key: for an image file its path as given; for a folder, tar or manifest the path within, after the
name given where there are several PATHS. Read it with urface.FaceEmbedding.load and urface.types.load_keys.

Of a photo the largest face is taken, or with --faces all every face, called photo.jpg#1, photo.jpg#2 and so
on from the largest. Photos without a face are named, counted and listed in OUT.failures.csv.

An image that cannot be decoded is named and left out: up to --corrupt-share of all, at least 1.

With --video FILE the people of a video are followed, and OUT holds one face for each, film.mp4#1 and so
on: its frames fused, each weighed by its uncertainty. --weights tells the weights.

With --engine ray, --part-size or a URL as OUT, OUT is a folder of parts and parts.json, the list of what
counts; a run that was killed goes on where it was, and models are judged on it as on any features. An
image that failed has a row of NaN there. PATHS, of aligned faces, may then be URLs too, and Parquet with a
column image."""
EXAMPLES = """\
  urface embed runs/mine/model.safetensors photos/ -o faces.safetensors
  urface embed runs/mine party.jpg --faces all -o faces.safetensors
  urface embed runs/mine --video film.mp4 --fps 5 -o people.safetensors --weights weights.csv
  urface embed runs/mine --aligned a.jpg b.jpg more.tar --output all.safetensors --batch-size 256
  urface embed runs/mine s3://crawl/a.tar -o s3://crawl/embedded --engine ray --aligned"""
PART_SIZE = 4096  # images: what a kill can cost each worker


def run(arguments: list[str]) -> int:
    parser = CommandParser("urface embed", SUMMARY, EXAMPLES)
    parser.add("model", str, help="model.safetensors, the folder of a run, or demonstration")
    # With "*" throughout, PATHS behind an option would be taken for none.
    some = "*" if any(given.partition("=")[0] == "--video" for given in arguments) else "+"
    parser.add_argument("paths", nargs=some, metavar="PATHS", help="what to embed")
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="OUT",
        help="a file, written whole at the end or not at all; or a folder or URL for parts",
    )
    parser.add_flag("--aligned", help="PATHS hold aligned faces, not photos: nothing is detected")
    add_photo_options(parser)
    parser.add("--video", str, "", help="a video instead of PATHS")
    parser.add("--fps", float, 5.0, help="frames a second of the video that are looked at")
    parser.add("--weights", str, "", help=".csv or .parquet: how each frame weighs in its person")
    parser.add_passes()
    parser.add("--engine", Literal["local", "ray"], "local", help="this process, or a Ray cluster")
    parser.add("--part_size", int, 0, help=f"images a part; 0: one file, or {PART_SIZE} a part")
    parser.add("--part_format", Literal["parquet", "tar"], "parquet", help="of the parts")
    parser.add("--workers", int, 0, help="Ray actors; 0: as many as the cluster has cores or GPUs")
    parser.add("--gpus_per_worker", float, 0.0, help="of each Ray actor")
    parser.add("--ray_address", str, "", help="of a cluster; empty: RAY_ADDRESS, or this machine")
    given = parser.read_passes(arguments)
    if given.paths and given.video:
        raise UserError("give PATHS or --video FILE, not both")
    if given.weights and not given.video:
        raise UserError("--weights is of the frames of a --video")
    parts = given.engine == "ray" or given.part_size or is_url(given.output)
    if given.video and (parts or given.aligned):
        raise UserError("--aligned, parts and --engine are of PATHS: a video's people are one file")
    if parts:
        if not given.aligned:
            raise UserError(
                "parts are made of aligned faces: `urface align` makes them of photos; add --aligned"
            )
        return _embed_parts(given)
    _check_output(Path(given.output))
    if given.video:
        _check_apart(given)
        from urface.commands.embed_video import embed_video

        return embed_video(given)
    if not given.aligned:
        from urface.commands.embed_photos import embed_photos

        return embed_photos(given)
    sources = find_faces(given.paths)

    from urface.embedder import load

    reader = FaceReader(sources, load(given.model), given.corrupt_share)
    faces = reader.embedder.embed_frames(reader.batches(given.batch_size), reader.total, True)
    if not len(faces):
        raise UserError(f"none of {reader.total} images could be decoded: nothing to write")
    faces.save(given.output, reader.keys)
    left_out = f", {reader.corrupt} left out as undecodable" if reader.corrupt else ""
    note(f"{given.output}: {len(faces)} faces{left_out}")
    return 0


def _embed_parts(given: Any) -> int:
    """Into parts on any store, by this process or by a Ray cluster."""
    from urface.corpus.job import embed_corpus, on_this_machine
    from urface.corpus.on_ray import on_ray
    from urface.corpus.plan import Plan, Recipe
    from urface.corpus.store import Store
    from urface.embedder import load
    from urface.models.box import model_path

    if given.part_size < 0 or given.workers < 0 or given.gpus_per_worker < 0:
        raise UserError("--part-size, --workers and --gpus-per-worker are at least 0")
    store = Store(given.output)
    sources = find_faces(given.paths)
    model = model_path(given.model)
    embedder = load(model)  # also where workers load their own: a broken model is told of here
    with open(model, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    size = given.part_size or PART_SIZE
    plan = Plan(sources, Recipe(digest, size, given.batch_size, given.part_format))
    engine = on_this_machine(embedder)
    if given.engine == "ray":
        engine = on_ray(model, given.ray_address, given.workers, given.gpus_per_worker)
    done = embed_corpus(plan, store, engine, given.corrupt_share)
    failed = sum(len(part.failures) for part in done.values())
    note(f"{given.output}: {plan.total - failed} faces in {len(done)} parts, {failed} failed")
    return 0


def _check_apart(given: Any) -> None:
    """Raise UserError where one file of a video's run would take another's place."""
    output, weights = Path(given.output), Path(given.weights or given.output)
    if given.weights:
        _check_output(weights)
        if weights.resolve() == output.resolve():
            raise UserError(f"{weights}: both --output and --weights: name two files")
    for path in (output, weights):
        if path.exists() and path.samefile(given.video):
            raise UserError(f"{path}: the video itself: name another file to write")


def _check_output(output: Path) -> None:
    """Say before an hour of embedding what would fail after it."""
    if output.is_dir():
        raise UserError(f"{output}: a folder; --output names a file")
    folder = output.parent
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder to write {output.name} in")
    try:  # rather than ask for permissions, which tell nothing of /proc or a full disk
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(f"{folder}: not writable ({error.strerror})") from None


class FaceReader:
    """Decodes the images of ``sources`` in order; what was read, and what could not be.

    keys     of the images that ``batches`` has yielded
    corrupt  how many were left out
    """

    def __init__(
        self, sources: list[tuple[str, FaceSource]], embedder: Embedder, corrupt_share: float
    ) -> None:
        self.embedder = embedder
        self.keys: list[str] = []
        self.corrupt = 0
        self.total = sum(len(source) for _, source in sources)
        self._sources = sources
        self._share = corrupt_share

    def batches(self, size: int) -> Iterator[list[np.ndarray]]:
        """Frames as the network sees them, at most ``size`` at a time, the next ones read ahead.

        Raises UserError once more images than the share allows cannot be decoded.
        """
        places = (
            (prefix, source, index)
            for prefix, source in self._sources
            for index in range(len(source))
        )
        with ThreadPoolExecutor(1) as pool:
            ahead = pool.submit(self._read, _take(places, size))
            while found := ahead.result():
                ahead = pool.submit(self._read, _take(places, size))
                yield self._good(found)

    def _read(
        self, places: list[tuple[str, FaceSource, int]]
    ) -> list[tuple[str, np.ndarray | str]]:
        """Key and frame of each image, or in place of the frame why there is none."""
        from urface.corpus.part import frame_of

        return [
            (prefix + source.keys[index], frame_of(self.embedder, prefix, source, index))
            for prefix, source, index in places
        ]

    def _good(self, found: list[tuple[str, np.ndarray | str]]) -> list[np.ndarray]:
        frames = []
        for key, frame in found:
            if isinstance(frame, str):
                self._count(frame)
            else:
                self.keys.append(key)
                frames.append(frame)
        return frames

    def _count(self, reason: str) -> None:
        self.corrupt += 1
        # At least one is forgiven: 0.1 % of a small set would be none at all.
        if self._share == 0 or self.corrupt > max(1.0, self._share * self.total):
            raise UserError(
                f"{self.corrupt} of {self.total} images cannot be decoded, more than "
                f"--corrupt-share {self._share:g} allows; the last: {reason}"
            )
        tqdm.write(f"left out: {reason}", file=sys.stderr)


def _take(
    places: Iterator[tuple[str, FaceSource, int]], count: int
) -> list[tuple[str, FaceSource, int]]:
    return list(islice(places, count))
