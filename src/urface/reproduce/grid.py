"""The grid of rows and seeds: each distinct model trained once, each cell judged once, all kept."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors.numpy import load_file, save_file

from urface.atomic import atomic_path
from urface.config import TrainSettings
from urface.config_reproduce import ReproduceSettings
from urface.data.source import images_digest
from urface.embedder import Embedder, load
from urface.evaluation.conditions import Condition, condition
from urface.evaluation.embedding import ConditionFrames, TestFaces, cache_name
from urface.evaluation.outcomes import Outcomes, TestProtocol, meet
from urface.evaluation.quality import embed_with_norms, signs_of_all
from urface.reproduce.faces import ReproductionFaces
from urface.reproduce.measured import Key
from urface.reproduce.rows import ROWS, Row
from urface.reproduce.side_by_side import train_side_by_side
from urface.training.train import MODEL, train

Rows = list[tuple[str, Row]]
CLEAN = condition("clean")  # what galleries are


class Plan(NamedTuple):
    """A model to train: where, how, and from which finished embedding, if any."""

    path: Path
    settings: TrainSettings
    embedding: Path | None


def model_path(settings: ReproduceSettings, model: str, seed: int) -> Path:
    """Where the model of that name and seed is kept."""
    return Path(settings.out) / "models" / f"{model}_seed{seed}" / MODEL


def plans(settings: ReproduceSettings, rows: Rows) -> dict[str, Plan]:
    """Each distinct model by name; one that others build on comes before them, seed 0 of all first."""
    found: dict[str, Plan] = {}

    def add(row: Row, seed: int) -> None:
        path = model_path(settings, row.model, seed)
        if path.parent.name in found:
            return
        if row.embedding:
            add(next(r for r in ROWS.values() if r.model == row.embedding), seed)
        run = replace(settings.settings.run, out=str(path.parent), seed=seed)
        embedding = model_path(settings, row.embedding, seed) if row.embedding else None
        found[path.parent.name] = Plan(path, replace(row.settings(settings), run=run), embedding)

    for seed in range(settings.seeds):
        for _, row in rows:
            add(row, seed)
    return found


def train_models(
    settings: ReproduceSettings,
    rows: Rows,
    faces: ReproductionFaces,
    seconds: dict[str, float],
    progress: bool,
) -> dict[str, Path]:
    """Train each distinct model of the rows for every seed; name -> model file."""
    todo = plans(settings, rows)
    if settings.jobs > 1:
        jobs = {name: (plan.settings, plan.embedding) for name, plan in todo.items()}
        train_side_by_side(jobs, settings.jobs, progress)
        progress = False  # what follows finds each of them trained
    for number, (name, plan) in enumerate(todo.items(), start=1):
        say(progress, f"[{number}/{len(todo)}] training {name}")
        train(plan.settings, faces.train, progress, plan.embedding)
        seconds[f"train {name}"] = load(plan.path).facts["seconds"]
    return {name: plan.path for name, plan in todo.items()}


class Judge:
    """Puts test faces in conditions and rows to the test; what has been judged is read, not done again."""

    def __init__(
        self, settings: ReproduceSettings, faces: ReproductionFaces, protocol: TestProtocol
    ) -> None:
        self.out = Path(settings.out)
        self.seeds = settings.seeds
        self.settings = settings
        self.faces = faces
        self.protocol = protocol
        self.frames = ConditionFrames(faces.test)
        self._digest = protocol.digest()

    def judge(self, rows: Rows, conditions: list[Condition], progress: bool) -> dict[Key, Outcomes]:
        """The outcomes of every row and seed in every condition.

        Each image is decoded and degraded once for a condition and embedded once by each model.
        """
        outcomes: dict[Key, Outcomes] = {}
        self.protocol.save(self.out / "outcomes" / "protocol.safetensors")
        for put_in in conditions:
            for seed in range(self.seeds):
                for model in dict.fromkeys(row.model for _, row in rows):
                    mine = [(key, row) for key, row in rows if row.model == model]
                    outcomes |= self._judge_model(model, mine, seed, put_in, progress)
        order = [(key, s, c.key) for c in conditions for s in range(self.seeds) for key, _ in rows]
        return {cell: outcomes[cell] for cell in order}

    def _judge_model(
        self, model: str, rows: Rows, seed: int, put_in: Condition, progress: bool
    ) -> dict[Key, Outcomes]:
        path = model_path(self.settings, model, seed)
        name = cache_name(path, self.faces.test, put_in.key, 0, put_in.stamp)
        found: dict[Key, Outcomes] = {}
        embedder: Embedder | None = None
        for key, row in rows:
            file = self.out / "outcomes" / f"{key}_seed{seed}" / f"{put_in.key}.safetensors"
            stamp = f"{name} {row.method} {self._digest}"
            kept = Outcomes.load(file, stamp)
            if kept is None:
                if embedder is None:
                    say(progress, f"{put_in.name.lower()} test faces: {path.parent.name}")
                    embedder = load(path)
                    clean, _ = self.embedded(embedder, path, CLEAN, True, progress)
                    tested, norm = self.embedded(embedder, path, put_in, seed == 0, progress)
                kept = meet(clean, tested, self.protocol, row.method, norm)
                kept.save(file, stamp)
            found[key, seed, put_in.key] = kept
        return found

    def embedded(
        self, embedder: Embedder, path: Path, put_in: Condition, keep: bool, progress: bool
    ) -> tuple[TestFaces, np.ndarray]:
        """Test faces of the model at ``path`` and the lengths of their embeddings.

        Kept on disk are the clean ones, which are the gallery of every condition, and all of seed 0.
        """
        name = cache_name(path, self.faces.test, put_in.key, 0, put_in.stamp)
        cache = self.out / "embeddings" / name if keep else None
        return embed_with_norms(embedder, self.faces.test, put_in, self.frames, cache, progress)

    def signs(self, conditions: list[Condition], embedder: Embedder) -> dict[str, np.ndarray]:
        """[N, 3] what the images look like in each condition, by ``quality.signs``."""
        found = {}
        for put_in in conditions:
            name = f"{put_in.key}{put_in.stamp}_{images_digest(self.faces.test)}.safetensors"
            path = self.out / "outcomes" / "signs" / name
            if not path.is_file():
                path.parent.mkdir(parents=True, exist_ok=True)
                values = signs_of_all(self.faces.test, put_in, self.frames, embedder)
                with atomic_path(path) as temporary:
                    save_file({"signs": values}, temporary)
            found[put_in.key] = load_file(path)["signs"]
        return found


def say(progress: bool, line: str) -> None:
    """A line on stderr of what is being done."""
    if progress:
        print(line, file=sys.stderr, flush=True)
