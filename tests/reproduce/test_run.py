"""Claims about a whole reproduction, at a size of seconds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from reproduce.conftest import Plan
from urface.evaluation.outcomes import Outcomes, TestProtocol
from urface.models.files import load_model
from urface.reproduce import reproduce
from urface.reproduce.illustrations.material import material_of_run
from urface.reproduce.run import SIDE_BY_SIDE, check_same, whole_time
from urface.types import UserError

ROWS = ("cosface", "pfe", "cosface_va", "confidence", "confidence_pa")


def test_a_run_goes_from_faces_to_report_and_a_second_one_only_draws_again(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = plan(rows=ROWS, conditions=("clean", "16px"), gallery_images=2)
    report = reproduce(settings, progress=False)
    out = report.parent
    results = json.loads((out / "results.json").read_text())
    assert [row["key"] for row in results["rows"]] == list(ROWS)
    assert set(results["rows"][0]["verification"]) == {"clean", "16px"}
    assert set(results["rows"][0]["identification_several"]) == {"clean", "16px"}
    claims = json.loads((out / "claims.json").read_text())
    assert {claim["part"] for claim in claims["claims"]} == {"1", "2", "3", "4", "5", "aim"}
    assert "Claims" in (out / "claims.md").read_text()

    def fail(*arguments: object, **more: object) -> None:
        raise AssertionError("something was trained or embedded again")

    for name in (
        "urface.training.train._train",
        "urface.embedder.Embedder._forward",
        "urface.reproduce.grid.meet",
    ):
        monkeypatch.setattr(name, fail)
    table = (out / "table.md").read_text()
    (out / "claims.md").unlink()
    report.unlink()
    reproduce(settings, progress=False)
    assert report.is_file()
    assert (out / "claims.md").is_file()
    again = (out / "table.md").read_text()
    assert again[: again.index("Total time")] == table[: table.index("Total time")]


def test_the_time_of_a_run_is_that_of_the_clock_where_trainings_ran_side_by_side() -> None:
    parts = {"faces": 10.0, "train a": 60.0, "train b": 50.0, "judging": 5.0}
    assert whole_time(parts, 1) == 125.0
    assert whole_time({**parts, SIDE_BY_SIDE: 62.0}, 2) == 77.0
    # Interrupted: the last call, which found one of them trained, knows its own time alone.
    assert whole_time({**parts, SIDE_BY_SIDE: 20.0}, 2) == 70.0


def test_figures_find_models_and_faces_in_what_a_run_leaves(
    plan: Plan, people: tuple[Path, Path]
) -> None:
    out = reproduce(plan(rows=("cosface_va", "confidence_pa")), progress=False).parent
    # The plan's faces lie elsewhere; a run with synthetic ones leaves them here.
    shutil.copytree(people[0], out / "faces/train")
    for number, person in enumerate(sorted(people[1].iterdir())):
        part = "enrolled" if number < 10 else "strangers"
        shutil.copytree(person, out / "faces/test" / part / person.name)
    material = material_of_run(out)
    assert material.ours == out / "models/confidence_seed0/model.safetensors"
    assert material.baseline == out / "models/cosface_va_seed0/model.safetensors"
    assert [row.method for row in material.rows] == ["cosine", "likelihood"]
    assert material.train is not None
    assert material.test is not None


def test_pfe_shares_the_frozen_baseline_and_rows_share_their_trainings(plan: Plan) -> None:
    report = reproduce(plan(rows=("pfe", "confidence", "confidence_pa")), progress=False)
    models = sorted(path.name for path in (report.parent / "models").iterdir())
    assert models == ["confidence_seed0", "cosface_seed0", "pfe_seed0"]
    base, pfe = (
        load_model(report.parent / "models" / name)[0].state_dict()
        for name in ("cosface_seed0", "pfe_seed0")
    )
    assert all((base[name] == pfe[name]).all() for name in base)


def test_a_reproduction_grows_by_rows_seeds_and_conditions(plan: Plan) -> None:
    first = reproduce(plan(rows=("cosface",)), progress=False).parent
    before = {path: path.stat().st_mtime_ns for path in first.rglob("model.safetensors")}
    grown = plan(rows=("cosface", "cosface_va"), seeds=2, conditions=("clean", "degraded", "8px"))
    reproduce(grown, progress=False)
    for path, time in before.items():
        assert path.stat().st_mtime_ns == time
    results = json.loads((first / "results.json").read_text())
    cells = [(row["key"], row["seed"]) for row in results["rows"]]
    assert cells == [("cosface", 0), ("cosface_va", 0), ("cosface", 1), ("cosface_va", 1)]
    assert all(set(row["verification"]) == {"clean", "degraded", "8px"} for row in results["rows"])
    with pytest.raises(UserError, match="other settings"):
        reproduce(plan(rows=("cosface",), cosface_margin=0.1), progress=False)


def test_what_is_kept_is_enough_to_judge_again(plan: Plan) -> None:
    out = reproduce(plan(rows=("cosface", "confidence_pa")), progress=False).parent
    protocol = TestProtocol.load(out / "outcomes" / "protocol.safetensors")
    kept = Outcomes.load(out / "outcomes" / "confidence_pa_seed0" / "degraded.safetensors")
    assert kept is not None
    assert len(kept.scores) == len(protocol.pairs.same)
    assert len(kept.searches["single"].mate) == len(protocol.probe_people("single"))
    assert np.isfinite(kept.uncertainty).all()
    assert (kept.norm > 0).all()


def test_a_row_whose_variations_are_missing_is_refused_before_anything_is_trained(
    plan: Plan, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="row all decorrelates"):
        reproduce(plan(rows=("cosface", "all")), progress=False)
    assert not (tmp_path / "out" / "models").exists()


def test_another_number_of_threads_or_jobs_is_the_same_reproduction(
    plan: Plan, tmp_path: Path
) -> None:
    settings = plan()
    settings.settings.run.threads, settings.jobs = 1, 1
    check_same(tmp_path, settings)
    settings.settings.run.threads, settings.jobs = 2, 2
    check_same(tmp_path, settings)
    settings.settings.optim.epochs += 1
    with pytest.raises(UserError, match="other settings"):
        check_same(tmp_path, settings)
