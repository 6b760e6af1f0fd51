"""Decodes files in a process of its own, in 512 MB beyond what it begins with: a line of JSON for each.

Arguments: the decoder (ours, or cv2's as it is: the control) and a folder; or the decoder, how many
mutations, and their seed. A file that takes five seconds of the processor ends the process.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from handmade_images import good_images, packed, smooth
from mutation import bounded_memory, mutate
from urface.data.decode import DecodeError, decode_image

HANG = 5.0  # of the processor, for machines are shared; the test's own limit catches a sleeper


def careless(data: bytes) -> np.ndarray:
    """What scripts do."""
    return np.ascontiguousarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))


def memory(name: str) -> int:
    """Kilobytes that the process has (VmRSS) or had at most (VmHWM)."""
    return int(Path("/proc/self/status").read_text().split(f"{name}:")[1].split()[0])


def files(arguments: list[str]) -> Iterator[tuple[str, bytes]]:
    if len(arguments) == 1:
        for path in sorted(Path(arguments[0]).iterdir()):
            yield path.name, path.read_bytes()
        return
    count, seed = map(int, arguments)
    seeds = list(good_images().values())
    random = np.random.default_rng(seed)
    for number in range(count):
        yield str(number), mutate(seeds[number % len(seeds)], random)


def outcome(decode: object, data: bytes) -> str:
    """``image``, ``refused`` with a DecodeError of one line, or what else came of it."""
    try:
        image = decode(data)  # type: ignore[operator]
    except DecodeError as error:
        return "refused" if "\n" not in str(error) else f"refused in lines: {error}"
    except Exception as error:
        return f"untyped: {error!r}"[:200]
    plain = isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.flags.c_contiguous
    return "image" if plain and image.ndim == 3 and image.shape[2] == 3 else "not an image"


def main(decoder: str, *arguments: str) -> None:
    decode = decode_image if decoder == "ours" else careless
    decode(packed(smooth(), "JPEG"))  # what is loaded on the way is loaded now
    with bounded_memory():
        for name, data in files(list(arguments)):
            before = memory("VmRSS")
            Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
            signal.setitimer(signal.ITIMER_PROF, HANG)
            start = time.process_time()
            found = outcome(decode, data)
            seconds = time.process_time() - start
            signal.setitimer(signal.ITIMER_PROF, 0)
            told = {"file": name, "outcome": found, "seconds": seconds}
            print(json.dumps(told | {"kilobytes": memory("VmHWM") - before}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
