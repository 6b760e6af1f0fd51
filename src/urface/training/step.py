"""One step of stage one up to its gradients: forward, objective, backward, in one part or in several."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from urface import distributed
from urface.config import TrainSettings
from urface.environment import Environment
from urface.losses import Masked, objective
from urface.models.heads import scale_gradient
from urface.training.resume import Trained


@dataclass(frozen=True, eq=False)
class Found:
    """What a step found, detached, over all of its parts; the gradients lie in the parameters.

    total, named    the loss and its terms, means over the parts
    confidence      of this rank's images [B, K]
    mean            of this rank's images [B, K, D]
    gradient        that of the loss by ``mean``
    means, labels   of the images of all ranks, part by part and in each rank by rank
    masked          what Cl said of this rank's images, None without decorrelation
    """

    total: Tensor
    named: dict[str, Tensor]
    confidence: Tensor
    mean: Tensor
    gradient: Tensor
    means: Tensor
    labels: Tensor
    masked: Masked | None


def differentiate(
    settings: TrainSettings,
    network: nn.Module,
    trained: Trained,
    images: Tensor,
    labels: Tensor,
    shown: Tensor | None,
    env: Environment,
    learning: float,
    step: int,
) -> Found:
    """Add the gradients of the batch's loss to the parameters.

    images, labels   this rank's share of the batch
    shown            [B, V] the labels of the decorrelated variations, None without decorrelation
    learning         1 where the confidence learns, 0 where it rests
    step             the number of the step, by which classes are sampled

    With optim.accumulate above 1 the batch goes through the network in as many parts. Every term is a mean
    over images, so the mean of the parts' losses is the loss of the batch; what differs is BatchNorm, which
    sees the statistics of one part.
    """
    parts = settings.optim.accumulate
    decorrelation, prototypes = trained.decorrelation, trained.prototypes
    known = None
    if decorrelation is not None:
        assert shown is not None
        known = decorrelation.known(shown)
    # Of the whole batch, whose classes are negatives of all its parts.
    classes = None
    if settings.objective.sample_classes < 1:
        whole = distributed.gather(labels)
        classes = prototypes.sampled(whole, settings.objective.sample_classes, step)
    found = []
    rows = len(images) // parts
    for part in range(parts):
        share = slice(part * rows, (part + 1) * rows)
        with together(network, part == parts - 1):
            with env.autocast():
                features = network(images[share])
            features.mean.retain_grad()  # for a diagnosis
            # The network too would learn to talk the confidence down, so its gradient rests, not only
            # the branch's rate.
            confidence = scale_gradient(features.log_confidence, learning).exp()
            masked = None
            if decorrelation is not None:
                assert shown is not None
                assert known is not None
                masked = decorrelation.judge(features.mean, shown[share], known / parts)
            means = distributed.gather(features.mean)
            all_labels = distributed.gather(labels[share])
            terms = objective(
                settings.objective,
                means,
                distributed.gather(confidence),
                all_labels,
                prototypes.weight,
                first_class=prototypes.first_class,
                rows=classes,
                own_confidence_BK=confidence,
                masked=masked,
            )
            (terms.total / parts).backward()
        assert features.mean.grad is not None
        named = {name: value.detach() for name, value in terms.named.items()}
        seen = None
        if masked is not None:
            seen = Masked(masked.logits.detach(), masked.labels, masked.known)
        found.append(
            Found(
                terms.total.detach(),
                named,
                confidence.detach(),
                features.mean.detach(),
                features.mean.grad,
                means.detach(),
                all_labels,
                seen,
            )
        )
    return found[0] if parts == 1 else joined(found, known)


def joined(found: list[Found], known: Tensor | None) -> Found:
    """The parts of a step as one."""
    masked = None
    if known is not None:
        each = [part.masked for part in found if part.masked is not None]
        logits, labels = (torch.cat([getattr(m, name) for m in each]) for name in NAMES)
        masked = Masked(logits, labels, known)
    return Found(
        torch.stack([part.total for part in found]).mean(),
        {name: torch.stack([part.named[name] for part in found]).mean() for name in found[0].named},
        torch.cat([part.confidence for part in found]),
        torch.cat([part.mean for part in found]),
        torch.cat([part.gradient for part in found]),
        torch.cat([part.means for part in found]),
        torch.cat([part.labels for part in found]),
        masked,
    )


NAMES = ("logits", "labels")


def together(network: nn.Module, last: bool) -> AbstractContextManager[None]:
    """Data-parallel ranks exchange gradients in the backward pass of the last part alone."""
    if last or not isinstance(network, DistributedDataParallel):
        return nullcontext()
    return network.no_sync()
