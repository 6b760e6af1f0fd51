"""`urface gallery`, as a user types it, with an untrained model on aligned pictures."""

from __future__ import annotations

import dataclasses
import json
from datetime import date, timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest

from small_model import SETTINGS, one_thread, pictures, small_model  # noqa: F401
from urface.cli import main
from urface.config import ObjectiveSettings
from urface.decision import Decision, Point
from urface.metrics.calibration import ScoreCalibration
from urface.models.files import add_facts, save_model
from urface.types import FaceEmbedding, load_keys

SOON = str(date.today() + timedelta(days=200))


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model and two pictures of four "people" each."""
    monkeypatch.chdir(tmp_path)
    save_model("model.safetensors", small_model(), SETTINGS, ObjectiveSettings("confidence"), {})
    faces = pictures(5)
    for person, face in enumerate(faces):
        for number in range(2):
            moved = np.clip(face.astype(int) + 2 * number, 0, 255).astype(np.uint8)
            cv2.imwrite(f"{person}_{number}.png", moved)
    return tmp_path


def gallery(*words: str, code: int = 0) -> None:
    more = ["--key", "k"] if "--key" not in words else []
    assert main(["gallery", words[0], "g", *words[1:], *more]) == code


def enrol(person: int, *more: str, code: int = 0) -> None:
    consent = ["--aligned", "--consent", "form", "--purpose", "test", "--expires", SOON]
    gallery("enrol", f"P{person}", f"{person}_0.png", *consent, *more, code=code)


def told(capsys: pytest.CaptureFixture[str]) -> dict:
    return json.loads(capsys.readouterr().out)


def decided(threshold: float, demonstration: bool = False) -> dict:
    points = tuple(Point(rate, threshold, 0, 10**6) for rate in (1e-2, 1e-3, 1e-4))
    fit = ScoreCalibration("logistic", 0.5, 100, 100, 1.0, -threshold)
    decision = Decision("likelihood", points, "made pairs", calibration=fit)
    return {"decision": dataclasses.replace(decision, demonstration=demonstration).to_dict()}


def test_a_gallery_from_create_to_erasure(made, capsys):
    gallery("create", "--model", "model.safetensors", "--index", "exact:")
    assert "Keep it apart" in capsys.readouterr().err
    assert Path("k").stat().st_mode & 0o777 == 0o600
    for person in range(4):
        enrol(person)
    assert "P3: 1 images added, 1 in all" in capsys.readouterr().out

    gallery("search", "2_1.png", "0_1.png", "--aligned", "-k", "2", "--json")
    answer = told(capsys)
    assert [probe["matches"][0]["person"] for probe in answer["probes"]] == ["P2", "P0"]
    assert answer["demonstration"] is False
    best = answer["probes"][0]["matches"][0]["score"]

    gallery("identify", "2_1.png", "--aligned", code=2)
    assert "no threshold" in capsys.readouterr().err
    add_facts("model.safetensors", decided(best - 0.01))  # a calibration makes it no other model
    gallery("identify", "2_1.png", "--aligned", "--json")
    answer = told(capsys)
    assert (answer["probes"][0]["verdict"], answer["probes"][0]["person"]) == ("known", "P2")
    add_facts("model.safetensors", decided(best + 1, demonstration=True))
    gallery("identify", "2_1.png", "--aligned")
    out = capsys.readouterr()
    assert "unknown" in out.out
    assert "demonstration model" in out.err
    gallery("identify", "2_1.png", "--aligned", "--fpir", "1e-6", code=2)
    assert "support 0.0001 at best" in capsys.readouterr().err

    gallery("list", "--json")
    assert [one["person"] for one in told(capsys)["people"]] == ["P0", "P1", "P2", "P3"]
    gallery("list", "--person", "P1")
    assert "100.0 %" in capsys.readouterr().out
    gallery("renew", "--new-key", "k2")
    Path("k").unlink()
    Path("k2").rename("k")
    gallery("remove", "P2")
    capsys.readouterr()
    gallery("search", "2_1.png", "--aligned", "--json")
    assert "P2" not in json.dumps(told(capsys))
    gallery("export", "-o", "all.json", "--embeddings", "all.safetensors")
    assert [one["person"] for one in json.loads(Path("all.json").read_text())] == ["P0", "P1", "P3"]
    assert load_keys("all.safetensors") == ["P0", "P1", "P3"]
    assert len(FaceEmbedding.load("all.safetensors")) == 3
    gallery("purge")
    assert capsys.readouterr().out.endswith("0 erased\n")
    gallery("stats", "--json")
    assert told(capsys)["people"] == 3
    gallery("calibrate", "4_0.png", "4_1.png", "--aligned")
    assert "withheld" in capsys.readouterr().out
    gallery("audit", "--lines")
    assert "act=remove" in capsys.readouterr().out


def test_a_photo_without_a_face_is_counted_and_the_others_are_taken(made, capsys):
    gallery("create", "--model", "model.safetensors", "--index", "exact:")
    Path("broken.png").write_bytes(b"\x89PNG nothing")
    consent = ["--aligned", "--consent", "form", "--purpose", "test", "--expires", SOON]
    gallery("enrol", "P0", "0_0.png", "broken.png", *consent, "--json")
    found = capsys.readouterr()
    assert json.loads(found.out)["images"] == 1
    assert json.loads(found.out)["failures"] == {"broken.png": "not decodable"}
    assert "1 of 2 photos" in found.err
    gallery("search", "broken.png", "--aligned", code=2)
    assert "no face in any" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda: Path("k").chmod(0o644), "chmod 600"),
        (lambda: Path("k").write_text("urface-gallery-key-1 00\n"), "hexadecimal"),
        (lambda: Path("k").write_text(f"urface-gallery-key-1 {'00' * 32}\n"), "does not open"),
        (lambda: Path("k").unlink(), "no such file"),
        (lambda: Path("g/gallery.db").unlink(), "no gallery here"),
        (lambda: Path("g/gallery.db").write_bytes(b"x" * 5000), "damaged"),
    ],
)
def test_what_is_wrong_with_key_or_folder_is_one_line(made, capsys, change, says):
    gallery("create", "--model", "model.safetensors")
    change()
    capsys.readouterr()
    gallery("stats", code=2)
    assert says in capsys.readouterr().err


def test_keys_and_galleries_are_never_overwritten_nor_kept_together(made, capsys):
    gallery("create", "--model", "model.safetensors", "--key", "g/k", code=2)
    assert "apart" in capsys.readouterr().err
    gallery("create", "--model", "model.safetensors")
    before = Path("k").read_bytes()
    gallery("create", "--model", "model.safetensors", code=2)
    assert "no empty folder" in capsys.readouterr().err
    assert main(["gallery", "create", "h", "--model", "model.safetensors", "--key", "k"]) == 2
    assert "never overwritten" in capsys.readouterr().err
    assert Path("k").read_bytes() == before
    assert not Path("h").exists()


def test_another_model_and_an_ended_or_endless_consent_are_refused(made, capsys):
    gallery("create", "--model", "model.safetensors", "--retention-days", "300")
    model = small_model()
    with_other_weights = next(p for p in model.parameters() if p.ndim > 1)
    with_other_weights.data[0] += 1
    save_model("other.safetensors", model, SETTINGS, ObjectiveSettings("confidence"), {})
    enrol(0, "--model", "other.safetensors", code=2)
    assert "cannot be compared" in capsys.readouterr().err
    for expires, says in (("2020-01-01", "ended"), ("2999-01-01", "300 days"), ("soon", "no date")):
        enrol(0, "--expires", expires, code=2)
        assert says in capsys.readouterr().err
    gallery("list")
    assert capsys.readouterr().out == ""


def test_a_key_may_come_from_the_environment(made, monkeypatch, capsys):
    monkeypatch.setenv("URFACE_GALLERY_KEY", "ab" * 32)
    assert main(["gallery", "create", "g", "--model", "model.safetensors"]) == 0
    assert main(["gallery", "stats", "g"]) == 0
    monkeypatch.delenv("URFACE_GALLERY_KEY")
    assert main(["gallery", "stats", "g"]) == 2
    assert "no key" in capsys.readouterr().err


def test_counts_of_a_gallery_say_whether_the_demonstration_model_answers(made, monkeypatch, capsys):
    monkeypatch.setenv("URFACE_GALLERY_KEY", "ab" * 32)
    for model, said in (("demonstration", "True"), ("model.safetensors", "False")):
        assert main(["gallery", "create", said, "--model", model]) == 0
        capsys.readouterr()
        assert main(["gallery", "stats", said]) == 0
        lines = dict(line.rsplit(None, 1) for line in capsys.readouterr().out.splitlines())
        assert lines["demonstration"] == said
