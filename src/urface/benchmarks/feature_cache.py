"""Features on disk in shards: each written whole or not at all, so that a killed run goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from urface.atomic import atomic_path, tensor_errors, write_atomic
from urface.benchmarks.benchmark import ImageSet
from urface.recognisers.recogniser import Features, Flip, Recogniser

SHARD = 1024  # images: what a kill can cost
SPOTS = 64  # images whose pixels are part of the cache's key
FORMAT = "urface-features-2"


@dataclass(frozen=True, eq=False)
class Facts:
    """n images in order: the hash of each one's pixels, and why some failed.

    seen      [n, 32] uint8, SHA-256 of the pixels as read; zeros for a failure
    stamps    [n, 16] uint8, what ``ImageSet.stamp`` said before the image was read
    failures  row within the shard -> reason
    """

    seen: np.ndarray
    stamps: np.ndarray
    failures: dict[int, str]

    def __len__(self) -> int:
        return len(self.seen)


@dataclass(frozen=True, eq=False)
class Shard:
    """n images in order with their features; ``seen``, ``stamps`` and ``failures`` as in Facts."""

    features: Features
    seen: np.ndarray
    stamps: np.ndarray
    failures: dict[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.seen)


def cache_key(recogniser: Recogniser, images: ImageSet, flip: Flip) -> str:
    """A name for the features of these images by this model: another model, preprocessing or flip, other
    keys or another order, or other pixels in one of SPOTS images spread over the set, give another name.

    For an image outside the spots the shards keep its stamp and the hash of its pixels as it was embedded.
    """
    preprocessing = recogniser.preprocessing
    about = {
        "format": FORMAT,
        "model": recogniser.digest,
        "precision": getattr(recogniser, "precision", ""),
        "preprocessing": preprocessing.to_dict() if preprocessing else None,
        "parts": recogniser.parts,
        "flip": flip,
        "keys": keys_digest(images.keys),
        "pixels": _spots(images),
    }
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def keys_digest(keys: Sequence[str]) -> str:
    """SHA-256 of the names in their order."""
    digest = hashlib.sha256()
    for key in keys:
        digest.update(key.encode("utf-8", "surrogateescape") + b"\0")
    return digest.hexdigest()


def pixels_digest(image: np.ndarray) -> bytes:
    """SHA-256 of an image's shape and pixels."""
    digest = hashlib.sha256(repr((image.shape, str(image.dtype))).encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.digest()


def stamps_of(images: ImageSet, places: range) -> np.ndarray:
    """[n, 16] uint8: the hash of the stamp of each image; all of one value where the set has no stamps."""
    stamps = np.zeros((len(places), 16), np.uint8)
    if images.stamp is not None:
        for row, place in enumerate(places):
            digest = hashlib.blake2b(images.stamp(place), digest_size=16).digest()
            stamps[row] = np.frombuffer(digest, np.uint8)
    return stamps


def _spots(images: ImageSet) -> list[str]:
    from urface.data.decode import DecodeError

    found = []
    for place in np.unique(np.linspace(0, len(images) - 1, SPOTS).astype(int)).tolist():
        try:
            found.append(pixels_digest(images.read(place)).hex())
        except DecodeError:
            found.append("failed")
    return found


class FeatureCache:
    """The shards of one key in ``root``/<key>: shard i holds images i * SHARD to (i + 1) * SHARD - 1."""

    def __init__(self, root: Path, key: str, count: int, about: dict[str, Any]) -> None:
        self.folder = root / key[:24]
        self.count = count
        write_atomic(self.folder / "about.json", json.dumps({**about, "key": key}, indent=1) + "\n")

    def path(self, number: int) -> Path:
        return self.folder / f"shard_{number:06d}.safetensors"

    def size(self, number: int) -> int:
        """How many images shard ``number`` holds."""
        return min(SHARD, self.count - number * SHARD)

    def load(self, number: int) -> Shard | None:
        """The shard, or None where it is missing or no whole shard of this size (it is then made anew)."""
        return load_shard(self.path(number), self.size(number))

    def facts(self, number: int) -> Facts | None:
        """What the shard says of its images, without the features; None as for ``load``."""
        return load_facts(self.path(number), self.size(number))

    def save(self, number: int, shard: Shard) -> None:
        """Write the shard, whole or not at all."""
        save_shard(self.path(number), shard)


def save_shard(path: Path, shard: Shard) -> None:
    """One safetensors file: vectors, seen, stamps and where there are any confidence and variance."""
    from safetensors.numpy import save_file

    features = shard.features
    tensors = {"vectors": features.vectors, "seen": shard.seen, "stamps": shard.stamps}
    for name in ("confidence", "variance"):
        values = getattr(features, name)
        if values is not None:
            tensors[name] = values
    metadata = {
        "format": FORMAT,
        "parts": str(features.parts),
        "failures": json.dumps({str(row): reason for row, reason in shard.failures.items()}),
    }
    tensors = {name: np.ascontiguousarray(values) for name, values in tensors.items()}
    with atomic_path(path) as temporary, tensor_errors(temporary):
        save_file(tensors, temporary, metadata=metadata)


def load_shard(path: Path, size: int) -> Shard | None:
    """What ``save_shard`` wrote of ``size`` images, or None for anything else: a cache that is damaged is
    no cache."""
    found = _load(path, size, True)
    return found if isinstance(found, Shard) else None


def load_facts(path: Path, size: int) -> Facts | None:
    """As ``load_shard``, with a look at the shapes of the features alone."""
    found = _load(path, size, False)
    return found if isinstance(found, Facts) else None


def _load(path: Path, size: int, with_features: bool) -> Shard | Facts | None:
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        return None
    try:
        with safe_open(str(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
            lengths = {shape[0] for shape in shapes.values()}
            fits = len(shapes["vectors"]) == 2 and shapes["seen"] == [size, 32]
            fits = fits and shapes["stamps"] == [size, 16]
            if metadata["format"] != FORMAT or lengths != {size} or not fits:
                return None
            seen, stamps = file.get_tensor("seen"), file.get_tensor("stamps")
            written = json.loads(metadata["failures"])
            facts = Facts(seen, stamps, {int(row): str(why) for row, why in written.items()})
            if not with_features:
                return facts
            there = {name: file.get_tensor(name) for name in shapes}
            features = Features(
                there["vectors"],
                int(metadata["parts"]),
                there.get("confidence"),
                there.get("variance"),
            )
            return Shard(features, seen, stamps, facts.failures)
    except (SafetensorError, LookupError, ValueError, TypeError, AttributeError):
        return None
