"""Any model, told by what its file is."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Literal

from urface.data.opencv_mat import holds_features
from urface.models.box import is_demonstration, model_path
from urface.recognisers.branch import HEADER, open_branch
from urface.recognisers.convert_weights import digest_of
from urface.recognisers.features_folder import open_features
from urface.recognisers.features_parts import holds_parts
from urface.recognisers.network import open_ours, open_state_dict
from urface.recognisers.onnx_model import open_onnx
from urface.recognisers.recogniser import Preprocessing, Recogniser
from urface.recognisers.weights import header_of, is_safetensors
from urface.types import UserError

MODEL = "model.safetensors"
Kind = Literal["ours", "branch", "features", "weights", "onnx"]


def open_recogniser(
    path: str | Path,
    *,
    architecture: str = "",
    preprocessing: Preprocessing | None = None,
    parts: int = 1,
    features: str | Path | None = None,
    sha256: str = "",
    cache: str | Path | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    precision: Literal["auto", "bf16", "fp32"] = "fp32",
) -> Recogniser:
    """The model in ``path``, whoever made it, ready to embed aligned faces.

    path           the folder of a run, a model.safetensors of ours or the word demonstration; weights of an
                   iresnet, an IR network or MagFace in .safetensors, .pth or .ckpt; an .onnx; a file of
                   features, or a folder of OpenCV matrices or of the parts that urface embed writes
    architecture   what the weights are of (models/architectures.py); empty: told by their names
    preprocessing  what the network wants; None: its family's convention. Ours hold their own
    parts          K that the embedding is read as, where the file does not say
    features       the features file that a branch on such a file is applied to
    sha256         what the file's SHA-256 must be, or empty
    cache          folder for weights converted from .pth; None: the user's cache
    device, precision  of networks that run in torch; bf16 is faster where there are instructions for it, and
                   rounds cosines to two digits: numbers that are reported want fp32

    Raises UserError, with what is wrong in one line, for anything else. No file can run code.
    """
    path = model_path(path) if is_demonstration(path) else Path(path)
    if path.is_dir() and not holds_parts(path):
        path = path if holds_features(path) and not (path / MODEL).is_file() else path / MODEL
    if not path.exists():
        raise UserError(f"{path}: no such file; give a model, the folder of a run or features")
    if not path.is_file() and not path.is_dir():
        raise UserError(f"{path}: no file that a model could be read from")
    if parts < 1:
        raise UserError(f"parts must be at least 1, got {parts}")
    kind, name = kind_of(path), name_of(path)
    given = {
        "architecture": bool(architecture) and kind != "weights",
        "preprocessing": preprocessing is not None and kind not in ("weights", "onnx"),
        "parts": parts != 1 and kind in ("ours", "branch"),
        "features": features is not None and kind != "branch",
    }
    for option, out_of_place in given.items():
        if out_of_place:
            raise UserError(f"{path}: {WHAT[kind]}, for which --{option} cannot be given")
    if kind == "weights":
        return open_state_dict(
            path, name, architecture, preprocessing, parts, sha256, cache, device, precision
        )
    if kind == "onnx":
        model = open_onnx(path, preprocessing, parts, sha256)
        model.name = name
        return model
    if kind == "features":
        return open_features(path, name, parts, sha256)
    digest = digest_of(path, sha256)
    if kind == "branch":
        return open_branch(path, name, features, digest)
    return open_ours(path, name, device, precision)


WHAT = {
    "ours": "a model of urface, which says all that itself",
    "branch": "a model with an uncertainty branch, which says all that itself",
    "features": "features on disk",
    "weights": "weights of a network",
    "onnx": "an ONNX model",
}


def kind_of(path: Path) -> Kind:
    """What a file is, told by its first bytes and its header, whatever its name; a folder holds features."""
    if path.is_dir():
        return "features"
    with open(path, "rb") as file:
        head = file.read(8)
    if not head:
        raise UserError(f"{path}: is empty")
    if head[:4] == b"PAR1":
        return "features"
    if head[:4] == b"PK\x03\x04" and _is_npz(path):
        return "features"
    if is_safetensors(path):
        metadata, names = header_of(path)
        if "urface" in metadata:
            return "ours"
        if HEADER in metadata:
            return "branch"
        if "features" in names or {"mean", "confidence", "variance"} <= set(names):
            return "features"
        return "weights"
    # A protobuf has no mark of its own: field 1, the version, is what writers put first.
    if path.suffix == ".onnx" or (head[0] == 0x08 and path.suffix not in (".pth", ".ckpt", ".pt")):
        return "onnx"
    if path.suffix == ".npy":
        raise UserError(f"{path}: an array without keys; save features and keys as .npz")
    return "weights"


def name_of(path: Path) -> str:
    """What to call a model in tables: its file's name, or its folder's where all files are called alike."""
    if path.is_dir():
        return path.resolve().name
    generic = path.stem in ("model", "backbone", "weights", "checkpoint")
    return path.resolve().parent.name if generic and path.resolve().parent.name else path.stem


def _is_npz(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError):
        return path.suffix == ".npz"
    return bool(names) and all(name.endswith(".npy") for name in names)
