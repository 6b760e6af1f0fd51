"""Claims about rates by group: counts are those of a slow loop, and tables that do not fit are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.made_up import Fake, all_pairs, benchmark
from urface.benchmarks.benchmark import Templates
from urface.benchmarks.evaluate import Options, evaluate
from urface.benchmarks.group_labels import read_groups
from urface.benchmarks.pool import Pooling, pool
from urface.benchmarks.result import Result
from urface.benchmarks.score import pair_scores
from urface.metrics.intervals import clopper_pearson
from urface.types import UserError

COUNT, PEOPLE = 120, 12
SUBJECTS = np.arange(COUNT) % PEOPLE
GROUP = np.array(["x", "y", "z", ""])[SUBJECTS % 4]


def table(tmp_path: Path, keys: list[str], head: str = "path", groups: np.ndarray = GROUP) -> str:
    rows = [f"{key},{group},1" for key, group in zip(keys, groups, strict=True)]
    path = tmp_path / "people.csv"
    path.write_text("\n".join([f"{head},where,other", *rows]) + "\n")
    return f"{path}:where"


def judged(given: str) -> tuple[Result, np.ndarray, np.ndarray]:
    task = all_pairs(SUBJECTS, ("tar@0.01",))
    source = benchmark(COUNT, PEOPLE, damaged=(0, 1, 5), pairs=(task,))
    options = Options(groups=read_groups(given))
    result = evaluate(source, Fake(), options, progress=False)
    from urface.benchmarks.embed import embed_images

    pooled = pool(embed_images(source, Fake(), progress=False), source.templates, Pooling())
    return result, pair_scores(pooled, task.left, task.right, "cosine"), task.same


def test_counts_and_intervals_are_those_of_a_slow_loop(tmp_path: Path):
    result, scores, same = judged(table(tmp_path, [f"{i}.jpg" for i in range(COUNT)]))
    (row,) = result.rows("groups")
    assert (row["column"], row["threshold_from"], row["fmr_target"]) == ("where", "same set", 0.01)
    found = row["table"]
    left, right = np.triu_indices(COUNT, 1)
    trials = list(
        zip(
            scores.tolist(), same.tolist(), GROUP[left].tolist(), GROUP[right].tolist(), strict=True
        )
    )
    assert [one["group"] for one in found["rows"]] == ["x", "y", "z"]
    for one in found["rows"]:
        mine = [(s, g) for s, g, a, b in trials if a == b == one["group"]]
        for name, genuine in (("fmr", False), ("fnmr", True)):
            events = sum((s >= found["threshold"]) != genuine for s, g in mine if g is genuine)
            count = sum(g is genuine for _, g in mine)
            rate = one[name]
            assert (rate["events"], rate["trials"]) == (events, count)
            assert (rate["low"], rate["high"]) == clopper_pearson(events, count)
    lost = {one["group"]: one["fta"]["events"] for one in found["rows"]}
    assert lost == {"x": 1, "y": 2, "z": 0}
    assert found["all"]["fta"]["events"] == 3
    assert [one["group"] for one in found["between"]] == ["x x y", "x x z", "y x z"]
    for one in found["between"]:
        couple = set(one["group"].split(" x "))
        assert one["fmr"]["trials"] == sum({a, b} == couple and not g for _, g, a, b in trials)
    assert found["unknown"] == sum("" in (a, b) for _, _, a, b in trials)


def test_a_group_of_few_trials_is_withheld(tmp_path: Path):
    groups = np.where(SUBJECTS == 0, "few", "many")
    result, _, _ = judged(table(tmp_path, [f"{i}.jpg" for i in range(COUNT)], groups=groups))
    few = result.rows("groups")[0]["table"]["rows"][0]
    assert few["fta"]["value"] is None
    assert "at least 100 are needed" in few["fta"]["reason"]
    assert few["fmr"]["reason"] == "no such pair"


def test_parquet_gives_the_same_and_numbers_and_nulls_are_groups_too(tmp_path: Path):
    keys = [f"{i}.jpg" for i in range(COUNT)]
    codes = [None if not g else "xyz".index(g) for g in GROUP.tolist()]
    pq.write_table(pa.table({"age": codes, "key": keys}), tmp_path / "p.parquet")
    labels = read_groups(f"{tmp_path}/p.parquet:age")
    assert labels.groups == ("0", "1", "2")
    csv = read_groups(table(tmp_path, keys))
    assert labels.place == csv.place


def test_names_of_templates_name_groups_and_images_follow(tmp_path: Path):
    images = np.arange(COUNT)
    names = [f"t{i}" for i in range(COUNT // 2)]
    templates = Templates(names, SUBJECTS[: COUNT // 2], images, images // 2, images)
    source = benchmark(COUNT, PEOPLE, templates=templates)
    half = GROUP[: COUNT // 2]
    codes = read_groups(table(tmp_path, names, "template", half)).of(source)
    expected = np.array([-1 if not g else "xyz".index(g) for g in half.tolist()])
    assert np.array_equal(codes.templates, expected)
    assert np.array_equal(codes.images, np.repeat(expected, 2))
    by_image = read_groups(table(tmp_path, source.images.keys)).of(source)
    agree = GROUP[::2] == GROUP[1::2]  # neighbours are of two people here
    assert not agree.any()
    known = (GROUP[::2] != "") & (GROUP[1::2] != "")
    assert (by_image.templates[known] == -1).all()


@pytest.mark.parametrize(
    ("text", "ask", "words"),
    [
        ("path,g\na,1\na,2\n", "g", "'a' is in two groups"),
        ("path,g\na\n", "g", "line 2: 1 cells under 2 heads"),
        ("path,g\na,1\n", "h", "no column 'h'; it has path, g"),
        ("path,g\na,\n", "g", "0 different values"),
        ("path,g\n" + "".join(f"{i},{i}\n" for i in range(51)), "g", "51 different values"),
        ("", "g", "no column 'g'"),
        ('path,g\n"a,1\n', "g", "not a table"),
    ],
)
def test_a_table_that_does_not_fit_is_one_line(text: str, ask: str, words: str, tmp_path: Path):
    path = tmp_path / "g.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=words) as caught:
        read_groups(f"{path}:{ask}")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_or_fits_no_image_is_said(tmp_path: Path):
    for given, words in (
        (f"{tmp_path}/no.csv:g", "no such file"),
        ("people.csv", "FILE.csv:COLUMN"),
    ):
        with pytest.raises(UserError, match=words):
            read_groups(given)
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(UserError, match="not a Parquet file"):
        read_groups(f"{tmp_path}/bad.parquet:g")
    (tmp_path / "g.csv").write_text("path,g\nelse.jpg,1\n")
    with pytest.raises(UserError, match="none of its keys is an image or a template of made"):
        read_groups(f"{tmp_path}/g.csv:g").of(benchmark())
