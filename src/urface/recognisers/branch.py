"""A recogniser of which only the output is known, with a branch that gives its variances."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from urface.atomic import atomic_path, tensor_errors
from urface.models.output_branch import OutputBranch
from urface.recognisers.features_file import FeaturesFile
from urface.recognisers.features_folder import open_features
from urface.recognisers.onnx_model import OnnxModel
from urface.recognisers.preprocessing import checked
from urface.recognisers.recogniser import Features, Preprocessing, Recogniser
from urface.recognisers.weights import json_header
from urface.types import UserError

FORMAT, HEADER = "urface-branch-1", "urface-branch"
WEIGHTS, NETWORK = "branch.", "onnx"


class WithBranch:
    """``base`` with the variances that ``branch`` reads from its output; the vectors are those of base."""

    def __init__(self, base: Recogniser, branch: OutputBranch, name: str, digest: str) -> None:
        self.base = base
        self.branch = branch.eval()
        self.name = name
        self.digest = digest
        self.preprocessing = base.preprocessing
        self.parts = branch.parts
        self.has_variance = True
        self.architecture = f"{getattr(base, 'architecture', 'model')} with a branch on its output"

    @property
    def needs_images(self) -> bool:
        return self.base.needs_images

    @property
    def example_key(self) -> str:
        """A key of the features that the branch is applied to, "" where it is applied to a network."""
        return str(getattr(self.base, "example_key", ""))

    def features(self, images: Sequence[np.ndarray], keys: Sequence[str]) -> Features:
        """See Recogniser."""
        return self._with_variance(self.base.features(images, keys))

    def features_under(
        self, preprocessing: Preprocessing, images: Sequence[np.ndarray], keys: Sequence[str]
    ) -> Features:
        """The features under another preprocessing than the declared one, to try it out (sanity.py)."""
        base: Any = self.base
        return self._with_variance(base.features_under(preprocessing, images, keys))

    @torch.inference_mode()
    def _with_variance(self, given: Features) -> Features:
        log_confidence = self.branch(torch.from_numpy(given.vectors))
        variance = (-log_confidence).exp()
        if variance.shape[1] != self.parts:
            variance = variance.unflatten(1, (self.parts, -1))
        same = given.confidence if given.parts == self.parts else None
        return replace(given, parts=self.parts, confidence=same, variance=variance.numpy())


def save_branch(
    path: Path, base: OnnxModel | FeaturesFile, branch: OutputBranch, facts: dict[str, Any]
) -> None:
    """Write the branch, whole or not at all: with the network in it where ``base`` is an ONNX model.

    Of a features file only its SHA-256 is kept: the branch works on any features of the same network.
    """
    header = {
        "format": FORMAT,
        "kind": base.architecture,
        "parts": branch.parts,
        "dim": branch.hidden.in_features - branch.parts,
        "hidden": branch.hidden.out_features,
        "per_dimension": branch.fc.out_features != branch.parts,
        "preprocessing": base.preprocessing.to_dict() if base.preprocessing else None,
        "base": {"sha256": base.digest, "name": base.name},
        "facts": facts,
    }
    tensors = {WEIGHTS + n: v.detach().contiguous() for n, v in branch.state_dict().items()}
    if isinstance(base, OnnxModel):
        tensors[NETWORK] = torch.frombuffer(bytearray(base.data), dtype=torch.uint8)
    with atomic_path(path) as temporary, tensor_errors(temporary):
        save_file(tensors, temporary, metadata={HEADER: json.dumps(header)})


def open_branch(
    path: Path, name: str, features: str | Path | None = None, digest: str = ""
) -> WithBranch:
    """What ``save_branch`` wrote; ``features`` is the features file that a branch on one is applied to.

    Raises UserError where the file is damaged, or a features file is wanted and not given or does not fit.
    """
    header = json_header(path, HEADER)
    if header.get("format") != FORMAT:
        raise UserError(f"{path}: format {header.get('format')!r}, this urface reads {FORMAT}")
    try:
        with safe_open(str(path), framework="pt") as file:
            names = list(file.keys())
            state = {
                n.removeprefix(WEIGHTS): file.get_tensor(n) for n in names if n.startswith(WEIGHTS)
            }
            network = file.get_tensor(NETWORK).numpy().tobytes() if NETWORK in names else None
        sizes = {n: int(header[n]) for n in ("dim", "parts", "hidden")}  # type: ignore[call-overload]
        # Held against the weights first: a header alone must not make us take memory.
        seen = (sizes["hidden"], sizes["dim"] + sizes["parts"])
        if min(sizes.values()) < 1 or tuple(state["hidden.weight"].shape) != seen:
            raise ValueError(f"{list(state['hidden.weight'].shape)} for {sizes}")
        branch = OutputBranch(**sizes, per_dimension=bool(header["per_dimension"]))
        branch.load_state_dict(state)
        kept = header["preprocessing"]
        declared = None if kept is None else checked(Preprocessing(**kept))  # type: ignore[arg-type]
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError, MemoryError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path}: its header does not fit its weights ({reason})") from None
    base: Recogniser
    if network is not None:
        sha256 = hashlib.sha256(network).hexdigest()
        base = OnnxModel(network, name, sha256, declared, branch.parts)
    else:
        if features is None:
            raise UserError(
                f"{path}: a branch on a features file; name the features to apply it to with --features"
            )
        base = open_features(Path(features), name, branch.parts)
        if base.dim != sizes["dim"]:
            raise UserError(
                f"{features}: has {base.dim} dimensions, the branch in {path} is for {sizes['dim']}"
            )
    both = hashlib.sha256(f"{digest} {base.digest}".encode()).hexdigest()
    return WithBranch(base, branch, name, both)
