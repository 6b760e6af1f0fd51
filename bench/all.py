"""`make bench`: every figure of speed that has a target, one after the other, and their table.

    python bench/all.py [part ...]

Each part is a script of this folder in a process of its own, as `python bench/<part>.py` runs it by hand.
Writes runs/bench/figures.md and figures.jsonl. A part that fails is named and the others go on; the exit
code is then 1. A missed target is a line in the table and no failure: it is what was measured. Run it on an
idle machine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from figure import RECORD, Figure
from urface.atomic import write_atomic
from urface.environment import machine

HERE, OUT = Path(__file__).parent, Path("runs/bench")
# In the order of docs/performance.md.
PARTS = {
    "head": "the head in tiles",
    "step": "the whole method's step",
    "train_step": "the training step",
    "step_options": "options of the step",
    "memory": "freed memory kept",
    "scores": "likelihood scores",
    "embedding": "embedding images",
    "data_side": "the data side",
    "photos": "photos to aligned faces",
    "latency": "one photo to an answer",
    "import_time": "importing urface",
    "search": "search among many templates by likelihood",
}


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        print(f"no part is called {unknown[0]}; known are {', '.join(PARTS)}", file=sys.stderr)
        return 2
    OUT.mkdir(parents=True, exist_ok=True)
    table = [
        "| what | measured | target | |",
        "|---|---|---|---|",
    ]
    records, failed, started = [], [], time.monotonic()
    for name in names or PARTS:
        print(f"== {PARTS[name]} (bench/{name}.py)", flush=True)
        record = OUT / f"{name}.jsonl"
        record.unlink(missing_ok=True)
        environment = {**os.environ, RECORD: str(record)}
        if subprocess.run([sys.executable, HERE / f"{name}.py"], env=environment).returncode:
            failed.append(name)
        lines = record.read_text(encoding="utf-8").splitlines() if record.is_file() else []
        for line in lines:
            figure = Figure(**json.loads(line))
            table.append(
                f"| {figure.what} | {figure.measured()} | {figure.aim()} | {figure.verdict()} |"
            )
        records += lines
    minutes = (time.monotonic() - started) / 60
    facts = machine()
    where = ", ".join(
        f"{key} {facts[key]}" for key in ("processor", "cores", "accelerator", "torch")
    )
    text = "\n".join([*table, "", f"{minutes:.1f} minutes; {where}", ""])
    if failed:
        text += f"failed: {', '.join(failed)}\n"
    write_atomic(OUT / "figures.jsonl", "".join(line + "\n" for line in records))
    write_atomic(OUT / "figures.md", text)
    print(f"\n{text}\n{OUT / 'figures.md'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
