"""Mining: it learns attributes, resumes exactly, and its second network lacks the adversary alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from urface.config import RunSettings
from urface.config_mine import MineSettings
from urface.data.decode import encode_png
from urface.data.join import join
from urface.data.manifest import write_manifest
from urface.data.open import open_faces
from urface.data.source import FaceSource, build_source
from urface.environment import environment
from urface.evaluation.mining import judge_mining
from urface.models.attribute_files import load_attributes
from urface.training import mine as mining
from urface.training.diagnosis import TrainingStopped
from urface.training.logs import read_log
from urface.training.mine import mine, mining_faces, with_attributes
from urface.types import UserError

PEOPLE, SHOTS = 12, 8


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of 35 x 35: upper half a pattern of the person's, lower half bright where "Smiling".

    "male" is the person's, known for every other image; "always" is 1 for all.
    """
    folder = tmp_path_factory.mktemp("mining")
    random = np.random.default_rng(0)
    keys, labels = [], []
    for person in range(PEOPLE):
        pattern = np.kron(random.integers(0, 2, (2, 5, 3)) * 200 + 20, np.ones((9, 7, 1)))
        pattern = np.maximum(pattern, pattern[:, ::-1])  # a mirror image is the same person
        for shot in range(SHOTS):
            smiling = shot % 2
            lower = np.full((17, 35, 3), 60 + 120 * smiling)
            image = np.concatenate([pattern, lower]) + random.normal(0, 12, (35, 35, 3))
            keys.append(f"p{person:02d}/{shot}.png")
            labels.append([smiling, person % 2 if shot < 4 else np.nan, 1])
            (folder / keys[-1]).parent.mkdir(exist_ok=True)
            (folder / keys[-1]).write_bytes(encode_png(np.clip(image, 0, 255).astype(np.uint8)))
    people = [key[:3] for key in keys]
    names = ("Smiling", "male", "always")
    write_manifest(folder / "manifest.csv", keys, people, names, np.array(labels))
    return folder


def plan(faces: Path, out: Path, **changes: object) -> MineSettings:
    values: dict[str, object] = {
        "data": str(faces),
        "attributes": ("smiling",),
        "hold_out": 0.25,
        "input_size": 32,
        "batch_size": 12,
        "epochs": 4,
        "run": RunSettings(str(out), precision="fp32", threads=1, checkpoint_every=5, log_every=1),
    }
    return MineSettings(**(values | changes))  # type: ignore[arg-type]


def lines(out: Path, stage: str, name: str) -> list[float]:
    return [line[name] for line in read_log(out / "log.jsonl") if line["stage"] == stage]


def test_attributes_are_read_from_people_not_trained_on(faces: Path, tmp_path: Path) -> None:
    settings = plan(faces, tmp_path, compare=False, epochs=6)
    train, held_out = mining_faces(settings)
    (path,) = mine(settings, train, progress=False)
    model = load_attributes(path)
    assert model.facts["identities"] == 9
    env = environment(settings.run)
    report = judge_mining([("it", model)], train, held_out, env, progress=False)
    (smiling,) = report.networks[0].attributes
    assert (smiling.accuracy.trials, smiling.people) == (24, 3)
    assert smiling.accuracy.value is not None
    assert smiling.accuracy.value > 0.9
    assert smiling.majority.value == 0.5
    assert "| it | smiling |" in report.to_markdown()
    assert report.trained_less is None


def test_the_report_compares_the_networks_on_the_same_test_images(
    faces: Path, tmp_path: Path
) -> None:
    settings = plan(faces, tmp_path, epochs=1)
    train, held_out = mining_faces(settings)
    models = [
        (name, load_attributes(path))
        for name, path in zip(
            ("with", "without"), mine(settings, train, progress=False), strict=True
        )
    ]
    report = judge_mining(models, train, held_out, environment(settings.run), progress=False)
    first, second = (network.trained_people for network in report.networks)
    assert (first.people, first.trained, first.tested) == (9, 54, 18)
    np.testing.assert_array_equal(first.subjects, second.subjects)
    assert report.trained_less is not None
    expected = first.correct.mean() - second.correct.mean()
    assert report.trained_less.difference == pytest.approx(expected)
    assert json.loads(json.dumps(report.to_dict()))["faces"]["train_people"] == 9


def test_the_second_network_differs_by_the_adversary_alone(faces: Path, tmp_path: Path) -> None:
    both = plan(faces, tmp_path / "both", epochs=1)
    none = plan(faces, tmp_path / "none", epochs=1, adversary=0.0)
    train, _ = mining_faces(both)
    _, second = mine(both, train, progress=False)
    (only,) = mine(none, train, progress=False)
    states = [load_attributes(path).network.state_dict() for path in (second, only)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    # Before the first step both networks of one run are the same, so their first losses are.
    first = [lines(tmp_path / "both", stage, "L_att")[0] for stage in STAGES]
    assert first[0] == first[1]


STAGES = ("mine", "mine_without_adversary")


def test_a_stopped_training_resumes_to_identical_losses_and_weights(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, cut = (plan(faces, tmp_path / name, compare=False, epochs=2) for name in ("a", "b"))
    train, _ = mining_faces(whole)
    (expected,) = mine(whole, train, progress=False)

    class Stop(Exception):
        pass

    def stop(step: int, *rest: object) -> float:
        if step == 8:
            raise Stop
        return original(step, *rest)  # type: ignore[arg-type]

    original = mining.schedule
    monkeypatch.setattr(mining, "schedule", stop)
    with pytest.raises(Stop):
        mine(cut, train, progress=False)
    monkeypatch.undo()
    (resumed,) = mine(cut, train, progress=False)
    for name in ("L_att", "L_conf", "L_D"):
        assert lines(tmp_path / "a", "mine", name) == lines(tmp_path / "b", "mine", name)
    states = [load_attributes(path).network.state_dict() for path in (expected, resumed)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_finished_training_is_kept_and_another_one_refused(faces: Path, tmp_path: Path) -> None:
    settings = plan(faces, tmp_path, compare=False, epochs=1)
    train, _ = mining_faces(settings)
    (path,) = mine(settings, train, progress=False)
    before = path.stat().st_mtime_ns
    assert mine(settings, train, progress=False) == [path]
    assert path.stat().st_mtime_ns == before
    with pytest.raises(UserError, match=r"adversary 1\.0, not 0\.5"):
        mine(replace(settings, adversary=0.5), train, progress=False)


def test_a_loss_that_is_not_finite_stops_before_it_is_applied(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = plan(faces, tmp_path, compare=False)
    train, _ = mining_faces(settings)
    monkeypatch.setattr(mining, "attribute_loss", lambda logits, labels: logits.sum() * torch.inf)
    with pytest.raises(TrainingStopped, match="not finite at step 0"):
        mine(settings, train, progress=False)
    assert not (tmp_path / "model.safetensors").exists()


def test_attributes_are_found_in_any_case_and_others_are_named() -> None:
    values = np.array([[0.1, 0.2]])
    source = build_source("f", ["a/1"], ["a"], lambda i: b"", ("Smiling", "Young"), values)
    chosen = with_attributes(source, ("young", "SMILING"))
    assert chosen.variation_names == ("young", "SMILING")
    np.testing.assert_array_equal(chosen.variations, np.float32([[0.2, 0.1]]))
    with pytest.raises(UserError, match="no label 'male'; it has Smiling, Young"):
        with_attributes(source, ("male",))


def test_an_attribute_known_for_nobody_in_training_is_refused(faces: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="data is empty"):
        mining_faces(plan(faces, tmp_path, data=""))

    def unknown(path: str) -> FaceSource:
        source = open_faces(path)
        return replace(source, variations=np.full_like(source.variations, np.nan))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mining, "open_faces", unknown)
        with pytest.raises(UserError, match="smiling is not known for anyone trained on"):
            mining_faces(plan(faces, tmp_path))


def test_an_attribute_that_all_have_and_a_partly_known_one_train_too(
    faces: Path, tmp_path: Path
) -> None:
    settings = plan(faces, tmp_path, attributes=("male", "always"), compare=False, epochs=1)
    train, held_out = mining_faces(settings)
    models = [("it", load_attributes(path)) for path in mine(settings, train, progress=False)]
    report = judge_mining(models, train, held_out, environment(settings.run), progress=False)
    male, always = report.networks[0].attributes
    assert (male.accuracy.trials, always.accuracy.trials) == (12, 24)
    assert always.auc is None
    assert "withheld: all of one kind" in report.to_markdown()


def test_one_attribute_may_be_written_in_two_ways_by_two_sets() -> None:
    def made(name: str, column: str, value: float) -> FaceSource:
        keys = [f"{name}/{i}" for i in range(2)]
        values = np.full((2, 1), value, np.float32)
        return build_source(name, keys, [name, name], lambda i: b"", (column,), values)

    joined = join([made("a", "Smiling", 1.0), made("b", "smiling", 0.0)])
    found = with_attributes(joined, ("SMILING",))
    assert found.variations[:, 0].tolist() == [1.0, 1.0, 0.0, 0.0]
