"""SIGKILL during enrol and remove: nothing acknowledged is lost, nothing removed returns (G30)."""

from __future__ import annotations

import copy
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from gallery.kill_worker import NAMES, Naive
from gallery.made import KEY, faces_of, new_gallery
from urface.gallery import Gallery
from urface.gallery.store import utc_now
from urface.scoring import fuse, score_matrix
from urface.types import FaceEmbedding

WORKER = Path(__file__).with_name("kill_worker.py")
People = dict[str, list[int]]


@pytest.fixture(scope="module")
def nurse():
    command = [sys.executable, str(WORKER)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.stdin.close()


def killed(nurse, store: str, folder: Path, seed: int, people: People) -> tuple[People, People]:
    """Run a worker, kill it somewhere, and say who must be there: as acknowledged, and with the act that was
    under way."""
    nurse.stdin.write(f"{store} {folder} {seed}\n")
    nurse.stdin.flush()
    lines, child = [], 0
    while not child or not lines:  # until it is at work
        line = nurse.stdout.readline().split()
        if line[0] == "pid":
            child = int(line[1])
        else:
            lines.append(line)
    time.sleep(random.Random(seed).uniform(0.0, 0.1))
    os.kill(child, signal.SIGKILL)
    while lines[-1][0] != "end":
        lines.append(nurse.stdout.readline().split())
    assert int(lines.pop()[1]) == signal.SIGKILL
    acknowledged, doing = copy.deepcopy(people), copy.deepcopy(people)
    for word, act, name, image in lines:
        state = acknowledged if word == "did" else doing
        if act == "enrol":
            state.setdefault(name, []).append(int(image))
        else:
            state.pop(name, None)
    return acknowledged, doing


def held(gallery: Gallery, possible: list[People]) -> People:
    """Which of the ``possible`` states the gallery is in, by a full scan; fails where it is in none."""
    assert gallery.check() == []
    counts = {one.person: one.images for one in gallery.people()}
    fitting = [p for p in possible if {name: len(images) for name, images in p.items()} == counts]
    assert fitting, (counts, possible)
    people = fitting[0]
    for name, images in people.items():
        parts = [faces_of(int(name[1:]), seed=image) for image in images]
        expected = fuse(FaceEmbedding.concatenate(parts), [0] * len(parts))
        found = gallery.template(name).faces
        np.testing.assert_allclose(found.mean, expected.mean, atol=1e-5)
        np.testing.assert_allclose(found.variance, expected.variance, rtol=1e-5)
    return people


def check_search(gallery: Gallery, people: People) -> None:
    """The index answers as a comparison with everyone does, and names nobody else."""
    names = sorted(people)
    if not names:
        return
    probes = FaceEmbedding.concatenate([faces_of(n, seed=1) for n in range(NAMES)])
    enrolled = FaceEmbedding.concatenate([gallery.template(name).faces for name in names])
    best = np.asarray(score_matrix(probes, enrolled)).argmax(1)
    found = gallery.search(probes, NAMES)
    assert [row[0].person for row in found] == [names[place] for place in best]
    assert all({match.person for match in row} == set(names) for row in found)


def kill_often(nurse, folder: Path, count: int) -> int:
    """``count`` kills in turn on one gallery; how many hit an act under way."""
    new_gallery(folder, clock=utc_now).close()
    people: People = {}
    hits = 0
    for seed in range(count):
        acknowledged, doing = killed(nurse, "gallery", folder, seed, people)
        hits += acknowledged != doing
        with Gallery.open(folder, KEY) as gallery:
            people = held(gallery, [acknowledged, doing])
            if seed % 5 == 4:
                check_search(gallery, people)
    return hits


def test_a_hundred_kills_lose_nothing(nurse, tmp_path):
    assert kill_often(nurse, tmp_path / "g", 100) >= 50  # kills between acts would test nothing


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_thousand_kills_lose_nothing(nurse, tmp_path):
    assert kill_often(nurse, tmp_path / "g", 1000) >= 500


def test_a_json_file_fails_under_the_same_kills(nurse, tmp_path):
    store = Naive(tmp_path)
    for seed in range(20):
        store.write({})
        acknowledged, doing = killed(nurse, "naive", tmp_path, seed, {})
        try:
            found = store.read()
        except json.JSONDecodeError:
            return  # half written: everyone is lost
        if found not in (acknowledged, doing):
            return
    pytest.fail("twenty kills did not harm a file that is written in place: they are too gentle")
