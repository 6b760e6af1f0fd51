"""Settings of `urface reproduce`: which rows, on which faces, in which conditions."""

from __future__ import annotations

from dataclasses import dataclass, field

from urface.config import TrainSettings, require


@dataclass
class SyntheticSettings:
    """The built-in synthetic faces that `urface reproduce` makes where no data are named.

    train_identities, train_shots        people and images of each to train on
    enrolled, enrolled_shots             unseen people in the gallery, and images of each (one is enrolled)
    strangers, stranger_shots            unseen people who are not in the gallery, and images of each
    size                                 side in pixels
    """

    train_identities: int = 400
    train_shots: int = 12
    enrolled: int = 300
    enrolled_shots: int = 6
    strangers: int = 400
    stranger_shots: int = 8
    size: int = 112
    seed: int = 0


@dataclass
class ReproduceSettings:
    """`urface reproduce`: train the rows of the table, judge each on unseen people, write a report.

    train           training faces: folder, .tar or manifest; empty makes synthetic ones
    test_lfw        LFW, aligned: folder or .tar
    pairs           its pairs.txt
    rows            which rows, in order, or sets of them: table1, table2, ablation
    seeds           how many seeds for every row (0, 1, ...)
    conditions      what test faces are put in: clean, degraded, blur, occluded, pose, all, or levels such
                    as 16px, blur15, occluded20, yaw45; clean is always one of them
    gallery_images  images of a person in a second gallery, as one template (1: no second gallery)
    test_meshes     .parquet of face meshes of the test images, for the conditions pose and yaw
    cosface_margin  in cosine, of the rows with one embedding at a constant scale
    arcface_margin  in radians
    jobs            trainings at a time, each in a process of its own with its share of the cores
    resamples       of the test people, for intervals and paired tests
    out             folder for models, embeddings, tables and report.html
    """

    train: str = ""
    test_lfw: str = ""
    pairs: str = ""
    rows: tuple[str, ...] = ("cosface", "cosface_va", "confidence", "confidence_pa")
    seeds: int = 1
    conditions: tuple[str, ...] = ("clean", "degraded")
    gallery_images: int = 1
    test_meshes: str = ""
    cosface_margin: float = 0.3
    arcface_margin: float = 0.4
    jobs: int = 1
    resamples: int = 2000
    out: str = "runs/reproduce"
    synthetic: SyntheticSettings = field(default_factory=SyntheticSettings)
    settings: TrainSettings = field(default_factory=TrainSettings)

    def __post_init__(self) -> None:
        require(self.seeds >= 1, f"seeds must be at least 1, got {self.seeds}")
        for name in ("rows", "conditions"):
            values = tuple(getattr(self, name))
            setattr(self, name, values)
            require(
                len(set(values)) == len(values) > 0, f"{name} must name each one once: {values}"
            )
        require("clean" in self.conditions, "conditions must hold clean: galleries are clean faces")
        require(self.jobs >= 1, f"jobs must be at least 1, got {self.jobs}")
        require(self.gallery_images >= 1, "gallery_images must be at least 1")
        require(self.resamples >= 100, "resamples must be at least 100")
        named = [bool(self.train), bool(self.test_lfw), bool(self.pairs)]
        require(
            all(named) or not any(named),
            "train, test_lfw and pairs belong together: name all three, or none for synthetic faces",
        )
