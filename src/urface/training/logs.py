"""One line a report: a JSONL file that outlives everything, TensorBoard, and the progress bar."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tqdm import tqdm

from urface import distributed
from urface.atomic import write_atomic


class Log:
    """Training's record in ``folder``: log.jsonl and TensorBoard's event files; rank 0 only writes.

    A resumed run goes on in the same file; what a killed run logged past its last checkpoint is cut
    off first, so that no step stands there twice.
    """

    def __init__(self, folder: Path, stage: str, first: int, total: int, progress: bool) -> None:
        self.stage = stage
        self._bar = tqdm(
            total=total, initial=first, desc=stage, unit=" steps", disable=not progress
        )
        self._writer: Any = None
        self._file: Any = None
        if distributed.rank() != 0:
            return
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "log.jsonl"
        cut_log(path, stage, first)
        self._file = open(path, "a", encoding="utf-8", buffering=1)  # noqa: SIM115 closed in __exit__
        from torch.utils.tensorboard.writer import SummaryWriter

        self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=first)

    def step(self) -> None:
        """One step done."""
        self._bar.update()

    def write(self, step: int, values: dict[str, float]) -> None:
        """Record ``values`` for ``step``."""
        self._bar.set_postfix({name: f"{values[name]:.3g}" for name in list(values)[:2]})
        if self._file is None:
            return
        self._file.write(json.dumps({"stage": self.stage, "step": step, **values}) + "\n")
        for name, value in values.items():
            self._writer.add_scalar(f"{self.stage}/{name}", value, step)

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
        if self._file is not None:
            self._file.close()
            self._writer.close()


def read_log(path: Path) -> list[dict[str, Any]]:
    """The lines of a log.jsonl; what is none, as a last line that a kill cut short, is left out."""
    if not path.is_file():
        return []
    lines = []
    for text in path.read_bytes().splitlines():
        try:
            line = json.loads(text.decode())
        except ValueError:  # neither JSON nor UTF-8
            continue
        if isinstance(line, dict) and "stage" in line and isinstance(line.get("step"), int):
            lines.append(line)
    return lines


def cut_log(path: Path, stage: str, first: int) -> None:
    """Cut off what a killed run wrote into ``path`` of ``stage`` past step ``first``."""
    kept = [line for line in read_log(path) if line["stage"] != stage or line["step"] <= first]
    # Not in place: a kill in the middle would take the record of the whole run with it.
    write_atomic(path, "".join(json.dumps(line) + "\n" for line in kept))
