"""Every way to take a step gives the numbers of the plain one."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from urface.config import (
    ModelSettings,
    ObjectiveSettings,
    OptimSettings,
    RunSettings,
    TrainSettings,
    VariationSettings,
)
from urface.data.frames import Frames
from urface.environment import environment
from urface.models.iresnet import iresnet, recompute_blocks
from urface.models.prototypes import Prototypes
from urface.models.urface import URFace, build_urface
from urface.training import loop
from urface.training.decorrelation import build_decorrelation
from urface.training.logs import read_log
from urface.training.optim import build_optimizer, set_rate, update
from urface.training.resume import Trained
from urface.training.step import Found, differentiate
from urface.training.train import prepared, train, training_faces
from urface.types import UserError

from .conftest import Settings


@pytest.fixture
def plan(tmp_path: Path, settings: Settings) -> TrainSettings:
    """All terms of the loss, on batches of 8."""
    plain = settings(
        tmp_path,
        objective=ObjectiveSettings("confidence", 2.0, decorrelate=("low_resolution", "occlusion")),
        variations=VariationSettings(low_resolution=0.5, occlusion=0.5),
    )
    return replace(plain, model=replace(plain.model, backbone="tiny"))


def one_step(plan: TrainSettings, freeze: bool) -> tuple[URFace, Found, dict[str, Tensor]]:
    """The model after forward and backward of a made-up batch, what was found, and all gradients."""
    torch.manual_seed(0)
    env = environment(plan.run)
    model = prepared(build_urface(plan.model, plan.objective), plan.run, env)
    if freeze:
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.momentum = 1.0
        model(torch.randint(0, 256, (16, 64, 64, 3), dtype=torch.uint8))
    model.train(not freeze)
    frames = Frames(training_faces(plan), plan.model.frame_size, progress=False)
    prototypes = Prototypes(8, 4, 8)
    decorrelation = build_decorrelation(plan, model, frames)
    assert decorrelation is not None
    with torch.no_grad():
        decorrelation.classifier.weight.normal_(0, 0.3)
    trained = Trained(
        model, prototypes, build_optimizer(model, prototypes, plan.optim), decorrelation
    )
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (8, 64, 64, 3), generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, 8, (8,), generator=generator)
    shown = torch.randint(0, 2, (8, 2), generator=generator).float()
    shown[[0, 1, 2, 5], 0] = torch.nan  # parts know a variation of unequal numbers of images
    found = differentiate(plan, model, trained, images, labels, shown, env, 1.0, 0)
    parameters = [*model.named_parameters(), *prototypes.named_parameters()]
    return model, found, {n: p.grad for n, p in parameters if p.grad is not None}


def alike(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> float:
    """The largest difference, of each tensor relative to its own largest value."""
    assert list(ours) == list(theirs)
    return max(
        float((ours[n] - theirs[n]).abs().max() / theirs[n].abs().max().clamp(min=1e-3))
        for n in theirs
    )


@pytest.mark.parametrize("parts", [2, 4])
def test_parts_of_a_batch_have_the_loss_and_gradients_of_the_whole(
    plan: TrainSettings, parts: int
) -> None:
    """With frozen BatchNorm; control: with a learning one they must differ."""
    in_parts = replace(plan, optim=replace(plan.optim, accumulate=parts))
    _, whole, gradients = one_step(plan, freeze=True)
    _, cut, gradients_cut = one_step(in_parts, freeze=True)
    assert set(whole.named) == {"L_idt", "L_reg", "L_cls", "L_adv"}
    for name, value in whole.named.items():
        assert float(cut.named[name]) == pytest.approx(float(value), rel=1e-6), name
    assert float(cut.total) == pytest.approx(float(whole.total), rel=1e-6)
    assert alike(gradients_cut, gradients) < 1e-5
    torch.testing.assert_close(cut.mean, whole.mean, rtol=1e-6, atol=1e-6)
    assert whole.masked is not None
    assert cut.masked is not None
    assert torch.equal(cut.masked.known, whole.masked.known)
    torch.testing.assert_close(cut.masked.logits, whole.masked.logits, rtol=1e-5, atol=1e-6)

    _, whole, _ = one_step(plan, freeze=False)
    _, cut, _ = one_step(in_parts, freeze=False)
    assert abs(float(cut.total) - float(whole.total)) > 1e-3


def test_parts_of_a_batch_with_sampled_classes_share_one_sample(plan: TrainSettings) -> None:
    sampled = replace(plan, objective=replace(plan.objective, sample_classes=0.01))
    in_parts = replace(sampled, optim=replace(plan.optim, accumulate=4))
    _, whole, gradients = one_step(sampled, freeze=True)
    _, cut, gradients_cut = one_step(in_parts, freeze=True)
    assert float(cut.total) == pytest.approx(float(whole.total), rel=1e-6)
    dense, dense_cut = (
        {name: value.to_dense() for name, value in each.items()}
        for each in (gradients, gradients_cut)
    )
    assert alike(dense_cut, dense) < 1e-5


def test_recomputed_blocks_have_equal_gradients_and_statistics(plan: TrainSettings) -> None:
    again = replace(plan, run=replace(plan.run, recompute=True))
    model, whole, gradients = one_step(plan, freeze=False)
    other, found, gradients_again = one_step(again, freeze=False)
    assert torch.equal(whole.total, found.total)
    assert alike(gradients_again, gradients) < 1e-6
    for name, value in model.state_dict().items():  # statistics and their counts of batches too
        assert torch.equal(other.state_dict()[name], value), name


def test_recomputing_without_care_would_learn_statistics_twice() -> None:
    """The control of the test above: torch's checkpoint alone."""
    counts = []
    for careful in (True, False):
        torch.manual_seed(0)
        network = iresnet("tiny", 32).train()
        recompute_blocks(network)
        block: Any = network.layer1[1]
        if not careful:
            block.forward = partial(checkpoint, block.computed, use_reentrant=False)
        network(torch.randn(4, 3, 32, 32)).sum().backward()
        counts.append(int(block.bn1.num_batches_tracked))
        assert block.bn1.momentum == 0.1
    assert counts == [1, 2]


def test_recomputing_holds_less_memory_for_the_backward_pass() -> None:
    held = []
    for again in (False, True):
        network = iresnet("small", 64).train()
        if again:
            recompute_blocks(network)
        kept: dict[int, int] = {}

        def note(x: Tensor, kept: dict[int, int] = kept) -> Tensor:
            kept[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
            return x

        with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
            network(torch.randn(4, 3, 64, 64))
        held.append(sum(kept.values()))
    assert held[1] < 0.6 * held[0]


def test_the_ordinary_memory_format_has_the_same_loss_and_gradients(plan: TrainSettings) -> None:
    _, whole, gradients = one_step(plan, freeze=True)
    ordinary = replace(plan, run=replace(plan.run, channels_last=False))
    _, found, changed = one_step(ordinary, freeze=True)
    assert float(found.total) == pytest.approx(float(whole.total), rel=1e-6)
    assert alike(changed, gradients) < 1e-5


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's compiler about itself
def test_a_compiled_trunk_has_the_loss_of_the_plain_one(plan: TrainSettings) -> None:
    compiled = replace(plan, run=replace(plan.run, compile="default"))
    _, whole, gradients = one_step(plan, freeze=False)
    model, found, changed = one_step(compiled, freeze=False)
    assert float(found.total) == pytest.approx(float(whole.total), rel=1e-4)
    # BatchNorm over eight images multiplies rounding: the direction is compared, not each value.
    ours, theirs = (
        torch.cat([g.flatten() for g in all_.values()]) for all_ in (changed, gradients)
    )
    assert float(torch.cosine_similarity(ours, theirs, 0)) > 0.9999
    assert not any("_orig_mod" in name for name in model.state_dict())


def test_channels_last_reaches_the_convolutions_and_false_does_not(plan: TrainSettings) -> None:
    env = environment(plan.run)
    for wanted in (True, False):
        run = replace(plan.run, channels_last=wanted)
        model = prepared(build_urface(plan.model, plan.objective), run, env)
        seen = []
        model.backbone.layer2.register_forward_hook(  # type: ignore[union-attr, operator]
            lambda _module, _inputs, out, seen=seen: seen.append(
                out.is_contiguous(memory_format=torch.channels_last)
            )
        )
        model(torch.zeros(2, 64, 64, 3, dtype=torch.uint8))
        assert seen == [wanted]


@pytest.mark.parametrize(("kind", "tolerance"), [("sgd", 0.0), ("adamw", 1e-6)])
def test_a_fused_update_is_the_plain_one(kind: str, tolerance: float) -> None:
    """To the bit for SGD, whose fused form is the default on a CPU."""
    found = []
    for fused in (False, True):
        torch.manual_seed(0)
        model = build_urface(ModelSettings("tiny", 32, 32, 32, 4), ObjectiveSettings())
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        prototypes = Prototypes(5, 4, 8)
        optimizer = build_optimizer(
            model,
            prototypes,
            OptimSettings(kind),  # type: ignore[arg-type]
            fused,
        )
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        for step in range(4):
            set_rate(optimizer, 0.1 / (1 + step))
            for parameter in parameters:
                parameter.grad = torch.randn_like(parameter)
            update(optimizer)
        found.append([p.detach().clone() for p in parameters])
    for plain, ours in zip(*found, strict=True):
        torch.testing.assert_close(ours, plain, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_a_fused_update_is_skipped_by_its_flag(kind: str) -> None:
    parameter = nn.Parameter(torch.ones(3))
    build = torch.optim.SGD if kind == "sgd" else torch.optim.AdamW
    optimizer = build([parameter], lr=0.1, fused=True)  # type: ignore[operator]
    parameter.grad = torch.full((3,), torch.nan)
    update(optimizer, torch.tensor(1.0))
    assert torch.equal(parameter, torch.ones(3))
    parameter.grad = torch.ones(3)
    update(optimizer, torch.tensor(0.0))
    assert (parameter < 1).all()
    plain = torch.optim.SGD([parameter], lr=0.1)
    with pytest.raises(AssertionError):  # one that does not know the flag would ignore it
        update(plain, torch.tensor(1.0))


RESUMED = {
    "parts": {"optim": {"accumulate": 2}},
    "recompute": {"run": {"recompute": True}},
    "NCHW": {"run": {"channels_last": False}},
    "fused AdamW": {"run": {"fused": "always"}, "optim": {"optimizer": "adamw"}},
    "plain SGD": {"run": {"fused": "never"}},
    "sampled, in parts": {"objective": {"sample_classes": 0.4}, "optim": {"accumulate": 2}},
    "bf16": {"objective": {"prototypes": "bf16", "noisy_cosine": 0.9}},
    "bf16 master": {"objective": {"prototypes": "bf16_master", "sample_classes": 0.4}},
}


@pytest.mark.parametrize("name", list(RESUMED))
def test_a_stopped_run_resumes_exactly_with_each_option(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def plan(out: str) -> TrainSettings:
        plain = settings(tmp_path / out, epochs=1.34)
        model = replace(plain.model, backbone="tiny")
        optim = replace(plain.optim, learning_rate=0.001)
        whole = replace(plain, model=model, optim=optim)
        changed: dict[str, Any] = {
            group: replace(getattr(whole, group), **values)
            for group, values in RESUMED[name].items()
        }
        return replace(whole, **changed)

    whole = train(plan("whole"), progress=False)

    class Killed(Exception):
        pass

    clip, calls = loop.clip_gradients, []

    def killed_at_the_seventh(*arguments: Any) -> Tensor:
        calls.append(1)
        if len(calls) == 7:
            raise Killed
        return clip(*arguments)

    monkeypatch.setattr(loop, "clip_gradients", killed_at_the_seventh)
    with pytest.raises(Killed):
        train(plan("cut"), progress=False)
    monkeypatch.undo()
    resumed = train(plan("cut"), progress=False)
    found = [
        [line["L_idt"] for line in read_log(tmp_path / out / "log.jsonl")]
        for out in ("whole", "cut")
    ]
    assert len(found[0]) == 8
    assert found[0] == found[1]
    assert np.isfinite(found[0]).all()
    first, second = load_file(whole), load_file(resumed)
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_settings_that_cannot_be_are_refused_in_a_line(settings: Settings) -> None:
    with pytest.raises(UserError, match=r"optim\.accumulate must divide optim\.batch_size 128"):
        OptimSettings(accumulate=3)
    with pytest.raises(UserError, match=r"optim\.accumulate must divide"):
        OptimSettings(accumulate=0)
    with pytest.raises(UserError, match=r"run\.compile must be one of none, default"):
        RunSettings(compile="fast")  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"run\.fused must be one of auto"):
        RunSettings(fused="yes")  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"run\.recompute does not go with run\.compile"):
        RunSettings(recompute=True, compile="default")
    # A part of one image has no variance for the last BatchNorm.
    with pytest.raises(UserError, match=r"optim\.accumulate 8 does not cut a rank's 8 images"):
        loop.rank_part(8, 8)
    assert loop.rank_part(8, 4) == slice(0, 8)


def test_auto_fuses_where_the_bits_stay(plan: TrainSettings) -> None:
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    adamw = replace(plan, optim=replace(plan.optim, optimizer="adamw"))
    assert [loop.fused_for(plan, cpu), loop.fused_for(adamw, cpu)] == [True, False]
    assert [loop.fused_for(plan, cuda), loop.fused_for(adamw, cuda)] == [True, True]
    never = replace(plan, run=replace(plan.run, fused="never"))
    assert not loop.fused_for(never, cuda)
