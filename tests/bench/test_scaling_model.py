"""The model of docs/scaling.md against cases computed by hand."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def _load() -> Any:
    spec = importlib.util.spec_from_file_location(
        "scaling_model", ROOT / "bench" / "scaling_model.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["scaling_model"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


model = _load()
Job, Machine, Network = model.Job, model.Machine, model.Network
PLAIN = Machine("plain", 1e9, 2e9, 1e9, 1e6, 0.5)


def test_flops_are_counted_from_the_modules():
    # iresnet50's published multiply-adds at 112 are 6.3 G, iresnet100's 12.1 G; an addition each beside.
    assert model.count("iresnet50").forward_flops / 2 == pytest.approx(6.3e9, rel=0.01)
    assert model.count("iresnet100").forward_flops / 2 == pytest.approx(12.1e9, rel=0.01)


def test_flops_of_the_first_convolution_and_the_last_layer_by_hand():
    counted = model.count("iresnet18", 112, 512).forward_flops
    wider = model.count("iresnet18", 112, 1024).forward_flops
    assert wider - counted == 2 * 512 * (512 * 7 * 7)
    halved = model.count("iresnet18", 64, 512)
    assert halved.forward_flops < counted * (64 / 112) ** 2 * 1.05


def test_collectives_by_hand():
    # 4 ranks: 2 * 3/4 of 8 MB at 1 MB/s is 12 s, and two steps of half a second.
    assert model.all_reduce(8e6, 4, PLAIN) == pytest.approx(13.0)
    assert model.all_gather(8e6, 4, PLAIN) == pytest.approx(7.0)
    assert model.all_reduce(8e6, 1, PLAIN) == model.all_gather(8e6, 1, PLAIN) == 0.0


def test_a_step_by_hand():
    network = Network("n", 1e9, 1_000_000, 10)
    job = Job(2, 4, 1000, dim=8, parts=2)
    times = model.step_time(network, job, PLAIN)
    assert times["backbone"] == pytest.approx(3 * 4.0)
    # 8 images, 500 own classes, 8 dimensions, 3 products, 2 operations each, at 2 GFLOP/s.
    assert times["head"] == pytest.approx(2 * 3 * 8 * 500 * 8 / 2e9)
    # 4 B weight read, written, gradient read, momentum read, written: 20 B a number.
    assert times["optimiser"] == pytest.approx(20 * (1e6 + 500 * 8) / 1e9)
    # Forward 8 rows of (8 + 2) floats and a label; backward all rows' gradient goes round twice.
    gathered = 8 * (40 + 8) / 2 / 1e6 + 0.5
    assert times["gather"] == pytest.approx(gathered + 8 * 40 / 1e6 + 0.5)
    assert times["reductions"] == pytest.approx((32 + 96 + 4) / 1e6 + 3 * 0.5)
    assert times["gradients"] == pytest.approx(4e6 / 1e6 + 0.5)
    assert times["total"] == pytest.approx(sum(v for k, v in times.items() if k != "total"))


def test_memory_by_hand():
    network = Network("n", 1e9, 1_000_000, 1000)
    whole = Job(2, 4, 1000, dim=8, parts=2, logits_kept=True)
    found = model.memory(network, whole)
    assert found["backbone"] == 16e6
    assert found["activations"] == 2 * 1000 * 4
    assert found["prototypes"] == 500 * 8 * 12
    assert found["logits"] == 2 * 4 * 8 * 500
    assert found["gathered"] == 2 * 4 * 8 * 10
    tenth = Job(2, 4, 1000, dim=8, parts=2, sampled=0.1, momentum_bytes=2, tile=100)
    found = model.memory(network, tenth)
    assert found["prototypes"] == 500 * 8 * (4 + 2) + 50 * 8 * 4
    assert found["logits"] == 2 * 4 * 8 * 100


def test_the_head_costs_a_rank_the_same_however_many_share_the_classes():
    network = model.count("iresnet50")
    times = [
        model.step_time(network, Job(ranks, 128, 64_000_000, logits_kept=True), PLAIN)["head"]
        for ranks in (1, 8, 64)
    ]
    assert times == pytest.approx([times[0]] * 3)


def test_the_tiled_head_multiplies_again_what_the_gradient_has_no_room_for():
    assert Job(1, 512, 10).products == Job(4, 128, 10).products == 3.0
    assert Job(8, 128, 10).products == 3.5  # half of 1,024 images
    assert Job(64, 128, 10).products == pytest.approx(4 - 1 / 16)


def test_gradients_hide_behind_the_part_of_backward_that_may_cover_them():
    network = Network("n", 1e9, 1_000_000, 10)
    job = Job(2, 4, 1000, dim=8, parts=2)
    covered = Machine("c", 1e9, 2e9, 1e9, 1e6, 0.5, overlap=0.25)
    # 12 s of backbone, 8 of them backward, a quarter of that covers 2 s of 4.5 s.
    assert model.step_time(network, job, covered)["gradients"] == pytest.approx(4.5 - 2.0)


def test_one_hundred_million_identities_fit_on_sixty_four_gpus_and_not_on_eight():
    network = model.count("iresnet100")
    needed = [
        model.memory(network, Job(ranks, 128, 100_000_000))["total"] / model.gpu("H100", 8).memory
        for ranks in (8, 64)
    ]
    assert needed[0] > 1.0
    assert needed[1] < 0.5
    assert len(model.table(network, "H100", [Job(8, 128, 1000)])) == 3


def test_ranks_beyond_the_cores_take_turns_at_computing_and_not_at_sending():
    network = Network("n", 1e9, 1_000_000, 10)
    job = Job(4, 4, 1000, dim=8, parts=2)
    own, shared = (
        model.step_time(network, job, Machine("m", 1e9, 2e9, 1e9, 1e6, 0.5, cores=cores))
        for cores in (0, 2)
    )
    for name in ("backbone", "head", "optimiser"):
        assert shared[name] == pytest.approx(2 * own[name])
    for name in ("gather", "reductions", "gradients"):
        assert shared[name] == own[name]
    two = model.step_time(
        network, Job(2, 4, 1000, dim=8, parts=2), Machine("m", 1e9, 2e9, 1e9, 1e6, 0.5, cores=4)
    )
    assert two["backbone"] == pytest.approx(own["backbone"])  # as many cores as it can use
