"""Several faces of one person become one template."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch

from urface.types import Array, FaceEmbedding, UserError, is_torch

Fusion = Literal["inverse_variance", "mean"]


def fuse(
    embedding: FaceEmbedding,
    template_ids: Array | Sequence[Any],
    method: Fusion = "inverse_variance",
) -> FaceEmbedding:
    """One template per distinct id, in the sorted order of the ids (that of np.unique).

    inverse_variance  f = sum_n f_n / v_n / sum_n 1 / v_n, 1 / v = sum_n 1 / v_n, s = sum_n s_n (eq. PA)
    mean              f = mean_n f_n, v = sum_n v_n / n^2 (the variance of a mean), s likewise with 1 / s

    Sub-embeddings are brought back to unit length, where the tensors are. Raises UserError where the ids
    are not one per face, of several types, missing (None, NaN), or where the faces of a template cancel
    out so that it has no direction.
    """
    if method not in ("inverse_variance", "mean"):
        raise UserError(f"method must be inverse_variance or mean, got {method!r}")
    ids = _checked_ids(template_ids, len(embedding))
    names: Any
    if isinstance(ids, torch.Tensor):
        names, inverse = ids.unique(return_inverse=True)
    else:
        names, inverse = np.unique(ids, return_inverse=True)
    back = not is_torch(embedding.mean)
    faces = embedding.torch() if back else embedding
    mean, confidence, variance = (
        torch.as_tensor(a) for a in (faces.mean, faces.confidence, faces.variance)
    )
    # Sums in float64: a template of thousands of frames must not depend on their order.
    mean, confidence, variance = mean.double(), confidence.double(), variance.double()
    place = torch.as_tensor(inverse, device=mean.device)
    count = torch.bincount(place, minlength=len(names)).double()[:, None]
    shared = variance.ndim == 2  # one variance for all dimensions of a sub-embedding
    per_value = variance[:, :, None] if shared else variance

    def total(values: torch.Tensor) -> torch.Tensor:
        out = values.new_zeros(len(names), *values.shape[1:])
        return out.index_add_(0, place, values)

    if method == "inverse_variance":
        fused = total(mean / per_value)
        fused_variance = 1.0 / total(1.0 / variance)
        fused_confidence = total(confidence)
        fused = fused * (fused_variance[:, :, None] if shared else fused_variance)
    else:
        fused = total(mean) / count[:, :, None]
        fused_variance = total(variance) / (count if shared else count[:, :, None]).square()
        fused_confidence = count.square() / total(1.0 / confidence)
    length = fused.norm(dim=2, keepdim=True)
    lost = torch.nonzero(length[:, :, 0] < 1e-6)
    if len(lost):
        template, sub = lost[0].tolist()
        raise UserError(
            f"the faces of template {names[template].item()!s} cancel out in sub-embedding {sub}: it has no "
            "direction; leave the template out"
        )
    dtype = torch.as_tensor(faces.mean).dtype
    dtype = dtype if dtype == torch.float64 else torch.float32
    result = FaceEmbedding(
        mean=(fused / length).to(dtype),
        confidence=fused_confidence.to(dtype),
        variance=fused_variance.to(dtype),
    )
    return result.numpy() if back else result


def _checked_ids(template_ids: Array | Sequence[Any], count: int) -> np.ndarray | torch.Tensor:
    """Ids [B] of one type that has an order; a tensor stays one, on its device."""
    ids: np.ndarray | torch.Tensor
    if isinstance(template_ids, torch.Tensor):
        ids = template_ids.detach()
    else:
        if not isinstance(template_ids, np.ndarray):
            _refuse_mixed(template_ids)
        try:
            ids = np.asarray(template_ids)
        except ValueError:  # lists of several lengths
            ids = np.empty(0)
        if ids.dtype == object:
            _refuse_mixed(ids)
            ids = np.asarray(ids.tolist())
    if tuple(ids.shape) != (count,):
        raise UserError(f"template_ids must be one per face, [{count}], got {list(ids.shape)}")
    differs: Any = ids != ids
    if bool(differs.any()):
        raise UserError("template_ids has NaN: every face needs a template")
    return ids


def _refuse_mixed(ids: Any) -> None:
    """NumPy would turn [1, "1"] into two equal texts, and None into one."""
    types = set(map(type, ids)) if hasattr(ids, "__iter__") else set()
    if type(None) in types:
        face = next(place for place, name in enumerate(ids) if name is None)
        raise UserError(f"template_ids: that of face {face} is None: every face needs a template")
    kinds = {next((kind for kind in KINDS if issubclass(t, kind)), t).__name__ for t in types}
    if len(kinds) > 1:
        raise UserError(f"template_ids mixes {' and '.join(sorted(kinds))}: give all of one type")


# Of a type that is several of them (bool is an Integral, an Integral is a Real) the first counts.
KINDS = (bool, np.bool_, str, bytes, numbers.Integral, numbers.Real)
