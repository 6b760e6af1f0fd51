"""Aligned faces to embeddings: the one inference path of evaluation, commands and users."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from tqdm import tqdm

from urface.config import ModelSettings, RunSettings
from urface.data.decode import resize_image
from urface.environment import environment, placed
from urface.models.files import load_model
from urface.models.fold import folded
from urface.models.heads import ConfidenceHead
from urface.models.packed import packed
from urface.models.urface import URFace
from urface.types import Array, FaceEmbedding, UserError, is_torch, to_numpy


def load(
    path: str | Path,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    precision: Literal["auto", "bf16", "fp32"] = "auto",
) -> Embedder:
    """The model in ``path``, ready to embed: a model.safetensors, the folder of a run, or the word
    ``demonstration`` for the model that comes with urface.

    Raises UserError where the file is missing, damaged or not a urface model.
    """
    model, settings, facts = load_model(path)
    return Embedder(model, settings, facts, device=device, precision=precision)


class Embedder:
    """Embeds aligned faces. Safe to use from several threads.

    model, settings  the network and what it expects; on a CPU in float32 a copy is run whose BatchNorms are
                     folded (models/fold.py) and, of a large one, whose weights are packed (models/packed.py),
                     so later changes of the model's backbone have no effect
    facts            what the model file says of its training (plain JSON)
    """

    def __init__(
        self,
        model: URFace,
        settings: ModelSettings,
        facts: dict[str, Any] | None = None,
        device: Literal["auto", "cpu", "cuda"] = "auto",
        precision: Literal["auto", "bf16", "fp32"] = "auto",
    ) -> None:
        self._environment = environment(RunSettings(device=device, precision=precision))
        self.settings = settings
        self.facts = facts or {}
        self.model = placed(model.eval(), self._environment.device)
        exact = self._environment.dtype is torch.float32 and self._environment.device.type == "cpu"
        # In bfloat16 the folded weights would be rounded to other numbers than the evaluated ones.
        self._network = packed(folded(self.model)) if exact else self.model

    @property
    def num_sub_embeddings(self) -> int:
        """K."""
        return self.settings.sub_embeddings

    def embed(
        self, images: Array | Sequence[np.ndarray], batch_size: int = 64, progress: bool = False
    ) -> FaceEmbedding:
        """Embed aligned faces.

        images      RGB uint8 [B, H, W, 3], NumPy or torch, of any size (they are brought to the
                    model's), or a sequence of [H, W, 3] arrays whose sizes may differ
        batch_size  how many pass through the network at a time; it does not change the results beyond
                    rounding
        progress    a progress bar on stderr

        Returns float32 NumPy arrays, or torch tensors on the CPU for a torch tensor. Raises UserError
        for another type or shape, or where a face yields no finite embedding.
        """
        if not isinstance(batch_size, (int, np.integer)) or batch_size < 1:
            raise UserError(f"batch_size must be a whole number of at least 1, got {batch_size!r}")
        torch_in = is_torch(images)
        faces = to_numpy(images) if torch_in else images  # type: ignore[arg-type]
        check_images(faces)
        total = len(faces)
        parts = []
        bar = tqdm(total=total, desc="embedding", unit=" faces", disable=not progress, leave=False)
        with bar:
            for first in range(0, total, batch_size):
                frames = [self.frame(face) for face in faces[first : first + batch_size]]
                parts.append(self._forward(np.stack(frames), first))
                bar.update(len(frames))
        if not parts:
            parts = [self._empty()]
        embedding = FaceEmbedding.concatenate(parts)
        return embedding.torch() if torch_in else embedding

    def embed_frames(
        self, batches: Iterator[list[np.ndarray]], total: int, progress: bool = False
    ) -> FaceEmbedding:
        """Embed batches of what ``frame`` made, as they come: the images need not be in memory together."""
        parts: list[FaceEmbedding] = []
        first = 0
        bar = tqdm(total=total, desc="embedding", unit=" faces", disable=not progress, leave=False)
        with bar:
            for batch in batches:
                if batch:
                    parts.append(self._forward(np.stack(batch), first))
                first += len(batch)
                bar.update(len(batch))
        return FaceEmbedding.concatenate(parts or [self._empty()])

    def frame(self, face: np.ndarray) -> np.ndarray:
        """An aligned face as the network sees it: at the frame's size, its centre cut out."""
        resized = resize_image(np.ascontiguousarray(face), self.settings.frame_size)
        margin = (self.settings.frame_size - self.settings.input_size) // 2
        end = margin + self.settings.input_size
        return resized[margin:end, margin:end]

    @torch.inference_mode()
    def _forward(self, frames: np.ndarray, first: int) -> FaceEmbedding:
        images = torch.from_numpy(frames).to(self._environment.device)
        with self._environment.autocast():
            features = self._network(images)
        mean, log_confidence, log_variance = (part.float().cpu() for part in features)
        try:
            return FaceEmbedding(
                mean=mean.numpy(),
                confidence=log_confidence.exp().numpy(),
                variance=log_variance.exp().numpy(),
            )
        except UserError as error:
            last = first + len(frames) - 1
            where = f"images {first} to {last}, counted from {first}: " if first else ""
            raise UserError(f"{where}{error}") from None

    def _empty(self) -> FaceEmbedding:
        sub = self.settings.sub_embeddings
        shape = (0, sub, self.settings.embedding_dim // sub)
        mean = np.empty(shape, np.float32)
        head = self.model.uncertainty_head
        each = isinstance(head, ConfidenceHead) and head.fc.out_features != sub
        variance = mean if each else mean[:, :, 0]
        return FaceEmbedding(mean=mean, confidence=mean[:, :, 0], variance=variance)


def check_images(faces: Any) -> None:
    """Raise UserError unless there is a list or array of faces, each [H, W, 3] uint8."""
    if (
        not hasattr(faces, "__len__")
        or not hasattr(faces, "__getitem__")
        or isinstance(faces, dict)
    ):
        raise UserError(
            f"images must be an array [B, H, W, 3] or a list of [H, W, 3], got "
            f"{type(faces).__name__}; a generator is list(images)"
        )
    if isinstance(faces, np.ndarray) and faces.ndim != 4:
        raise UserError(
            f"images must be [B, H, W, 3], got {list(faces.shape)}; one image is images[None]"
        )
    for number, face in enumerate(faces):
        if is_torch(face):
            raise UserError(
                f"image {number} is a torch tensor {list(face.shape)} in a list: give one tensor "
                "[B, H, W, 3], or NumPy arrays [H, W, 3]"
            )
        if isinstance(face, np.ndarray) and face.ndim == 3 and face.shape[0] == 3 != face.shape[2]:
            raise UserError(
                f"image {number} has its channels first, {list(face.shape)}: bring it to [H, W, 3]"
            )
        if not isinstance(face, np.ndarray) or face.ndim != 3 or face.shape[2] != 3:
            shape = list(getattr(face, "shape", []))
            raise UserError(f"image {number} must be [H, W, 3], got {shape or type(face).__name__}")
        if face.size == 0:
            raise UserError(f"image {number} has no pixels: {list(face.shape)}")
        if face.dtype != np.uint8:
            raise UserError(
                f"image {number} is {face.dtype}: give RGB as uint8, 0 to 255, not normalised"
            )
        if isinstance(faces, np.ndarray):
            break  # all of one array are alike
