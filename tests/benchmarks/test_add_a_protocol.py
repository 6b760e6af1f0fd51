"""The example of docs/add_a_protocol.md is complete and runs."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest

from benchmarks.tiny import edit
from urface.benchmarks import registry
from urface.benchmarks.registry import Entry, read_benchmark, write_miniature
from urface.types import UserError

PAGE = Path(__file__).resolve().parents[2] / "docs" / "add_a_protocol.md"


@pytest.fixture
def siblings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The page's benchmark, registered; its miniature."""
    blocks = re.findall(r"```python\n# src/(\S+)\.py\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (*modules, (registered, line)) = blocks
    assert registered == "urface/benchmarks/registry"
    assert len(modules) == 2
    for place, code in modules:
        file = tmp_path / f"{place.replace('/', '_')}.py"
        file.write_text(code)
        spec = importlib.util.spec_from_file_location(place.replace("/", "."), file)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
    found = re.fullmatch(r'"(\w+)": Entry\("(\w+)", "(\w+)", "(\w+)"\),\n', line)
    monkeypatch.setitem(registry.BENCHMARKS, found[1], Entry(*found.groups()[1:]))
    write_miniature("siblings", tmp_path / "small")
    return tmp_path / "small"


def test_the_example_reads_its_miniature(siblings: Path) -> None:
    benchmark = read_benchmark("siblings", siblings)
    task, subjects = benchmark.pairs[0], benchmark.templates.subjects
    assert task.same.tolist() == [True, True, False, False] * 10
    assert ((subjects[task.left] == subjects[task.right]) == task.same).all()
    assert benchmark.images.read(0).shape == (112, 112, 3)


def test_the_example_is_strict(siblings: Path) -> None:
    edit(siblings / "pairs.csv", 3, "p0_0.jpg,p1_0.jpg,2")
    with pytest.raises(UserError, match=r"pairs\.csv:3: .*expected file,file,0 or 1"):
        read_benchmark("siblings", siblings)
