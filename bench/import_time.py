"""What `import urface` costs, and what `urface.load` costs beyond torch's own import.

    python bench/import_time.py

Each in new processes, in turns; wall-clock medians.
"""

from __future__ import annotations

import subprocess
import sys
from statistics import median

from figure import Figure, tell

TURNS = 7
CODES = {
    "nothing": "pass",
    "import urface": "import urface",
    "torch alone": "import torch",
    "torch, then urface.load": "import torch, urface; urface.load",
}


def seconds(code: str) -> float:
    timed = f"import time\nstart = time.perf_counter()\n{code}\nprint(time.perf_counter() - start)"
    ran = subprocess.run([sys.executable, "-c", timed], capture_output=True, text=True, check=True)
    return float(ran.stdout)


def measure() -> list[Figure]:
    """`import urface`, and the door to embedding beyond torch."""
    times: dict[str, list[float]] = {name: [] for name in CODES}
    for _ in range(TURNS):
        for name, code in CODES.items():
            times[name].append(seconds(code))
    light = times["import urface"]
    beyond = median(times["torch, then urface.load"]) - median(times["torch alone"])
    return [
        Figure("import urface", median(light), "s", 0.5, spread=(min(light), max(light))),
        Figure("urface.load's imports beyond torch's own", beyond, "s", 0.5),
    ]


if __name__ == "__main__":
    for figure in measure():
        tell(figure)
