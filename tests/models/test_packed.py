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
from urface.models.urface import build_urface

__all__ = ["one_thread"]


@pytest.mark.skipif(not can_pack(), reason="this torch or processor packs no weights")
def test_packed_convolutions_give_the_same_bits_in_any_batch() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build_urface(ModelSettings("iresnet18", 48), ObjectiveSettings()).eval()
    placed(model, torch.device("cpu"))
    plain, quick = folded(model), packed(folded(model))
    assert sum(isinstance(module, PackedConv) for module in quick.modules()) == 20
    with torch.inference_mode():
        for count in (1, 2, 7):
            frames = torch.from_numpy(pictures(count)[:, 3:51, 3:51].copy())
            for one, other in zip(plain(frames), quick(frames), strict=True):
                assert torch.equal(one, other)
    # The model itself is untouched.
    assert not any(isinstance(module, PackedConv) for module in model.modules())


def test_a_small_network_stays_as_it_is() -> None:
    network = packed(folded(small_model()))
    assert not any(isinstance(module, PackedConv) for module in network.modules())


def test_where_weights_cannot_be_packed_the_network_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "can_pack", lambda: False)
    monkeypatch.setattr(packing, "WORTH", 0)
    network = packed(folded(small_model()))
    assert not any(isinstance(module, PackedConv) for module in network.modules())
