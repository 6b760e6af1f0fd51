"""Parts on a Ray cluster: Ray Data hands their numbers to actors that hold the model.

A worker or machine that dies takes nothing with it that counts: Ray starts another and gives it the part
again, and a part that was written twice is written under the same name.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from urface.corpus.job import Engine
from urface.corpus.part import Done, write_part
from urface.corpus.plan import Part, Plan, Recipe
from urface.corpus.store import Store
from urface.types import UserError


class PartMaker:
    """An actor: loads the model once, then makes the parts that it is handed.

    model, tasks  references to the bytes of the model and to each part by its number
    """

    def __init__(
        self, model: list[Any], tasks: dict[int, Any], url: str, plan: str, recipe: Recipe
    ) -> None:
        import ray
        import torch

        from urface.embedder import load

        torch.set_num_threads(1)  # as many actors as cores, each on its own
        self._ray = ray
        self._tasks = tasks
        self._store, self._plan, self._recipe = Store(url), plan, recipe
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.safetensors"
            path.write_bytes(ray.get(model[0]))
            self._embedder = load(path)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        part: Part = self._ray.get(self._tasks[int(row["part"])])
        done = write_part(part, self._plan, self._recipe, self._embedder, self._store)
        return {"done": json.dumps(done._asdict())}


def on_ray(model: Path, address: str = "", workers: int = 0, gpus: float = 0.0) -> Engine:
    """The engine on the cluster at ``address``; empty: RAY_ADDRESS, or else the cores of this machine.

    model    the file; it travels with the job, so that only the images must be seen from everywhere
    workers  actors, each of one core; 0: as many as the cluster has cores (or GPUs, where they take any)
    gpus     of each worker

    Raises UserError where Ray is not installed or the cluster cannot be reached.
    """

    def engine(plan: Plan, store: Store, missing: list[int]) -> Iterator[Done]:
        if store.in_one_process:
            raise UserError(
                f"{store.url}: lives in one process, so --engine ray cannot write there"
            )
        ray = _started(address)
        try:
            held = ray.put(model.read_bytes())
            # One part at a time: each holds its file open until it is on its way.
            tasks = {number: ray.put(plan.part(number)) for number in missing}
            cluster = ray.cluster_resources()
            size = min(workers_for(cluster, workers, gpus), len(missing))
            numbers = ray.data.from_items(
                [{"part": number} for number in missing], override_num_blocks=len(missing)
            )
            parts = numbers.map(
                PartMaker,
                fn_constructor_args=([held], tasks, store.url, plan.digest, plan.recipe),
                compute=ray.data.ActorPoolStrategy(size=size),
                num_cpus=1,
                num_gpus=gpus or None,
            )
            for row in parts.iter_rows():
                yield Done(**json.loads(row["done"]))
        except ray.exceptions.RayError as error:
            if (ours := _ours(error)) is not None:
                raise ours from None
            raise
        finally:
            ray.shutdown()

    return engine


def workers_for(cluster: dict[str, float], asked: int, gpus: float) -> int:
    """How many actors of one core and ``gpus`` GPUs: as asked, or (0) as many as fit.

    Raises UserError where not one fits: Ray would wait for a machine to come.
    """
    room = cluster.get("GPU", 0.0) / gpus if gpus else cluster.get("CPU", 0.0)
    if room < 1 or cluster.get("CPU", 0.0) < 1:
        has = f"{cluster.get('CPU', 0.0):g} cores and {cluster.get('GPU', 0.0):g} GPUs"
        raise UserError(
            f"the Ray cluster has {has}: no room for a worker of 1 core and {gpus:g} GPUs: "
            "lower --gpus-per-worker"
        )
    return asked or int(room)


def _ours(error: BaseException) -> BaseException | None:
    """What a worker raised for the user, within what Ray wraps around it."""
    inner: BaseException | None = error
    for _ in range(10):
        # Ray's own wrapping passes for an error of ours as well, with a traceback for its words.
        wrapped = getattr(inner, "cause", None)
        if inner is None or (isinstance(inner, (UserError, OSError)) and wrapped is None):
            return inner
        inner = wrapped or inner.__cause__
    return None


def _started(address: str) -> Any:
    # Read when ray is imported: it must not report to its makers, nor draw bars over ours.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
    except ImportError:
        raise UserError('--engine ray needs Ray: pip install "urface[ray]"') from None
    where = address or os.environ.get("RAY_ADDRESS", "")
    dashboard = None if where else False
    try:
        ray.init(
            address=where or "local",
            include_dashboard=dashboard,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (ConnectionError, ValueError) as error:
        raise UserError(f"no Ray cluster at {where} ({' '.join(str(error).split())})") from None
    logging.getLogger("ray.data").setLevel(logging.ERROR)  # its plans and pauses are not ours
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    return ray
