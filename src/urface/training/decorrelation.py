"""The variation classifier beside the network: its labels, its own optimiser, what it is logged with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from urface import distributed
from urface.config import TrainSettings
from urface.data.frames import Frames
from urface.data.loader import variation_names
from urface.environment import Environment
from urface.losses import Masked, classifier_loss, distance_correlation, masked_logits
from urface.models.masks import VariationClassifier
from urface.models.urface import URFace
from urface.training.optim import update
from urface.types import UserError
from urface.variations.augment import AUGMENTABLE


@dataclass(eq=False)
class Decorrelation:
    """Cl, its Adam, the masks it looks through, and the columns of a batch's labels that it is taught.

    The network and Cl take turns within a step: ``judge`` holds Cl fixed and lets the gradient into the
    embedding, ``learn`` holds the embedding fixed and moves Cl.
    """

    names: tuple[str, ...]
    columns: list[int]
    masks: Tensor
    classifier: VariationClassifier
    optimizer: torch.optim.Optimizer
    log: VariationLog

    def labels(self, variations_BV: np.ndarray, env: Environment) -> Tensor:
        """The labels of the decorrelated variations, in the masks' order, on the device."""
        return env.tensor(variations_BV[:, self.columns])

    def known(self, labels_BV: Tensor) -> Tensor:
        """How many images of the batch have each label [V], all ranks' divided by their number."""
        known = (~labels_BV.isnan()).sum(0).float()
        return distributed.all_reduce_sum(known).div_(distributed.world_size())

    def judge(self, mean_BKD: Tensor, labels_BV: Tensor, known_V: Tensor) -> Masked:
        """What Cl, held fixed, says of these images; differentiable in ``mean_BKD``."""
        logits = masked_logits(
            mean_BKD, self.masks, self.classifier.weight.detach(), self.classifier.bias.detach()
        )
        return Masked(logits, labels_BV, known_V)

    def learn(self, mean_BKD: Tensor, masked: Masked, skip: Tensor | None = None) -> None:
        """One step of Cl on the embeddings as they are; ``skip`` as in ``optim.update``."""
        self.log.add(masked)
        logits = masked_logits(
            mean_BKD.detach(), self.masks, self.classifier.weight, self.classifier.bias
        )
        self.optimizer.zero_grad(set_to_none=True)
        classifier_loss(logits, masked.labels, masked.known).backward()
        for parameter in self.classifier.parameters():
            assert parameter.grad is not None
            distributed.all_reduce_sum(parameter.grad).div_(distributed.world_size())
        update(self.optimizer, skip)


def build_decorrelation(
    settings: TrainSettings, model: URFace, frames: Frames, fused: bool = False
) -> Decorrelation | None:
    """None where no variation is decorrelated. Raises UserError for one that the batches do not have."""
    names = settings.objective.decorrelate
    if not names:
        return None
    known = variation_names(frames)
    for name in names:
        if name not in known:
            raise UserError(
                f"objective.decorrelate: the data have no variation {name!r}, only "
                f"{', '.join(known)}; data.labels adds the columns that urface mine label writes"
            )
        if name in AUGMENTABLE and not getattr(settings.variations, name):
            raise UserError(
                f"objective.decorrelate: {name} is never applied: set variations.{name} above 0"
            )
    assert model.masks is not None
    dim = settings.model.embedding_dim // settings.model.sub_embeddings
    classifier = VariationClassifier(len(names), settings.model.sub_embeddings, dim)
    classifier.to(model.masks.device)
    optimizer = torch.optim.Adam(
        classifier.parameters(),
        lr=settings.optim.classifier_rate,
        weight_decay=settings.optim.classifier_decay,
        fused=fused,
    )
    return Decorrelation(
        names,
        [known.index(name) for name in names],
        model.masks,
        classifier,
        optimizer,
        VariationLog(names, model.masks.device),
    )


class VariationLog:
    """How well each variation is told from its own mask and from the others, since the last line.

    Counted on the device: a batch holds too few images for a rate, and asking each step would make the
    device wait. Balanced accuracy, the mean of the shares of images with and without the variation that
    are told right: 0.5 for a classifier that knows nothing, however rare the variation is.
    """

    def __init__(self, names: tuple[str, ...], device: torch.device) -> None:
        self.names = names
        count = len(names)
        # [present or absent, right or all, mask, variation]
        self._counts = torch.zeros(2, 2, count, count, device=device)

    def add(self, masked: Masked) -> None:
        """Count one batch; labels of 1/2 and unknown ones are passed over."""
        says = masked.logits.detach() > 0
        labels = masked.labels.unsqueeze(1)
        for side, truth in enumerate((labels > 0.5, labels < 0.5)):
            right = truth & (says == (side == 0))
            self._counts[side, 0] += right.sum(0)
            self._counts[side, 1] += truth.expand_as(says).sum(0)

    def values(self) -> dict[str, float]:
        """`told_own/<variation>` and `told_other/<variation>`; every rank calls this, and it starts anew."""
        counts = distributed.all_reduce_sum(self._counts.clone()).cpu()
        self._counts.zero_()
        shares = (counts[:, 0] / counts[:, 1]).mean(0)  # NaN where one side was never seen
        out: dict[str, float] = {}
        for place, name in enumerate(self.names):
            others = [shares[mask, place] for mask in range(len(self.names)) if mask != place]
            told = {"own": float(shares[place, place])}
            if others:
                told["other"] = float(torch.stack(others).mean())
            out |= {f"told_{which}/{name}": v for which, v in told.items() if v == v}
        return out


def sub_embedding_correlation(
    mean_BKD: Tensor, labels_B: Tensor, weight_SKD: Tensor, first_class: int
) -> float:
    """``distance_correlation`` of the batch of all ranks, a (raw) prototype as the centre of its class.

    Each rank measures the images whose class it holds; every rank calls this.
    """
    local = labels_B - first_class
    rows = torch.nonzero((local >= 0) & (local < weight_SKD.shape[0])).squeeze(1)
    cosine_BK = mean_BKD.new_zeros(mean_BKD.shape[:2])
    centre = F.normalize(weight_SKD[local[rows]].to(mean_BKD.dtype), dim=2)
    cosine_BK[rows] = (mean_BKD[rows] * centre).sum(2)
    distributed.all_reduce_sum(cosine_BK)
    return float(distance_correlation(1.0 - cosine_BK))
