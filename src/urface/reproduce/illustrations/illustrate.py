"""`urface figures`: the paper's five figures and two of our own, each collected, drawn and explained."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from urface.atomic import write_atomic
from urface.figures.page import Entry, figures_page
from urface.figures.style import save_figure, to_jpeg
from urface.reproduce.illustrations import growth, training_samples, unseen_faces
from urface.reproduce.illustrations.drawn import Drawn
from urface.reproduce.illustrations.material import Material
from urface.types import UserError

WAYS: dict[str, tuple[str, Callable[[Material], Drawn]]] = {
    "1": ("figure1_confidence", training_samples.confidence),
    "2": ("figure2_uncertainty_by_variation", unseen_faces.by_variation),
    "3": ("figure3_uncertainty_ranked", unseen_faces.ranked),
    "4": ("figure4_tsne", training_samples.maps),
    "5": ("figure5_test_sets", unseen_faces.example_sheets),
    "A": ("figureA_robustness", growth.robustness),
    "B": ("figureB_uncertainty_growth", growth.growth),
}
FIGURES = tuple(WAYS)
RECORD = "figures.json"


def illustrate(
    material: Material,
    out: str | Path,
    only: Sequence[str] = FIGURES,
    small: str | Path | None = None,
) -> tuple[list[str], dict[str, str]]:
    """Draw the figures ``only`` into ``out`` as PDF and PNG, with index.html and figures.json.

    A later call for other figures of the same models and faces adds to the page. Gives the names of
    those drawn, and of those left out with the reason of each. ``small`` is a folder for light JPEGs
    beside. Raises UserError for a name that is none.
    """
    unknown = [name for name in only if name not in FIGURES]
    if unknown:
        raise UserError(f"--only: no figure {unknown[0]!r}; there are {', '.join(FIGURES)}")
    out = Path(out)
    record = _record(out / RECORD, made_of(material))
    drawn_now: list[str] = []
    left_out: dict[str, str] = {}
    for name in [name for name in FIGURES if name in only]:
        file, draw = WAYS[name]
        _say(material, f"figure {name}")
        try:
            drawn = draw(material)
        except UserError as error:
            left_out[name] = str(error)
            _say(material, f"figure {name} left out: {error}")
            continue
        save_figure(drawn.figure, out, file)
        if small is not None:
            write_atomic(Path(small) / f"{file}.jpg", to_jpeg(drawn.figure))
        record["figures"][name] = {
            "file": file,
            "title": drawn.title,
            "caption": drawn.caption,
            "numbers": drawn.numbers,
        }
        drawn_now.append(name)
    if drawn_now:
        write_atomic(out / RECORD, json.dumps(record, indent=1) + "\n")
        write_atomic(out / "index.html", figures_page(_entries(out, record), left_out))
    return drawn_now, left_out


def made_of(material: Material) -> dict[str, Any]:
    """What the figures of a folder have in common: drawn from anything else, they start a new page."""
    models = [material.ours, material.baseline]
    return {
        "models": [str(path) if path else None for path in models],
        "train": material.train_name,
        "test": material.test_name,
    }


def _record(path: Path, made_of: dict[str, Any]) -> dict[str, Any]:
    """What an earlier call drew into the folder from the same things, or an empty record."""
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if record["made_of"] == made_of and isinstance(record["figures"], dict):
            return record
    except (OSError, ValueError, KeyError, TypeError):
        pass  # no page yet, or one that is not ours to go on with
    return {"made_of": made_of, "figures": {}}


def _entries(out: Path, record: dict[str, Any]) -> list[Entry]:
    """The figures of the record whose pictures are there, in their order."""
    entries = []
    for name in FIGURES:
        told = record["figures"].get(name)
        if told and (out / f"{told['file']}.png").is_file():
            png = (out / f"{told['file']}.png").read_bytes()
            entries.append(Entry(name, told["title"], told["caption"], png))
    return entries


def _say(material: Material, line: str) -> None:
    if material.progress:
        print(line, file=sys.stderr, flush=True)
