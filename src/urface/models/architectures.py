"""From the state dict of someone else's network to a URFace that computes the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from urface.config import ModelSettings
from urface.models.adaface import IR_DEPTHS, in_iresnet_names, is_adaface
from urface.models.insightface import CONFIDENCE, depth_of, from_insightface
from urface.models.iresnet import DEPTHS, SIZES, WIDTHS
from urface.models.urface import URFace
from urface.types import UserError

IRESNETS = [name for name in DEPTHS if name not in WIDTHS]
# name that users declare -> (whose names its state dict has, iresnet of the same blocks)
ARCHITECTURES: dict[str, tuple[str, str]] = {
    **{name: ("insightface", name) for name in IRESNETS},
    **{f"adaface_{name}": ("adaface", depth) for name, depth in IR_DEPTHS.items()},
    **{f"magface_{name}": ("magface", name) for name in IRESNETS},
}
MAGFACE = ("features.module.", "module.features.module.")
# What wrappers put before every name: data-parallel training, Lightning, and a model that has a backbone.
WRAPPERS = ("module.", "model.", "backbone.", "net.", "network.", "encoder.", "_orig_mod.")


class Network(NamedTuple):
    """A network, what a model file says of it, and which architecture it turned out to be."""

    model: URFace
    settings: ModelSettings
    architecture: str


def tell_architecture(state: Mapping[str, Tensor]) -> str:
    """The architecture whose names these are. Raises UserError where they are nobody's that we know."""
    bare, family = _unwrapped(state)
    if family == "adaface":
        count = 1 + max(int(key.split(".")[1]) for key in bare if key.startswith("body."))
        found = [n for n, depth in IR_DEPTHS.items() if sum(DEPTHS[depth]) == count]
        if not found:
            raise UserError(f"an IR network of {count} units is of no known depth")
        return f"adaface_{found[0]}"
    depth = depth_of(bare)
    return f"magface_{depth}" if family == "magface" else depth


def network_from(
    state: Mapping[str, Tensor], architecture: str = "", input_size: int = 112, parts: int = 1
) -> Network:
    """The network with the weights ``state``.

    architecture  one of ARCHITECTURES, or empty: told by the names
    parts         K, the sub-embeddings that its embedding is read as

    Raises UserError where the architecture is unknown or the weights are of another.
    """
    if architecture and architecture not in ARCHITECTURES:
        raise UserError(
            f"no architecture is called {architecture!r}: known are {', '.join(ARCHITECTURES)}"
        )
    if input_size not in SIZES:
        raise UserError(
            f"networks take faces of {SIZES[0]} to {SIZES[-1]} pixels, not {input_size}"
        )
    found = tell_architecture(state)
    if architecture and architecture != found:
        raise UserError(f"its weights are of {found}, not {architecture}")
    bare, family = _unwrapped(state)
    bare = {
        key: value.float() if value.is_floating_point() else value for key, value in bare.items()
    }
    model = from_insightface(
        in_iresnet_names(bare) if family == "adaface" else bare, input_size, parts
    )
    settings = ModelSettings(
        ARCHITECTURES[found][1],  # type: ignore[arg-type]
        input_size,
        embedding_dim=len(model.embedding_head.features.running_mean),  # type: ignore[union-attr, arg-type]
        sub_embeddings=parts,
        initial_confidence=CONFIDENCE,
    )
    return Network(model, settings, found)


def fold_preprocessing(model: URFace, mean: float, scale: float, bgr: bool) -> None:
    """Make ``model``, which takes RGB like all of ours, compute what it did of other pixels.

    Its input was (pixel - ``mean``) * ``scale``, the channels turned round with ``bgr``: the weights of the
    first convolution are turned round instead, so that no caller can get it wrong.
    """
    with torch.no_grad():
        model.pixel_mean.fill_(mean)
        model.pixel_scale.fill_(1.0 / scale)
        if bgr:
            kernel: Tensor = model.backbone.conv1.weight  # type: ignore[union-attr, assignment]
            kernel.copy_(kernel.flip(1))


def _unwrapped(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], str]:
    """The names without what wraps them, and whose they are."""
    for prefix in MAGFACE:
        if f"{prefix}conv1.weight" in state:
            # What lies outside is their classifier, one row a training identity.
            return {
                key.removeprefix(prefix): value
                for key, value in state.items()
                if key.startswith(prefix)
            }, "magface"
    bare = dict(state)
    for _ in range(3):
        if is_adaface(bare):
            return bare, "adaface"
        if "conv1.weight" in bare and "fc.weight" in bare and "layer1.0.conv1.weight" in bare:
            return bare, "insightface"
        wraps = [w for w in WRAPPERS if any(key.startswith(w) for key in bare)]
        if not wraps:
            break
        # A trainer's checkpoint holds the classifier beside the network: head.kernel beside model.*.
        bare = {k.removeprefix(wraps[0]): v for k, v in bare.items() if k.startswith(wraps[0])}
    some = ", ".join(list(state)[:3]) or "nothing"
    raise UserError(
        f"no architecture that we know has weights called {some}; known are {', '.join(ARCHITECTURES)}"
    )
