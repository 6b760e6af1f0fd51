"""No file that is offered as a model runs code: canaries, with careless readers as the control."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from urface.cli import main
from urface.recognisers import sandbox
from urface.recognisers.convert_weights import weights_in
from urface.recognisers.open import open_recogniser
from urface.recognisers.weights import read_weights
from urface.types import UserError

from .payloads import arrays, pickles, weights

# The converter's own process, forked for each file once torch is there, so that a hundred take seconds.
FORKED = """
import os, sys, torch
from urface.recognisers import convert_weights
folder, parent = sys.argv[1], os.getpid()
for name in sorted(os.listdir(folder)):
    child = os.fork()
    if child == 0:
        out = os.open(f"{folder}/{name}.said", os.O_WRONLY | os.O_CREAT)
        os.dup2(out, 1)
        code = convert_weights.main([str(parent), f"{folder}/{name}", f"{folder}/{name}.out", ""])
        sys.stdout.flush()
        os._exit(code)
    print(name, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


# What a script without care does, with the same files: the control.
CARELESS = """
import os, pickle, sys
folder, canary = sys.argv[1:]
for name in sorted(os.listdir(folder)):
    try:
        pickle.load(open(f"{folder}/{name}", "rb"))
    except Exception:
        pass
    if os.path.exists(canary):
        os.remove(canary)
        print(name)
"""


def test_no_payload_runs_in_the_converters_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary, folder = tmp_path / "canary", tmp_path / "files"
    folder.mkdir()
    (tmp_path / "script.py").write_text(f"open({str(canary)!r}, 'w').close()")
    cases = list(weights(canary))
    assert len(cases) >= 40
    for number, (_, data) in enumerate(cases):
        (folder / f"{number:03d}").write_bytes(data)
    torch.save({"a": torch.ones(2)}, folder / "good")
    old = {"state_dict": {"a": torch.ones(2)}}
    torch.save(old, folder / "old", _use_new_zipfile_serialization=False)
    lightning_checkpoint(folder / "lightning", {"a": torch.ones(2)}, monkeypatch)
    torch.save({"a": torch.zeros(1).expand(10**11)}, folder / "wide")
    # A pickle of a few bytes that asks for 2 GiB of text.
    (folder / "long").write_bytes(b"\x80\x02X" + (2**31 - 1).to_bytes(4, "little") + b"x.")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED, str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    codes = dict(line.split() for line in done.stdout.splitlines())
    for name in ("good", "old", "lightning"):
        assert codes.pop(name) == "0", done.stderr + (folder / f"{name}.said").read_text()
        assert torch.equal(load_file(folder / f"{name}.out")["a"], torch.ones(2))
    for name, words in (
        ("wide", "would take 400,000,000,000 bytes"),
        ("long", "more memory than its size can explain"),
    ):
        assert codes.pop(name) == "3"
        assert words in (folder / f"{name}.said").read_text()
    assert len(codes) == len(cases)
    assert set(codes.values()) == {"3"}, codes  # a reason was given, no crash and no success
    assert not canary.exists()
    for number, (name, _) in enumerate(cases):
        said = (folder / f"{number:03d}.said").read_text()
        assert said.count("\n") == 1, name
        assert not (folder / f"{number:03d}.out").exists(), name


def test_a_careless_reader_runs_them(tmp_path: Path) -> None:
    """The control: payloads that nothing would run prove nothing."""
    canary, folder = tmp_path / "canary", tmp_path / "files"
    folder.mkdir()
    (tmp_path / "script.py").write_text(f"open({str(canary)!r}, 'w').close()")
    # Those that need nothing but Python and write at once; others compile, listen or wait.
    plain = {"os.system", "posix.system", "check_output", "getoutput", "eval", "exec", "open"}
    plain |= {"io.open", "os.open", "pathlib", "runpy", "stack global", "protocol 2"}
    for name, payload in pickles(canary):
        if name in plain:
            (folder / name).write_bytes(payload)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CARELESS, str(folder), str(canary)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert set(done.stdout.splitlines()) == plain


def test_the_walls_hold_where_the_lock_is_open(tmp_path: Path) -> None:
    """If weights_only were broken: plain unpickling, processes, sockets and writes raise all the same."""
    canary = tmp_path / "canary"
    code = f"""
import os, pickle, socket, subprocess, sys
from pathlib import Path
from urface.recognisers import sandbox
sandbox.limit(1 << 30, 1 << 20)
sandbox.forbid(Path({str(tmp_path / "allowed")!r}))
tries = [
    lambda: pickle.loads(b"cos\\nsystem\\n(Vtouch {canary}\\ntR."),
    lambda: os.system("touch {canary}"),
    lambda: subprocess.run(["touch", {str(canary)!r}]),
    lambda: os.posix_spawn("/usr/bin/touch", ["touch", {str(canary)!r}], {{}}),
    lambda: os.fork(),
    lambda: open({str(canary)!r}, "w"),
    lambda: os.open({str(canary)!r}, os.O_CREAT | os.O_WRONLY),
    lambda: os.symlink("a", {str(canary)!r}),
    lambda: os.remove({__file__!r}),
    lambda: socket.socket(),
    lambda: socket.getaddrinfo("localhost", 80),
    lambda: bytearray(4 << 30),
]
held = 0
for attempt in tries:
    try:
        attempt()
    except (PermissionError, MemoryError):
        held += 1
open({str(tmp_path / "allowed")!r}, "w").close()
print(held, len(tries))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    held, tried = done.stdout.split()
    assert held == tried == "12"
    assert not canary.exists()
    assert (tmp_path / "allowed").exists()


def test_no_array_of_objects_is_read(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    cases = list(arrays(canary))
    for name, data in cases:
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UserError) as caught:
            open_recogniser(tmp_path / name)
        assert "\n" not in str(caught.value)
        assert not canary.exists(), name
    np.load(io.BytesIO(cases[0][1]), allow_pickle=True)["features"]  # the control
    assert canary.exists()


def test_a_hostile_file_is_one_line_and_exit_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    canary = tmp_path / "canary"
    path = tmp_path / "weights.pth"
    torch.save({"a": torch.zeros(1), "b": Payload(f"touch {canary}")}, path)
    code = main(["import-weights", str(path), "-o", str(tmp_path / "out")])
    said = capsys.readouterr()
    assert code == 2
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert (
        "holds more than weights (it asks for posix.system); refused, nothing of it was run"
        in said.err
    )
    assert not canary.exists()
    assert not (tmp_path / "out").exists()


def lightning_checkpoint(
    path: Path, state: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint with what Lightning puts beside the weights: a dictionary of a class of its own."""
    name = "pytorch_lightning.utilities.parsing"
    kind = type("AttributeDict", (dict,), {"__module__": name})
    for part in ("pytorch_lightning", "pytorch_lightning.utilities", name):
        monkeypatch.setitem(sys.modules, part, types.ModuleType(part))
    monkeypatch.setattr(sys.modules[name], "AttributeDict", kind, raising=False)
    torch.save({"state_dict": state, "hyper_parameters": kind(lr=0.1)}, path)


class Payload:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> object:
        return os.system, (self.command,)


def test_a_file_is_converted_once_and_its_source_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, cache = tmp_path / "w.pth", tmp_path / "cache"
    shared = torch.arange(6.0)
    torch.save(
        {"model": {"a": shared, "b": shared, "half": torch.ones(2).half()}, "epoch": 7}, path
    )
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    state, digest = read_weights(path, cache=cache, sha256=sha256.upper())
    assert digest == sha256
    assert [file.name for file in cache.iterdir()] == [f"{sha256}.safetensors"]
    assert torch.equal(state["a"], shared)
    assert torch.equal(state["b"], shared)
    assert state["half"].dtype == torch.float16
    monkeypatch.setattr(subprocess, "run", None)  # a second time starts no process
    again, _ = read_weights(path, cache=cache)
    assert again.keys() == state.keys()
    with pytest.raises(UserError, match="not 00 as pinned"):
        read_weights(path, cache=cache, sha256="00")


def test_the_state_dict_is_found_wherever_trainers_put_it() -> None:
    a = torch.ones(2)
    for loaded in (
        {"a": a},
        {"state_dict": {"a": a}, "epoch": 1},
        {"model": {"state_dict": {"a": a}}},
    ):
        assert list(weights_in(loaded, 100)) == ["a"]
    assert list(weights_in({"state_dict": {"a": a, "note": "text"}}, 100)) == ["a"]
    for loaded in (a, [a], {"a": "b"}, {1: a}, {"state_dict": {"x": {}}}, None):
        with pytest.raises(UserError, match="no state dict"):
            weights_in(loaded, 100)
    with pytest.raises(UserError, match="far more than the file"):
        weights_in({"a": a}, 7)
    with pytest.raises(UserError, match="sparse or quantised"):
        weights_in({"a": a.to_sparse()}, 100)


def test_messages_of_such_a_process_are_made_printable() -> None:
    assert sandbox.one_line("a\nb\x1b[31m\x00" + "c" * 999) == "a b?[31m?" + "c" * 291
