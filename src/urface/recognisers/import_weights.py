"""Weights of another code base become a model file of ours, by the same door that evaluation uses."""

from __future__ import annotations

from pathlib import Path

from urface.config import ObjectiveSettings
from urface.models.files import save_model
from urface.recognisers.network import foreign_network, imported
from urface.recognisers.recogniser import Preprocessing
from urface.recognisers.weights import read_weights
from urface.types import UserError


def import_weights(
    path: str | Path,
    out: str | Path,
    *,
    architecture: str = "",
    preprocessing: Preprocessing | None = None,
    size: int = 0,
    sha256: str = "",
    cache: str | Path | None = None,
) -> Path:
    """Make <out>/model.safetensors of the weights in ``path``; its path.

    architecture   what they are expected to be of; empty takes what they are
    preprocessing  what the network's input was; None: its family's convention
    size           in place of the convention's, 112
    sha256, cache  as in read_weights

    The model has one embedding and a constant confidence and takes RGB, whatever the weights took, so
    `urface.load(...).embed` gives the network's own embedding at unit length. Its facts name the source,
    its SHA-256 and the preprocessing. Raises UserError where the weights are damaged or do not fit.
    """
    path = Path(path)
    state, digest = read_weights(path, sha256=sha256, cache=cache)
    try:
        model, settings, found, declared = foreign_network(
            state, architecture, preprocessing, size=size
        )
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    facts = imported(path.name, digest, found, declared)
    target = Path(out) / "model.safetensors"
    save_model(target, model, settings, ObjectiveSettings("cosface", 0.0), facts)
    return target
