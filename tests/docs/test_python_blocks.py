"""The Python that the README and the pages show runs, with an untrained model in the demo's place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from urface.config import ModelSettings, ObjectiveSettings
from urface.models.files import save_model
from urface.models.urface import build_urface

ROOT = Path(__file__).resolve().parents[2]
# Others with Python have a test of their own: add_a_loss, add_a_protocol. reference shows signatures.
NAMES = ("index", "metrics", "search")
PAGES = [ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in NAMES)]


def blocks(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the blocks find what they name."""
    desk = tmp_path_factory.mktemp("desk")
    settings, objective = ModelSettings("tiny", 64, 70), ObjectiveSettings()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build_urface(settings, objective).eval()
    place = desk / "runs" / "demo" / "models" / "confidence_seed0" / "model.safetensors"
    place.parent.mkdir(parents=True)
    save_model(place, model, settings, objective, {})
    return desk


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_python_of_a_page_runs(page: Path, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk)
    found = blocks(page.read_text())
    assert found
    for block in found:
        run(block, page)


def run(block: str, page: Path) -> None:
    names: dict[str, object] = {}
    exec(compile(block, str(page), "exec"), names)


def test_every_page_with_python_has_its_test() -> None:
    pages = {page for page in (ROOT / "docs").glob("*.md") if blocks(page.read_text())}
    own = {ROOT / "docs" / f"{name}.md" for name in ("add_a_loss", "add_a_protocol")}
    assert pages == (set(PAGES) - {ROOT / "README.md"}) | own


def test_a_block_that_fails_is_seen() -> None:
    with pytest.raises(ImportError):
        run("from urface import nothing_of_that_name", Path("page.md"))
