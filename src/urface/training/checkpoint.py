"""Checkpoints: safetensors and JSON in a folder a step, whole or absent, and checked when read.

    <out>/checkpoints/step_00001000/manifest.json   step, settings, SHA-256 and size of every file
                                    manifest.sha256             of manifest.json itself
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
from urface.types import UserError

KEEP = 2
FORMAT = "urface-checkpoint-2"
MANIFEST, SEAL = "manifest.json", "manifest.sha256"


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
    final = folder / _name(step)
    temporary = folder / f".{_name(step)}.tmp"
    if distributed.rank() == 0:
        for left in folder.glob(".step_*.tmp"):  # by a killed run
            shutil.rmtree(left)
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
        text = json.dumps(manifest, indent=1).encode()
        _write_synced(temporary / MANIFEST, text)
        _write_synced(temporary / SEAL, hashlib.sha256(text).hexdigest().encode())
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
    """The newest checkpoint that is whole, None where there is none at all.

    One that is not whole is named on stderr and passed over. Raises UserError where all are damaged, or
    where one is of another version of urface: to begin anew is for the user to say.
    """
    names = list(reversed(_steps(folder))) if folder.is_dir() else []
    for name in names:
        try:
            return _load(folder / name)
        except UserError:
            raise
        except (OSError, ValueError, KeyError) as error:
            print(f"{folder / name}: damaged ({error})", file=sys.stderr)
    if names:
        raise UserError(
            f"{folder}: no checkpoint in it can be read ({', '.join(names)}): put a copy back, or "
            "delete the folder to train from the beginning"
        )
    return None


def _load(path: Path) -> Checkpoint:
    text = (path / MANIFEST).read_bytes()
    seal = (path / SEAL).read_bytes() if (path / SEAL).is_file() else None
    if seal is not None and seal != hashlib.sha256(text).hexdigest().encode():
        raise ValueError(f"{MANIFEST} is not what was written")
    manifest = json.loads(text)
    if manifest["format"] != FORMAT:
        raise UserError(
            f"{path}: its format is {manifest['format']}, this urface reads {FORMAT}: go on with the "
            f"urface that wrote it, or delete {path.parent} to train from the beginning"
        )
    if seal is None:
        raise ValueError(f"{SEAL} is missing")
    if path.name != _name(manifest["step"]):
        raise ValueError(f"it holds step {manifest['step']}")
    for name, known in manifest["files"].items():
        file = path / name
        if file.stat().st_size != known["bytes"] or _sha256(file) != known["sha256"]:
            raise ValueError(f"{name} is not what was written")
    parts = [load_file(path / f"rank_{rank:05d}.safetensors") for rank in range(manifest["ranks"])]
    shared = load_file(path / "state.safetensors")
    return Checkpoint(manifest["step"], shared, parts, manifest["values"])


def _steps(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("step_*") if path.is_dir())


def _name(step: int) -> str:
    return f"step_{step:08d}"


def _write_synced(path: Path, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


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


def random_states(device: torch.device) -> dict[str, Tensor]:
    """torch's generators by the names that a checkpoint has them under; a GPU has one of its own."""
    states = {"torch_random": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda_random"] = torch.cuda.get_rng_state(device)
    return states


def restore_random_states(tensors: dict[str, Tensor], device: torch.device) -> None:
    """Put back what ``random_states`` took; a run that moved to a GPU has no state of it to put back."""
    torch.set_rng_state(tensors["torch_random"])
    if device.type == "cuda" and "cuda_random" in tensors:
        torch.cuda.set_rng_state(tensors["cuda_random"], device)


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
                elif group.get("fused"):  # whose step counters lie beside the parameters
                    value = value.to(parameter.device)
                optimizer.state[parameter][entry] = value
