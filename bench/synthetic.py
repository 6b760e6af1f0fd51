"""Synthetic faces a second on one core: `python bench/synthetic.py`.

Twenty shots of each identity at 112x112, the identity's own set-up included. The first face, which
compiles the renderer or loads it from the cache on disk, is timed apart.
"""

from __future__ import annotations

import time

import cv2

from urface.data.synthetic import render_face

IDENTITIES, SHOTS, ROUNDS = 10, 20, 3


def main() -> None:
    cv2.setNumThreads(1)
    start = time.perf_counter()
    render_face(0, 0, 0)
    print(f"first face: {time.perf_counter() - start:.2f} s")
    for number in range(ROUNDS):
        wall, processor = time.perf_counter(), time.process_time()
        for identity in range(IDENTITIES):
            for shot in range(SHOTS):
                render_face(number + 1, identity, shot)
        faces = IDENTITIES * SHOTS
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        print(f"{faces / wall:.0f} faces/s ({faces / processor:.0f} per second of processor time)")


if __name__ == "__main__":
    main()
