"""Pickles that run code, for the claim that none of it runs where we read them (G24, G26)."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterator

# (module, name, whether one text argument makes it do harm): what published attacks call.
CALLS = [
    ("os", "system"),
    ("posix", "system"),
    ("os", "popen"),
    ("subprocess", "getoutput"),
    ("subprocess", "check_output"),
    ("builtins", "eval"),
    ("builtins", "exec"),
    ("__builtin__", "eval"),
    ("builtins", "__import__"),
    ("builtins", "open"),
    ("builtins", "getattr"),
    ("importlib", "import_module"),
    ("runpy", "run_path"),
    ("pickle", "loads"),
    ("numpy", "load"),
    ("numpy.testing._private.utils", "runstring"),
    ("torch.serialization", "load"),
    ("copyreg", "_reconstructor"),
    ("functools", "partial"),
    ("operator", "attrgetter"),
]


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def short(value: str) -> bytes:
    data = value.encode()
    return b"\x8c" + bytes([len(data)]) + data


def call_bodies(module: str, name: str, argument: str) -> dict[str, bytes]:
    """The value ``module.name(argument)`` by every instruction that can call something."""
    named = f"c{module}\n{name}\n".encode()
    stacked = short(module) + short(name) + b"\x93"
    arg = text(argument)
    return {
        "global": named + arg + b"\x85R",
        "stack-global": stacked + arg + b"\x85R",
        "inst": b"(" + arg + f"i{module}\n{name}\n".encode(),
        "obj": b"(" + named + arg + b"o",
        "newobj": named + arg + b"\x85\x81",
        "newobj-ex": named + arg + b"\x85}\x92",
        "memo": named + b"q\x00" + b"0h\x00" + arg + b"\x85R",
        "build": stacked + arg + b"\x85R}" + text("x") + arg + b"sb",
    }


def pair_of(value: bytes, where: str) -> bytes:
    """A set of one pair whose image, label or list is ``value``."""
    image = b"C\x05image"
    images = {"image": b"](" + value + image + b"e", "bins": value}.get(
        where, b"](" + image + image + b"e"
    )
    flags = {"label": b"](" + value + b"e", "labels": value}.get(where, b"](\x88e")
    if where == "array":
        shape = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R("
        images = b"](" + shape + b"K\x01" + value + b"\x89C\x05imagetb" + image + b"e"
    return b"\x80\x04" + images + flags + b"\x86."


class Reduced:
    """Pickled by Python itself as a call."""

    def __init__(self, *call: object) -> None:
        self.call = call

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.call[0], self.call[1:]  # type: ignore[return-value]


def payloads(canary: str) -> Iterator[tuple[str, bytes]]:
    """Named pickles that, loaded plainly, would mostly create the file ``canary`` or worse."""
    command = f"touch {canary}"
    code = f"__import__('os').system({command!r})"
    wheres = ("image", "label", "bins", "labels", "array", "alone")
    for number, (module, name) in enumerate(CALLS):
        argument = code if name in ("eval", "exec", "runstring") else command
        for place, (how, body) in enumerate(call_bodies(module, name, argument).items()):
            where = wheres[(number + place) % len(wheres)]
            data = b"\x80\x04" + body + b"." if where == "alone" else pair_of(body, where)
            yield f"{module}.{name} by {how} as {where}", data
    import builtins
    import os

    for protocol in range(6):
        for call in ((os.system, command), (builtins.eval, code), (builtins.exec, code)):
            loaded = ([Reduced(*call), b"x"], [True])
            yield (
                f"{call[0].__name__} by python, protocol {protocol}",
                pickle.dumps(loaded, protocol),
            )
    yield "an extension", pair_of(b"\x82\x01", "image")
    yield "a persistent id", pair_of(b"Pid\n", "image")
    yield "a persistent id of the stack", pair_of(text("id") + b"Q", "image")
    yield "an out-of-band buffer", pair_of(b"\x97", "image")
    yield "a global of two parts", pair_of(short("os") + short("path.os.system") + b"\x93", "image")
    yield (
        "another codec",
        pair_of(b"c_codecs\nencode\n" + text("x") + text("rot13") + b"\x86R", "image"),
    )
    yield "a codec's decode", pair_of(b"c_codecs\ndecode\n" + text("x") + b"\x85R", "image")
    yield (
        "code behind the end",
        pair_of(b"C\x01x", "image") + b"cos\nsystem\n" + text(command) + b"\x85R.",
    )
