"""What keeping freed memory gains a training step: `python bench/memory.py [turns]`, 2 minutes a turn.

A step of each network on the CPU, in a process of its own with and without
`urface.memory.keep_freed_memory`, in turns; one thread. Prints seconds of processor time a step (what the
system spends on pages counts there), page faults and peak memory of each, and the median ratio.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from statistics import median

import torch

from figure import Figure, tell
from urface.environment import placed
from urface.memory import keep_freed_memory
from urface.models.iresnet import iresnet

NETWORKS = (("tiny", 48, 64, 40), ("iresnet18", 112, 16, 4))  # name, pixels, batch, steps
WARM_UP = 2


def child(keep: bool, backbone: str, size: int, batch: int, steps: int) -> None:
    """Print the processor seconds a step, the page faults a step and the peak in bytes."""
    if keep:
        keep_freed_memory(large_too=True)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = placed(iresnet(backbone, size), torch.device("cpu"))
    optimizer = torch.optim.SGD(network.parameters(), 1e-3, momentum=0.9)
    images = torch.randn(batch, 3, size, size).contiguous(memory_format=torch.channels_last)
    for step in range(WARM_UP + steps):
        if step == WARM_UP:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt, time.process_time()
        network(images).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = (time.process_time() - before[1]) / steps
    faults = (used.ru_minflt - before[0]) / steps
    print(json.dumps([seconds, faults, used.ru_maxrss * 1024]))


def main(turns: int = 3) -> None:
    for backbone, size, batch, steps in NETWORKS:
        found: dict[bool, list[list[float]]] = {False: [], True: []}
        for _ in range(turns):
            for keep in (False, True):
                asked = [str(value) for value in (int(keep), backbone, size, batch, steps)]
                command = [sys.executable, __file__, "child", *asked]
                ended = subprocess.run(command, check=True, capture_output=True, text=True)
                found[keep].append(json.loads(ended.stdout))
        for keep, runs in found.items():
            seconds, faults, peak = (median(run[place] for run in runs) for place in range(3))
            print(
                f"{backbone} at {size}, batch {batch}, freed memory {'kept' if keep else 'given back'}: "
                f"{seconds:.3f} s, {faults:,.0f} page faults a step, peak {peak / 2**30:.2f} GiB"
            )
        ratios = [a[0] / b[0] for a, b in zip(found[True], found[False], strict=True)]
        what = f"step of {backbone}, batch {batch}, 1 thread: freed memory kept over given back"
        tell(Figure(what, median(ratios), "x", 1.0, "most", (min(ratios), max(ratios))))


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        _, _, keep, backbone, size, batch, steps = sys.argv
        child(keep == "1", backbone, int(size), int(batch), int(steps))
    else:
        main(*map(int, sys.argv[1:2]))
