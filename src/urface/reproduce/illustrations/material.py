"""What the figures are made of: models by row, faces, pairs; of a finished reproduction or named singly."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from urface.config import DataSettings, TrainSettings, VariationSettings
from urface.data.decode import DecodeError, resize_image
from urface.data.meshes import open_meshes
from urface.data.open import open_faces
from urface.data.source import FaceSource
from urface.data.synthetic.turned import true_views
from urface.embedder import Embedder, load
from urface.evaluation.levels import Turn
from urface.evaluation.protocol import PairProtocol, drawn_pairs, lfw_pairs
from urface.reproduce.faces import join_sources
from urface.reproduce.rows import ABLATION, chosen
from urface.scoring.score import Method
from urface.training.train import MODEL, training_faces
from urface.types import UserError
from urface.variations.pose import turned_view

FOLDS = 10
MOST_ROWS = 8  # that one panel of figure A can tell apart


@dataclass(frozen=True)
class DrawnRow:
    """A line of figure A: its name, how its faces are scored, its model for each seed."""

    name: str
    method: Method
    models: tuple[Path, ...]


@dataclass(eq=False)
class Material:
    """Parts of the figures; what is missing is None or empty, and the figures that need it say so.

    ours, baseline   models of the paper's method, and of CosFace with variation augmentation
    rows             the lines of figure A
    train, test      faces the models have learned from, and others
    all_pairs        the pairs of ``test``, of which ``pairs_per_kind`` genuine and impostor ones are used
    turn             makes a face look to another side; None leaves yaw out
    sheets           test sets for figure 5, by name; without them it is made from ``test``
    """

    ours: Path | None = None
    baseline: Path | None = None
    rows: list[DrawnRow] = field(default_factory=list)
    train: FaceSource | None = None
    test: FaceSource | None = None
    train_name: str = ""
    test_name: str = ""
    all_pairs: Callable[[FaceSource, int], PairProtocol] | None = None
    pairs_per_kind: int = 500
    turn: Turn | None = None
    sheets: dict[str, FaceSource] = field(default_factory=dict)
    progress: bool = True
    measured: Any = None  # what figures A and B share, once it is measured
    _embedders: dict[Path, Embedder] = field(default_factory=dict)

    def embedder(self, path: Path) -> Embedder:
        """The model at ``path``, read once."""
        if path not in self._embedders:
            self._embedders[path] = load(path)
        return self._embedders[path]

    def pairs(self) -> PairProtocol:
        """The pairs of figure A, as many of each kind in every fold."""
        assert self.test is not None
        each = max(self.pairs_per_kind // FOLDS, 1)
        if self.all_pairs is None:
            return drawn_pairs(self.test.labels, FOLDS, each)
        return first_pairs(self.all_pairs(self.test, each), each)

    def variations(self) -> VariationSettings:
        """What the method was trained with, without a mirror image; the defaults where that was nothing."""
        assert self.ours is not None
        known = {part.name for part in fields(VariationSettings)}
        stored = self.embedder(self.ours).facts.get("settings", {}).get("variations", {})
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in stored.items()
            if name in known
        }
        # A new view needs a mesh, which these images have not; yaw is shown by the other figures.
        settings = replace(VariationSettings(**values), flip=0.0, pose=0.0)
        if settings.low_resolution == settings.occlusion == 0:
            settings = replace(settings, low_resolution=0.3, occlusion=0.3)
        return settings


def material_of_run(run: Path, wanted_seeds: int = 1, rows: Sequence[str] = ()) -> Material:
    """The parts that a finished `urface reproduce` left in ``run``.

    ours is the confidence-aware row with the most modules of the paper, baseline the last one of CosFace
    with augmentation. Without ``rows``, figure A has all of the run's, or where they are more than
    MOST_ROWS those of the ablation.
    Raises UserError where ``run`` is no reproduction, or a row or model is missing.
    """
    file = run / "results.json"
    if not file.is_file():
        raise UserError(
            f"{run}: no finished reproduction there: run `urface reproduce --out {run}` first"
        )
    settings = json.loads(file.read_text(encoding="utf-8"))["settings"]
    seeds = min(wanted_seeds, int(settings["seeds"]))
    sub_embeddings = settings["settings"]["model"]["sub_embeddings"]
    material = Material()
    found = chosen(tuple(rows) or tuple(settings["rows"]))
    if not rows and len(found) > MOST_ROWS:
        found = [(key, row) for key, row in found if key in ABLATION]
    modules = -1
    for key, row in found:
        paths = tuple(run / "models" / f"{row.model}_seed{s}" / MODEL for s in range(seeds))
        missing = [path for path in paths if not path.is_file()]
        if missing:
            raise UserError(f"{missing[0]}: no such file: the reproduction has not trained {key}")
        name = row.name.format(K=sub_embeddings)
        material.rows.append(DrawnRow(name, row.method, paths))
        kind = training_settings(material.embedder(paths[0]))
        if kind.get("identification") == "confidence":
            if len(row.modules) >= modules:
                material.ours, modules = paths[0], len(row.modules)
        elif kind.get("identification") == "cosface" and kind.get("augmented"):
            material.baseline = paths[0]
    if settings["train"]:
        data = {k: v for k, v in settings["settings"]["data"].items() if k in _data_fields()}
        plan = TrainSettings(data=DataSettings(**{**data, "train": settings["train"]}))
        material.train = training_faces(plan)
        material.test = open_faces(settings["test_lfw"])
        material.train_name = Path(settings["train"]).name
        material.test_name = Path(settings["test_lfw"]).name
        pairs_file = Path(settings["pairs"])
        material.all_pairs = lambda test, _: lfw_pairs(pairs_file, test)
        return material
    folders = [run / "faces" / "test" / name for name in ("enrolled", "strangers")]
    material.train = open_faces(run / "faces" / "train")
    material.test = join_sources("synthetic test faces", *map(open_faces, folders))
    material.train_name = "synthetic"
    material.test_name = "synthetic, of people not trained on"
    material.turn = true_views(folders)
    return material


def training_settings(embedder: Embedder) -> dict[str, Any]:
    """``identification`` of a model's loss, and whether it was ``augmented``; {} where not recorded."""
    settings = embedder.facts.get("settings", {})
    if "objective" not in settings:
        return {}
    variations = settings.get("variations", {})
    chances = [variations.get(name, 0.0) for name in ("low_resolution", "occlusion", "pose")]
    return {
        "identification": settings["objective"]["identification"],
        "augmented": any(chance > 0 for chance in chances),
    }


def use_faces(material: Material, path: str) -> None:
    """Put the faces at ``path`` in the place of the test faces, and of training faces that lack."""
    faces = open_faces(path)
    material.test, material.test_name = faces, Path(path).name
    material.all_pairs, material.turn = None, true_views([path])
    if material.train is None:
        material.train = faces
        material.train_name = f"{Path(path).name}, which were given as test faces"


def turn_by_meshes(material: Material, meshes: str) -> None:
    """Let yaw be shown by turning the test faces with the meshes in the .parquet ``meshes``.

    A face that has none, or does not look ahead, is left out of what yaw is shown on.
    """
    if material.test is None:
        raise UserError("--meshes turns test faces: name them with --faces, or a run of real faces")
    source, found = material.test, open_meshes(meshes, material.test)
    place_of = {key: place for place, key in enumerate(source.keys)}

    def turn(key: str, yaw: float) -> np.ndarray | None:
        place = place_of[key]
        head = found.head(place, TURNED_SIDE)
        if head is None:
            return None
        return turned_view(resize_image(source.image(place), TURNED_SIDE), head, yaw, 0.0)

    material.turn = turn


def first_pairs(pairs: PairProtocol, each: int) -> PairProtocol:
    """The first ``each`` genuine and impostor pairs of every fold."""
    keep: list[int] = []
    for fold in np.unique(pairs.fold):
        for same in (True, False):
            mine = np.flatnonzero((pairs.fold == fold) & (pairs.same == same))
            keep.extend(mine[:each].tolist())
    order = np.sort(np.array(keep, np.int64))
    return PairProtocol(pairs.left[order], pairs.right[order], pairs.same[order], pairs.fold[order])


def read_images(source: FaceSource, places: Sequence[int]) -> tuple[list[np.ndarray], list[int]]:
    """The images at ``places`` that can be decoded, and their places."""
    images, kept = [], []
    for place in places:
        try:
            images.append(source.image(int(place)))
        except DecodeError:
            continue  # a figure is drawn from what there is; its caption counts it
        kept.append(int(place))
    return images, kept


TURNED_SIDE = 112  # pixels of the faces that --meshes turns


def _data_fields() -> set[str]:
    return {part.name for part in fields(DataSettings)} - {"labels", "meshes"}
