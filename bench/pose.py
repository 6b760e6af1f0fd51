"""Pose augmentation judged by eye and by number: `python bench/pose.py WHAT ...`, tables as Markdown.

    sheet OUT [FACES]       40 faces from -60 to 60 degrees, synthetic or of the data set FACES
    calibrate               the error of the yaw that is read off synthetic renders of known yaw
    detector FACES          the detector on views of 150 faces: found, and the yaw it reads
    truth [MODEL]           views beside true renders of the same head at that yaw, and the embeddings
    speed                   views a second on one core, and the loader's faces a second

Needs mediapipe, but for speed. Intervals are of 95 %: exact for shares of independent trials, else by
a bootstrap over faces, each of which gives several views.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator

import cv2
import numpy as np

from urface.atomic import write_atomic
from urface.config import VariationSettings
from urface.data.decode import encode_jpeg, encode_png
from urface.data.landmarks import OK, FaceFinder, five_points
from urface.data.synthetic import ShotStyle, render_face
from urface.metrics.intervals import clopper_pearson
from urface.template import TEMPLATE
from urface.variations.head_turn import similarity
from urface.variations.pose import HeadView, turned_view

YAWS = tuple(range(-60, 61, 10))
WITHIN = 8.0  # degrees
SEED = 5
Face = tuple[np.ndarray, HeadView]


def heads(images: Iterator[np.ndarray], count: int, finder: FaceFinder) -> list[Face]:
    """The first ``count`` of ``images`` whose head can be turned."""
    faces: list[Face] = []
    for image in images:
        found = finder.find(image)
        if found.status == OK and found.mesh is not None:
            height, width = image.shape[:2]
            mesh = found.mesh * np.float32([width, height, width])
            faces.append((image, HeadView(mesh, found.pose)))
        if len(faces) == count:
            break
    return faces


def synthetic(first: int = 3_000, shot: int = 1) -> Iterator[np.ndarray]:
    for person in range(first, first + 10_000):
        yield render_face(SEED, person, shot, style=ShotStyle(frontal=True)).image


def of_data_set(path: str) -> Iterator[np.ndarray]:
    from urface.data.open import open_faces

    source = open_faces(path)
    for place in np.random.default_rng(7).permutation(len(source)):
        yield source.image(int(place))


def mean_interval(values: np.ndarray, faces: np.ndarray) -> tuple[float, float, float]:
    """The mean of ``values`` [N] and its interval by a bootstrap over the ``faces`` [N] they are of."""
    names, place = np.unique(faces, return_inverse=True)
    total = np.bincount(place, values)
    count = np.bincount(place)
    chosen = np.random.default_rng(0).integers(0, len(names), (2000, len(names)))
    means = total[chosen].sum(1) / count[chosen].sum(1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(np.mean(values)), float(low), float(high)


def told(values: np.ndarray, faces: np.ndarray, digits: int = 2) -> str:
    mean, low, high = mean_interval(values, faces)
    return f"{mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def sheet(out: str, path: str = "") -> None:
    finder = FaceFinder()
    faces = heads(of_data_set(path) if path else synthetic(), 40, finder)
    rows = []
    for image, head in faces:
        views = [turned_view(image, head, yaw, 0) for yaw in (-60, -45, -30, -15, 15, 30, 45, 60)]
        rows.append(np.concatenate([*views[:4], image, *views[4:]], 1))
    halves = [np.concatenate(rows[half::2]) for half in range(2)]
    gap = np.full((len(halves[0]), 12, 3), 255, np.uint8)
    picture = np.concatenate([halves[0], gap, halves[1]], 1)
    picture = cv2.resize(picture, None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA)
    write_atomic(out, encode_png(picture) if out.endswith(".png") else encode_jpeg(picture, 80))
    print(f"{out}: {len(faces)} faces")


def calibrate() -> None:
    finder = FaceFinder()
    true, read, person = [], [], []
    random = np.random.default_rng(1)
    for identity in range(8_000, 8_200):
        for shot in range(2):
            yaw = float(random.uniform(-60, 60))
            image = render_face(SEED, identity, shot, style=ShotStyle(yaw=yaw)).image
            found = finder.find(image)
            if found.mesh is not None:
                true.append(yaw)
                read.append(found.pose.yaw)
                person.append(identity)
    error, size, who = np.array(read) - true, np.abs(true), np.array(person)
    print(f"{len(error)} of 400 renders found\n\n| yaw | n | mean error | SD | within {WITHIN:g} |")
    print("|---|---|---|---|---|")
    for low, high in ((0, 20), (20, 40), (40, 50), (50, 60), (0, 50)):
        chosen = (size >= low) & (size < high)
        outward = error[chosen] * np.sign(np.array(true)[chosen])
        close = (np.abs(outward) <= WITHIN).astype(float)
        print(
            f"| {low} to {high} | {chosen.sum()} | {outward.mean():+.1f} | {outward.std():.1f} "
            f"| {told(100 * close, who[chosen], 1)} % |"
        )


def detector(path: str, count: int = 150) -> None:
    finder = FaceFinder()
    faces = heads(of_data_set(path), count, finder)
    found = np.zeros((len(faces), len(YAWS)), bool)
    error = np.full(found.shape, np.nan)
    for row, (image, head) in enumerate(faces):
        for column, yaw in enumerate(YAWS):
            seen = finder.find(turned_view(image, head, yaw, 0))
            found[row, column] = seen.mesh is not None
            error[row, column] = seen.pose.yaw - yaw
    print(f"{len(faces)} faces\n\n| yaw | found | error: mean | SD | within {WITHIN:g} |")
    print("|---|---|---|---|---|")
    who = np.arange(len(faces))
    for size in range(0, 61, 10):
        columns = [c for c, yaw in enumerate(YAWS) if abs(yaw) == size]
        row_of(f"{size}", found[:, columns], error[:, columns], np.array(YAWS)[columns], who)
    columns = [c for c, yaw in enumerate(YAWS) if abs(yaw) <= 50]
    row_of("up to 50", found[:, columns], error[:, columns], np.array(YAWS)[columns], who)


def row_of(
    name: str, found: np.ndarray, error: np.ndarray, yaws: np.ndarray, who: np.ndarray
) -> None:
    side = np.where(yaws == 0, 1, np.sign(yaws))
    outward = (error * side)[found]
    close = np.where(found, np.abs(np.nan_to_num(error, nan=1e3)) <= WITHIN, False)
    faces = np.repeat(who, found.shape[1])
    if found.shape[1] == 1:
        low, high = clopper_pearson(int(found.sum()), found.size)
        share = f"{100 * found.mean():.1f} [{100 * low:.1f}, {100 * high:.1f}]"
    else:
        share = told(100.0 * found.ravel(), faces, 1)
    print(
        f"| {name} | {share} % of {found.size} | {outward.mean():+.1f} | {outward.std():.1f} "
        f"| {told(100.0 * close.ravel(), faces, 1)} % |"
    )


def foreshortened(image: np.ndarray, head: HeadView, yaw: float) -> np.ndarray:
    """The plain warp: squeezed by the cosine of the turn about the upright, and aligned again."""
    squeeze = np.diag([np.cos(np.deg2rad(yaw - head.pose.yaw)), 1.0, 1.0])
    five = five_points(head.mesh)
    back = np.linalg.inv(similarity(five, TEMPLATE)) @ similarity(five @ squeeze[:2, :2], TEMPLATE)
    matrix = (back @ squeeze)[:2]
    size = (image.shape[1], image.shape[0])
    return cv2.warpAffine(image, matrix, size, borderMode=cv2.BORDER_REPLICATE)


def psnr(image: np.ndarray, true: np.ndarray, inside: np.ndarray) -> float:
    error = image[inside].astype(np.float64) - true[inside]
    return float(10 * np.log10(255**2 / max(1e-9, (error**2).mean())))


def truth(model: str = "", count: int = 120) -> None:
    finder = FaceFinder()
    names = ("turned view", "no rotation", "plain warp")
    rows: dict[int, list[tuple[int, list[np.ndarray], np.ndarray, np.ndarray]]] = {}
    done = 0
    for person in range(20_000, 30_000):
        # The same lamp, hair and smile; only the yaw differs.
        source = render_face(SEED, person, 0, style=ShotStyle(frontal=True))
        faces = heads(iter([source.image]), 1, finder)
        if not faces:
            continue
        image, head = faces[0]
        for yaw in (-60, -50, -40, -20, 20, 40, 50, 60):
            style = ShotStyle(yaw=yaw, pitch=source.pitch)
            true = render_face(SEED, person, 0, style=style).image
            seen = finder.find(true)
            if seen.mesh is None:
                continue
            hull = cv2.convexHull(np.rint(seen.mesh[:, :2] * len(true)).astype(np.int32))
            inside = cv2.fillPoly(np.zeros(true.shape[:2], np.uint8), [hull], 1) > 0
            view = turned_view(image, head, yaw, source.pitch)
            views = [view, image, foreshortened(image, head, yaw)]
            rows.setdefault(abs(yaw), []).append((person, views, true, inside))
        done += 1
        if done == count:
            break
    embedder = None
    if model:
        import torch

        import urface

        torch.set_num_threads(1)
        embedder = urface.load(model)
    print(
        f"{done} people\n\n| yaw | n | measure | {' | '.join(names)} |\n|---|---|---|---|---|---|"
    )
    for size in sorted(rows):
        who = np.array([row[0] for row in rows[size]])
        values = np.array([[psnr(v, true, at) for v in views] for _, views, true, at in rows[size]])
        cells = [told(values[:, c], who) for c in range(3)]
        print(f"| {size} | {len(who)} | PSNR, dB | {' | '.join(cells)} |")
        if embedder is not None:
            mean = [embedder.embed([row[1][c] for row in rows[size]]).mean[:, 0] for c in range(3)]
            target = embedder.embed([row[2] for row in rows[size]]).mean[:, 0]
            cells = [told((m * target).sum(1), who, 3) for m in mean]
            print(f"| {size} | {len(who)} | cosine | {' | '.join(cells)} |")


def speed() -> None:
    from urface.data.frames import Frames
    from urface.data.loader import make_batch
    from urface.data.meshes import Meshes
    from urface.data.sampler import Draw
    from urface.data.source import build_source

    cv2.setNumThreads(1)
    images = [image for image, _ in zip(synthetic(), range(32), strict=False)]
    finder = FaceFinder()
    faces = heads(iter(images), 32, finder)
    turned_view(*faces[0], 50, 0)
    best, least = 0.0, 1.0
    for _ in range(8):
        start = time.process_time()
        for image, head in faces:
            begun = time.perf_counter()
            turned_view(image, head, 50, 0)
            least = min(least, time.perf_counter() - begun)
        best = max(best, len(faces) / (time.process_time() - start))
    print(
        f"turned views at 112x112: {best:.0f} a second of processor time, best of 8 rounds; the "
        f"fastest view, which nothing else disturbed: {1000 * least:.2f} ms"
    )
    count = len(faces)
    data = [encode_png(image) for image, _ in faces]
    keys = [f"p{i:02d}/0.png" for i in range(count)]
    source = build_source("bench", keys, [key[:3] for key in keys], data.__getitem__)
    meshes = Meshes(
        np.arange(count),
        np.array([head.mesh / 112 for _, head in faces], np.float16),
        np.ones(count, np.float32),
        np.array([head.pose for _, head in faces], np.float32),
    )
    frames = Frames(source, 112, 0.0, 1.0, False, meshes)
    for share in (0.0, 0.3):
        settings = VariationSettings(pose=share)
        rate = 0.0
        for _ in range(5):
            start = time.process_time()
            for epoch in range(20):
                make_batch(frames, Draw(np.arange(count), epoch), settings, 112, 0, slice(None))
            rate = max(rate, 20 * count / (time.process_time() - start))
        print(f"loader, decoded faces, pose {share:g}: {rate:.0f} faces a second of processor time")


def main() -> None:
    commands: dict[str, Callable[..., None]] = {
        "sheet": sheet, "calibrate": calibrate, "detector": detector, "truth": truth, "speed": speed,
    }  # fmt: skip
    if len(sys.argv) < 2 or sys.argv[1] not in commands:
        sys.exit(str(__doc__))
    commands[sys.argv[1]](*sys.argv[2:])


if __name__ == "__main__":
    main()
