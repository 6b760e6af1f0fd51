"""`.pth` and `.ckpt` files, which are pickles, to safetensors: once, in a process of its own.

The only place in urface that calls torch.load, and it does so with weights_only, behind limits of memory,
time and written bytes, where nothing else can be done than to write the one result (sandbox.py). What
comes back is a safetensors file; nothing of the source is ever unpickled in the caller's process.

    python -m urface.recognisers.convert_weights PARENT SOURCE TARGET SHA256      (the process itself)
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from urface.atomic import atomic_path
from urface.recognisers import sandbox
from urface.types import UserError

LARGEST = 8 << 30  # bytes of a source
GROWTH = 4  # tensors may take so many times the bytes of the file: several may share one storage
# Where trainers put the weights among other things.
NESTED = ("state_dict", "model_state_dict", "model", "backbone", "network", "net", "ema", "weights")
# What Lightning's checkpoints hold beside the weights. They are read as plain dictionaries.
STAND_INS = (
    "argparse.Namespace",
    "pytorch_lightning.utilities.parsing.AttributeDict",
    "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint",
    "lightning.fabric.utilities.data.AttributeDict",
    "lightning_fabric.utilities.data.AttributeDict",
    "omegaconf.dictconfig.DictConfig",
)
MISTAKE = 3  # exit code of the process that says in its output what is wrong


def converted(source: str | Path, cache: str | Path | None = None, sha256: str = "") -> Path:
    """The safetensors file of the weights in ``source``, made now unless it was made before.

    cache   folder of such files, each called by the SHA-256 of its source, which its header names too;
            None: urface/weights in the user's cache
    sha256  what the source's SHA-256 must be, or empty

    Raises UserError where the source is missing, too large, not the one pinned, or holds anything but
    weights; then nothing of it was run.
    """
    source = Path(source)
    if not source.is_file():
        raise UserError(f"{source}: no such file")
    size = source.stat().st_size
    if size > LARGEST:
        raise UserError(f"{source}: {size / 2**30:.1f} GiB, more than {LARGEST >> 30} are not read")
    digest = digest_of(source, sha256)
    target = (cache_folder() if cache is None else Path(cache)) / f"{digest}.safetensors"
    if target.is_file():
        return target
    with atomic_path(target) as temporary:
        _run(source, temporary, digest, size)
    return target


def digest_of(path: Path, pin: str = "") -> str:
    """SHA-256 of a file, in hexadecimal. Raises UserError where it is not the one pinned."""
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    refuse_other(path, found, pin)
    return found


def refuse_other(path: Path, found: str, pin: str) -> None:
    """Raise UserError where a SHA-256 is pinned and ``found`` is another."""
    if pin and pin.lower() != found:
        raise UserError(f"{path}: its SHA-256 is {found}, not {sandbox.one_line(pin)} as pinned")


def cache_folder() -> Path:
    """Where converted weights are kept: XDG_CACHE_HOME, or .cache in the user's folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "urface" / "weights"


def _seconds(size: int) -> int:
    return 60 + size // (20 * sandbox.MIB)


def _run(source: Path, target: Path, digest: str, size: int) -> None:
    arguments = (str(os.getpid()), str(source.resolve()), str(target.resolve()), digest)
    with tempfile.TemporaryFile() as said:
        try:
            done = subprocess.run(
                sandbox.command(__name__, *arguments),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env=sandbox.surroundings(),
                timeout=4 * _seconds(size),
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise UserError(f"{source}: reading it took too long and was stopped") from None
        said.seek(0)
        message = sandbox.one_line(said.read(4096).decode(errors="replace"))
    if done.returncode == MISTAKE:
        raise UserError(f"{source}: {message}")
    if done.returncode or not target.is_file():
        end = f"signal {-done.returncode}" if done.returncode < 0 else f"code {done.returncode}"
        raise UserError(f"{source}: the process that read it was stopped at its limits ({end})")


def main(arguments: list[str]) -> int:
    """The process: reads one file, writes one file; what is wrong in one line on stdout."""
    parent, source, target, digest = int(arguments[0]), *arguments[1:]
    sandbox.die_with_parent(parent)
    import torch

    torch.serialization.add_safe_globals([(OrderedDict, name) for name in STAND_INS])
    torch.set_num_threads(1)
    size = os.path.getsize(source)
    sandbox.limit(
        memory=(GROWTH + 1) * size + 1024 * sandbox.MIB,
        written=GROWTH * size + sandbox.MIB,
        seconds=_seconds(size),
    )
    sandbox.forbid(Path(target))
    try:
        state = weights_in(_load(source), GROWTH * size)
        _write(state, target, {"sha256": digest, "file": os.path.basename(source)})
    except UserError as error:
        print(error, flush=True)
        return MISTAKE
    except MemoryError:
        print("it asks for more memory than its size can explain", flush=True)
        return MISTAKE
    return 0


def _load(source: str) -> Any:
    """Whatever the file holds that torch takes for weights. Raises UserError for anything else."""
    import torch

    # Any exception at all: the file chooses what goes wrong.
    try:
        try:
            return torch.load(source, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError as error:
            if "mmap" not in str(error):
                raise
            # The format before torch 1.6 is no zip and cannot be mapped.
            return torch.load(source, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:
        text = " ".join(str(error).split())
        if "alloc" in text or "Cannot allocate memory" in text:
            raise MemoryError from None
        asks = re.search(r"unsupported (?:global: )?global (\S+)", text, re.IGNORECASE)
        if asks:
            named = sandbox.one_line(asks[1])
            raise UserError(
                f"it holds more than weights (it asks for {named}); refused, nothing of it was run"
            ) from None
        # torch's own advice, to load without weights_only, is the one thing not to do.
        reason = re.sub(r"^Weights only load failed.*(source\.|message\.|error:)", "", text).strip()
        reason = sandbox.one_line(reason.partition(" Check the doc")[0])[:120]
        raise UserError(f"it holds no readable weights ({reason}); nothing of it was run") from None


def weights_in(loaded: Any, most_bytes: int) -> dict[str, Any]:
    """The state dict in what a checkpoint holds, other things left out.

    Raises UserError where there is none, or its tensors take more than ``most_bytes``.
    """
    import torch

    found = loaded
    for _ in range(3):
        if not isinstance(found, Mapping):
            break
        tensors = {
            name: value
            for name, value in found.items()
            if isinstance(name, str) and isinstance(value, torch.Tensor)
        }
        inner = [name for name in NESTED if isinstance(found.get(name), Mapping)]
        if tensors and not inner:
            total = sum(value.numel() * value.element_size() for value in tensors.values())
            if total > most_bytes:
                raise UserError(f"its tensors would take {total:,} bytes, far more than the file")
            if any(v.layout != torch.strided or v.is_quantized for v in tensors.values()):
                raise UserError("its tensors are sparse or quantised: save plain ones")
            return tensors
        if not inner:
            break
        found = found[inner[0]]
    raise UserError("it holds no state dict: a dictionary from names to tensors")


def _write(state: dict[str, Any], target: str, record: dict[str, str]) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    # Copies: safetensors refuses tensors that share memory, as tied weights do.
    plain = {name: value.detach().clone().contiguous() for name, value in state.items()}
    try:
        save_file(plain, target, metadata={"urface-source": json.dumps(record)})
    except (SafetensorError, ValueError, RuntimeError, KeyError) as error:
        raise UserError(
            f"its weights cannot be written ({sandbox.one_line(error)[:120]})"
        ) from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
