"""An index in Milvus Lite: the same answers, and the truth again after any kill.

python -m venv milvus; milvus/bin/pip install -r requirements/milvus.txt, as docs/search.md says
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from search.made import faces
from search.milvus_owner import PEOPLE, template
from urface.search import ExactIndex, Repairs, open_index, reconcile
from urface.types import FaceEmbedding, UserError

TESTS = Path(__file__).parents[1]
try:
    import pymilvus  # noqa: F401
except ImportError as missing:
    pytest.skip(f"needs pymilvus and milvus-lite ({missing})", allow_module_level=True)
# Of pymilvus, Milvus Lite, and of packages that were built against older ones.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"milvus:{tmp_path}/index.db"


def test_it_answers_as_the_exact_index_through_adds_removals_and_a_wider_range(url):
    gallery, probes = faces(np.arange(300), 1), faces(np.arange(0, 300, 30), 2)
    exact, index = ExactIndex(), open_index(url, ".")
    assert (index.search(probes, 3)[0] == -1).all()
    wild = faces(np.arange(300, 303), 3)
    wild.variance[:] *= 40
    for one in (exact, index):
        one.add(np.arange(300), gallery)
        one.remove(np.arange(0, 300, 7))
        one.add(np.arange(50), gallery[1:51])  # replaced
        one.add(np.arange(300, 303), wild)
    for asked in (probes, wild):
        for mine, its in zip(index.search(asked, 5), exact.search(asked, 5), strict=True):
            np.testing.assert_array_equal(mine, its)
    assert len(index) == len(exact)
    np.testing.assert_array_equal(index.ids(), exact.ids())
    index.save()
    index.close()
    again = open_index(url, ".")  # what was acknowledged is there
    np.testing.assert_array_equal(again.ids(), exact.ids())
    for mine, its in zip(again.stored(exact.ids()), exact.stored(exact.ids()), strict=True):
        np.testing.assert_array_equal(mine, its)
    with pytest.raises(UserError, match="by likelihood only"):
        again.search(probes, 1, "cosine")
    with pytest.raises(UserError, match="no template has the id 9999"):
        again.stored(np.array([1, 9999]))
    again.close()
    fresh = open_index(url, ".", fresh=True)
    assert len(fresh) == 0
    fresh.close()


def test_a_face_without_an_embedding_neither_enters_nor_scores(url):
    index = open_index(url, ".")
    index.add(np.arange(20), faces(np.arange(20), 1))
    spoilt = faces(np.arange(2), 2)
    spoilt.mean[1, 4] = np.nan
    with pytest.raises(UserError, match="template 31 has no embedding"):
        index.add(np.array([30, 31]), spoilt)
    ids, scores = index.search(spoilt, 2)
    assert ids[0, 0] == 0
    assert (ids[1] == -1).all()
    assert np.isneginf(scores[1]).all()
    assert len(index) == 20
    index.close()


@pytest.mark.parametrize("kills", [3, pytest.param(30, marks=pytest.mark.slow)])
def test_after_kills_a_full_scan_equals_the_truth(tmp_path, url, kills):
    random = np.random.default_rng(0)
    differences = 0
    for number in range(kills):
        _killed(tmp_path / "truth.sqlite", url, number, 0.3 + 1.2 * random.random())
        database = sqlite3.connect(tmp_path / "truth.sqlite")
        truth = dict(database.execute("SELECT id, version FROM person").fetchall())
        database.close()
        index = open_index(url, ".")
        ids = np.array(sorted(truth), np.int64)

        def fetch(asked: np.ndarray, truth: dict[int, int] = truth) -> FaceEmbedding:
            return template(asked, np.array([truth[i] for i in asked.tolist()]))

        found: Repairs = reconcile(index, ids, fetch)
        differences += bool(found)
        np.testing.assert_array_equal(index.ids(), ids)
        if len(ids):
            for stored, own in zip(index.stored(ids), _numbers(fetch(ids)), strict=True):
                np.testing.assert_array_equal(stored, own)
            np.testing.assert_array_equal(index.search(fetch(ids[:5]), 1)[0][:, 0], ids[:5])
        gone = np.setdiff1d(np.arange(PEOPLE), ids)
        assert not np.isin(index.search(faces(gone[:3], 5), 50)[0], gone).any()
        index.close()
    print(f"{differences} of {kills} kills left a difference")
    # Control: without ``reconcile`` the scan would have found a difference, at least once.
    assert differences > 0


def _killed(truth: Path, url: str, seed: int, after: float) -> None:
    environment = os.environ | {"PYTHONPATH": f"{TESTS}:{TESTS.parent / 'src'}"}
    owner = subprocess.Popen(
        [sys.executable, TESTS / "search" / "milvus_owner.py", truth, url, str(seed)],
        env=environment,
        stdout=subprocess.PIPE,
    )
    assert owner.stdout is not None
    with owner.stdout:
        try:
            assert owner.stdout.readline() == b"ready\n"
            time.sleep(after)
        finally:
            owner.send_signal(signal.SIGKILL)
            owner.wait()


def _numbers(people: FaceEmbedding) -> tuple[np.ndarray, np.ndarray]:
    return people.numpy().mean, people.numpy().variance
