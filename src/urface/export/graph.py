"""URFace as a plain graph for exporters: pixels in; mean, confidence and variance out."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from urface.models.fold import folded
from urface.models.heads import ConfidenceHead, EmbeddingHead
from urface.models.urface import URFace


class PlainURFace(nn.Module):
    """The same numbers as ``model`` in evaluation, in float32, without what an exporter stumbles over.

    Pixels [B, 3, S, S] float32 in 0..255, RGB; the normalisation lies inside. Out come mean [B, K, D] of unit
    length, confidence [B, K], and variance [B, K], or [B, K, D] of a model with one a dimension. Every
    BatchNorm that can be is folded into the layer before it.
    """

    def __init__(self, model: URFace) -> None:
        super().__init__()
        self.backbone = folded(model).backbone
        self.sub_embeddings = model.sub_embeddings
        self.register_buffer("pixel_mean", model.pixel_mean.clone())
        self.register_buffer("pixel_scale", model.pixel_scale.clone())
        self.pixel_mean: Tensor
        self.pixel_scale: Tensor
        self.embedding = folded_embedding(model.embedding_head)
        self.log_confidence = plain_confidence(model.confidence_head)
        head = model.uncertainty_head
        self.log_precision = None if head is None else plain_confidence(head)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        trunk = self.backbone((pixels - self.pixel_mean) / self.pixel_scale)
        values = self.embedding(trunk).unflatten(1, (self.sub_embeddings, -1))
        log_confidence = self.log_confidence(trunk)
        log_variance = -(
            log_confidence if self.log_precision is None else self.log_precision(trunk)
        )
        if log_variance.shape[1] != self.sub_embeddings:
            log_variance = log_variance.unflatten(1, (self.sub_embeddings, -1))
        return F.normalize(values, dim=2), log_confidence.exp(), log_variance.exp()


class PlainConfidence(nn.Module):
    """log s of the flattened map [B, F] -> [B, outputs]: linear, held in a range."""

    def __init__(self, head: ConfidenceHead) -> None:
        super().__init__()
        self.fc = nn.Linear(head.fc.in_features, head.fc.out_features)
        with torch.no_grad():
            self.fc.weight.copy_(head.fc.weight.double() * head.scale)
            self.fc.bias.copy_(head.fc.bias)
        self.bounds = head.bounds

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x).clamp(*self.bounds)


def plain_confidence(head: nn.Module) -> nn.Module:
    """``head`` for export: a ConfidenceHead without its gradient, any other as it is."""
    return PlainConfidence(head) if isinstance(head, ConfidenceHead) else head


def folded_embedding(head: nn.Module) -> nn.Module:
    """One linear layer that is equal to an EmbeddingHead in evaluation; any other head as it is."""
    if not isinstance(head, EmbeddingHead):
        return head
    norm = head.features
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    linear = nn.Linear(head.fc.in_features, head.fc.out_features)
    bias = torch.zeros_like(norm.bias) if head.fc.bias is None else head.fc.bias
    with torch.no_grad():
        linear.weight.copy_(head.fc.weight.double() * scale[:, None])
        linear.bias.copy_((bias.double() - norm.running_mean.double()) * scale + norm.bias.double())
    return linear
