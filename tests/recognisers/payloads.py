"""Files that run code, or would, when a careless program reads them: each touches a canary."""

from __future__ import annotations

import io
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch


class Calls:
    """What unpickling turns into a call of ``function`` with ``arguments``."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def named(module: str, name: str, *arguments: object) -> bytes:
    """A pickle of protocol 0 that calls ``module.name`` with texts and numbers, whatever that is here."""
    pushed = b"".join(
        b"V" + a.encode("raw_unicode_escape") + b"\n" if isinstance(a, str) else b"I%d\n" % a
        for a in arguments
    )
    return b"c" + f"{module}\n{name}\n".encode() + b"(" + pushed + b"tR."


def pickles(canary: Path) -> Iterator[tuple[str, bytes]]:
    """Pickles that write ``canary``, by ways that have been used."""
    shell, python = f"touch {canary}", f"open({str(canary)!r}, 'w').close()"
    yield "os.system", named("os", "system", shell)
    yield "posix.system", named("posix", "system", shell)
    yield "popen", named("os", "popen", shell)
    yield (
        "check_output",
        pickle.dumps(Calls(__import__("subprocess").check_output, ["touch", str(canary)])),
    )
    yield "Popen", pickle.dumps(Calls(__import__("subprocess").Popen, ["touch", str(canary)]))
    yield "getoutput", named("subprocess", "getoutput", shell)
    yield "eval", named("builtins", "eval", python)
    yield "exec", named("builtins", "exec", python)
    yield "__builtin__ of Python 2", named("__builtin__", "eval", python)
    yield "open", named("builtins", "open", str(canary), "w")
    yield "io.open", named("io", "open", str(canary), "w")
    yield "os.open", named("os", "open", str(canary), 0o101)
    yield "pathlib", pickle.dumps(Calls(Path.touch, canary))
    yield "runpy", named("runpy", "run_path", str(canary.with_name("script.py")))
    yield "code", named("code", "InteractiveInterpreter.runcode", python)
    yield "timeit", named("timeit", "timeit", python, "pass")
    yield "pty", named("pty", "spawn", f"/usr/bin/touch {canary}")
    yield "numpy's runstring", named("numpy.testing._private.utils", "runstring", python, 0)
    yield "torch's compile", named("torch.utils.cpp_extension", "load_inline", "x", python)
    yield "torch.load itself", named("torch", "load", str(canary.with_name("inner.pth")))
    yield "torch's dynamo", named("torch._dynamo.guards", "eval", python)
    yield "torch's process", named("torch._inductor.codecache", "_run_command", shell)
    yield "stack global", pickle.dumps(Calls(__import__("os").system, shell), protocol=5)
    yield "protocol 2", pickle.dumps(Calls(__import__("os").system, shell), protocol=2)
    yield "within a dictionary", pickle.dumps({"state_dict": {"a": Calls(eval, python)}})
    yield "as a key", pickle.dumps({(1, Calls(eval, python)): torch.Size([1])})
    yield (
        "build",
        b"c__main__\nX\n)\x81}(V__setstate__\ncos\nsystem\nubV" + shell.encode() + b"\nb.",
    )
    yield "persistent id", b"(Vstorage\ncos\nsystem\nV" + shell.encode() + b"\ntQ."
    yield "extension", b"\x80\x02\x82\x01."
    yield "installed package", named("pip._internal", "main", "install", str(canary))
    yield "bdb", named("bdb", "Bdb.run", python)
    yield "webbrowser", named("webbrowser", "open", f"file://{canary}")
    yield "socket", named("socket", "create_connection", "localhost", 9)
    yield "ctypes", named("ctypes", "CDLL", str(canary.with_name("evil.so")))
    yield "marshal", named("marshal", "loads", "x")
    yield "getattr chain", b"cbuiltins\ngetattr\n(cos\nVsystem\ntR(V" + shell.encode() + b"\ntR."


def containers(payload: bytes, suffix: str = ".pth") -> Iterator[tuple[str, bytes]]:
    """The ways in which a pickle comes as weights: bare, torch's old format, its zip, its tar."""
    yield f"bare{suffix}", payload
    magic = b"".join(
        pickle.dumps(v, 2) for v in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
    )
    yield f"legacy{suffix}", magic + payload + pickle.dumps([], 2)
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("archive/data.pkl", payload)
        archive.writestr("archive/version", "3\n")
        archive.writestr("archive/byteorder", "little")
    yield f"zip{suffix}", zipped.getvalue()
    tarred = io.BytesIO()
    with tarfile.open(fileobj=tarred, mode="w") as archive:
        for name in ("pickle", "tensors", "storages"):
            info = tarfile.TarInfo(name)
            info.size = len(payload)
            archive.addfile(info, io.BytesIO(payload))
    yield f"tar{suffix}", tarred.getvalue()


def weights(canary: Path) -> Iterator[tuple[str, bytes]]:
    """Each payload in a container of its own, the first of them in all."""
    for number, (name, payload) in enumerate(pickles(canary)):
        ways = list(containers(payload, ".ckpt" if number % 2 else ".pth"))
        chosen = ways if number < 3 else [ways[number % 3]]
        for container, data in chosen:
            yield f"{name}: {container}", data


def arrays(canary: Path) -> Iterator[tuple[str, bytes]]:
    """Arrays of objects, and a script in place of a header, in npz and npy."""
    call = np.empty(1, object)
    call[0] = Calls(eval, f"open({str(canary)!r}, 'w').close()")
    for member in ("features", "keys", "variance"):
        data = io.BytesIO()
        whole = {"features": np.ones((1, 2), np.float32), "keys": np.array(["a"])} | {member: call}
        np.savez(data, allow_pickle=True, **whole)
        yield f"{member}.npz", data.getvalue()
    alone = io.BytesIO()
    np.save(alone, call, allow_pickle=True)
    yield "objects.npy", alone.getvalue()
    header = f"__import__('os').system('touch {canary}')".encode()
    script = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("features.npy", script)
        archive.writestr("keys.npy", script)
    yield "header.npz", data.getvalue()
