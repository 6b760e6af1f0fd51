"""The example of docs/add_a_loss.md is complete: its code runs, its changes fit, the result trains."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "add_a_loss.md").read_text()


def module_of(name: str, code: str, file: Path) -> ModuleType:
    file.write_text(code)
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[ModuleType]:
    """The page's Python, block by block; urface.losses.combined is the first for as long as the test runs."""
    codes = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(codes) == 3
    names = ["urface.losses.combined", "page_tests", "page_training"]
    for name in [*names, "page_config", "page_objective"]:
        monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.setitem(sys.modules, name, ModuleType(name))  # so that it is taken away again
    codes[2] = "from urface.losses.combined import combined_target\n" + codes[2]
    return [
        module_of(name, code, tmp_path / f"{place}.py")
        for place, (name, code) in enumerate(zip(names, codes, strict=True))
    ]


def changed(name: str, page: str = PAGE) -> str:
    """src/urface/``name`` with the page's changes to it."""
    path = ROOT / "src" / "urface" / name
    text = path.read_text()
    found = re.findall(
        rf"```diff\n--- src/urface/{name}\n(.*?)=== becomes\n(.*?)```", page, re.DOTALL
    )
    assert found
    for before, after in found:
        old, new = (re.sub(r"^ ", "", part, flags=re.MULTILINE) for part in (before, after))
        assert text.count(old) == 1, f"{name} no longer has once:\n{old}"
        text = text.replace(old, new)
    return text


def test_the_pages_tests_pass(blocks: list[ModuleType]) -> None:
    """Importing the third block has run its assertion too."""
    claims = [name for name in vars(blocks[1]) if name.startswith("test_")]
    assert len(claims) == 3
    for name in claims:
        getattr(blocks[1], name)()


def test_the_changed_objective_computes_the_new_loss(
    blocks: list[ModuleType], tmp_path: Path
) -> None:
    config = module_of("page_config", changed("config.py"), tmp_path / "config.py")
    code = "from urface.losses.combined import combined_target\n" + changed("losses/objective.py")
    code = code.replace("from __future__ import annotations\n", "")
    objective = module_of("page_objective", code, tmp_path / "objective.py").objective
    generator = torch.Generator().manual_seed(0)
    images, classes = (
        torch.nn.functional.normalize(torch.randn(n, 1, 8, generator=generator).double(), dim=2)
        for n in (5, 4)
    )
    labels = torch.tensor([0, 1, 2, 3, 0])
    settings = config.ObjectiveSettings("combined", margin=0.3, cosine_margin=0.2)
    confidence = torch.full((5, 1), 16.0, dtype=torch.float64)
    found = objective(settings, images, confidence, labels, classes).total
    logits = 16.0 * (images[:, 0] @ classes[:, 0].T)
    for row, own in zip(logits, labels, strict=True):
        row[own] = 16.0 * (torch.cos(torch.acos(row[own] / 16.0) + 0.3) - 0.2)
    assert found.item() == pytest.approx(
        torch.nn.functional.cross_entropy(logits, labels).item(), rel=1e-9
    )


def test_a_change_that_no_longer_fits_its_file_is_seen() -> None:
    """The control: a page that was left behind."""
    old = PAGE.replace('Literal["cosface", "arcface", "confidence"]', 'Literal["cosface"]', 1)
    with pytest.raises(AssertionError, match="no longer has once"):
        changed("config.py", old)
