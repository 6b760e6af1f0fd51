"""Options of `urface evaluate` for what is judged beside the measures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from urface.commands.parser import CommandParser, suggestion
from urface.types import UserError

if TYPE_CHECKING:
    from urface.benchmarks.benchmark import Benchmark
    from urface.benchmarks.calibrated import Calibrated
    from urface.benchmarks.evaluate import Options
    from urface.benchmarks.group_labels import GroupLabels
    from urface.recognisers.recogniser import Recogniser

Convention = Literal["", "insightface"]
Method = Literal["logistic", "isotonic"]
WRITTEN = "calibration.json"


def add_beside(parser: CommandParser) -> None:
    """The options that ``Beside`` reads."""
    parser.add("--conventions", Convention, "", help="insightface: its variants beside ours")
    parser.add("--calibrate_on", str, "", help="NAME=DIR: a 1:1 benchmark to calibrate scores on")
    parser.add("--calibration", str, "", help="OUT/calibration.json of an earlier --calibrate-on")
    parser.add("--calibration_fit", Method, "logistic", help="how a probability is fitted")
    parser.add("--calibration_prior", float, 0.5, help="share of genuine pairs it is fitted for")
    parser.add("--groups", str, "", help="FILE.csv:COLUMN or .parquet: rates by group of people")


class Beside:
    """What was asked for, read once for all models and benchmarks. Raises UserError where it is not clear."""

    def __init__(self, given: Any) -> None:
        self.conventions = given.conventions == "insightface"
        self.method, self.prior = given.calibration_fit, given.calibration_prior
        if given.calibrate_on and given.calibration:
            raise UserError("give either --calibrate-on or --calibration")
        if not 0 < self.prior < 1:
            raise UserError(f"--calibration-prior must lie between 0 and 1, got {self.prior}")
        self.groups: GroupLabels | None = None
        self.known: list[Calibrated] = []
        self.fitted: list[Calibrated] = []
        self.source = given.calibration
        self.base: Benchmark | None = None
        if given.groups:
            from urface.benchmarks.group_labels import read_groups

            self.groups = read_groups(given.groups)
        if given.calibration:
            from urface.benchmarks.calibrated import read_calibrations

            self.known = read_calibrations(Path(given.calibration))
        if given.calibrate_on:
            self.base = _base(given.calibrate_on)

    def options(
        self, options: Options, recogniser: Recogniser, folder: Path, cache: Path
    ) -> Options:
        """``options`` with it; a calibration is fitted once for each model and way of judging it, and written
        to ``folder``."""
        return replace(
            options,
            conventions=self.conventions,
            groups=self.groups,
            calibrated=self._calibrated(options, recogniser, folder, cache),
        )

    def _calibrated(
        self, options: Options, recogniser: Recogniser, folder: Path, cache: Path
    ) -> Calibrated | None:
        if self.base is None and not self.source:
            return None
        from urface.benchmarks.calibrated import write_calibrations
        from urface.benchmarks.fit_calibration import fit_for, fit_on

        if self.source:
            return fit_for(self.known, recogniser, options, self.source)
        assert self.base is not None
        try:
            return fit_for(self.fitted, recogniser, options, "")
        except UserError:
            pass  # the first time
        found = fit_on(
            self.base, recogniser, self._as_here(options), self.method, self.prior, cache=cache
        )
        self.fitted.append(found)
        write_calibrations(self.fitted, folder / WRITTEN)
        return found

    def _as_here(self, options: Options) -> Options:
        """The options for the set that is calibrated on: no detector's score is known of every set."""
        assert self.base is not None
        pooling = options.pooling
        if self.base.images.quality is None:
            pooling = replace(pooling, detector_weights=False)
        return replace(options, pooling=pooling)


def _base(text: str) -> Benchmark:
    from urface.benchmarks.registry import BENCHMARKS, read_benchmark

    name, _, place = text.partition("=")
    if not place:
        raise UserError(f"--calibrate-on is NAME=DIR, got {text!r}")
    if name not in BENCHMARKS:
        raise UserError(f"no benchmark is called {name!r}{suggestion(name, BENCHMARKS)}")
    return read_benchmark(name, place)
