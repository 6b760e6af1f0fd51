"""Losses: tensors in, tensors out; equation numbers are those of the supplementary."""

from urface.losses.confidence import confidence_regularizer
from urface.losses.identification import identification_logits, identification_loss
from urface.losses.margin import arcface_logits, arcface_target
from urface.losses.mining import attribute_loss, confusion_loss, identity_loss
from urface.losses.objective import Masked, Terms, objective
from urface.losses.sharded import sharded_cross_entropy
from urface.losses.tiled import Shard, tiled_cross_entropy
from urface.losses.uncertainty import genuine_pairs, uncertainty_loss
from urface.losses.variation import (
    adversarial_loss,
    classification_loss,
    classifier_loss,
    distance_correlation,
    masked_logits,
)

__all__ = [
    "Masked",
    "Shard",
    "Terms",
    "adversarial_loss",
    "arcface_logits",
    "arcface_target",
    "attribute_loss",
    "classification_loss",
    "classifier_loss",
    "confidence_regularizer",
    "confusion_loss",
    "distance_correlation",
    "genuine_pairs",
    "identification_logits",
    "identification_loss",
    "identity_loss",
    "masked_logits",
    "objective",
    "sharded_cross_entropy",
    "tiled_cross_entropy",
    "uncertainty_loss",
]
