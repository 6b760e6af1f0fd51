"""RecordIO: images read and decoded against the raw JPEG decoding rate, and memory of a large index.

    python bench/records.py [images] [records of the index]

One thread. The same JPEGs (112 x 112, quality 95, as the field's sets have them) are decoded by OpenCV from
memory, by our decoder from memory, and read from the .rec at random places and decoded by our decoder, in
turns; prints medians and ratios. Then an index of ten million records is opened, and a million of them read
at random: what the process grew by.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import cv2
import numpy as np

from urface.data.decode import decode_image, encode_jpeg
from urface.data.record_frames import MAGIC_BYTES
from urface.data.record_source import read_records
from urface.data.record_write import write_records
from urface.data.records import HEADER, open_records

TURNS, IN_A_TURN, SIDE = 51, 200, 112


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def pictures(count: int) -> list[bytes]:
    """JPEGs of about a face's size and detail: smooth shapes with a little noise."""
    random = np.random.default_rng(0)
    images = []
    for _ in range(count):
        coarse = random.integers(0, 256, (14, 14, 3), np.uint8)
        image = cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC).astype(np.float32)
        image += random.normal(0, 6, image.shape)
        images.append(encode_jpeg(image.clip(0, 255).astype(np.uint8), 95))
    return images


def rate(work: Callable[[int], object], order: np.ndarray) -> float:
    """Images a second of this thread's own time: what others do on the machine does not count."""
    start = time.thread_time()
    for place in order.tolist():
        work(place)
    return len(order) / (time.thread_time() - start)


def reading(folder: Path, count: int) -> None:
    images = pictures(count)
    write_records(folder / "train.rec", ((n // 10, image) for n, image in enumerate(images)))
    source = read_records(folder / "train.rec", progress=False)
    arrays = [np.frombuffer(image, np.uint8) for image in images]
    cv2.setNumThreads(1)
    ways: dict[str, Callable[[int], object]] = {
        "OpenCV, from memory": lambda i: cv2.imdecode(arrays[i], cv2.IMREAD_COLOR_RGB),
        "decode_image, from memory": lambda i: decode_image(images[i]),
        "RecordIO, read and decoded": source.image,
        "RecordIO, read alone": source.read,
    }
    random = np.random.default_rng(1)
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(TURNS):
        order = random.integers(0, count, IN_A_TURN)
        for name, work in ways.items():
            rates[name].append(rate(work, order))
    raw = rates["OpenCV, from memory"]
    print(
        f"{count:,} JPEGs of {sum(map(len, images)) / count:,.0f} bytes, "
        f"median of {TURNS} turns of {IN_A_TURN}"
    )
    print("| way | images/s | of the raw rate |\n|---|---|---|")
    for name, measured in rates.items():
        share = median(one / base for one, base in zip(measured, raw, strict=True))
        print(f"| {name} | {median(measured):,.0f} | {share:.0%} |")


def large_index(folder: Path, count: int) -> None:
    """``count`` records of 40 bytes; the index is that of as many lines."""
    record = (
        MAGIC_BYTES + (30).to_bytes(4, "little") + HEADER.pack(0, 0.0, 0, 0) + b"\xff\xd8\xff" * 2
    )
    record += bytes(-len(record) % 4)
    with open(folder / "train.rec", "wb") as rec, open(folder / "train.idx", "wb") as idx:
        for first in range(0, count, 1 << 20):
            numbers = np.arange(first, min(first + (1 << 20), count))
            rec.write(record * len(numbers))
            lines = zip(numbers.tolist(), (numbers * len(record)).tolist(), strict=True)
            idx.write("".join(f"{key}\t{offset}\n" for key, offset in lines).encode())
    size = (folder / "train.idx").stat().st_size
    before, start = resident(), time.perf_counter()
    file = open_records(folder / "train.rec")
    opened, seconds = resident(), time.perf_counter() - start
    places = np.random.default_rng(2).integers(0, count, 1_000_000).tolist()
    listed, start = resident(), time.perf_counter()
    for place in places:
        file.read(place)
    after, spent = resident(), time.perf_counter() - start
    print(f"index of {count:,} records, {size / 1e6:,.0f} MB of text: opened in {seconds:.1f} s")
    print(f"memory: {(opened - before) / 1e6:,.0f} MB more once opened")
    print(f"1,000,000 records read at random in {spent:.1f} s: {(after - listed) / 1e6:+,.1f} MB")


def main(count: int = 2000, records: int = 10_000_000) -> None:
    for part, number in ((reading, count), (large_index, records)):
        with tempfile.TemporaryDirectory() as folder:
            part(Path(folder), number)


if __name__ == "__main__":
    main(*(int(number) for number in sys.argv[1:]))
