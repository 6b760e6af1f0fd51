"""Claims about `urface data make-miniature`."""

from __future__ import annotations

from pathlib import Path

import pytest

from urface.benchmarks import registry
from urface.benchmarks.miniatures import lfw
from urface.benchmarks.registry import BENCHMARKS, Entry
from urface.cli import main


def small(monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...] = ("one", "two")) -> None:
    """Benchmarks whose miniature is one file with name and seed."""
    monkeypatch.setattr(lfw, "write", lambda root, name, seed: (root / name).write_text(str(seed)))
    for name in list(BENCHMARKS):
        monkeypatch.delitem(registry.BENCHMARKS, name)
    for name in names:
        monkeypatch.setitem(registry.BENCHMARKS, name, Entry(name.upper(), "lfw", "lfw"))


def make(*arguments: object) -> int:
    return main(["data", "make-miniature", *map(str, arguments)])


def test_one_miniature_and_all_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small(monkeypatch)
    assert make("one", tmp_path / "a" / "b", "--seed", 3) == 0
    assert (tmp_path / "a" / "b" / "one").read_text() == "3"
    (tmp_path / "empty").mkdir()
    assert make("all", tmp_path / "empty") == 0
    made = sorted(str(p.relative_to(tmp_path / "empty")) for p in (tmp_path / "empty").rglob("*"))
    assert made == ["one", "one/one", "two", "two/two"]


@pytest.mark.parametrize("name", ["one", "all"])
def test_a_folder_that_holds_anything_is_left_alone(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    small(monkeypatch)
    (tmp_path / "mine").write_text("kept")
    for place in (tmp_path, tmp_path / "mine"):
        assert make(name, place) == 2
        assert "exists already and is no empty folder" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("name", ["one", "all"])
def test_what_fails_halfway_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    small(monkeypatch)

    def fail(root: Path, name: str, seed: int) -> None:
        (root / "begun").write_text("x")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(lfw, "write", fail)
    assert make(name, tmp_path / "new") == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing", "x"], "no benchmark is called 'nothing': known are one, two"),
        (["one"], "expected NAME and DIR"),
        ([], "expected NAME and DIR"),
        (["one", "x", "--seed", "-1"], "--seed must be 0 or more"),
    ],
)
def test_mistakes_cost_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    small(monkeypatch)
    monkeypatch.chdir(tmp_path)
    assert make(*arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_benchmarks_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert make("--list") == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == list(BENCHMARKS)
