"""`urface data make-miniature`."""

from __future__ import annotations

from pathlib import Path

from urface.commands.parser import CommandParser, note
from urface.types import UserError

SUMMARY = """\
Write a small data set of synthetic faces in the exact layout of a benchmark, to try a command on before
the real one's licence arrives. DIR must be new or empty; it is written whole or not at all. NAME is
one of those that `urface data make-miniature --list` names, or all: each in DIR/NAME."""
EXAMPLES = """\
  urface data make-miniature ijbc small/ijbc
  urface data make-miniature all small --seed 1
  urface data make-miniature --list"""


def run(arguments: list[str]) -> int:
    parser = CommandParser("urface data make-miniature", SUMMARY, EXAMPLES)
    parser.add("name", str, nargs="?", help="the benchmark, or all")
    parser.add("dir", str, nargs="?", help="the folder to write")
    parser.add("--seed", int, 0, help="which people: another seed gives others")
    parser.add_flag("--list", help="name the benchmarks and end")
    given = parser.read(arguments)
    from urface.benchmarks.registry import BENCHMARKS, write_miniature

    if given.list:
        width = max(map(len, BENCHMARKS)) + 2
        for name, entry in BENCHMARKS.items():
            print(f"{name:{width}}{entry.title}")
        return 0
    if given.name is None or given.dir is None:
        raise UserError("expected NAME and DIR; see urface data make-miniature --help")
    if given.seed < 0:
        raise UserError(f"--seed must be 0 or more, got {given.seed}")
    root = Path(given.dir)
    if given.name != "all":
        write_miniature(given.name, root, given.seed)
        note(f"{root}: {BENCHMARKS[given.name].title} in small, of synthetic faces")
        return 0
    write_all(root, given.seed)
    return 0


def write_all(root: Path, seed: int) -> None:
    """Every miniature in a folder of its own under ``root``, which must be new or empty."""
    from tqdm import tqdm

    from urface.atomic import atomic_folder
    from urface.benchmarks.registry import BENCHMARKS, fill_miniature

    with atomic_folder(root) as folder:
        for name in tqdm(BENCHMARKS, unit="benchmarks", desc=f"miniatures to {root.name}"):
            (folder / name).mkdir()
            fill_miniature(name, folder / name, seed)
    note(f"{root}: {len(BENCHMARKS)} benchmarks in small, of synthetic faces")
