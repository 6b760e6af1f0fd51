"""Checkpoints: safetensors and JSON in a folder a step, whole or absent, and checked when read.

    <out>/checkpoints/step_00001000/manifest.json   step, settings, SHA-256 and size of every file
                                    state.safetensors           what all ranks share
                                    rank_00000.safetensors ...  each rank's prototypes

Written under a temporary name, synced and renamed, so that a killed run leaves the previous one intact
(reliability goals G1 to G3); nothing in them is a pickle (G25).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from urface import distributed
from urface.atomic import sync_directory, tensor_errors

KEEP = 2
FORMAT = "urface-checkpoint-1"


@dataclass(frozen=True)
class Checkpoint:
    """What was saved: ``shared`` tensors, the parts of all ranks in rank order, and plain values."""

    step: int
    shared: dict[str, Tensor]
    parts: list[dict[str, Tensor]]
    values: dict[str, Any]


def save(
    folder: Path,
    step: int,
    shared: dict[str, Tensor],
    own: dict[str, Tensor],
    values: dict[str, Any],
) -> Path:
    """Save a checkpoint of all ranks; every rank calls this. ``own`` is what only this rank holds."""
    final = folder / f"step_{step:08d}"
    temporary = folder / f".step_{step:08d}.tmp"
    if distributed.rank() == 0:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
    distributed.barrier()
    _write(temporary / f"rank_{distributed.rank():05d}.safetensors", own)
    distributed.barrier()
    if distributed.rank() == 0:
        _write(temporary / "state.safetensors", shared)
        files = {
            path.name: {"bytes": path.stat().st_size, "sha256": _sha256(path)}
            for path in sorted(temporary.iterdir())
        }
        manifest = {
            "format": FORMAT,
            "step": step,
            "ranks": distributed.world_size(),
            "files": files,
            "values": values,
        }
        with open(temporary / "manifest.json", "w", encoding="utf-8") as file:
            json.dump(manifest, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        sync_directory(temporary)
        if final.exists():  # a run that fell back to an older checkpoint comes past this step again
            shutil.rmtree(final)
        os.rename(temporary, final)
        sync_directory(folder)
        for old in _steps(folder)[:-KEEP]:
            shutil.rmtree(folder / old)
    distributed.barrier()
    return final


def load_latest(folder: Path) -> Checkpoint | None:
    """The newest checkpoint that is whole; one that is not is named on stderr and passed over."""
    if not folder.is_dir():
        return None
    for name in reversed(_steps(folder)):
        try:
            return _load(folder / name)
        except (OSError, ValueError, KeyError) as error:
            print(f"{folder / name}: damaged ({error}); taking the one before", file=sys.stderr)
    return None


def _load(path: Path) -> Checkpoint:
    manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
    if manifest["format"] != FORMAT:
        raise ValueError(f"its format is {manifest['format']}, this urface reads {FORMAT}")
    for name, known in manifest["files"].items():
        file = path / name
        if file.stat().st_size != known["bytes"] or _sha256(file) != known["sha256"]:
            raise ValueError(f"{name} is not what was written")
    parts = [load_file(path / f"rank_{rank:05d}.safetensors") for rank in range(manifest["ranks"])]
    shared = load_file(path / "state.safetensors")
    return Checkpoint(manifest["step"], shared, parts, manifest["values"])


def _steps(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("step_*") if path.is_dir())


def _write(path: Path, tensors: dict[str, Tensor]) -> None:
    # safetensors keeps no strides: a channels_last weight is written in the ordinary order.
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with tensor_errors(path):
        save_file(plain, path)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def optimizer_tensors(optimizer: torch.optim.Optimizer, names: dict[int, str]) -> dict[str, Tensor]:
    """The optimiser's state by parameter name: `optimizer/<parameter>/<entry>`; ``names`` is by id."""
    out = {}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            for entry, value in optimizer.state.get(parameter, {}).items():
                if value is not None:
                    name = f"optimizer/{names[id(parameter)]}/{entry}"
                    out[name] = torch.as_tensor(value)
    return out


def restore_optimizer(
    optimizer: torch.optim.Optimizer, names: dict[int, str], tensors: dict[str, Tensor]
) -> None:
    """Put back what ``optimizer_tensors`` took; entries of the wrong shape are a ValueError."""
    by_name: dict[str, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer/"):
            _, name, entry = key.split("/")
            by_name.setdefault(name, {})[entry] = value
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            for entry, value in by_name.get(names[id(parameter)], {}).items():
                if value.shape not in (parameter.shape, ()):
                    raise ValueError(f"optimiser state of {names[id(parameter)]} does not fit")
                if value.ndim:
                    like = torch.empty_like(parameter, dtype=value.dtype)
                    value = like.copy_(value)
                optimizer.state[parameter][entry] = value
