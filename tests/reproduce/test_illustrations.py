"""`urface figures` on a small reproduction with untrained models: what is drawn, left out and told."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from small_model import SETTINGS, one_thread
from urface.cli import main
from urface.config import ObjectiveSettings, TrainSettings, as_dict
from urface.config_reproduce import ReproduceSettings
from urface.data.decode import resize_image
from urface.data.synthetic import write_synthetic
from urface.evaluation.degrade import SIZE
from urface.evaluation.levels import LADDERS
from urface.evaluation.protocol import PairProtocol
from urface.figures import style
from urface.figures.robustness import QUANTILES
from urface.metrics.verification import kfold_accuracy
from urface.models.files import save_model
from urface.models.urface import build_urface
from urface.reproduce.illustrations import (
    FIGURES,
    illustrate,
    measured,
    training_samples,
    unseen_faces,
)
from urface.reproduce.illustrations.growth import grown
from urface.reproduce.illustrations.illustrate import WAYS
from urface.reproduce.illustrations.material import first_pairs, material_of_run
from urface.reproduce.illustrations.training_samples import nearest_original_is_same
from urface.reproduce.rows import ABLATION, SETS, chosen
from urface.reproduce.rows import ROWS as ROWS_OF_ALL
from urface.scoring.score import score
from urface.types import FaceEmbedding, UserError

__all__ = ["one_thread"]  # a fixture for every test of this file

ROWS = ("cosface_va", "confidence", "confidence_pa")


def untrained(path: Path, settings: TrainSettings) -> None:
    torch.manual_seed(1)
    model = build_urface(settings.model, settings.objective)
    save_model(path, model, settings.model, settings.objective, {"settings": as_dict(settings)})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> Path:
    """A folder as `urface reproduce` leaves it, of 44 people."""
    root = tmp_path_factory.mktemp("run")
    ours = TrainSettings(model=SETTINGS, objective=ObjectiveSettings("confidence", 2.0))
    baseline = replace(
        ours,
        model=replace(SETTINGS, sub_embeddings=1),
        objective=ObjectiveSettings("cosface", 0.3, 0.0),
    )
    untrained(root / "models/confidence_seed0/model.safetensors", ours)
    untrained(root / "models/cosface_va_seed0/model.safetensors", baseline)
    for name, people, shots in (
        ("train", range(4), 4),
        ("test/enrolled", range(100, 120), 2),
        ("test/strangers", range(200, 220), 2),
    ):
        write_synthetic(
            root / "faces" / name, seed=0, identities=people, shots=shots, size=48, progress=False
        )
    record = {"settings": as_dict(ReproduceSettings(rows=tuple(ROWS), settings=ours))}
    (root / "results.json").write_text(json.dumps(record))
    return root


@pytest.fixture(scope="module", autouse=True)
def few_images(one_thread: None) -> Any:
    """Fewer images, levels and pixels than a figure for readers needs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_samples, "CONFIDENCE_IMAGES", 12)
        patch.setattr(unseen_faces, "RANKED_IMAGES", 24)
        patch.setattr(unseen_faces, "PEOPLE", 2)
        patch.setattr(style, "DPI", 50)
        few = tuple(replace(ladder, levels=ladder.levels[::3]) for ladder in LADDERS)
        patch.setattr(measured, "LADDERS", few)
        yield


@pytest.fixture(scope="module")
def drawn(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All figures of the run."""
    out = tmp_path_factory.mktemp("figures")
    material = material_of_run(run)
    material.pairs_per_kind, material.progress = 10, False
    assert illustrate(material, out, small=out / "small") == (list(FIGURES), {})
    return out


def test_of_a_whole_run_figure_a_shows_the_ablation_and_ours_is_the_whole_method(
    run: Path, tmp_path: Path
) -> None:
    record = json.loads((run / "results.json").read_text())
    record["settings"]["rows"] = list(SETS)
    (tmp_path / "results.json").write_text(json.dumps(record))
    (tmp_path / "faces").symlink_to(run / "faces")
    for _, row in chosen(tuple(SETS)):
        kind = (
            "cosface_va"
            if row.settings(ReproduceSettings()).model.sub_embeddings == 1
            else "confidence"
        )
        folder = tmp_path / "models" / f"{row.model}_seed0"
        if not folder.exists():
            folder.parent.mkdir(exist_ok=True)
            folder.symlink_to(run / "models" / f"{kind}_seed0")
    material = material_of_run(tmp_path)
    assert [row.name for row in material.rows] == [
        ROWS_OF_ALL[key].name.format(K=record["settings"]["settings"]["model"]["sub_embeddings"])
        for key in dict(chosen(tuple(SETS)))
        if key in ABLATION
    ]
    assert material.ours == tmp_path / "models/all_seed0/model.safetensors"


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main(["figures", *map(str, arguments)]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("urface: error: ")
    return error


def test_every_figure_is_there_as_pdf_png_and_light_jpeg(drawn: Path) -> None:
    for file, _ in WAYS.values():
        assert (drawn / f"{file}.pdf").read_bytes().startswith(b"%PDF")
        assert (drawn / f"{file}.png").read_bytes().startswith(b"\x89PNG")
        assert (drawn / "small" / f"{file}.jpg").stat().st_size < 300_000


def test_the_page_shows_all_with_captions_that_count(drawn: Path) -> None:
    page = (drawn / "index.html").read_text()
    assert re.findall(r"<h2[^>]*>Figure (\w)", page) == list(FIGURES)
    told = json.loads((drawn / "figures.json").read_text())["figures"]
    assert "12 training samples (synthetic)" in told["1"]["caption"]
    assert "20 pairs of test faces (synthetic, of people not trained on)" in told["A"]["caption"]
    assert re.search(
        r"nearest original.*ours [\d.]+ \[[\d., ]+\] \(\d+/\d+\)", told["4"]["caption"]
    )


def test_accuracy_at_a_level_is_that_of_the_plain_protocol(run: Path, drawn: Path) -> None:
    told = json.loads((drawn / "figures.json").read_text())["figures"]["A"]["numbers"]
    material = material_of_run(run)
    material.pairs_per_kind = 10
    pairs, source = material.pairs(), material.test
    assert source is not None
    assert material.ours is not None
    embedder = material.embedder(material.ours)
    left = embedder.embed([source.image(int(place)) for place in pairs.left])
    right = embedder.embed([resize_image(source.image(int(place)), SIZE) for place in pairs.right])
    for row, method in ((1, "cosine"), (2, "likelihood")):
        scores = np.asarray(score(left, right, method))  # type: ignore[arg-type]
        expected = kfold_accuracy(scores, pairs.same, pairs.fold).pooled.value
        name = list(told["blur"]["accuracy"])[row]
        for kind in ("blur", "occlusion", "pixels"):
            value, low, high = told[kind]["accuracy"][name][0]
            assert value == pytest.approx(expected)
            assert low <= value <= high
    assert list(told) == ["blur", "occlusion", "pixels", "yaw"]


def test_quantiles_of_uncertainty_are_told_per_level(drawn: Path) -> None:
    told = json.loads((drawn / "figures.json").read_text())["figures"]["B"]["numbers"]
    for kind in ("blur", "occlusion", "pixels", "yaw"):
        columns = np.array([told[kind]["quantiles"][str(q)] for q in QUANTILES])
        assert columns.shape == (5, len(told[kind]["levels"]))
        assert (np.diff(columns, axis=0) >= 0).all()


def test_figures_drawn_later_join_the_page(run: Path, tmp_path: Path) -> None:
    material = material_of_run(run)
    material.progress = False
    illustrate(material, tmp_path, ["5"])
    illustrate(material, tmp_path, ["1"])
    page = (tmp_path / "index.html").read_text()
    assert re.findall(r"<h2[^>]*>Figure (\w)", page) == ["1", "5"]
    material.test_name = "other faces"  # another material starts a new page
    illustrate(material, tmp_path, ["5"])
    assert re.findall(r"<h2[^>]*>Figure (\w)", (tmp_path / "index.html").read_text()) == ["5"]


def test_a_figure_that_lacks_something_is_left_out_with_one_line(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = run / "models/confidence_seed0"
    faces = run / "faces/train"
    arguments = ["--model", ours, "--faces", faces, "-o", tmp_path, "--only", "4,5"]
    assert main(["figures", *map(str, arguments)]) == 0
    output = capsys.readouterr()
    assert "figure 4 left out: no CosFace model with variation augmentation" in output.err
    assert output.err.splitlines()[-1] == "drawn: 5; left out: 4"
    assert output.out == f"figures: {tmp_path / 'index.html'}\n"
    assert "Figure 4: no CosFace" in (tmp_path / "index.html").read_text()


def test_models_and_faces_can_be_named_singly(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"--model": "confidence_seed0", "--baseline": "cosface_va_seed0"}
    named = [text for key, name in given.items() for text in (key, str(run / "models" / name))]
    faces = ["--faces", str(run / "faces/train"), "--sheets", str(run / "faces/test/enrolled")]
    assert main(["figures", *named, *faces, "-o", str(tmp_path), "--only", "4,5"]) == 0
    assert "drawn: 4, 5" in capsys.readouterr().err


def test_mistakes_cost_one_line(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ("-o", tmp_path / "out")
    assert "give the folder of a finished reproduction" in refused(capsys, *out)
    assert "no finished reproduction there" in refused(capsys, tmp_path, *out)
    assert "no figure '9'; there are 1, 2" in refused(capsys, run, *out, "--only", "9")
    assert "no row or set is called 'x'" in refused(capsys, run, *out, "--rows", "x")
    assert "the reproduction has not trained cosface" in refused(
        capsys, run, *out, "--rows", "cosface"
    )
    assert "at least" in refused(capsys, run, *out, "--pairs", "1")
    assert "nothing there" in refused(capsys, run, *out, "--faces", tmp_path / "none")
    assert "no such file" in refused(capsys, run, *out, "--baseline", tmp_path / "none")
    lone = refused(capsys, "--model", run / "models/confidence_seed0", *out, "--only", "2")
    assert "no figure could be drawn: 2: no test faces" in lone
    assert not (tmp_path / "out").exists()


def test_too_few_people_for_pairs_leave_a_and_b_out(run: Path, tmp_path: Path) -> None:
    few = tmp_path / "few"
    shutil.copytree(run / "faces/train", few)
    arguments = ["--model", str(run / "models/confidence_seed0"), "--faces", str(few)]
    assert main(["figures", *arguments, "-o", str(tmp_path / "out"), "--only", "A,B,5"]) == 0
    page = (tmp_path / "out/index.html").read_text()
    assert "Figure A: fold 0 of 10 has" in page


def test_a_run_on_named_faces_takes_those_and_their_pairs(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run / "models", tmp_path / "models")
    record = json.loads((run / "results.json").read_text())
    record["settings"] |= {
        "train": str(run / "faces/train"),
        "test_lfw": str(run / "faces/test/enrolled"),
        "pairs": str(tmp_path / "pairs.txt"),
    }
    record["settings"]["settings"]["data"]["identities"] = 3
    (tmp_path / "results.json").write_text(json.dumps(record))
    material = material_of_run(tmp_path)
    assert material.train is not None
    assert material.test is not None
    assert (len(material.train.identities), len(material.test.identities)) == (3, 20)
    assert (material.train_name, material.test_name) == ("train", "enrolled")
    assert material.turn is None
    with pytest.raises(UserError, match=r"pairs\.txt: cannot be read"):
        material.pairs()


def test_pairs_are_the_first_of_each_kind_in_each_fold() -> None:
    fold = np.repeat([0, 1], 6)
    same = np.tile([True, True, True, False, False, False], 2)
    places = np.arange(12)
    kept = first_pairs(PairProtocol(places, places + 100, same, fold), 2)
    assert kept.left.tolist() == [0, 1, 3, 4, 6, 7, 9, 10]
    assert kept.right.tolist() == [100, 101, 103, 104, 106, 107, 109, 110]
    assert kept.same.tolist() == [True, True, False, False] * 2


def test_the_nearest_original_is_another_than_the_parent() -> None:
    """Two people: originals 0, 1 of the first, 2 of the second; samples made from 0 and 2."""
    angles = np.deg2rad([0, 30, 100, 1, 99])
    mean = np.stack([np.cos(angles), np.sin(angles)], 1)[:, None, :]
    ones = np.ones((5, 1))
    hits = nearest_original_is_same(
        FaceEmbedding(mean, ones, ones), np.array([0, 0, 1, 0, 1]), np.array([-1, -1, -1, 0, 2])
    )
    assert hits.tolist() == [True, False]


def test_grown_counts_faces_and_says_nothing_where_they_differ() -> None:
    assert grown([np.array([1.0, 2, 3]), np.array([9.0, 9, 9]), np.array([2.0, 1, 4])]) == (2, 3)
    assert grown([np.zeros(3), np.zeros(2)]) == (0, 0)


def test_an_augmented_sample_is_never_the_image_itself() -> None:
    image = np.random.default_rng(0).integers(1, 256, (112, 112, 3)).astype(np.uint8)
    rare = replace(TrainSettings().variations, low_resolution=0.02, occlusion=0.02, flip=0.0)
    for place in range(5):
        changed = training_samples.varied(image, rare, place)
        assert (changed != image).any()
        np.testing.assert_array_equal(changed, training_samples.varied(image, rare, place))
    never = replace(rare, low_resolution=0.0, occlusion=0.0)
    with pytest.raises(UserError, match="too rare to show"):
        training_samples.varied(image, never, 0)


def test_a_pair_whose_image_is_missing_is_no_pair_with_the_last_image() -> None:
    """A place of -1 would be the last image of the set."""
    places = np.array([4, -1, 2, 4])
    assert measured._there(places) == [2, 4]
    assert measured._rows_of(measured._there(places), places).tolist() == [1, -1, 0, 1]
