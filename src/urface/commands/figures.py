"""`urface figures`."""

from __future__ import annotations

from pathlib import Path

from urface.commands.parser import CommandParser, note
from urface.types import UserError

SUMMARY = """\
Draw the paper's figures 1 to 5 and two of our own, A (accuracy as each variation grows) and B
(uncertainty as each variation grows), as PDF and PNG, with index.html that explains them. A finished
reproduction has all they need; a figure that lacks something is left out with a line that says what."""
EXAMPLES = """\
  urface figures runs/demo -o figures
  urface figures runs/demo -o figures --only 1,4
  urface figures --model runs/mine --baseline runs/cosface_va --faces faces/ -o figures"""


def run(arguments: list[str]) -> int:
    parser = CommandParser("urface figures", SUMMARY, EXAMPLES)
    parser.add("run", str, help="folder of a finished `urface reproduce`", nargs="?")
    # jsonargparse names an option by its long form, so -o cannot go through parser.add alone.
    parser.hints["out"] = str
    parser.add_argument("-o", "--out", type=str, default="figures", help="folder for the figures")
    parser.add("--only", str, "", help="which figures, such as 1,4,A (default: all)")
    parser.add("--model", str, "", help="the method's model, in place of the run's")
    parser.add("--baseline", str, "", help="CosFace with augmentation, in place of the run's")
    parser.add("--faces", str, "", help="test faces, in place of the run's")
    parser.add(
        "--meshes",
        str,
        "",
        help="face meshes of the test faces, to turn them (`urface data landmarks` finds them)",
    )
    parser.add("--train", str, "", help="training faces, in place of the run's (figures 1 and 4)")
    parser.add("--sheets", str, "", help="test sets for figure 5, with commas between them")
    parser.add(
        "--rows",
        str,
        "",
        help="rows of the run for figure A, with commas (default: all, or the ablation's)",
    )
    parser.add("--seeds", int, 1, help="trainings of each row that figure A takes the mean of")
    parser.add("--pairs", int, 500, help="genuine pairs, and as many impostor ones, of figure A")
    parser.add("--small", str, "", help="folder for light JPEGs besides")
    given = parser.read(arguments)
    if not given.run and not given.model and not given.sheets:
        raise UserError("give the folder of a finished reproduction, or --model and --faces")
    if given.seeds < 1 or given.pairs < 10:
        raise UserError("--seeds must be at least 1 and --pairs at least 10")
    from urface.data.open import open_faces
    from urface.models.box import model_path
    from urface.reproduce.illustrations import FIGURES, illustrate
    from urface.reproduce.illustrations.material import (
        DrawnRow,
        Material,
        material_of_run,
        turn_by_meshes,
        use_faces,
    )

    only = [name.upper() for name in _listed(given.only)] or list(FIGURES)
    material = Material()
    if given.run:
        material = material_of_run(Path(given.run), given.seeds, _listed(given.rows))
    material.pairs_per_kind = given.pairs
    if given.train:
        material.train, material.train_name = open_faces(given.train), Path(given.train).name
    if given.faces:
        use_faces(material, given.faces)
    if given.meshes:
        turn_by_meshes(material, given.meshes)
    if given.model or given.baseline:
        material.rows = []  # those of the run are of other models
    if given.baseline:
        material.baseline = Path(given.baseline)
        material.embedder(material.baseline)  # a wrong path is said now, not after other figures
        material.rows.append(DrawnRow("baseline", "cosine", (material.baseline,)))
    if given.model:
        material.ours = model_path(given.model)
        material.embedder(material.ours)
        material.rows.append(DrawnRow("ours", "likelihood", (material.ours,)))
    for path in _listed(given.sheets):
        material.sheets[Path(path).stem] = open_faces(path)
    drawn, left_out = illustrate(material, given.out, only, given.small or None)
    if not drawn:
        raise UserError(
            f"no figure could be drawn: {'; '.join(f'{n}: {why}' for n, why in left_out.items())}"
        )
    lacking = f"; left out: {', '.join(left_out)}" if left_out else ""
    note(f"drawn: {', '.join(drawn)}{lacking}")
    print(f"figures: {Path(given.out) / 'index.html'}")
    return 0


def _listed(text: str) -> list[str]:
    """``a, b`` -> [a, b]; nothing for an empty text."""
    return [part.strip() for part in text.split(",") if part.strip()]
