"""InsightFace's iresnet as a whole, and its weights inside a URFace."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from urface.models.heads import ConstantConfidence, EmbeddingHead
from urface.models.iresnet import DEPTHS, STANDARD_WIDTHS, IResNet
from urface.models.urface import URFace
from urface.types import UserError


class InsightFaceIResNet(IResNet):
    """Normalised pixels [B, 3, H, W] -> embedding [B, dim]; `load_state_dict` takes their files strictly."""

    def __init__(
        self, depth: str = "iresnet50", input_size: int = 112, dim: int = 512, dropout: float = 0.0
    ) -> None:
        super().__init__(DEPTHS[depth], STANDARD_WIDTHS, input_size, dropout)
        head = EmbeddingHead(self.out_features, dim)
        self.fc, self.features = head.fc, head.features

    def forward(self, x: Tensor) -> Tensor:
        return self.features(self.fc(super().forward(x)).float())


def depth_of(state: Mapping[str, Tensor]) -> str:
    """Which iresnet a state dict belongs to, told by its numbers of blocks."""
    counts = tuple(
        len({key.split(".")[1] for key in state if key.startswith(f"layer{stage}.")})
        for stage in (1, 2, 3, 4)
    )
    for name, depths in DEPTHS.items():
        if depths == counts and state["conv1.weight"].shape[0] == STANDARD_WIDTHS[0]:
            return name
    raise UserError(f"no iresnet has {counts} blocks in its four stages; known are {DEPTHS}")


def from_insightface(
    state: Mapping[str, Tensor], input_size: int = 112, sub_embeddings: int = 1
) -> URFace:
    """A URFace whose embeddings are those of the InsightFace file with this state dict.

    A prefix `module.` is taken off. With ``sub_embeddings`` K above 1 the embedding is read as K parts, each
    of which is compared on its own sphere; what the network computes does not change. Raises UserError
    where keys are missing or left over, or K does not divide the embedding.
    """
    state = {key.removeprefix("module."): value for key, value in state.items()}
    if "conv1.weight" not in state or "fc.weight" not in state:
        raise UserError(
            "not an InsightFace iresnet: its state dict has no conv1.weight or fc.weight"
        )
    dim = state["fc.weight"].shape[0]
    if sub_embeddings < 1 or dim % sub_embeddings:
        raise UserError(f"{dim} dimensions cannot be split into {sub_embeddings} equal parts")
    network = InsightFaceIResNet(depth_of(state), input_size, dim=dim)
    try:
        network.load_state_dict(dict(state))
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"does not fit an iresnet at {input_size} x {input_size}: {reason}"
        ) from None
    trunk = IResNet(DEPTHS[depth_of(state)], STANDARD_WIDTHS, input_size)
    head = EmbeddingHead(trunk.out_features, dim)
    own = network.state_dict()
    trunk.load_state_dict({key: own[key] for key in trunk.state_dict()})
    head.load_state_dict({key: own[key] for key in head.state_dict()})
    confidence = ConstantConfidence(sub_embeddings, CONFIDENCE)
    return URFace(trunk, head, confidence, sub_embeddings).eval()


CONFIDENCE = 64.0  # the scale that InsightFace trains with
