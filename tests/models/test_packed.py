"""Claims about packed convolutions: the same bits in any batch, or no change."""

from __future__ import annotations

import pytest
import torch

from small_model import one_thread, pictures, small_model
from urface.config import ModelSettings, ObjectiveSettings
from urface.environment import placed
from urface.models import packed as packing
from urface.models.fold import folded
from urface.models.packed import PackedConv, can_pack, packed
from urface.models.urface import URFace, build_urface

__all__ = ["one_thread"]


def both(size: int) -> tuple[URFace, URFace]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build_urface(ModelSettings("iresnet18", size), ObjectiveSettings()).eval()
    placed(model, torch.device("cpu"))
    quick = packed(folded(model))
    assert sum(isinstance(module, PackedConv) for module in quick.modules()) == 21
    assert not any(isinstance(module, PackedConv) for module in model.modules())  # untouched
    return folded(model), quick


@pytest.mark.skipif(not can_pack(), reason="this torch or processor packs no weights")
@pytest.mark.parametrize(("size", "tolerance"), [(48, 1e-5), (112, 0.0)])
def test_packed_convolutions_say_the_same_in_any_batch(size: int, tolerance: float) -> None:
    plain, quick = both(size)
    with torch.inference_mode():
        for count in (1, 2, 5):
            frames = torch.from_numpy(pictures(count, 112)[:, :size, :size].copy())
            for one, other in zip(plain(frames), quick(frames), strict=True):
                torch.testing.assert_close(one, other, rtol=0, atol=tolerance)


def test_a_small_network_stays_as_it_is() -> None:
    network = packed(folded(small_model()))
    assert not any(isinstance(module, PackedConv) for module in network.modules())


def test_where_weights_cannot_be_packed_the_network_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "can_pack", lambda: False)
    monkeypatch.setattr(packing, "WORTH", 0)
    network = packed(folded(small_model()))
    assert not any(isinstance(module, PackedConv) for module in network.modules())
