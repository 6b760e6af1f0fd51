"""The training objective as named terms and their total."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from urface.config import ObjectiveSettings
from urface.losses.confidence import confidence_regularizer
from urface.losses.margin import arcface_target
from urface.losses.tiled import Shard, tiled_cross_entropy
from urface.losses.variation import adversarial_loss, classification_loss
from urface.precision import full_precision, wide


@dataclass(frozen=True)
class Masked:
    """What Cl, held fixed, says of this rank's images through the masks, and what is true of them.

    logits [B, V, V] as ``losses.variation.masked_logits`` gives them, labels [B, V], known [V].
    """

    logits: Tensor
    labels: Tensor
    known: Tensor


@dataclass(frozen=True)
class Terms:
    """The total to differentiate and every unweighted term under the paper's name."""

    total: Tensor
    named: dict[str, Tensor]


def objective(
    settings: ObjectiveSettings,
    mean_BKD: Tensor,
    confidence_BK: Tensor,
    labels_B: Tensor,
    weight_SKD: Tensor,
    *,
    first_class: int = 0,
    rows: Tensor | None = None,
    own_confidence_BK: Tensor | None = None,
    masked: Masked | None = None,
) -> Terms:
    """L = L_idt + lambda_reg L_reg + lambda_cls L_cls + lambda_adv L_adv.

    mean, confidence and labels are of the batch of all ranks, ``weight_SKD`` this rank's raw prototypes
    from class ``first_class`` on, whose length is divided out here; ``rows`` are those that were sampled
    (`Prototypes.sampled`), None for all. ``own_confidence_BK`` are the confidences of this rank's own
    images, over which the regulariser runs (all of them with one rank). The last two terms are there
    where ``masked`` is.
    """
    with full_precision(mean_BKD):
        mean, confidence = wide(mean_BKD, confidence_BK)
        shard = Shard(first_class, rows)
        loss = _identification(settings, mean, confidence, labels_B, weight_SKD, shard)
    named = {"L_idt": loss}
    if settings.identification != "confidence":
        return Terms(loss, named)
    own = confidence_BK if own_confidence_BK is None else own_confidence_BK
    named["L_reg"] = confidence_regularizer(own)
    total = loss + settings.regularizer * named["L_reg"]
    if masked is not None:
        named["L_cls"] = classification_loss(masked.logits, masked.labels, masked.known)
        named["L_adv"] = adversarial_loss(masked.logits)
        total = total + settings.classification * named["L_cls"]
        total = total + settings.adversarial * named["L_adv"]
    return Terms(total, named)


def _identification(
    settings: ObjectiveSettings,
    mean_BKD: Tensor,
    confidence_BK: Tensor,
    labels_B: Tensor,
    weight_SKD: Tensor,
    shard: Shard,
) -> Tensor:
    """L_idt; the three losses differ in what they make of an image's own logit."""
    scale_B = confidence_BK[:, 0].detach().double()  # of cosface and arcface: constant

    def target(logit_B: Tensor) -> Tensor:
        if settings.identification == "arcface":
            return arcface_target(logit_B / scale_B, settings.margin) * scale_B
        if settings.identification == "cosface":  # on the cosine, hence scale * m on the logit
            return logit_B - scale_B * settings.margin
        return logit_B - settings.margin

    # Scaled by s / K, the logits of eq. 24 are linear in the prototypes.
    scaled_BKD = mean_BKD * (confidence_BK / mean_BKD.shape[1]).unsqueeze(2)
    limit_B = None
    if settings.noisy_cosine < 1:
        limit_B = settings.noisy_cosine * confidence_BK.detach().mean(1)
    return tiled_cross_entropy(
        scaled_BKD, weight_SKD, labels_B, target, shard=shard, limit_B=limit_B
    )
