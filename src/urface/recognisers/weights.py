"""State dicts from files, by the one door: safetensors as they are, pickles through the converter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from safetensors import SafetensorError, safe_open
from torch import Tensor

from urface.recognisers.convert_weights import converted, digest_of
from urface.types import UserError


class Weights(NamedTuple):
    """A state dict and the SHA-256 of the file it came from."""

    state: dict[str, Tensor]
    sha256: str


def read_weights(path: str | Path, *, sha256: str = "", cache: str | Path | None = None) -> Weights:
    """The weights in a .safetensors, or in a .pth or .ckpt that is converted once into ``cache``.

    sha256  what the file's SHA-256 must be, or empty

    Raises UserError where the file is missing, damaged, not the one pinned or holds more than weights.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    if is_safetensors(path):
        return Weights(_tensors(path), digest_of(path, sha256))
    made = converted(path, cache, sha256)
    return Weights(_tensors(made), made.stem)


def is_safetensors(path: Path) -> bool:
    """Whether a file begins as safetensors do: eight bytes of length, then JSON; or is called so."""
    with open(path, "rb") as file:
        head = file.read(9)
    return path.suffix == ".safetensors" or head[8:9] == b"{"


def header_of(path: Path) -> tuple[dict[str, str], list[str]]:
    """The texts in a safetensors file's header, and the names of its tensors. Raises UserError."""
    try:
        with safe_open(str(path), framework="pt") as file:
            return file.metadata() or {}, list(file.keys())
    except SafetensorError as error:
        raise UserError(f"{path}: not a readable safetensors file ({error})") from None


def json_header(path: Path, name: str) -> dict[str, object]:
    """The JSON object called ``name`` in a safetensors file's header. Raises UserError where it is none."""
    metadata, _ = header_of(path)
    try:
        value = json.loads(metadata.get(name, ""))
    except (json.JSONDecodeError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise UserError(f"{path}: its header has no {name}")
    return value


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(str(path), framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise UserError(f"{path}: not a readable safetensors file ({error})") from None
