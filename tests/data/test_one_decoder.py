"""One decoder, and its pixels are those on record: training, evaluation and embedding see the same (G22)."""

from __future__ import annotations

import hashlib
import json
from importlib import metadata
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.made_up import Fake
from handmade_images import good_images
from small_model import SETTINGS, one_thread, small_model  # noqa: F401 (a fixture)
from urface.benchmarks.benchmark import Benchmark, ImageSet, Templates
from urface.benchmarks.embed import embed_images
from urface.benchmarks.image_pairs import FileImages
from urface.config import VariationSettings
from urface.data.decode import decode_image, read_image, resize_image
from urface.data.frames import Frames
from urface.data.loader import make_batch
from urface.data.open import open_faces
from urface.data.sampler import Draw
from urface.embedder import Embedder
from urface.evaluation.conditions import condition
from urface.evaluation.embedding import ConditionFrames
from urface.types import FaceEmbedding

GOLDEN = Path(__file__).with_name("golden_pixels.json")
FILES = good_images()
# Of these the pixels are the codec's choice; they hold for the versions that requirements/ pins.
LOSSY = {name for name in FILES if name.startswith(("JPEG", "WebP, lossy"))} | {
    f"WebP, {name}" for name in ("animated", "a profile", "a zip behind it")
}


def digest(image: np.ndarray) -> str:
    return hashlib.sha256(repr(image.shape).encode() + image.tobytes()).hexdigest()


def pinned(package: str) -> bool:
    """Whether the version here is that of requirements/runtime.txt."""
    pins = (Path(__file__).parents[2] / "requirements" / "runtime.txt").read_text().splitlines()
    return f"{package}=={metadata.version(package)}" in pins


def test_the_pixels_of_each_file_are_those_on_record() -> None:
    golden = json.loads(GOLDEN.read_text())
    assert golden.keys() == FILES.keys()
    assert len(golden) >= 60
    exact = pinned("opencv-python-headless") and pinned("pillow")
    checked = [name for name in FILES if exact or name not in LOSSY]
    assert len(checked) >= 40
    found = {name: digest(decode_image(FILES[name])) for name in checked}
    assert found == {name: golden[name] for name in checked}


def test_a_decoder_that_rounds_or_turns_otherwise_is_noticed() -> None:
    """The control: cv2 as scripts call it differs in dozens of files, if only in the order of colours."""
    golden = json.loads(GOLDEN.read_text())
    plain = {}
    for name, data in FILES.items():
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        plain[name] = digest(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
    differ = {name for name in FILES if plain[name] != golden[name]}
    assert {"PNG, alpha", "PNG, 16 bits, 3 channels", "PNG, palette with transparency"} <= differ


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("faces")
    for number, (name, data) in enumerate(FILES.items()):
        ending = {"J": "jpg", "P": "png", "W": "webp"}[name[0]]
        path = root / f"{number % 7}" / f"{number:02d}.{ending}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    return root


def test_training_evaluation_and_embedding_see_the_same_pixels(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = open_faces(folder)
    whole = [decode_image((folder / key).read_bytes()) for key in source.keys]
    count = len(whole)
    assert count == len(FILES)

    size = 70
    frames = np.stack([resize_image(image, size) for image in whole])
    still = VariationSettings(low_resolution=0, occlusion=0, pose=0, flip=0)
    draw = Draw(np.arange(count), 0)
    batch = make_batch(Frames(source, size), draw, still, size, 0, slice(None))
    np.testing.assert_array_equal(batch.images, frames)  # training

    embedder = Embedder(small_model(), SETTINGS, device="cpu")
    centre = frames[:, 3:67, 3:67]
    judged = ConditionFrames(source)
    for place in range(count):  # evaluation of our models
        frame = judged.get(place, condition("clean"), embedder)
        np.testing.assert_array_equal(frame, centre[place])

    seen: list[np.ndarray] = []
    forward = Embedder._forward

    def watched(self: Embedder, faces: np.ndarray, first: int) -> FaceEmbedding:
        seen.append(faces)
        return forward(self, faces, first)

    monkeypatch.setattr(Embedder, "_forward", watched)
    embedder.embed([read_image(folder / key) for key in source.keys])
    np.testing.assert_array_equal(np.concatenate(seen), centre)  # a user's own embedding

    class Watching(Fake):
        def features(self, images, keys):  # type: ignore[no-untyped-def]
            seen.extend(images)
            return super().features([image[:4, :4] for image in _at_least(images)], keys)

    seen.clear()
    images = ImageSet(source.keys, FileImages(folder, source.keys))
    subjects = np.zeros(count, np.int64)
    made = Benchmark("made", "1", images, Templates.of_images(source.keys, subjects))
    embed_images(made, Watching(), progress=False)
    assert len(seen) == count
    for got, wanted in zip(seen, whole, strict=True):  # benchmarks, of any model
        np.testing.assert_array_equal(got, wanted)


def _at_least(images):  # type: ignore[no-untyped-def]
    return [np.pad(image, ((0, 3), (0, 3), (0, 0))) for image in images]


def main() -> None:
    """Write the record anew: `PYTHONPATH=src:tests python tests/data/test_one_decoder.py`."""
    found = {name: digest(decode_image(data)) for name, data in FILES.items()}
    GOLDEN.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
