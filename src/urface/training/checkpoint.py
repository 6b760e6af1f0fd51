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
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from urface import distributed
from urface.atomic import make_folder, sync_directory, write_chunks
from urface.distributed import together
from urface.training.tensor_file import write_tensors
from urface.types import UserError

KEEP = 2
FORMAT = "urface-checkpoint-2"
MANIFEST, SEAL, STATE = "manifest.json", "manifest.sha256", "state.safetensors"
SLACK = 1 << 20  # bytes beside the tensors: headers, manifest, the folder itself


@dataclass(frozen=True)
class Checkpoint:
    """A whole checkpoint at ``path``: what all ranks share, plain values, and the ranks' own parts."""

    path: Path
    step: int
    ranks: int
    values: dict[str, Any]

    @cached_property
    def shared(self) -> dict[str, Tensor]:
        return load_file(self.path / STATE)

    @cached_property
    def parts(self) -> list[dict[str, Tensor]]:
        """What each rank held of its own, in rank order."""
        return [load_file(self.path / _part(rank)) for rank in range(self.ranks)]

    def rows(self, wanted: range) -> dict[str, Tensor]:
        """The rows ``wanted`` of the ranks' parts joined in rank order; scalars are those of rank 0.

        Only these rows are read: the prototypes of all ranks together may not fit into one.
        """
        found: dict[str, list[Tensor]] = {}
        first: dict[str, int] = {}
        for rank in range(self.ranks):
            with safe_open(self.path / _part(rank), framework="pt") as file:
                for name in file.keys():  # noqa: SIM118 it is no mapping
                    part = file.get_slice(name)
                    if not part.get_shape():
                        found.setdefault(name, [file.get_tensor(name)])
                        continue
                    start, count = first.get(name, 0), part.get_shape()[0]
                    first[name] = start + count
                    low, high = max(wanted.start - start, 0), min(wanted.stop - start, count)
                    if low < high or rank == 0:
                        found.setdefault(name, []).append(part[low : max(low, high)])
        return {name: torch.cat(t) if t[0].ndim else t[0] for name, t in found.items()}


def save(
    folder: Path,
    step: int,
    shared: dict[str, Tensor],
    own: dict[str, Tensor],
    values: dict[str, Any],
) -> Path:
    """Save a checkpoint of all ranks; every rank calls this. ``own`` is what only this rank holds.

    Where one rank cannot write, all raise and what is there already stays: OSError with the file on that
    rank, UserError elsewhere. Raises UserError before anything is written where the disk has no room.
    """
    final = folder / _name(step)
    temporary = folder / f".{_name(step)}.tmp"
    sizes = distributed.gather_objects(sum(tensor.nbytes for tensor in own.values()))
    needed = sum(sizes) + sum(tensor.nbytes for tensor in shared.values()) + SLACK
    alone = distributed.rank() == 0
    try:
        together(lambda: _prepare(folder, temporary, needed) if alone else None)
        mine = together(lambda: write_tensors(temporary / _part(distributed.rank()), own))
        parts = distributed.gather_objects(mine)
        together(lambda: _finish(temporary, final, step, parts, shared, values) if alone else None)
    except Exception:
        if alone:
            shutil.rmtree(temporary, ignore_errors=True)
        raise
    return final


def _prepare(folder: Path, temporary: Path, needed: int) -> None:
    make_folder(folder)
    for left in folder.glob(".step_*.tmp"):  # by a killed run
        shutil.rmtree(left)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise UserError(
            f"{folder}: a checkpoint takes {needed / 1e6:,.1f} MB and {free / 1e6:,.1f} MB are free: "
            "make room, or set run.out to another disk; the last checkpoint is as it was"
        )
    temporary.mkdir()


def _finish(
    temporary: Path,
    final: Path,
    step: int,
    parts: list[dict[str, int | str]],
    shared: dict[str, Tensor],
    values: dict[str, Any],
) -> None:
    files = {_part(rank): part for rank, part in enumerate(parts)}
    files[STATE] = write_tensors(temporary / STATE, shared)
    manifest = {
        "format": FORMAT,
        "step": step,
        "ranks": len(parts),
        "files": files,
        "values": values,
    }
    text = json.dumps(manifest, indent=1).encode()
    write_chunks(temporary / MANIFEST, [text])
    write_chunks(temporary / SEAL, [hashlib.sha256(text).hexdigest().encode()])
    sync_directory(temporary)
    if final.exists():  # a run that fell back to an older checkpoint comes past this step again
        shutil.rmtree(final)
    os.rename(temporary, final)
    sync_directory(final.parent)
    # Steps beyond this one were passed over as damaged, or the run would be further.
    names = _steps(final.parent)
    place = names.index(final.name) + 1
    for old in names[: max(0, place - KEEP)] + names[place:]:
        shutil.rmtree(final.parent / old)


def load_latest(folder: Path) -> Checkpoint | None:
    """The newest checkpoint that is whole, None where there is none at all; the same on every rank.

    One that is not whole is named on stderr and passed over. Raises UserError where all are damaged, or
    where one is of another version of urface: to begin anew is for the user to say. Every rank calls this;
    each checks the sums of some of the files.
    """
    # One list for all: a shared disk may show a new name to one rank before the others.
    names = distributed.broadcast_object(_steps(folder)[::-1] if folder.is_dir() else [])
    for name in names:
        found: Checkpoint | None = None
        wrong: tuple[bool, str] | None = None
        try:
            found = _load(folder / name, distributed.rank(), distributed.world_size())
        except UserError as error:
            wrong = (True, str(error))
        except (OSError, ValueError, KeyError) as error:
            wrong = (False, str(error))
        problems = [problem for problem in distributed.gather_objects(wrong) if problem]
        if not problems:
            return found
        final, text = max(problems)
        if final:
            raise UserError(text)
        if distributed.rank() == 0:
            print(f"{folder / name}: damaged ({text}): the one before is taken", file=sys.stderr)
    if names:
        raise UserError(
            f"{folder}: no checkpoint in it can be read ({', '.join(names)}): put a copy back, or "
            "delete the folder to train from the beginning"
        )
    return None


def newest_values(folder: Path) -> dict[str, Any] | None:
    """The plain values of the newest checkpoint whose manifest is whole; its tensors are not looked at."""
    for name in _steps(folder)[::-1] if folder.is_dir() else []:
        try:
            values: dict[str, Any] = _manifest(folder / name)["values"]
            return values
        except (OSError, ValueError, KeyError):
            continue
    return None


def _manifest(path: Path) -> dict[str, Any]:
    text = (path / MANIFEST).read_bytes()
    seal = (path / SEAL).read_bytes() if (path / SEAL).is_file() else None
    if seal is not None and seal != hashlib.sha256(text).hexdigest().encode():
        raise ValueError(f"{MANIFEST} is not what was written")
    manifest: dict[str, Any] = json.loads(text)
    if manifest["format"] != FORMAT:
        raise UserError(
            f"{path}: its format is {manifest['format']}, this urface reads {FORMAT}: go on with the "
            f"urface that wrote it, or delete {path.parent} to train from the beginning"
        )
    if seal is None:
        raise ValueError(f"{SEAL} is missing")
    return manifest


def _load(path: Path, rank: int = 0, ranks: int = 1) -> Checkpoint:
    manifest = _manifest(path)
    if path.name != _name(manifest["step"]):
        raise ValueError(f"it holds step {manifest['step']}")
    for name, known in sorted(manifest["files"].items())[rank::ranks]:
        file = path / name
        if file.stat().st_size != known["bytes"] or _sha256(file) != known["sha256"]:
            raise ValueError(f"{name} is not what was written")
    return Checkpoint(path, manifest["step"], manifest["ranks"], manifest["values"])


def _steps(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("step_*") if path.is_dir())


def _name(step: int) -> str:
    return f"step_{step:08d}"


def _part(rank: int) -> str:
    return f"rank_{rank:05d}.safetensors"


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
