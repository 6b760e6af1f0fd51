"""What travels between the parts of urface, the shape legend and the sign conventions.

Shape suffixes, used in names throughout:

    B images     K sub-embeddings (16)     D dimensions of one sub-embedding (32)
    C classes    S this rank's classes     V variations     N x M a score matrix

One meaning per word: a *confidence* s > 0 is larger when the network is surer, a *variance* sigma^2 is
larger when it is less sure, a *score* is larger when two faces are more alike. Poses are in degrees:
yaw > 0 looks to the viewer's right, pitch > 0 looks up, roll > 0 turns clockwise in the image.
Images outside the model are RGB uint8, [B, H, W, 3].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from urface.atomic import atomic_path, tensor_errors

if TYPE_CHECKING:
    import torch

    Array = np.ndarray | torch.Tensor
else:
    Array = Any

UNIT_TOLERANCE = 1e-2  # bfloat16 keeps three digits; anything further off was never normalised


class UserError(ValueError):
    """Something the user can put right; the command line prints it as one line and exits with 2."""


def is_torch(array: object) -> bool:
    """Whether ``array`` is a torch tensor, told without importing torch."""
    return type(array).__module__.split(".")[0] == "torch"


def to_numpy(array: Array) -> np.ndarray:
    """``array`` as NumPy on the CPU; bfloat16, which NumPy lacks, becomes float32."""
    if not is_torch(array):
        return np.asarray(array)
    tensor: Any = array
    tensor = tensor.detach().cpu()
    if str(tensor.dtype) in ("torch.bfloat16", "torch.float16"):
        tensor = tensor.float()
    return tensor.numpy()


@dataclass(frozen=True, eq=False)
class FaceEmbedding:
    """B faces, each as K sub-embeddings with a confidence and a variance.

    mean        [B, K, D]  unit length per sub-embedding
    confidence  [B, K]     s > 0, from the identification loss; larger is surer
    variance    [B, K]     sigma^2 > 0 of each dimension of a sub-embedding; larger is less sure. Or
                [B, K, D], where every dimension has its own (PFE)

    All three NumPy arrays or all three torch tensors. Raises UserError where a shape does not fit, a
    value is not finite, a sub-embedding is not of unit length, or a confidence or variance is not
    positive: such a face has no score (reliability goal G53).
    """

    mean: Array
    confidence: Array
    variance: Array

    def __post_init__(self) -> None:
        parts = (self.mean, self.confidence, self.variance)
        if len({is_torch(part) for part in parts}) > 1:
            raise UserError("mean, confidence and variance must all be NumPy or all be torch")
        if not is_torch(self.mean):
            for name in ("mean", "confidence", "variance"):
                object.__setattr__(self, name, _numbers(name, getattr(self, name)))
        elif not all(part.is_floating_point() for part in _tensors(parts)):
            kinds = sorted({str(part.dtype) for part in parts})
            raise UserError(f"mean, confidence and variance must be of floats, got {kinds}")
        shape = tuple(self.mean.shape)
        if len(shape) != 3:
            raise UserError(f"mean must be [B, K, D], got the shape {list(shape)}")
        for name in ("confidence", "variance"):
            got = tuple(getattr(self, name).shape)
            if got != shape[:2] and (name, got) != ("variance", shape):
                raise UserError(
                    f"{name} must be [B, K] = {list(shape[:2])} to go with mean, got {list(got)}"
                )
        self._check_values()

    def _check_values(self) -> None:
        """Where the arrays are: a tensor on a GPU is judged there, only a verdict travels."""
        if is_torch(self.mean):
            import torch

            (mean,) = _tensors((self.mean,))
            norms = torch.linalg.vector_norm(mean, dim=2, dtype=_norm_type(mean))
        else:
            norms = np.sqrt(np.einsum("bkd,bkd->bk", self.mean, self.mean, dtype=np.float64))
        # Written so that NaN counts as bad.
        self._refuse(
            ~(abs(norms - 1.0) <= UNIT_TOLERANCE),
            norms,
            "sub-embedding {sub} of face {face} has length {value:.4g}, not 1: divide each "
            "sub-embedding by its length, and leave out faces that gave none",
        )
        for name in ("confidence", "variance"):
            values = getattr(self, name)
            if is_torch(values):
                (values,) = _tensors((values,))
            self._refuse(
                ~((values > 0) & (values < float("inf"))),
                values,
                f"{name} {{sub}} of face {{face}} is {{value:.4g}}: it must be finite and above 0",
            )

    def _refuse(self, bad: Any, values: Any, message: str) -> None:
        """Raise UserError with ``message`` about the first place where ``bad`` [B, ...] holds, if any."""
        if not bool(bad.any()):
            return
        flat = int((bad.reshape(-1) != 0).nonzero()[0][0])
        face, *sub = (int(place) for place in np.unravel_index(flat, tuple(bad.shape)))
        where = ", ".join(map(str, sub))
        raise UserError(message.format(face=face, sub=where, value=float(values[(face, *sub)])))

    def __len__(self) -> int:
        return int(self.mean.shape[0])

    @property
    def num_sub_embeddings(self) -> int:
        """K."""
        return int(self.mean.shape[1])

    @property
    def uncertainty(self) -> Array:
        """[B], one number per face: the mean over K of log variance; larger is less sure."""
        if is_torch(self.variance):
            logarithm: Array = self.variance.log().flatten(1).mean(1)  # type: ignore[union-attr]
            return logarithm
        return np.log(self.variance).reshape(len(self), -1).mean(1)

    @property
    def sub_variance(self) -> Array:
        """[B, K], the variance of each sub-embedding: the geometric mean where it has one a dimension."""
        if len(self.variance.shape) == 2:
            return self.variance
        if is_torch(self.variance):
            middle: Array = self.variance.log().mean(2).exp()  # type: ignore[union-attr]
            return middle
        return np.exp(np.log(self.variance).mean(2))

    def __getitem__(self, index: Any) -> FaceEmbedding:
        """Faces by slice, index array, mask or a single number (which keeps B = 1)."""
        if getattr(index, "shape", None) == () and "bool" not in str(index.dtype):
            index = int(index)  # what torch's argmax gives
        if isinstance(index, (int, np.integer)):
            if not -len(self) <= index < len(self):
                raise IndexError(f"face {index} of {len(self)}")
            index = slice(index, index + 1 if index != -1 else None)
        faces = _unchecked(self.mean[index], self.confidence[index], self.variance[index])
        if len(faces.mean.shape) != 3:
            raise IndexError("faces are chosen by one number, slice, index array or mask")
        return faces

    @staticmethod
    def concatenate(parts: Sequence[FaceEmbedding]) -> FaceEmbedding:
        """The faces of all ``parts`` in order; they must agree in K, D and in NumPy or torch."""
        if not parts:
            raise UserError("nothing to concatenate")
        shapes = {tuple(part.mean.shape[1:]) for part in parts}
        if len(shapes) > 1:
            raise UserError(f"cannot join embeddings of different [K, D]: {sorted(shapes)}")
        if len({is_torch(part.mean) for part in parts}) > 1:
            raise UserError("cannot join NumPy and torch embeddings: convert with .numpy() first")
        columns = [[getattr(p, n) for p in parts] for n in ("mean", "confidence", "variance")]
        if is_torch(parts[0].mean):
            import torch

            return _unchecked(*(torch.cat(column) for column in columns))
        return _unchecked(*(np.concatenate(column) for column in columns))

    def numpy(self) -> FaceEmbedding:
        """The same faces as float NumPy arrays on the CPU."""
        return _unchecked(*(to_numpy(a) for a in (self.mean, self.confidence, self.variance)))

    def torch(self, device: str = "cpu") -> FaceEmbedding:
        """The same faces as torch tensors on ``device``."""
        import torch

        arrays: list[Any] = [self.mean, self.confidence, self.variance]
        if not is_torch(self.mean):
            # torch takes no reversed, read-only or byte-swapped array; such a one is copied.
            arrays = [np.require(a, a.dtype.newbyteorder("="), ["C", "W"]) for a in arrays]
        return _unchecked(*(torch.as_tensor(array, device=device) for array in arrays))

    def save(self, path: str | Path, keys: Sequence[str] | None = None) -> None:
        """Write a safetensors file, whole or not at all; ``keys`` names the faces, one each.

        Raises UserError where there are not as many keys as faces or ``path`` is a folder, and OSError
        where it cannot be written.
        """
        import json

        from safetensors.numpy import save_file

        if keys is not None and len(keys) != len(self):
            raise UserError(f"{len(keys)} keys for {len(self)} faces")
        arrays = self.numpy()
        tensors = {
            "mean": np.ascontiguousarray(arrays.mean),
            "confidence": np.ascontiguousarray(arrays.confidence),
            "variance": np.ascontiguousarray(arrays.variance),
        }
        metadata = {"format": "urface-embedding-1"}
        if keys is not None:
            metadata["keys"] = json.dumps(list(keys))
        if Path(path).is_dir():
            raise UserError(f"{path}: a folder; name a file in it")
        with atomic_path(path) as temporary, tensor_errors(temporary):
            save_file(tensors, temporary, metadata=metadata)

    @staticmethod
    def load(path: str | Path) -> FaceEmbedding:
        """Read what ``save`` wrote, as NumPy arrays. Raises UserError on any other file."""
        return _read_embedding(path)[0]


def load_keys(path: str | Path) -> list[str] | None:
    """The names of the faces in an embedding file, or None where none were saved."""
    return _read_embedding(path)[1]


def _read_embedding(path: str | Path) -> tuple[FaceEmbedding, list[str] | None]:
    import json

    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise UserError(f"{path}: no such file")
    try:
        with safe_open(str(path), framework="numpy") as file:
            missing = {"mean", "confidence", "variance"} - set(file.keys())
            if missing:
                raise UserError(f"{path}: not a file of embeddings, it lacks {sorted(missing)}")
            embedding = FaceEmbedding(
                mean=file.get_tensor("mean"),
                confidence=file.get_tensor("confidence"),
                variance=file.get_tensor("variance"),
            )
            metadata = file.metadata() or {}
    except (SafetensorError, TypeError) as error:  # TypeError: a type of number NumPy lacks
        raise UserError(f"{path}: not a readable safetensors file ({error})") from None
    if "keys" not in metadata:
        return embedding, None
    try:
        keys = json.loads(metadata["keys"])
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: the names of its faces are not JSON ({error})") from None
    if not isinstance(keys, list) or len(keys) != len(embedding):
        raise UserError(f"{path}: its list of names does not fit its {len(embedding)} faces")
    return embedding, [str(key) for key in keys]


def _numbers(name: str, values: Any) -> np.ndarray:
    """``values`` as an array of real numbers. Raises UserError for text, objects and ragged lists."""
    try:
        array = np.asarray(values)
    except (ValueError, TypeError) as error:
        raise UserError(f"{name} is no array of numbers ({error})") from None
    if array.dtype.kind not in "fiu":
        raise UserError(f"{name} must hold real numbers, got an array of {array.dtype}")
    return array


def _tensors(parts: Sequence[Array]) -> list[Any]:
    """``parts``, known to be torch tensors, without their gradients."""
    tensors: Sequence[Any] = parts
    return [tensor.detach() for tensor in tensors]


def _norm_type(tensor: Any) -> Any:
    """The type that lengths are summed in: float64, which MPS lacks."""
    import torch

    return torch.float32 if tensor.device.type == "mps" else torch.float64


def _unchecked(mean: Array, confidence: Array, variance: Array) -> FaceEmbedding:
    """Rearranged parts of embeddings that were checked when they were built."""
    embedding = object.__new__(FaceEmbedding)
    for name, value in (("mean", mean), ("confidence", confidence), ("variance", variance)):
        object.__setattr__(embedding, name, value)
    return embedding


@dataclass(frozen=True)
class FaceBatch:
    """One batch for training, in NumPy: what the loader hands to the loop.

    images      [B, H, W, 3]  RGB uint8, cropped and augmented
    labels      [B]           int64 class of each image
    variations  [B, V]        float32 in 0..1, what is varied in each image; NaN where not known
    index       [B]           int64 place of each image in the data set (names a culprit)
    """

    images: np.ndarray
    labels: np.ndarray
    variations: np.ndarray
    index: np.ndarray
