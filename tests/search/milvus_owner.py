"""A process that enrols and removes for ever, first in its database, then in Milvus; to be killed.

python milvus_owner.py TRUTH.sqlite URL SEED
"""

from __future__ import annotations

import sqlite3
import sys

import numpy as np

from search.made import faces
from urface.search import open_index

PEOPLE, AT_ONCE = 200, 20


def template(ids: np.ndarray, versions: np.ndarray):
    """What is enrolled under an id, the n-th time."""
    every = [faces(np.array([i]), int(1000 * v + i)) for i, v in zip(ids, versions, strict=True)]
    return every[0].concatenate(every)


def main(truth: str, url: str, seed: str) -> None:
    random = np.random.default_rng(int(seed))
    database = sqlite3.connect(truth, isolation_level=None)
    database.execute("CREATE TABLE IF NOT EXISTS person (id INTEGER PRIMARY KEY, version INTEGER)")
    index = open_index(url, ".")
    print("ready", flush=True)
    while True:
        ids = np.sort(random.permutation(PEOPLE)[:AT_ONCE])
        marks = ", ".join(map(str, ids))
        if random.random() < 0.3:
            database.execute(f"DELETE FROM person WHERE id IN ({marks})")
            index.remove(ids)
        else:
            version = int(random.integers(1, 1000))
            rows = [(int(i), version) for i in ids]
            database.execute("BEGIN")
            database.executemany("REPLACE INTO person VALUES (?, ?)", rows)
            database.execute("COMMIT")
            index.add(ids, template(ids, np.full(AT_ONCE, version)))


if __name__ == "__main__":
    main(*sys.argv[1:])
