"""Every setting of urface as typed dataclasses; recipes/*.yaml hold sets of them by name.

"Recalled" beside a value means that it comes from memory of the main paper, not from a text we could
read; the supplementary does not give it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from urface.config_run import RunSettings, require

Backbone = Literal[
    "tiny", "small", "iresnet18", "iresnet34", "iresnet50", "iresnet100", "iresnet200"
]
Identification = Literal["cosface", "arcface", "confidence"]
STORED = ("fp32", "bf16", "bf16_master")


@dataclass
class DataSettings:
    """What to train on.

    train             folder identity/image, .tar of such a folder, or manifest (.csv, .parquet); several
                      with commas between them, where a person of the same name is the same person
    labels            .csv or .parquet with a path column and columns of 0..1, which label those images of
                      train (`urface mine label` writes one)
    meshes            .parquet of face meshes of train (`urface data landmarks` writes one), for
                      variations.pose
    min_images        leave out people with fewer images than this
    identities        use only the first so many people (0: all)
    corrupt_share     stop when more than this share of the images cannot be decoded
    cache_gigabytes   keep decoded images in memory when they take no more than this
    workers           threads that read, decode and augment ahead of the step (0: none, -1: as many as
                      the cores allow); the batches do not depend on it
    shuffle_window    mix images over this many of their neighbours in the files instead of over the whole
                      set, so that shards far away are read by blocks (0: the whole set)
    """

    train: str = ""
    labels: str = ""
    meshes: str = ""
    min_images: int = 1
    identities: int = 0
    corrupt_share: float = 0.001
    cache_gigabytes: float = 4.0
    workers: int = -1
    shuffle_window: int = 0

    def __post_init__(self) -> None:
        require(self.min_images >= 1, f"data.min_images must be at least 1, got {self.min_images}")
        require(self.identities >= 0, f"data.identities must not be negative: {self.identities}")
        require(
            0 <= self.corrupt_share < 1,
            f"data.corrupt_share is a share from 0 up to 1, got {self.corrupt_share}",
        )
        require(
            -1 <= self.workers <= 256,
            f"data.workers must be from 0 to 256, or -1, got {self.workers}",
        )
        require(
            self.shuffle_window >= 0,
            f"data.shuffle_window must not be negative, got {self.shuffle_window}",
        )


@dataclass
class VariationSettings:
    """Variation augmentation: each applied on its own, online (paper: probability 0.3, recalled).

    low_resolution    probability of a lower resolution
    blur_kernels      side of the Gaussian kernel, smallest and largest, odd (paper: 3 to 11, recalled)
    shrink_share      share of the low-resolution images that are shrunk and enlarged instead of blurred
    shrink_pixels     side in pixels they are shrunk to, smallest and largest
    occlusion         probability of an occlusion
    occlusion_grid    blocks along each side (paper: 7, recalled)
    occlusion_blocks  how many blocks are painted black, fewest and most
    pose              probability of a new view of the head (paper: 0.3, recalled); needs data.meshes
    pose_yaw          degrees it is turned to either side, smallest and largest (paper: 40 to 60, recalled)
    pose_pitch        degrees it is nodded up or down besides, smallest and largest
    flip              probability of a horizontal mirror image; no variation, so it has no label
    """

    low_resolution: float = 0.3
    blur_kernels: tuple[int, int] = (3, 11)
    shrink_share: float = 0.0
    shrink_pixels: tuple[int, int] = (8, 32)
    occlusion: float = 0.3
    occlusion_grid: int = 7
    occlusion_blocks: tuple[int, int] = (5, 25)
    pose: float = 0.0
    pose_yaw: tuple[float, float] = (40.0, 60.0)
    pose_pitch: tuple[float, float] = (0.0, 10.0)
    flip: float = 0.5

    def __post_init__(self) -> None:
        for name in ("low_resolution", "occlusion", "pose", "flip", "shrink_share"):
            value = getattr(self, name)
            require(0 <= value <= 1, f"variations.{name} is a probability from 0 to 1, got {value}")
        for name in ("blur_kernels", "shrink_pixels", "occlusion_blocks"):
            low, high = getattr(self, name)
            require(1 <= low <= high, f"variations.{name} must be [low, high], got [{low}, {high}]")
        for name, most in (("pose_yaw", 75.0), ("pose_pitch", 30.0)):
            low, high = getattr(self, name)
            require(
                0 <= low <= high <= most,
                f"variations.{name} must be [low, high] in degrees from 0 to {most:g}, got "
                f"[{low}, {high}]",
            )
        require(
            all(kernel % 2 == 1 for kernel in self.blur_kernels),
            f"variations.blur_kernels must be odd, got {list(self.blur_kernels)}",
        )
        require(
            self.occlusion_grid >= 1,
            f"variations.occlusion_grid must be at least 1, got {self.occlusion_grid}",
        )
        blocks = self.occlusion_grid**2
        require(
            self.occlusion_blocks[1] < blocks,
            f"variations.occlusion_blocks must leave one of the {blocks} blocks free",
        )


@dataclass
class ModelSettings:
    """The network: backbone, then 512 values in K sub-embeddings and K confidences.

    input_size          side of the square the network sees, 32 to 128
    frame_size          side the aligned face is brought to before that square is cut out of it, at random
                        in training and from the centre at test (paper: 110 and 100, recalled); 0 means
                        input_size, no crop
    embedding_dim       K * D
    sub_embeddings      K (paper: 16); 1 is a single embedding
    initial_confidence  what exp(bias) of the confidence branch starts at; for cosface and arcface the
                        constant scale s
    confidence_range    log-confidence is held in the logarithm of this range
    dropout             before the two branches
    """

    backbone: Backbone = "iresnet50"
    input_size: int = 112
    frame_size: int = 0
    embedding_dim: int = 512
    sub_embeddings: int = 16
    initial_confidence: float = 64.0
    confidence_range: tuple[float, float] = (1.0, 128.0)
    dropout: float = 0.0

    def __post_init__(self) -> None:
        require(
            32 <= self.input_size <= 128,
            f"model.input_size must be from 32 to 128, got {self.input_size}",
        )
        self.frame_size = self.frame_size or self.input_size
        require(
            self.frame_size >= self.input_size,
            f"model.frame_size {self.frame_size} must not be below input_size {self.input_size}",
        )
        require(self.sub_embeddings >= 1, "model.sub_embeddings must be at least 1")
        require(
            self.embedding_dim >= 1,
            f"model.embedding_dim must be at least 1, got {self.embedding_dim}",
        )
        require(
            self.embedding_dim % self.sub_embeddings == 0,
            f"model.embedding_dim {self.embedding_dim} is not a multiple of sub_embeddings "
            f"{self.sub_embeddings}",
        )
        low, high = self.confidence_range
        require(
            0 < low <= self.initial_confidence <= high,
            f"model.initial_confidence {self.initial_confidence} must lie in confidence_range "
            f"[{low}, {high}], above 0",
        )
        require(0 <= self.dropout < 1, f"model.dropout must be from 0 up to 1, got {self.dropout}")


@dataclass
class ObjectiveSettings:
    """The loss.

    identification  cosface: constant confidence, margin on the cosine (Wang et al., CVPR 2018)
                    arcface: constant confidence, margin on the angle (Deng et al., CVPR 2019)
                    confidence: the paper's confidence-aware loss, for any K
    margin          cosface: in cosine; arcface: in radians; confidence: in logits (paper: 30 for 76,500
                    people, recalled). Smaller sets want a smaller one: the same share of the scale.
    regularizer     weight of the confidence regulariser (paper: 0.001, recalled)
    decorrelate     names of the variations that each get a mask over half of the sub-embeddings: those
                    applied (low_resolution, occlusion, pose) and those the data are labelled with (paper:
                    the three applied ones, smiling, young and male); none leaves decorrelation out
    classification  weight of L_cls: a mask tells its own variation (paper: 2, recalled)
    adversarial     weight of L_adv: a mask does not tell the others (paper: 2, recalled)
    sample_classes  share of the classes that take part in a step besides those of the batch, drawn anew
                    every step (Partial FC: An et al., CVPR 2022); 1 takes all. Below it the rows that were
                    not drawn, their momentum included, rest
    noisy_cosine    a class that is not the image's own and whose cosine with it is above this is left out
                    of its sum, as a person who may be in the data under two labels (Partial FC's
                    inter-class filtering; 0.4 there); 1 leaves none out. With confidences the cosine is
                    the mean over sub-embeddings weighted by them
    prototypes      what they and their momentum are kept in: fp32; bf16, rounded at random so that small
                    steps are not lost; or bf16_master, with an fp32 copy that takes the steps
    """

    identification: Identification = "confidence"
    margin: float = 30.0
    regularizer: float = 0.001
    decorrelate: tuple[str, ...] = ()
    classification: float = 2.0
    adversarial: float = 2.0
    sample_classes: float = 1.0
    noisy_cosine: float = 1.0
    prototypes: Literal["fp32", "bf16", "bf16_master"] = "fp32"

    def __post_init__(self) -> None:
        require(
            0 < self.sample_classes <= 1,
            f"objective.sample_classes is a share above 0 and up to 1, got {self.sample_classes}",
        )
        require(
            0 < self.noisy_cosine <= 1,
            f"objective.noisy_cosine is a cosine above 0 and up to 1, got {self.noisy_cosine}",
        )
        require(
            self.prototypes in STORED,
            f"objective.prototypes must be one of {', '.join(STORED)}, got {self.prototypes!r}",
        )
        require(self.margin >= 0, f"objective.margin must not be negative, got {self.margin}")
        for name in ("regularizer", "classification", "adversarial"):
            require(getattr(self, name) >= 0, f"objective.{name} must not be negative")
        self.decorrelate = tuple(self.decorrelate)
        require(
            len(set(self.decorrelate)) == len(self.decorrelate),
            f"objective.decorrelate names a variation twice: {', '.join(self.decorrelate)}",
        )
        require(
            self.identification == "confidence" or not self.decorrelate,
            f"objective.decorrelate has no sub-embeddings to work on with {self.identification}: leave "
            "it empty, or set objective.identification to confidence",
        )
        require(
            self.identification == "confidence" or self.margin < 1.5708,
            f"objective.margin {self.margin} is a logit margin; {self.identification} takes it in "
            "cosine or radians (0.35 or 0.5 are usual)",
        )


@dataclass
class OptimSettings:
    """Optimiser and schedule.

    batch_size         images a step over all ranks together
    epochs             passes over the training set
    learning_rate      peak, reached after the warm-up
    confidence_factor  learning rate of the confidence branch relative to the rest: at 1 the exp makes
                       training diverge (docs/method.md, stability)
    confidence_start   share of all steps after which the confidence branch begins to learn: before, no
                       cosine exceeds its margin, and the least loss is had by giving up confidence
    accumulate         parts that a rank's share of a batch goes through the network in, one after the other,
                       before the update: the same loss in less memory, but each BatchNorm then sees the
                       statistics of one part
    classifier_rate    learning rate of the variation classifier, which has an Adam of its own; it does not
                       fall, since an adversary that no longer learns is one that can be fooled
    classifier_decay   its weight decay; without it the adversary never settles: the embedding turns what
                       it says to where the classifier does not look at the moment, and keeps it
    warmup_share       share of all steps over which the rate rises linearly from 0
    schedule           how it falls: cosine to 0, or by 10 at each of step_shares
    clip               largest norm of the gradient, above it the gradient is scaled down
    """

    optimizer: Literal["sgd", "adamw"] = "sgd"
    batch_size: int = 128
    accumulate: int = 1
    epochs: float = 18.0
    learning_rate: float = 0.1
    confidence_factor: float = 0.1
    confidence_start: float = 0.2
    classifier_rate: float = 0.01
    classifier_decay: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 5e-4
    warmup_share: float = 0.05
    schedule: Literal["cosine", "steps"] = "cosine"
    step_shares: tuple[float, float] = (0.5, 0.8)
    clip: float = 5.0

    def __post_init__(self) -> None:
        for name in ("batch_size", "epochs", "learning_rate", "classifier_rate", "clip"):
            value = getattr(self, name)
            require(0 < value < float("inf"), f"optim.{name} must be above 0 and finite")
        require(
            self.accumulate >= 1 and self.batch_size % self.accumulate == 0,
            f"optim.accumulate must divide optim.batch_size {self.batch_size}, got {self.accumulate}",
        )
        for name in ("warmup_share", "confidence_start"):
            share = getattr(self, name)
            require(0 <= share < 1, f"optim.{name} is a share from 0 up to 1, got {share}")
        for name in ("confidence_factor", "classifier_decay", "weight_decay"):
            require(getattr(self, name) >= 0, f"optim.{name} must not be negative")
        require(
            0 <= self.momentum < 1, f"optim.momentum must be from 0 up to 1, got {self.momentum}"
        )
        first, second = self.step_shares
        require(
            0 <= first <= second <= 1,
            f"optim.step_shares must be two rising shares of 0 to 1, got [{first}, {second}]",
        )


@dataclass
class UncertaintySettings:
    """Stage two: the confidence branch learns variances on genuine pairs, all else frozen.

    The numbers are PFE's own recipe (Shi and Jain, ICCV 2019), the optimiser is Adam; steps 0 leaves
    the stage out.

    per_dimension  one variance for each of the K * D dimensions, as PFE has it, instead of one a
                   sub-embedding
    """

    steps: int = 3000
    identities: int = 64
    images_per_identity: int = 4
    learning_rate: float = 1e-3
    weight_decay: float = 5e-4
    decay_at: float = 2 / 3
    per_dimension: bool = False

    def __post_init__(self) -> None:
        require(self.steps >= 0, "uncertainty.steps must not be negative")
        require(self.identities >= 1, "uncertainty.identities must be at least 1")
        require(self.images_per_identity >= 2, "uncertainty.images_per_identity must be at least 2")
        require(self.learning_rate > 0, "uncertainty.learning_rate must be above 0")
        require(self.weight_decay >= 0, "uncertainty.weight_decay must not be negative")
        require(
            0 <= self.decay_at <= 1,
            f"uncertainty.decay_at is a share from 0 to 1, got {self.decay_at}",
        )


@dataclass
class TrainSettings:
    """Everything that `urface train` needs; stored whole in every checkpoint."""

    data: DataSettings = field(default_factory=DataSettings)
    variations: VariationSettings = field(default_factory=VariationSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    objective: ObjectiveSettings = field(default_factory=ObjectiveSettings)
    optim: OptimSettings = field(default_factory=OptimSettings)
    uncertainty: UncertaintySettings = field(default_factory=UncertaintySettings)
    run: RunSettings = field(default_factory=RunSettings)

    def __post_init__(self) -> None:
        if self.objective.identification != "confidence":
            require(
                self.model.sub_embeddings == 1,
                f"objective.identification {self.objective.identification} has one embedding: set "
                "model.sub_embeddings to 1",
            )
        else:
            require(
                self.objective.margin < self.model.confidence_range[1],
                f"objective.margin {self.objective.margin} can never be reached by confidences up to "
                f"{self.model.confidence_range[1]}",
            )
        require(
            self.optim.optimizer == "sgd"
            or (self.objective.sample_classes == 1 and self.objective.prototypes == "fp32"),
            "objective.sample_classes and objective.prototypes need rows that can rest and be rounded: "
            "leave them at 1 and fp32, or set optim.optimizer to sgd",
        )
        require(
            not self.objective.decorrelate or self.model.sub_embeddings % 2 == 0,
            "objective.decorrelate halves the sub-embeddings: set model.sub_embeddings to an even one",
        )


def as_dict(settings: Any) -> dict[str, Any]:
    """A settings dataclass as plain JSON values (tuples become lists)."""
    plain: dict[str, Any] = asdict(settings)
    return {name: _plain(value) for name, value in plain.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(inner) for inner in value]
    return value


def model_from_dict(values: dict[str, Any]) -> ModelSettings:
    """ModelSettings out of what ``as_dict`` made, as stored in a model file."""
    values = dict(values)
    values["confidence_range"] = tuple(values["confidence_range"])
    return ModelSettings(**values)
