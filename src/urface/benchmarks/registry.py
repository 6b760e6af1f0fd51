"""Which benchmarks there are: a plain dict from the name users write to the files that read and make it."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import NamedTuple

from urface.atomic import atomic_folder
from urface.benchmarks.benchmark import Benchmark
from urface.types import UserError


class Entry(NamedTuple):
    """A benchmark: ``module`` in urface.benchmarks has ``read(root, name) -> Benchmark``, ``miniature`` in
    urface.benchmarks.miniatures has ``write(root, name, seed)``; both are imported when wanted."""

    title: str
    module: str
    miniature: str


BENCHMARKS: dict[str, Entry] = {
    # Pairs of images or videos.
    "lfw": Entry("LFW", "lfw", "lfw"),
    "cfp_ff": Entry("CFP-FF", "cfp", "cfp"),
    "cfp_fp": Entry("CFP-FP", "cfp", "cfp"),
    "agedb_30": Entry("AgeDB-30", "verification_set", "verification_set"),
    "calfw": Entry("CALFW", "calfw", "verification_set"),
    "cplfw": Entry("CPLFW", "calfw", "verification_set"),
    "xqlfw": Entry("XQLFW", "lfw", "verification_set"),
    "vgg2_fp": Entry("VGG2-FP", "verification_set", "verification_set"),
    "sllfw": Entry("SLLFW", "verification_set", "verification_set"),
    "ytf": Entry("YouTube Faces", "ytf", "ytf"),
    # Templates of several images, and searches.
    "ijba": Entry("IJB-A 1:1", "ijba", "ijba"),
    "ijba_1n": Entry("IJB-A 1:N", "ijba", "ijba"),
    "ijbb": Entry("IJB-B 1:1", "ijbc", "ijbc"),
    "ijbb_1n": Entry("IJB-B 1:N", "ijbc", "ijbc"),
    "ijbc": Entry("IJB-C 1:1", "ijbc", "ijbc"),
    "ijbc_1n": Entry("IJB-C 1:N", "ijbc", "ijbc"),
    "ijbs": Entry("IJB-S, all five", "ijbs", "ijbs"),
    "ijbs_single": Entry("IJB-S surveillance-to-single", "ijbs", "ijbs"),
    "ijbs_booking": Entry("IJB-S surveillance-to-booking", "ijbs", "ijbs"),
    "ijbs_surveillance": Entry("IJB-S surveillance-to-surveillance", "ijbs", "ijbs"),
    "ijbs_multiview_booking": Entry("IJB-S multi-view to booking", "ijbs", "ijbs"),
    "ijbs_uav_booking": Entry("IJB-S UAV-to-booking", "ijbs", "ijbs"),
    "tinyface": Entry("TinyFace", "tinyface", "tinyface"),
    "megaface": Entry("MegaFace", "megaface", "megaface"),
}


def read_benchmark(name: str, root: str | Path) -> Benchmark:
    """The benchmark called ``name`` in the folder or file ``root``, checked.

    Raises UserError for an unknown name, a missing folder, or a row that does not fit.
    """
    entry = _entry(name)
    if not Path(root).exists():
        raise UserError(
            f"{root}: no such file or folder; `urface data make-miniature {name} DIR` shows the layout"
        )
    benchmark: Benchmark = importlib.import_module(f"urface.benchmarks.{entry.module}").read(
        Path(root), name
    )
    return benchmark.check()


def write_miniature(name: str, root: str | Path, seed: int = 0) -> None:
    """A small data set of synthetic faces in the exact layout of ``name``, whole or not at all.

    Raises UserError for an unknown name, and where ``root`` is there and is no empty folder.
    """
    _entry(name)
    with atomic_folder(root) as folder:
        fill_miniature(name, folder, seed)


def fill_miniature(name: str, folder: Path, seed: int = 0) -> None:
    """As ``write_miniature``, into a folder that is there and empty; what fails halfway stays halfway."""
    module = f"urface.benchmarks.miniatures.{_entry(name).miniature}"
    importlib.import_module(module).write(folder, name, seed)


def _entry(name: str) -> Entry:
    if name not in BENCHMARKS:
        raise UserError(
            f"no benchmark is called {name!r}: known are {', '.join(sorted(BENCHMARKS))}"
        )
    return BENCHMARKS[name]
