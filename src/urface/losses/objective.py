"""The training objective as named terms and their total."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from urface.config import ObjectiveSettings
from urface.losses.confidence import confidence_regularizer
from urface.losses.identification import identification_logits
from urface.losses.margin import arcface_logits
from urface.losses.sharded import sharded_cross_entropy
from urface.losses.variation import adversarial_loss, classification_loss


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
    prototypes_SKD: Tensor,
    *,
    first_class: int = 0,
    own_confidence_BK: Tensor | None = None,
    masked: Masked | None = None,
) -> Terms:
    """L = L_idt + lambda_reg L_reg + lambda_cls L_cls + lambda_adv L_adv.

    mean, confidence and labels are of the batch of all ranks, ``prototypes_SKD`` this rank's unit
    prototypes from class ``first_class`` on. ``own_confidence_BK`` are the confidences of this rank's own
    images, over which the regulariser runs (all of them with one rank). The last two terms are there
    where ``masked`` is.
    """
    logits = identification_logits(mean_BKD, confidence_BK, prototypes_SKD)
    if settings.identification == "confidence":
        loss = sharded_cross_entropy(
            logits, labels_B, first_class=first_class, margin=settings.margin
        )
        own = confidence_BK if own_confidence_BK is None else own_confidence_BK
        regularizer = confidence_regularizer(own)
        total = loss + settings.regularizer * regularizer
        named = {"L_idt": loss, "L_reg": regularizer}
        if masked is not None:
            named["L_cls"] = classification_loss(masked.logits, masked.labels, masked.known)
            named["L_adv"] = adversarial_loss(masked.logits)
            total = total + settings.classification * named["L_cls"]
            total = total + settings.adversarial * named["L_adv"]
        return Terms(total, named)
    scale = float(confidence_BK.detach().flatten()[0])  # constant by construction
    if settings.identification == "arcface":
        logits = arcface_logits(logits, labels_B, scale, settings.margin, first_class)
        loss = sharded_cross_entropy(logits, labels_B, first_class=first_class)
    else:
        # CosFace's margin is on the cosine, hence scale * m on the logit.
        margin = scale * settings.margin
        loss = sharded_cross_entropy(logits, labels_B, first_class=first_class, margin=margin)
    return Terms(loss, {"L_idt": loss})
