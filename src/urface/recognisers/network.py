"""A recogniser whose network is a URFace: one of ours, or an iresnet or IR network under its names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from urface.config import ModelSettings, ObjectiveSettings, RunSettings
from urface.embedder import check_images
from urface.environment import environment, placed
from urface.models.architectures import (
    ARCHITECTURES,
    fold_preprocessing,
    network_from,
    tell_architecture,
)
from urface.models.files import load_model
from urface.models.fold import folded
from urface.models.heads import ConstantConfidence
from urface.models.urface import URFace
from urface.recognisers.preprocessing import CONVENTIONS, checked, network_input
from urface.recognisers.recogniser import Features, Preprocessing
from urface.recognisers.weights import json_header, read_weights
from urface.types import UserError

Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "bf16", "fp32"]
BATCH = 64


class NetworkRecogniser:
    """A URFace as a Recogniser; its vectors are those before each sub-embedding is brought to unit length.

    model, settings  the network, which takes RGB whatever the weights were trained on
    facts            what a model file of it says of its training, or of where its weights came from
    objective        what it was trained with, as far as is known
    architecture     what it is, for reports
    """

    def __init__(
        self,
        name: str,
        digest: str,
        model: URFace,
        settings: ModelSettings,
        preprocessing: Preprocessing,
        facts: dict[str, Any],
        objective: ObjectiveSettings | None = None,
        device: Device = "auto",
        precision: Precision = "fp32",
    ) -> None:
        self._environment = environment(RunSettings(device=device, precision=precision))
        self.precision = "fp32" if self._environment.dtype is torch.float32 else "bf16"
        self.name = name
        self.digest = digest
        self.model = placed(model.eval(), self._environment.device)
        exact = self.precision == "fp32" and self._environment.device.type == "cpu"
        self._backbone = (folded(self.model) if exact else self.model).backbone  # as in embedder.py
        self.settings = settings
        self.preprocessing: Preprocessing | None = preprocessing
        self.facts = facts
        self.objective = objective or ObjectiveSettings("cosface", 0.0)
        self.architecture = architecture_of(settings, facts)
        self.parts = settings.sub_embeddings
        learned = not isinstance(model.confidence_head, ConstantConfidence)
        self.has_variance = learned or model.uncertainty_head is not None
        self._declared = preprocessing
        self._learned = learned

    @property
    def needs_images(self) -> bool:
        return True

    def features(self, images: Sequence[np.ndarray], keys: Sequence[str]) -> Features:
        """See Recogniser."""
        return self.features_under(self._declared, images, keys)

    def features_under(
        self, preprocessing: Preprocessing, images: Sequence[np.ndarray], keys: Sequence[str]
    ) -> Features:
        """The features under another preprocessing than the declared one, to try it out (sanity.py)."""
        check_images(images)
        # The declared order of the channels is folded into the first convolution.
        same = preprocessing.colour == self._declared.colour
        seen = replace(preprocessing, colour="rgb" if same else "bgr")
        found = [
            self._forward(network_input(images[first : first + BATCH], seen))
            for first in range(0, len(images), BATCH)
        ]
        if not found:
            found = [tuple(np.empty((0, n), np.float32) for n in self._widths())]
        vectors, confidence, variance = (np.concatenate(c) for c in zip(*found, strict=True))
        return Features(
            vectors,
            self.parts,
            confidence if self._learned else None,
            variance if self.has_variance else None,
        )

    @torch.inference_mode()
    def _forward(self, pixels: np.ndarray) -> tuple[np.ndarray, ...]:
        x = torch.from_numpy(pixels).to(self._environment.device)
        model = self.model
        with self._environment.autocast():
            trunk = self._backbone(x)
            vectors = model.embedding(trunk)
            log_confidence = model.confidence_head(trunk)
            if model.uncertainty_head is None:
                log_variance = -log_confidence
            else:
                log_variance = model.log_variance(trunk)
        parts = (vectors.float(), log_confidence.float().exp(), log_variance.float().exp())
        return tuple(part.cpu().numpy() for part in parts)

    def _widths(self) -> tuple[int, int, int]:
        return self.settings.embedding_dim, self.parts, self.parts


def open_ours(
    path: Path, name: str, device: Device = "auto", precision: Precision = "fp32"
) -> NetworkRecogniser:
    """A model of ours: a model.safetensors that holds its own preprocessing. Raises UserError."""
    model, settings, facts = load_model(path)
    return NetworkRecogniser(
        name,
        digest_of_ours(path),
        model,
        settings,
        preprocessing_of_ours(model, settings),
        facts,
        _objective(path),
        device,
        precision,
    )


def preprocessing_of_ours(model: URFace, settings: ModelSettings) -> Preprocessing:
    """What the model does to pixels: its buffers, and the frame its settings name."""
    size = settings.input_size
    return Preprocessing(
        size,
        "rgb",
        float(model.pixel_mean),
        1.0 / float(model.pixel_scale),
        settings.frame_size if settings.frame_size > size else 0,
    )


def architecture_of(settings: ModelSettings, facts: dict[str, Any]) -> str:
    """What to call the network of a model file of ours."""
    imported = facts.get("imported")
    known = imported.get("architecture") if isinstance(imported, dict) else None
    return str(known or f"urface {settings.backbone}")


def _objective(path: Path) -> ObjectiveSettings:
    """What a model file of ours that ``load_model`` could read was trained with."""
    told: Any = json_header(path, "urface")["objective"]
    return ObjectiveSettings(**{**told, "decorrelate": tuple(told["decorrelate"])})


def digest_of_ours(path: Path) -> str:
    """Of weights and settings: the rest of the header changes when a threshold is calibrated."""
    header = json_header(path, "urface")
    told = {name: header.get(name) for name in ("model", "objective", "uncertainty")}
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    with open(path, "rb") as file:
        file.seek(8 + int.from_bytes(file.read(8), "little"))
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def open_state_dict(
    path: Path,
    name: str,
    architecture: str = "",
    preprocessing: Preprocessing | None = None,
    parts: int = 1,
    sha256: str = "",
    cache: str | Path | None = None,
    device: Device = "auto",
    precision: Precision = "fp32",
) -> NetworkRecogniser:
    """Weights of another code base (architectures.py lists which); the arguments are open_recogniser's."""
    state, digest = read_weights(path, sha256=sha256, cache=cache)
    try:
        model, settings, found, declared = foreign_network(
            state, architecture, preprocessing, parts
        )
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    facts = imported(path.name, digest, found, declared)
    return NetworkRecogniser(
        name, digest, model, settings, declared, facts, device=device, precision=precision
    )


def imported(
    file: str, sha256: str, architecture: str, preprocessing: Preprocessing
) -> dict[str, Any]:
    """What a model file says of weights that came from elsewhere."""
    return {
        "imported": {
            "file": file,
            "sha256": sha256,
            "architecture": architecture,
            "preprocessing": preprocessing.to_dict(),
        }
    }


def foreign_network(
    state: dict[str, torch.Tensor],
    architecture: str,
    preprocessing: Preprocessing | None,
    parts: int = 1,
    size: int = 0,
) -> tuple[URFace, ModelSettings, str, Preprocessing]:
    """A state dict as a URFace that takes RGB, its settings, what it is, and the preprocessing folded in.

    Without a preprocessing it is that of the family, at ``size`` where that is given. Raises UserError
    where the weights do not fit, or nothing says what their input was.
    """
    if preprocessing is None:
        found = tell_architecture(state)
        family = ARCHITECTURES[found][0]
        if family not in CONVENTIONS:
            raise UserError(
                f"{found} does not say what its input was: declare it with --preprocessing, such as "
                "colour=bgr,mean=0,scale=1/255"
            )
        convention = CONVENTIONS[family]
        preprocessing = replace(convention, size=size or convention.size)
    checked(preprocessing)
    model, settings, found = network_from(state, architecture, preprocessing.size, parts)
    if preprocessing.frame > preprocessing.size:
        settings = replace(settings, frame_size=preprocessing.frame)
    fold_preprocessing(
        model, preprocessing.mean, preprocessing.scale, preprocessing.colour == "bgr"
    )
    return model, settings, found, preprocessing
