"""URFace: a backbone that splits into sub-embeddings and their confidences (supplementary B)."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from urface.config import ModelSettings, ObjectiveSettings
from urface.models.heads import ConfidenceHead, ConstantConfidence, EmbeddingHead
from urface.models.iresnet import iresnet
from urface.models.masks import draw_masks


class Features(NamedTuple):
    """What the network says of B images.

    mean             [B, K, D]  unit length per sub-embedding, float32
    log_confidence   [B, K]     log s
    log_variance     [B, K]     log sigma^2: of the uncertainty branch where stage two made one, else -log s;
                     [B, K, D] where that branch has one a dimension (PFE)
    """

    mean: Tensor
    log_confidence: Tensor
    log_variance: Tensor


class URFace(nn.Module):
    """Images -> sub-embeddings, confidences and variances.

    images            [B, H, W, 3] RGB uint8, H = W = input_size
    backbone          normalised pixels [B, 3, H, W] -> [B, F]
    embedding_head    [B, F] -> [B, K * D]
    confidence_head   [B, F] -> log-confidence [B, K]
    uncertainty_head  [B, F] -> log-confidence [B, K] or [B, K * D] after stage two, whose inverse is the
                      variance; kept beside the first so that one file answers both with and without it
    masks             [V, K] bool, the half of the sub-embeddings that each decorrelated variation has for
                      its own; they are drawn once and stay with the model
    """

    def __init__(
        self,
        backbone: nn.Module,
        embedding_head: nn.Module,
        confidence_head: nn.Module,
        sub_embeddings: int,
        uncertainty_head: nn.Module | None = None,
        masks: Tensor | None = None,
        pixel_mean: float = 127.5,
        pixel_scale: float = 127.5,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.embedding_head = embedding_head
        self.confidence_head = confidence_head
        self.uncertainty_head = uncertainty_head
        self.sub_embeddings = sub_embeddings
        self.channels_last = True
        self.register_buffer("masks", masks)
        self.masks: Tensor | None
        # (x / 255 - 0.5) / 0.5, the field's convention, as buffers so that no caller can get it wrong.
        self.register_buffer("pixel_mean", torch.tensor(pixel_mean))
        self.register_buffer("pixel_scale", torch.tensor(pixel_scale))
        self.pixel_mean: Tensor
        self.pixel_scale: Tensor

    def trunk(self, images: Tensor) -> Tensor:
        """[B, H, W, 3] uint8 -> the flattened last feature map [B, F]."""
        # NHWC in memory seen as NCHW is exactly channels_last: no copy.
        pixels = (images.permute(0, 3, 1, 2).float() - self.pixel_mean) / self.pixel_scale
        if not self.channels_last:
            pixels = pixels.contiguous()
        return self.backbone(pixels)

    def embedding(self, trunk: Tensor) -> Tensor:
        """[B, F] -> the embedding before normalisation [B, K * D]: what InsightFace's network returns."""
        return self.embedding_head(trunk)

    def normalised(self, trunk: Tensor) -> Tensor:
        """[B, F] -> sub-embeddings of unit length, [B, K, D] float32."""
        values = self.embedding(trunk).float()
        return F.normalize(values.unflatten(1, (self.sub_embeddings, -1)), dim=2)

    def forward(self, images: Tensor) -> Features:
        trunk = self.trunk(images)
        mean = self.normalised(trunk)
        log_confidence = self.confidence_head(trunk)
        if self.uncertainty_head is None:
            return Features(mean, log_confidence, -log_confidence)
        return Features(mean, log_confidence, self.log_variance(trunk))

    def log_variance(self, trunk: Tensor) -> Tensor:
        """[B, F] -> log sigma^2 of the uncertainty branch, [B, K], or [B, K, D] of one a dimension."""
        assert self.uncertainty_head is not None
        values: Tensor = -self.uncertainty_head(trunk)
        if values.shape[1] == self.sub_embeddings:
            return values
        return values.unflatten(1, (self.sub_embeddings, -1))


def build_urface(model: ModelSettings, objective: ObjectiveSettings) -> URFace:
    """The network that the settings describe, with fresh weights from torch's generator."""
    backbone = iresnet(model.backbone, model.input_size, model.dropout)
    confidence: nn.Module
    if objective.identification == "confidence":
        confidence = ConfidenceHead(
            backbone.out_features,
            model.sub_embeddings,
            model.initial_confidence,
            model.confidence_range,
        )
    else:
        confidence = ConstantConfidence(model.sub_embeddings, model.initial_confidence)
    embedding = EmbeddingHead(backbone.out_features, model.embedding_dim)
    masks = None
    if objective.decorrelate:
        masks = draw_masks(len(objective.decorrelate), model.sub_embeddings)
    return URFace(backbone, embedding, confidence, model.sub_embeddings, masks=masks)


def add_uncertainty_head(model: URFace, per_dimension: bool = False) -> ConfidenceHead:
    """Give ``model`` an uncertainty branch of its own for stage two, and return it.

    It says one variance a sub-embedding, or with ``per_dimension`` one a dimension, as PFE does. It
    starts as a copy of the confidence branch where that one was learned and of that shape, else afresh.
    Its range is wide: variances are fitted to distances, not to a softmax.
    """
    fc = model.embedding_head.fc
    in_features, dim = int(fc.in_features), int(fc.out_features)  # type: ignore[union-attr, arg-type]
    outputs = dim if per_dimension else model.sub_embeddings
    head = ConfidenceHead(in_features, outputs, bounds=UNCERTAINTY_RANGE)
    if isinstance(model.confidence_head, ConfidenceHead) and outputs == model.sub_embeddings:
        head.load_state_dict(model.confidence_head.state_dict())
    model.uncertainty_head = head.to(model.pixel_mean.device)
    return head


UNCERTAINTY_RANGE = (1e-2, 1e6)  # 1 / sigma^2
