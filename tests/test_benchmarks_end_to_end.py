"""From miniatures on disk and a model file to one table: every benchmark, by the command that users type."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import tarfile
import time
from html import escape
from pathlib import Path

import numpy as np
import pytest

from small_model import SETTINGS, one_thread, small_model
from urface.benchmarks.registry import BENCHMARKS, fill_miniature, read_benchmark
from urface.benchmarks.result import Result, read_results
from urface.benchmarks.words import measure_title
from urface.cli import main
from urface.commands import evaluate_benchmarks
from urface.config import ObjectiveSettings
from urface.data.decode import encode_png
from urface.data.lfw import read_pairs
from urface.data.opencv_mat import write_feature
from urface.data.tar_index import index_tar
from urface.data.tars import TarReader
from urface.data.verification_bin import write_verification_bin
from urface.models.files import save_model

__all__ = ["one_thread"]

# An image of three layouts that is removed, which its reader must not mind.
REMOVED = {
    "lfw": "lfw/lfw/Person_001/Person_001_0001.jpg",
    "ijbc": "ijbc/loose_crop/1.jpg",
    "cfp_ff": "cfp/Data/Images/001/frontal/01.jpg",
}


def folder_of(name: str) -> str:
    """Names of a family share a folder: cfp_ff and cfp_fp, ijbc and ijbc_1n."""
    return name.partition("_")[0]


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A miniature of every benchmark, in the folder of its family."""
    root = tmp_path_factory.mktemp("sets")
    for name in BENCHMARKS:
        folder = root / folder_of(name)
        if not folder.exists():
            folder.mkdir()
            fill_miniature(name, folder)
    for path in REMOVED.values():
        (root / path).unlink()
    return root


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of random weights with four sub-embeddings and their confidences."""
    folder = tmp_path_factory.mktemp("run")
    save_model(
        folder / "model.safetensors",
        small_model(),
        SETTINGS,
        ObjectiveSettings("confidence", 2.0),
        {},
    )
    return folder


def evaluate(*arguments: object) -> int:
    return main(["evaluate", *map(str, arguments)])


@pytest.fixture(scope="module")
def judged(sets: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one command that judges the model on all benchmarks by both scores."""
    out = tmp_path_factory.mktemp("judged") / "out"
    names = ",".join(BENCHMARKS)
    options = ["--score", "cosine,likelihood", "-o", out]
    assert evaluate(model, "--benchmark", names, "--data", sets, *options) == 0
    return out


def test_one_command_judges_every_benchmark_and_one_table_holds_every_row(judged, model):
    results = read_results(judged / "results.json")
    done = [(result.benchmark, result.options["score"]) for result in results]
    assert done == [(name, score) for name in BENCHMARKS for score in ("cosine", "likelihood")]
    table = (judged / "table.md").read_text()
    html = (judged / "table.html").read_text()
    assert table.count(f"| Measure | {model.name}, cosine | {model.name}, likelihood |") == len(
        BENCHMARKS
    )
    for result in results:
        title = f"{result.benchmark}: {result.version}"
        assert escape(title) in html
        section = table.partition(f"**{title}**")[2].partition("**")[0]
        for cell in result.cells:
            if not cell.group:
                assert f"| {cell.task}: {measure_title(cell.measure)} | " in section
    assert "nan" not in table.lower().split()


def test_every_number_has_counts_and_an_interval_or_a_reason(judged):
    given = 0
    for result in read_results(judged / "results.json"):
        assert result.cells
        for cell in result.cells:
            assert cell.trials > 0
            if cell.value is None:
                assert cell.reason
                continue
            given += 1
            assert cell.low is not None
            assert cell.high is not None
            assert 0 <= cell.low <= cell.value <= cell.high <= 1, (result.benchmark, cell)
    assert given > 150


def test_each_benchmark_has_a_number_that_its_miniature_supports(judged):
    for result in read_results(judged / "results.json"):
        assert any(cell.value is not None for cell in result.cells), result.benchmark


@pytest.mark.parametrize("name", ["lfw", "cfp_ff"])
def test_an_image_that_is_not_there_stays_in_every_denominator(judged, sets, name):
    benchmark = read_benchmark(name, sets / folder_of(name))
    (gone,) = np.flatnonzero(benchmark.templates.image < 0)
    for result in of_benchmark(judged, name):
        assert (result.data["failed_images"], result.data["failed_templates"]) == (0, 1)
        for task in benchmark.pairs:
            lost = int(((task.left == gone) | (task.right == gone)).sum())
            for cell in result.cells:
                if cell.task == task.name and cell.measure == "accuracy":
                    assert lost > 0
                    assert (cell.trials, cell.failures) == (len(task.left), lost)


def test_templates_that_lose_their_only_image_are_failures_that_are_counted(judged, sets):
    benchmark = read_benchmark("ijbc", sets / "ijbc")
    templates, (task,) = benchmark.templates, benchmark.pairs
    gone = benchmark.images.keys.index("1.jpg")
    left = np.bincount(templates.template[templates.image != gone], minlength=len(templates))
    empty = np.flatnonzero(left == 0)
    assert len(empty) > 0
    lost = np.isin(task.left, empty) | np.isin(task.right, empty)
    for result in of_benchmark(judged, "ijbc"):
        assert list(result.failures) == ["1.jpg"]
        assert result.data["failed_templates"] == len(empty)
        cell = result.cell(task.name, "tar@1e-1")
        assert cell is not None
        assert (cell.trials, cell.failures) == (task.same.sum(), (lost & task.same).sum())


def of_benchmark(judged: Path, name: str) -> list[Result]:
    """Its results by cosine and by likelihood."""
    found = [r for r in read_results(judged / "results.json") if r.benchmark == name]
    assert [result.options["score"] for result in found] == ["cosine", "likelihood"]
    return found


def test_a_run_that_was_killed_goes_on_from_its_cache(judged, sets, model, tmp_path):
    """A process of its own, killed outright once the first features are on disk."""
    names = ["lfw", "ytf", "tinyface", "ijbs_single"]
    arguments = [model, "--benchmark", ",".join(names), "--data", sets, "-o", tmp_path / "out"]
    command = [sys.executable, "-m", "urface", "evaluate", *map(str, arguments)]
    surroundings = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(command, env=surroundings, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 200
    while not (shards := list(tmp_path.rglob("shard_*.safetensors"))):
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "out" / "table.md").exists()
    written = {path: path.stat().st_mtime_ns for path in shards}

    assert evaluate(*arguments) == 0
    assert {path: path.stat().st_mtime_ns for path in written} == written
    wanted = [of_benchmark(judged, name)[0].to_dict() for name in names]
    found = read_results(tmp_path / "out" / "results.json")
    assert [result.to_dict() for result in found] == wanted


def test_features_on_disk_are_a_model_also_where_some_are_missing(sets, tmp_path, capsys):
    """MegaFace's feature files of a program that failed on two images."""
    keys = read_benchmark("megaface", sets / "megaface").images.keys
    values = np.random.default_rng(0).normal(size=(len(keys), 16))
    for key, value in zip(keys[2:], values, strict=False):
        write_feature(tmp_path / "theirs" / f"{key}_net.bin", value)
    data = ["--benchmark", "megaface", "--data", sets]
    assert evaluate(tmp_path / "theirs", *data, "-o", tmp_path / "out") == 0
    (result,) = read_results(tmp_path / "out" / "results.json")
    assert list(result.failures) == keys[:2]
    assert all(cell.failures > 0 for cell in result.cells)
    assert (result.model["name"], result.model["preprocessing"]) == ("theirs", None)
    capsys.readouterr()
    other = ["--benchmark", "lfw", "--data", sets, "-o", tmp_path / "none"]
    assert evaluate(tmp_path / "theirs", *other) == 2
    error = capsys.readouterr().err
    assert "has no usable feature of any of the" in error
    assert error.count("\n") == 1


EXAMPLES = sorted(
    {
        line.partition("    # ")[0].strip()
        for text in (
            evaluate_benchmarks.EXAMPLES,
            (Path(__file__).resolve().parents[1] / "README.md").read_text(),
        )
        for line in text.splitlines()
        if line.startswith(" ") and line.strip().startswith("urface evaluate ")
    }
)


@pytest.fixture(scope="module")
def desk(sets: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which every example of `urface evaluate` finds what it names."""
    from recognisers.onnx_models import model as onnx_model
    from recognisers.onnx_models import write

    desk = tmp_path_factory.mktemp("desk")
    (desk / "runs").mkdir()
    (desk / "runs" / "mine").symlink_to(model)
    write(desk / "theirs.onnx", onnx_model())
    for name, there in (("sets", "."), ("lfw", "lfw"), ("IJBC", "ijbc"), ("IJBS", "ijbs")):
        (desk / name).symlink_to(sets / there)
    (desk / "pairs.txt").symlink_to(sets / "lfw" / "pairs.txt")
    for person in range(200):  # what ten folds of 300 pairs of each kind need
        (desk / "others" / f"p{person:03}").mkdir(parents=True)
        base = np.random.default_rng(person).integers(0, 256, (7, 7, 3)).repeat(4, 0).repeat(4, 1)
        for shot in range(6):
            noise = np.random.default_rng([person, shot]).normal(0, 4, base.shape)
            path = desk / "others" / f"p{person:03}" / f"{shot}.png"
            path.write_bytes(encode_png(np.clip(base + noise, 0, 255).astype(np.uint8)))
    with tarfile.open(desk / "lfw112.tar", "w") as tar:
        tar.add(sets / "lfw" / "lfw", "lfw112", filter=lambda m: m)
        for stranger in range(30):  # people of one image, whom no gallery holds
            name = f"lfw112/Stranger_{stranger:03}/Stranger_{stranger:03}_0001.jpg"
            source = sets / "lfw" / "lfw" / f"Person_{stranger + 2:03}"
            tar.add(source / f"Person_{stranger + 2:03}_0002.jpg", name)
        whole = sets / "lfw" / "lfw" / "Person_001"
        tar.add(whole / "Person_001_0002.jpg", "lfw112/Person_001/Person_001_0001.jpg")
    keys = read_benchmark("ijbc", sets / "ijbc").images.keys
    values = np.random.default_rng(0).normal(size=(len(keys), 8)).astype(np.float32)
    np.savez(desk / "features.npz", keys=np.array(keys), features=values)
    return desk


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_of_evaluate_runs(example, desk, monkeypatch, capsys):
    monkeypatch.chdir(desk)
    assert main(shlex.split(example)[1:]) == 0
    assert "| " in capsys.readouterr().out


def tar_and_bin(shared: Path, folder: Path, pairs: int) -> tuple[Path, Path]:
    """The first ``pairs`` of each kind and fold of real LFW: its tar with a list beside it, and a .bin."""
    whole = read_pairs(shared / "data" / "lfw_pairs.txt")
    rows = [f"{len(set(whole.fold.tolist()))}\t{pairs}"]
    chosen: list[int] = []
    for fold in range(10):
        for same in (True, False):
            chosen += np.flatnonzero((whole.fold == fold) & (whole.same == same))[:pairs].tolist()
    for place in chosen:
        (one, i), (two, j) = (
            key.rpartition("/")[2].rpartition(".")[0].rsplit("_", 1)
            for key in (whole.left[place], whole.right[place])
        )
        rows.append(
            f"{one}\t{int(i)}\t{int(j)}" if one == two else f"{one}\t{int(i)}\t{two}\t{int(j)}"
        )
    tar = folder / "tar" / "lfw112.tar"
    tar.parent.mkdir()
    tar.symlink_to(shared / "data" / "lfw112.tar")
    (tar.parent / "lfw_pairs.txt").write_text("\n".join(rows) + "\n")
    members = index_tar(tar)
    place_of = {"/".join(m.name.split("/")[-2:]): place for place, m in enumerate(members)}
    reader = TarReader(tar, members, 1 << 24)
    images = [
        reader(place_of[key]) for place in chosen for key in (whole.left[place], whole.right[place])
    ]
    (folder / "bin").mkdir()
    write_verification_bin(folder / "bin" / "lfw.bin", images, whole.same[chosen])
    return tar, folder / "bin"


@pytest.mark.parametrize("pairs", [12, pytest.param(300, marks=pytest.mark.slow)])
def test_real_lfw_gives_the_same_numbers_from_the_tar_and_from_a_bin(
    shared_dir, model, tmp_path, pairs
):
    found = []
    for place in tar_and_bin(shared_dir, tmp_path, pairs):
        out = tmp_path / f"out{len(found)}"
        options = ["--score", "cosine,likelihood", "-o", out]
        assert evaluate(model, "--benchmark", "lfw", "--data", place, *options) == 0
        found.append(read_results(out / "results.json"))
    for tar, binary in zip(*found, strict=True):
        assert tar.cells == binary.cells
        assert tar.data["images"] == binary.data["images"]
        accuracy = tar.cells[0]
        assert accuracy.trials == 20 * pairs
        assert accuracy.failures == 0
        assert tar.cell("lfw", "auc") is not None
