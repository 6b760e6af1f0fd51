"""Claims about the page in a real browser; needs node, chromium, and `npm ci` in tests/web/browser."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from small_model import one_thread  # noqa: F401

from .running import running
from .stand_ins import service

BROWSER = Path(__file__).parent / "browser"
NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What check.mjs saw."""
    node = shutil.which("node")
    chromium = next(filter(None, map(shutil.which, NAMES)), None)
    if node is None or chromium is None:
        pytest.skip("needs node and chromium")
    if not (BROWSER / "node_modules" / "playwright-core").is_dir():
        pytest.skip("needs playwright-core: npm ci in tests/web/browser")
    folder = tmp_path_factory.mktemp("page")
    with running(service(folder=folder)) as port:
        done = subprocess.run(
            [node, str(BROWSER / "check.mjs"), f"http://127.0.0.1:{port}", chromium, str(folder)],
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-2000:]
    told: dict[str, Any] = json.loads(done.stdout)
    assert [name for name, found in told.items() if "failed" in found] == [], told
    return told


def test_nothing_is_asked_of_anyone_else_and_no_error_is_noted(seen: dict[str, Any]):
    assert {name: found["wrong"] for name, found in seen.items() if found["wrong"]} == {}


def test_two_photos_have_a_verdict_and_a_heat_map_with_words(seen: dict[str, Any]):
    found = seen["compare"]
    assert found["verdict"].startswith("Probably the same person")
    assert found["sign"] == "="
    assert found["cells"] == 2 * 4  # the stand-in has four sub-embeddings
    assert all("least sure in sub-embedding" in label for label in found["labels"])
    assert "Demonstration model" in found["note"]
    assert found["live"] == "polite"


def test_all_of_it_can_be_done_by_keyboard(seen: dict[str, Any]):
    found = seen["keyboard"]
    assert found["outline"] == "solid"
    assert found["verdict"]
    assert found["enrolled"] == "Ada is enrolled with 2 images."
    assert found["bars"] == 2
    assert found["kept"] == "Keep"  # the dialog begins at the choice that loses nothing
    assert found["people"] == "Nobody is enrolled yet."


def test_nothing_is_cut_off_at_320_pixels_and_everything_can_be_touched(seen: dict[str, Any]):
    assert seen["phone"]["compare"] <= 0
    assert seen["phone"]["gallery"] <= 0
    assert seen["phone"]["small"] == []


def test_photos_are_chosen_and_pasted_and_what_is_no_picture_is_refused(seen: dict[str, Any]):
    assert seen["choose"]["refused"] == "This is no picture that a browser can show."
    assert seen["choose"]["pasted"] == 200


def test_a_name_with_markup_stays_text(seen: dict[str, Any]):
    assert seen["search"]["best"] == "<b>Grace</b>"
    assert "<b>Grace</b>" in seen["search"]["identity"]
    assert seen["search"]["markup"] == 0
