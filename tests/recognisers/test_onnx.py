"""An ONNX model runs in a process of its own, gives what it computes, and takes no file but its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from small_model import pictures
from urface.recognisers.onnx_file import refuse_external_data
from urface.recognisers.onnx_model import OnnxModel
from urface.recognisers.open import open_recogniser
from urface.recognisers.preprocessing import network_input
from urface.recognisers.recogniser import Preprocessing
from urface.types import UserError

from .onnx_models import BIAS, DIM, SIZE, WEIGHT, model, onnx, write


def opened(path: Path, **options: Any) -> OnnxModel:
    found = open_recogniser(path, **options)
    assert isinstance(found, OnnxModel)
    return found


@pytest.mark.parametrize(("batch", "last"), [("N", False), (1, True), (4, False)])
def test_features_are_what_the_graph_computes(batch: Any, last: bool, tmp_path: Path) -> None:
    declared = Preprocessing(SIZE, "bgr", 10.0, 1 / 200)
    recogniser = opened(write(tmp_path / "net.onnx", model(batch, last)), preprocessing=declared)
    images = list(pictures(7, 70))
    found = recogniser.features(images, [str(n) for n in range(7)])
    pixels = network_input(images, declared).astype(np.float64)
    expected = pixels.reshape(7, -1) @ WEIGHT + BIAS
    np.testing.assert_allclose(found.vectors, expected, rtol=0, atol=1e-5)
    assert (found.parts, found.variance, recogniser.has_variance) == (1, None, False)
    assert recogniser.name == "net"
    recogniser.close()


def test_without_a_declaration_it_is_insightfaces_at_the_models_size(tmp_path: Path) -> None:
    path = write(tmp_path / "net.onnx", model())
    recogniser = opened(path, parts=2)
    assert recogniser.preprocessing == Preprocessing(SIZE)
    assert recogniser.features(list(pictures(2)), ["a", "b"]).parts == 2
    with pytest.raises(UserError, match="takes faces of 16 x 16, not 112 as declared"):
        open_recogniser(path, preprocessing=Preprocessing())


def test_its_process_ends_with_it_and_with_its_parent(tmp_path: Path) -> None:
    path = write(tmp_path / "net.onnx", model())
    recogniser = opened(path)
    child = recogniser._process.pid
    recogniser.close()
    assert not alive(child)
    with pytest.raises(UserError, match="the process that runs it has ended"):
        recogniser.features(list(pictures(1)), ["a"])
    code = (
        "import sys, time; from urface.recognisers.open import open_recogniser\n"
        f"r = open_recogniser({str(path)!r}); print(r._process.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert alive(child)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 20
    while alive(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(child)


def alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_process_that_is_killed_is_one_line(tmp_path: Path) -> None:
    recogniser = opened(write(tmp_path / "net.onnx", model()))
    os.kill(recogniser._process.pid, signal.SIGKILL)
    with pytest.raises(UserError, match="net: the process that runs it has ended"):
        recogniser.features(list(pictures(1)), ["a"])


def external(tensor: Any, location: str) -> None:
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", location


def nested(made: Any, tensor: Any) -> Any:
    """``tensor`` as a constant in a branch of an If, where a walk over initializers does not look."""
    helper = onnx.helper
    node = helper.make_node("Constant", [], ["c"], value=tensor)
    inner = helper.make_graph([node], "inner", [], [])
    made.graph.node.append(
        helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner)
    )
    return made


def test_weights_in_another_file_are_refused_wherever_they_hide(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(WEIGHT.tobytes())
    hidden = onnx.numpy_helper.from_array(WEIGHT, "weight")
    external(hidden, "secret")
    cases = []
    plain = model()
    external(plain.graph.initializer[0], "secret")
    cases.append(plain)
    for location in ("/etc/passwd", "../secret"):
        other = model()
        external(other.graph.initializer[1], location)
        cases.append(other)
    cases.append(nested(model(), hidden))
    function = model()
    function.functions.add().node.append(onnx.helper.make_node("Constant", [], ["c"], value=hidden))
    cases.append(function)
    training = model()
    training.training_info.add().algorithm.initializer.append(hidden)
    cases.append(training)
    sparse = model()
    sparse.graph.sparse_initializer.add().values.CopyFrom(hidden)
    cases.append(sparse)
    for number, made in enumerate(cases):
        path = write(tmp_path / f"{number}.onnx", made)
        with pytest.raises(UserError, match="in another file") as caught:
            open_recogniser(path)
        assert "\n" not in str(caught.value)
    refuse_external_data(
        model().SerializeToString()
    )  # the control: it is the other file that is refused


@pytest.mark.parametrize("rounds", [400, pytest.param(10_000, marks=pytest.mark.slow)])
def test_mutated_models_are_walked_to_a_typed_error_or_an_end(rounds: int) -> None:
    good = nested(model(), onnx.numpy_helper.from_array(BIAS, "b"))
    data, random, refused = good.SerializeToString(), np.random.default_rng(0), 0
    head = data[:400]
    for _ in range(rounds):
        mutated = bytearray(head + data[-400:])
        for place in random.integers(0, len(mutated), 3):
            mutated[place] = int(random.integers(0, 256))
        try:
            refuse_external_data(bytes(mutated))
        except UserError:
            refused += 1
    assert refused > rounds // 4


@pytest.mark.parametrize(
    "what", ["garbage", "no graph", "two inputs", "wrong size", "unknown operator"]
)
def test_what_cannot_be_run_is_refused_in_one_line(what: str, tmp_path: Path) -> None:
    made = model()
    if what == "two inputs":
        made.graph.input.append(onnx.helper.make_tensor_value_info("x", 1, [1]))
        made.graph.node.append(onnx.helper.make_node("Identity", ["x"], ["y"]))
    if what == "wrong size":
        made.graph.input[0].type.tensor_type.shape.dim[2].dim_value = SIZE + 1
        made.graph.initializer[0].dims[0] = 3 * SIZE * (SIZE + 1)
    if what == "unknown operator":
        made.graph.node[0].op_type = "PythonOp"
    path = write(tmp_path / "bad.onnx", made)
    if what == "garbage":
        path.write_bytes(b"\x08\x07" + bytes(range(1, 200)))
    if what == "no graph":
        path.write_bytes(b"\x08\x07")
    with pytest.raises(UserError, match="bad") as caught:
        open_recogniser(path)
    assert "\n" not in str(caught.value)


def test_an_output_that_is_no_row_a_face_is_refused(tmp_path: Path) -> None:
    made = model()
    made.graph.node[1].output[0] = "rows"
    made.graph.node.append(onnx.helper.make_node("Transpose", ["rows"], ["feature"], perm=[1, 0]))
    recogniser = opened(write(tmp_path / "net.onnx", made))
    with pytest.raises(UserError, match=rf"gives \[{DIM}, 2\] for 2 faces|the process|net"):
        recogniser.features(list(pictures(2)), ["a", "b"])
    recogniser.close()


def test_without_onnxruntime_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from urface.recognisers import sandbox

    (tmp_path / "onnxruntime.py").write_text("raise ImportError('none here')")
    whole = sandbox.surroundings
    monkeypatch.setattr(
        sandbox,
        "surroundings",
        lambda: whole() | {"PYTHONPATH": f"{tmp_path}:{whole()['PYTHONPATH']}"},
    )
    with pytest.raises(UserError, match=r"pip install 'urface\[onnx\]'") as caught:
        open_recogniser(write(tmp_path / "net.onnx", model()))
    assert "\n" not in str(caught.value)
