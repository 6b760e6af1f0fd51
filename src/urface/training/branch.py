"""An uncertainty branch for a recogniser that someone else trained: PFE's way, the backbone frozen.

Where the features before the last fully connected layer can be had, which is in every network that runs as
a URFace, the branch sees those, as stage two's does. Of an ONNX model and of features on disk only the
output is known: there it is a small perceptron on the output (models/output_branch.py).
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from urface.config import TrainSettings, as_dict
from urface.data.frames import Frames
from urface.data.loader import batches
from urface.data.sampler import PairSampler
from urface.data.source import FaceSource
from urface.environment import Environment, environment, take_over
from urface.models.files import save_model
from urface.models.heads import ConstantConfidence
from urface.models.insightface import CONFIDENCE
from urface.models.output_branch import OutputBranch
from urface.recognisers.branch import save_branch
from urface.recognisers.features_file import FeaturesFile
from urface.recognisers.network import NetworkRecogniser
from urface.recognisers.onnx_model import OnnxModel
from urface.recognisers.recogniser import Recogniser
from urface.recognisers.usable import refuse_unusable
from urface.training.uncertainty import Load, pair_sampler, train_branch, train_uncertainty
from urface.types import FaceBatch, UserError

MODEL = "model.safetensors"
SAMPLE = 256  # faces that the level of the features' lengths is taken from


def add_branch(
    recogniser: Recogniser,
    source: FaceSource,
    settings: TrainSettings,
    parts: int = 0,
    progress: bool = True,
) -> Path:
    """Train a branch for ``recogniser`` on ``source`` and write <run.out>/model.safetensors; its path.

    settings   variations, uncertainty and run are used; the model is the recogniser's own
    parts      K that its embedding is split into, each part compared on its own sphere; 0: as it is

    What the network computes does not change by a bit. Raises UserError where the model has no room
    for that K, or no person has two faces.
    """
    env = environment(settings.run)
    take_over(env, settings.run.threads)
    torch.manual_seed(settings.run.seed)
    path = Path(settings.run.out) / MODEL
    record = {
        "backbone": {"name": recogniser.name, "sha256": recogniser.digest},
        "people": len(source.identities),
        "images": len(source),
        "settings": {n: as_dict(settings)[n] for n in ("variations", "uncertainty", "run")},
    }
    if isinstance(recogniser, NetworkRecogniser):
        split(recogniser, parts)
        model = recogniser.settings
        frames = Frames(source, model.frame_size, settings.data.corrupt_share, 2.0, progress)
        train_uncertainty(replace(settings, model=model), recogniser.model, frames, env, progress)
        record["sees"] = "the features before the last fully connected layer"
        record["corrupt"] = frames.corrupt
        # A threshold was measured on the scores of other variances.
        facts = {name: fact for name, fact in recogniser.facts.items() if name != "calibration"}
        facts["branch"] = record
        save_model(path, recogniser.model, model, recogniser.objective, facts)
        return path
    if not isinstance(recogniser, OnnxModel | FeaturesFile):
        raise UserError(f"{recogniser.name}: has an uncertainty branch already")
    if parts:
        recogniser.parts = parts
    record["sees"] = "the output of the network"
    branch, record["corrupt"] = _on_output(recogniser, source, settings, env, progress)
    save_branch(path, recogniser, branch, record)
    return path


def split(recogniser: NetworkRecogniser, parts: int) -> None:
    """Read the recogniser's embedding as ``parts`` sub-embeddings. Raises UserError where it has others."""
    model, settings = recogniser.model, recogniser.settings
    if parts in (0, settings.sub_embeddings):
        return
    if settings.sub_embeddings != 1 or not isinstance(model.confidence_head, ConstantConfidence):
        raise UserError(
            f"{recogniser.name}: was trained with {settings.sub_embeddings} sub-embeddings and their "
            "confidences; leave out --parts"
        )
    if settings.embedding_dim % parts:
        raise UserError(
            f"{recogniser.name}: {settings.embedding_dim} dimensions cannot be split into {parts} parts"
        )
    level = float(model.confidence_head.log_value[0].exp()) if parts > 1 else CONFIDENCE
    model.confidence_head = ConstantConfidence(parts, level).to(model.pixel_mean.device)
    model.sub_embeddings = parts
    recogniser.settings = replace(settings, sub_embeddings=parts)
    recogniser.parts = parts


class OutputModel:
    """A recogniser's output [B, K * D] in the place of the features before it: a Frozen for stage two."""

    def __init__(self, recogniser: OnnxModel | FeaturesFile, branch: OutputBranch) -> None:
        self.recogniser = recogniser
        self.branch = branch

    def trunk(self, images: Tensor) -> Tensor:
        """Faces [B, S, S, 3] through the network; features from disk [B, K * D] are what they are."""
        if images.ndim == 2:
            return images
        assert isinstance(self.recogniser, OnnxModel)
        given = _features(self.recogniser, images.cpu().numpy())
        return torch.from_numpy(given).to(images.device)

    def normalised(self, trunk: Tensor) -> Tensor:
        """The sub-embeddings [B, K, D]."""
        return F.normalize(trunk.unflatten(1, (self.branch.parts, -1)), dim=2)

    def log_variance(self, trunk: Tensor) -> Tensor:
        """[B, K], or [B, K, D] of a branch with one a dimension."""
        values: Tensor = -self.branch(trunk)
        if values.shape[1] == self.branch.parts:
            return values
        return values.unflatten(1, (self.branch.parts, -1))


def _features(recogniser: OnnxModel, frames: np.ndarray) -> np.ndarray:
    """Of frames that the loader has cut already."""
    assert recogniser.preprocessing is not None
    plain = replace(recogniser.preprocessing, frame=0)
    keys = [f"image {number} of the batch" for number in range(len(frames))]
    found = recogniser.features_under(plain, list(frames), keys)
    return np.array(refuse_unusable(found, keys).vectors)


def _on_output(
    recogniser: OnnxModel | FeaturesFile,
    source: FaceSource,
    settings: TrainSettings,
    env: Environment,
    progress: bool,
) -> tuple[OutputBranch, dict[str, str]]:
    """A trained branch on the output of ``recogniser``, and the images that cannot be decoded."""
    sampler = pair_sampler(settings, source.labels)
    load: Load
    frames: Frames | None = None
    if isinstance(recogniser, FeaturesFile):
        vectors = refuse_unusable(recogniser.features([], source.keys), source.keys).vectors
        sample = vectors

        def load(steps: Sequence[int]) -> Generator[FaceBatch, None, None]:
            return feature_batches(vectors, source.labels, sampler, steps)

    else:
        assert recogniser.preprocessing is not None
        size = recogniser.preprocessing.size
        frame = max(size, recogniser.preprocessing.frame)
        images = Frames(source, frame, settings.data.corrupt_share, 2.0, progress)
        frames = images
        margin = (frame - size) // 2
        chosen = np.linspace(0, len(source) - 1, min(SAMPLE, len(source))).astype(np.int64)
        cut = slice(margin, margin + size)
        sample = _features(recogniser, np.stack([images.get(int(i))[0][cut, cut] for i in chosen]))
        seed = settings.run.seed + 1

        def load(steps: Sequence[int]) -> Generator[FaceBatch, None, None]:
            return batches(images, sampler.draw, steps, settings.variations, size, seed)

    dim, plan = sample.shape[1], settings.uncertainty
    if dim % recogniser.parts:
        raise UserError(
            f"{recogniser.name}: {dim} dimensions cannot be split into {recogniser.parts} parts"
        )
    branch = OutputBranch(dim, recogniser.parts, plan.per_dimension).to(env.device)
    branch.learn_lengths(torch.from_numpy(sample).to(env.device))
    model = OutputModel(recogniser, branch)
    # Of another split or preprocessing a checkpoint is another branch's.
    digest = f"{recogniser.digest} {recogniser.parts} {recogniser.preprocessing}"
    train_branch(settings, model, branch, load, source.keys, digest, env, progress, frames)
    return branch.cpu(), frames.corrupt if frames is not None else {}


def feature_batches(
    vectors: np.ndarray, labels: np.ndarray, sampler: PairSampler, steps: Sequence[int]
) -> Generator[FaceBatch, None, None]:
    """The batches of ``steps`` with features [B, K * D] where images would be."""
    for step in steps:
        index = sampler.draw(step).index
        none = np.empty((len(index), 0), np.float32)
        yield FaceBatch(vectors[index], labels[index], none, index)
