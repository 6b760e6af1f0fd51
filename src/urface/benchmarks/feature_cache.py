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
FORMAT = "urface-features-1"


@dataclass(frozen=True, eq=False)
class Shard:
    """n images in order: their features, the hash of each one's pixels, and why some failed.

    seen      [n, 32] uint8, SHA-256 of the pixels as read; zeros for a failure
    failures  row within the shard -> reason
    """

    features: Features
    seen: np.ndarray
    failures: dict[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.seen)


def cache_key(recogniser: Recogniser, images: ImageSet, flip: Flip) -> str:
    """A name for the features of these images by this model: another model, preprocessing or flip, other
    keys or another order, or other pixels in one of SPOTS images spread over the set, give another name.

    An image outside the spots whose pixels changed under the same key is not noticed: the shards keep the
    hash of every image as it was embedded.
    """
    preprocessing = recogniser.preprocessing
    about = {
        "format": FORMAT,
        "model": recogniser.digest,
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

    def save(self, number: int, shard: Shard) -> None:
        """Write the shard, whole or not at all."""
        save_shard(self.path(number), shard)


def save_shard(path: Path, shard: Shard) -> None:
    """One safetensors file: vectors, seen and where there are any confidence and variance."""
    from safetensors.numpy import save_file

    features = shard.features
    tensors = {"vectors": features.vectors, "seen": shard.seen}
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
    """What ``save_shard`` wrote, or None for anything else: a cache that is damaged is no cache."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        return None
    try:
        with safe_open(str(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                return None
            there = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        failures = {int(row): str(why) for row, why in json.loads(metadata["failures"]).items()}
        features = Features(
            there["vectors"], int(metadata["parts"]), there.get("confidence"), there.get("variance")
        )
        shard = Shard(features, there["seen"], failures)
    except (SafetensorError, KeyError, ValueError, TypeError, AttributeError):
        return None
    whole = {len(values) for values in there.values()} == {size}
    fits = features.vectors.ndim == 2 and shard.seen.shape == (size, 32)
    return shard if whole and fits else None
