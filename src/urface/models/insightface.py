"""InsightFace's iresnet as a whole, and its weights inside a URFace."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from urface.config import ModelSettings, ObjectiveSettings
from urface.models.files import save_model
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


def from_insightface(state: Mapping[str, Tensor], input_size: int = 112) -> URFace:
    """A URFace with K = 1 whose embeddings are those of the InsightFace file with this state dict.

    A prefix `module.` is taken off. Raises UserError where keys are missing or left over.
    """
    state = {key.removeprefix("module."): value for key, value in state.items()}
    if "conv1.weight" not in state or "fc.weight" not in state:
        raise UserError(
            "not an InsightFace iresnet: its state dict has no conv1.weight or fc.weight"
        )
    network = InsightFaceIResNet(depth_of(state), input_size, dim=state["fc.weight"].shape[0])
    try:
        network.load_state_dict(dict(state))
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"does not fit an iresnet at {input_size} x {input_size}: {reason}"
        ) from None
    trunk = IResNet(DEPTHS[depth_of(state)], STANDARD_WIDTHS, input_size)
    head = EmbeddingHead(trunk.out_features, state["fc.weight"].shape[0])
    own = network.state_dict()
    trunk.load_state_dict({key: own[key] for key in trunk.state_dict()})
    head.load_state_dict({key: own[key] for key in head.state_dict()})
    return URFace(trunk, head, ConstantConfidence(1, CONFIDENCE), sub_embeddings=1).eval()


def import_insightface(
    path: str | Path, out: str | Path, backbone: str | None = None, input_size: int = 112
) -> Path:
    """Make a urface model file of InsightFace's weights in a .safetensors file; its path.

    out         folder that is given a model.safetensors
    backbone    what the weights are expected to be; None takes what they are
    input_size  what the network was trained at

    The model has one embedding and a constant confidence, so `urface.load(...).embed` gives the
    network's own embedding at unit length. Raises UserError where the file is of another kind, damaged, of
    another backbone or input size.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    if path.suffix != ".safetensors":
        raise UserError(
            f"{path}: only .safetensors is read; a .pth or .onnx file must be converted first (the "
            "state dict of a .pth with safetensors.torch.save_file)"
        )
    try:
        state = load_file(path)
    except SafetensorError as error:
        raise UserError(f"{path}: not a readable safetensors file ({error})") from None
    try:
        model = from_insightface(state, input_size)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    found = depth_of(model.backbone.state_dict())
    if backbone is not None and backbone != found:
        raise UserError(f"{path}: its weights are of {found}, not {backbone}")
    dim = int(model.embedding_head.fc.out_features)  # type: ignore[union-attr, arg-type]
    settings = ModelSettings(
        found,  # type: ignore[arg-type]
        input_size,
        embedding_dim=dim,
        sub_embeddings=1,
        initial_confidence=CONFIDENCE,
    )
    facts: dict[str, Any] = {"imported": {"from": "InsightFace", "file": path.name}}
    target = Path(out) / "model.safetensors"
    save_model(target, model, settings, ObjectiveSettings("cosface", 0.0), facts)
    return target


CONFIDENCE = 64.0  # the scale that InsightFace trains with
