"""Claims about verification sets: the field's layouts are read, nothing in them is ever run (G24, G26)."""

from __future__ import annotations

import pickle
import struct
import subprocess
import sys
import tarfile
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mutation import SLOWEST, refused
from pickle_payloads import pair_of, payloads
from urface.data.decode import decode_image, encode_jpeg
from urface.data.lfw import read_pairs
from urface.data.verification_bin import read_verification_bin, write_verification_bin
from urface.types import UserError

TESTS = Path(__file__).resolve().parents[1]
IMAGES = [encode_jpeg(np.full((8, 8, 3), 25 * n, np.uint8)) for n in range(6)] + [
    b"\xff" * 70_000
] * 2
SAME = [True, False, False, True]


def python2(images: list[bytes], same: list[bool], arrays: bool = False) -> bytes:
    """What Python 2's pickle writes at its highest protocol, byte for byte (str as BINSTRING)."""

    def string(data: bytes) -> bytes:
        if len(data) < 256:
            return b"U" + bytes([len(data)]) + data
        return b"T" + struct.pack("<i", len(data)) + data

    def array(data: bytes, memo: int) -> bytes:
        if memo == 1:
            maker = b"cnumpy.core.multiarray\n_reconstruct\nq\xf0cnumpy\nndarray\nq\xf1"
            kind = b"cnumpy\ndtype\nq\xf2U\x02u1K\x00K\x01\x87Rq\xf3(K\x03U\x01|NNN"
            kind += b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        else:
            maker, kind = b"h\xf0h\xf1", b"h\xf3"
        made = maker + b"K\x00\x85U\x01b\x87R"
        count = b"J" + struct.pack("<i", len(data))
        return made + b"(K\x01" + count + b"\x85" + kind + b"\x89" + string(data) + b"tb"

    out = b"\x80\x02]q\x00("
    for number, image in enumerate(images, start=1):
        out += array(image, number) if arrays else string(image)
        out += b"q" + bytes([number])
    out += b"e]q\xe0(" + b"".join(b"\x88" if flag else b"\x89" for flag in same)
    return out + b"e\x86q\xe1."


LAYOUTS: dict[str, Callable[[], bytes]] = {
    "python 2": lambda: python2(IMAGES, SAME),
    "python 2, arrays": lambda: python2(IMAGES, SAME, arrays=True),
}
for protocol in (2, 3, 4, 5):
    for kind, images in {
        "bytes": IMAGES,
        "arrays": [np.frombuffer(image, np.uint8) for image in IMAGES],
        "arrays of their own": [np.frombuffer(image, np.uint8).copy() for image in IMAGES],
    }.items():
        for told, flags in {
            "bools": SAME,
            "numpy bools": [np.bool_(flag) for flag in SAME],
            "an array": np.array(SAME),
        }.items():
            LAYOUTS[f"protocol {protocol}, {kind}, {told}"] = (
                lambda loaded=(images, flags), protocol=protocol: pickle.dumps(loaded, protocol)
            )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.bin"


def refusal(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    with pytest.raises(UserError) as error:
        read_verification_bin(path)
    assert str(error.value).startswith(f"{path}: ")
    return str(error.value)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_of_the_field_is_read(path: Path, layout: str) -> None:
    path.write_bytes(LAYOUTS[layout]())
    found = read_verification_bin(path)
    assert found.images == IMAGES
    assert found.same.dtype == bool
    assert found.same.tolist() == SAME


def test_the_made_python_2_files_are_what_plain_pickle_reads() -> None:
    for arrays in (False, True):
        images, same = pickle.loads(python2(IMAGES, SAME, arrays), encoding="bytes")
        assert [bytes(image) for image in images] == IMAGES
        assert same == SAME


def test_names_of_numpy_2_are_read_too(path: Path) -> None:
    """The layouts above name numpy.core or numpy._core by the NumPy at hand; here both are tried."""
    data = python2(IMAGES, SAME, arrays=True)
    path.write_bytes(data.replace(b"numpy.core.multiarray", b"numpy._core.multiarray"))
    assert read_verification_bin(path).images == IMAGES


def test_what_we_write_insightfaces_loader_reads(path: Path) -> None:
    write_verification_bin(path, IMAGES, np.array(SAME))
    assert pickle.loads(path.read_bytes(), encoding="bytes") == (IMAGES, SAME)
    assert read_verification_bin(path).images == IMAGES
    with pytest.raises(UserError, match="8 images for 3 pairs"):
        write_verification_bin(path, IMAGES, SAME[:3])


SCRIPT = """
import os, pickle, sys
from pathlib import Path
from pickle_payloads import payloads
from urface.data.verification_bin import read_verification_bin, write_verification_bin
from urface.types import UserError

folder = Path(sys.argv[1])
canary, path = folder / "canary", folder / "x.bin"
made = list(payloads(str(canary)))
write_verification_bin(path, [b"a", b"b"], [True])
read_verification_bin(path)  # what is imported on the way is imported now
seen, watching = [], False
DANGEROUS = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "subprocess.Popen",
             "exec", "compile", "import", "socket", "pty.spawn", "ctypes", "pickle.find_class",
             "os.remove", "os.rename", "os.putenv", "webbrowser.open", "marshal")

def hook(event, arguments):
    writes = event == "open" and arguments[1] not in ("r", "rb", None)
    if watching and (writes or event.startswith(DANGEROUS)):
        seen.append((event, str(arguments)[:100]))

sys.addaudithook(hook)
refused = 0
for name, data in made:
    path.write_bytes(data)
    watching = True
    try:
        read_verification_bin(path)
        print("read:", name)
    except UserError:
        refused += 1
    watching = False
assert not canary.exists()
print("refused", refused, "of", len(made), "events", seen)
ran = 0
for name, data in made:  # the control: a plain loader runs them
    if "system" in name or "eval" in name or "popen" in name:
        try:
            pickle.loads(data)
        except BaseException:
            pass
        ran += canary.exists()
        canary.unlink(missing_ok=True)
print("control", ran)
"""


def test_none_of_180_payloads_runs_and_a_plain_loader_runs_dozens(tmp_path: Path) -> None:
    count = len(list(payloads("x")))
    assert count >= 180
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), str(tmp_path)],
        env={"PYTHONPATH": f"{TESTS}:{TESTS.parent / 'src'}", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *read, told, control = done.stdout.splitlines()
    assert read == []
    assert told == f"refused {count} of {count} events []"
    assert int(control.split()[1]) >= 24


def test_other_things_than_pairs_are_refused_by_what_they_are(path: Path) -> None:
    good = [IMAGES[0], IMAGES[1]]
    for loaded, reason in (
        ((good, [True, False]), "2 images for 2 pairs"),
        ((good, []), "2 images for 0 pairs"),
        (([], []), "no pair"),
        ((good, [1]), "is a int, not a bool"),
        ((good, [None]), "is a NoneType"),
        ((good, None), "is a NoneType, expected a list"),
        ((good, (True,)), "is a tuple, expected a list"),
        ((tuple(good), [True]), "expected a pair"),
        ((good, [True], []), "expected a pair"),
        ([good, [True]], "expected a pair"),
        (([good[0], "text"], [True]), "image 1: a str"),
        (([good[0], b""], [True]), "image 1 has 0 bytes"),
        (([np.zeros(4, np.float32), good[0]], [True]), "image 0: an array that is not of u1"),
        (([np.zeros(4, np.int8), good[0]], [True]), "image 0: an array that is not of u1"),
        (([np.zeros((2, 2), np.uint8), good[0]], [True]), "one-dimensional"),
        (([good[0], [good[0]]], [True]), "image 1: a list"),
        ((good, [np.float32(1)]), "pair 0"),
        ((good, np.array([1], np.uint8)), "not of b1"),
    ):
        assert reason in refusal(path, pickle.dumps(loaded, 4)), (loaded, reason)
        refusal(path, pickle.dumps(loaded, 2))
    for loaded in (
        ([np.array([b"x", None], object), good[0]], [True]),
        {"a": 1},
        ([bytearray(b"x"), 1.5], [True]),
        (good, {True}),
    ):
        refusal(path, pickle.dumps(loaded, 4))


def test_instructions_and_lengths_are_judged_before_anything_is_unpickled(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from urface.data import verification_bin

    def never(data: bytes) -> None:
        raise AssertionError("unpickled")

    monkeypatch.setattr(verification_bin, "_Inert", never)
    for data, reason in (
        (b"", "not a whole pickle"),
        (b"(lp0\n.", "not a whole pickle"),
        (pickle.dumps((IMAGES, SAME), 0), "not a whole pickle"),
        (b"\x80\x06].", "protocol 2 to 5"),
        (b"\x80", "protocol 2 to 5"),
        (b"\x80\x02cos\nsystem\n.", "it names os.system"),
        (b"\x80\x02" + b"c" * 500, "a global without a name"),
        (b"\x80\x02r\xff\xff\xff\x7f.", "at byte 2: a memo number"),
        (b"\x80\x02T\xff\xff\xff\xff.", "at byte 2: truncated, 4,294,967,295 bytes"),
        (b"\x80\x04\x8e" + b"\xff" * 8 + b".", "at byte 2: truncated"),
        (b"\x80\x04\x95" + b"\xff" * 8 + b".", "a frame runs past"),
        (b"\x80\x04].]", "1 bytes after the end"),
        (b"\x80\x04}.", "instruction 0x7d"),
        (b"\x80\x02L1L\n.", "instruction 0x4c"),
        (b"\x80\x04B" + struct.pack("<I", 11_000_000) + bytes(11_000_000) + b".", "too many"),
        (b"\x80\x02" + b"]" * 5_000_001, "more than 5,000,000 instructions"),
    ):
        assert reason in refusal(path, data)


def test_a_small_file_cannot_ask_for_much_memory(path: Path) -> None:
    """One long text turned into bytes, or one array or image named, again and again."""
    text = b"X" + struct.pack("<I", 1_000_000) + b"x" * 1_000_000 + b"q\x00"
    spelt = b"h\x01h\x00X\x06\x00\x00\x00latin1\x86R"
    data = b"\x80\x02](c_codecs\nencode\nq\x01" + text + spelt * 1000 + b"e](\x88e\x86."
    assert "does not spell bytes" in refusal(path, data)
    for image in (np.zeros(1_000_000, np.uint8), b"x" * 1_000_000):
        for protocol in (2, 4, 5):
            data = pickle.dumps(([image] * 2_000, [True] * 1_000), protocol)
            assert "over 16 times the file" in refusal(path, data)


def test_an_image_of_many_pairs_is_read_once_and_not_copied(path: Path) -> None:
    for image in (np.zeros(1_000_000, np.uint8), b"x" * 1_000_000):
        path.write_bytes(pickle.dumps(([image] * 60, [True] * 30), 5))
        found = read_verification_bin(path)
        assert len(found.images) == 60
        assert len({id(image) for image in found.images}) == 1
    pairs = [encode_jpeg(np.full((8, 8, 3), n, np.uint8)) for n in range(8)] * 10
    write_verification_bin(path, pairs, [True] * 40)
    assert read_verification_bin(path).images == pairs


def _fuzz(path: Path, count: int) -> None:
    small = (IMAGES[:6], SAME[:3])
    seeds = [python2(*small), python2(*small, arrays=True)]
    arrays = [np.frombuffer(image, np.uint8).copy() for image in IMAGES[:6]]
    seeds += [pickle.dumps(small, protocol) for protocol in (2, 3, 4, 5)]
    seeds += [pickle.dumps((arrays, np.array(SAME[:3])), protocol) for protocol in (2, 4, 5)]

    def read(data: bytes) -> None:
        path.write_bytes(data)
        read_verification_bin(path)

    errors, slowest = refused(count, 26, seeds, read)
    assert errors > count // 2
    assert slowest < SLOWEST


def test_1000_damaged_sets_are_read_or_refused_with_typed_errors(path: Path) -> None:
    _fuzz(path, 1000)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_10000_damaged_sets_are_read_or_refused_with_typed_errors(path: Path) -> None:
    _fuzz(path, 10_000)


def test_a_set_made_of_real_lfw_gives_back_every_byte(shared_dir: Path, path: Path) -> None:
    """200 pairs; no name or picture leaves this test."""
    tar = shared_dir / "data" / "lfw112.tar"
    if not tar.exists():
        pytest.skip("needs lfw112.tar beside the checkout")
    pairs = read_pairs(shared_dir / "data" / "lfw_pairs.txt")
    chosen = np.linspace(0, len(pairs.left) - 1, 200).astype(int)
    keys = [key for pair in chosen for key in (pairs.left[pair], pairs.right[pair])]
    with tarfile.open(tar) as archive:
        members = {name.removeprefix("lfw112/"): name for name in archive.getnames()}
        images = []
        for key in keys:
            file = archive.extractfile(members[key])
            assert file is not None
            images.append(file.read())
    write_verification_bin(path, images, pairs.same[chosen])
    found = read_verification_bin(path)
    assert found.images == images
    assert found.same.tolist() == pairs.same[chosen].tolist()
    assert decode_image(found.images[0]).shape == (112, 112, 3)
    path.write_bytes(python2(images[:40], pairs.same[chosen][:20].tolist()))
    assert read_verification_bin(path).images == images[:40]


def test_pair_of_makes_sound_sets_when_its_value_is_sound(path: Path) -> None:
    """The control of the payloads: it is their value that is refused, not what is around it."""
    for value, where in ((b"C\x01x", "image"), (b"\x88", "label"), (b"](\x88e", "labels")):
        path.write_bytes(pair_of(value, where))
        assert read_verification_bin(path).same.tolist() == [True]
