"""The field's verification sets ``lfw.bin``, ``cfp_fp.bin``...: the one file of urface that touches pickle.

A ``.bin`` is a pickle of ``(bins, issame_list)``, and unpickling runs what a pickle says. Three walls: the
instructions are scanned before (``pickle_scan``); a global that is named yields no function of Python or
NumPy but an inert record of its arguments; and what comes out is taken apart type by type.
"""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from urface.atomic import write_atomic
from urface.data.decode import DEFAULT_LIMITS
from urface.data.pickle_scan import scan_pickle
from urface.types import UserError

MAX_FILE_BYTES = 1 << 30  # the largest of the field have 110 MB
PROTOCOL = 4
# An image of several pairs may stand in a file once and be named by each of them, within reason.
MOST_TIMES, ALWAYS_BYTES = 16, 1 << 26


class VerificationSet(NamedTuple):
    """P pairs: ``images`` [2 P] encoded images, pair k being 2k and 2k + 1; ``same`` [P] bool."""

    images: list[bytes]
    same: np.ndarray


def read_verification_bin(path: str | Path) -> VerificationSet:
    """The pairs of a ``.bin`` as Python 2 or 3 wrote it, with images as bytes or NumPy uint8 arrays.

    No code of the file is run. Raises UserError, naming the file, for anything else than such pairs: a
    global, a type or an instruction that they do not need, lengths that do not fit, and limits passed:
    images that together have over MOST_TIMES the bytes of the file, and over ALWAYS_BYTES, among them.
    The images are not decoded here.
    """
    file = Path(path)
    try:
        with open(file, "rb") as source:
            size = os.fstat(source.fileno()).st_size  # read() allocates what it is asked for
            data = source.read(min(size, MAX_FILE_BYTES + 1))
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror})") from None
    if len(data) > MAX_FILE_BYTES:
        raise UserError(f"{file}: over {MAX_FILE_BYTES:,} bytes: not a set of pairs")
    scan_pickle(data, str(file), ALLOWED)
    try:
        loaded = _Inert(data).load()
    except UserError as error:
        raise UserError(f"{file}: {error}") from None
    except Exception as error:
        # An unpickler trips over a malformed stack in a dozen ways, all of which mean the same.
        raise UserError(f"{file}: not a readable pickle ({type(error).__name__})") from None
    return _checked(loaded, str(file), max(ALWAYS_BYTES, MOST_TIMES * len(data)))


def write_verification_bin(
    path: str | Path, images: Sequence[bytes], same: Sequence[bool] | np.ndarray
) -> None:
    """Write pairs as InsightFace's loader reads them: bytes and bools, whole or not at all."""
    flags = [bool(value) for value in same]
    if len(images) != 2 * len(flags) or not flags:
        raise UserError(f"{path}: {len(images)} images for {len(flags)} pairs")
    loaded = ([bytes(image) for image in images], flags)
    write_atomic(path, pickle.dumps(loaded, protocol=PROTOCOL))


class _Built:
    """What a call of ``kind`` was given, and the state set on it; nothing was called."""

    __slots__ = ("args", "kind", "state")

    def __init__(self, kind: str, args: tuple[object, ...]) -> None:
        self.kind, self.args, self.state = kind, args, None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Name:
    """A global that is passed as an argument only."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class _Maker(_Name):
    """A global whose call is noted down."""

    __slots__ = ()

    def __call__(self, *args: object) -> _Built:
        return _Built(self.name, args)


_ARRAY, _DTYPE = _Name("ndarray"), _Maker("dtype")
_CORES = ("numpy.core", "numpy._core")
_ENCODE = ("_codecs", "encode")
_GLOBALS = {
    ("numpy", "ndarray"): _ARRAY,
    ("numpy", "dtype"): _DTYPE,
    **{(f"{core}.multiarray", "_reconstruct"): _Maker("array") for core in _CORES},
    **{(f"{core}.multiarray", "scalar"): _Maker("scalar") for core in _CORES},
    **{(f"{core}.numeric", "_frombuffer"): _Maker("buffer") for core in _CORES},
}
ALLOWED = frozenset({*_GLOBALS, _ENCODE})


class _Inert(pickle.Unpickler):
    """Finds stand-ins alone; the base class's own search is never reached."""

    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data), encoding="bytes")
        self.left = len(data)  # bytes that texts may still spell

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        if (module_name, global_name) == _ENCODE:
            return self.encoded
        if (module_name, global_name) not in _GLOBALS:
            raise UserError(f"it names {module_name[:64]}.{global_name[:64]}: refused")
        return _GLOBALS[module_name, global_name]

    def persistent_load(self, pid: Any, /) -> Any:
        raise UserError("a persistent id: refused")

    def encoded(self, *args: object) -> bytes:
        """Bytes as Python 3 spells them for protocol 2: a text and the codec ``latin1``.

        Their sum is limited, for a small file can ask for the same long text again and again.
        """
        match args:
            case (str() as text, "latin1" | "latin-1") if len(text) <= self.left:
                self.left -= len(text)
                return text.encode("latin-1")
        raise UserError("a text that does not spell bytes")


def _checked(loaded: object, name: str, most: int) -> VerificationSet:
    """The pairs in ``loaded``, whose images may have ``most`` bytes together."""
    if type(loaded) is not tuple or len(loaded) != 2 or type(loaded[0]) is not list:
        raise UserError(f"{name}: expected a pair (list of images, list of same or not)")
    bins, flags = loaded
    try:
        same = _flags(flags)
    except UserError as error:
        raise UserError(f"{name}: {error}") from None
    if len(bins) != 2 * len(same):
        raise UserError(
            f"{name}: {len(bins):,} images for {len(same):,} pairs: expected two a pair"
        )
    if not bins:
        raise UserError(f"{name}: no pair in it")
    images = []
    arrays: dict[int, bytes] = {}  # one that is named again is not copied again
    for number, item in enumerate(bins):
        try:
            if type(item) is bytes:
                image = item
            else:
                image = arrays.setdefault(
                    id(item), arrays.get(id(item)) or _array_bytes(item, "u1")
                )
        except UserError as error:
            raise UserError(f"{name}: image {number}: {error}") from None
        if not 0 < len(image) <= DEFAULT_LIMITS.max_bytes:
            raise UserError(f"{name}: image {number} has {len(image):,} bytes")
        most -= len(image)
        if most < 0:
            raise UserError(
                f"{name}: it names the same images again and again: they would unpack to over "
                f"{MOST_TIMES} times the file"
            )
        images.append(image)
    return VerificationSet(images, same)


def _flags(flags: object) -> np.ndarray:
    """[P] bool from a list of bools, Python's or NumPy's, or from one NumPy array of them."""
    if isinstance(flags, _Built):
        values = np.frombuffer(_array_bytes(flags, "b1"), np.uint8)
        if (values > 1).any():
            raise UserError("the array of same or not holds other bytes than 0 and 1")
        return values.astype(bool)
    if type(flags) is not list:
        raise UserError(f"same or not is a {type(flags).__name__}, expected a list")
    same = np.empty(len(flags), bool)
    for number, flag in enumerate(flags):
        if isinstance(flag, _Built) and flag.kind == "scalar" and len(flag.args) == 2:
            dtype, value = flag.args
            if _is_dtype(dtype, "b1") and value in (b"\0", b"\1"):
                flag = value == b"\1"
        if type(flag) is not bool:
            raise UserError(f"pair {number}: same or not is a {type(flag).__name__}, not a bool")
        same[number] = flag
    return same


def _array_bytes(item: object, code: str) -> bytes:
    """The bytes of a one-dimensional NumPy array of the type ``code``, from what its pickle says."""
    data: object = None
    match item:
        case _Built(kind="array", args=(name, _, _), state=(1, (int(count),), dtype, order, data)):
            # Whether it counts as Fortran's order matters not in one dimension.
            if name is not _ARRAY or type(order) not in (bool, int):
                data = None
        case _Built(kind="buffer", args=(data, dtype, (int(count),), "C" | b"C"), state=None):
            pass
        case _:
            raise UserError(f"a {_type(item)}, expected bytes or a one-dimensional array")
    if type(data) not in (bytes, bytearray) or not _is_dtype(dtype, code):
        raise UserError(f"an array that is not of {code} in plain bytes")
    assert isinstance(data, bytes | bytearray)
    if count != len(data):
        raise UserError(f"an array of {count:,} elements with {len(data):,} bytes")
    return bytes(data)


def _type(item: object) -> str:
    return f"NumPy {item.kind}" if isinstance(item, _Built) else type(item).__name__


def _is_dtype(item: object, code: str) -> bool:
    """Whether ``item`` is the pickled dtype ``code``: plain, without fields or metadata."""
    match item:
        case _Built(kind="dtype", args=(str() | bytes() as told, _, _), state=state):
            plain = told if isinstance(told, str) else told.decode("latin-1")
            if plain != code:
                return False
            return state is None or (
                type(state) is tuple
                and len(state) == 8
                and state[1] in ("|", b"|")
                and state[2:] == (None, None, None, -1, -1, 0)
            )
    return False
