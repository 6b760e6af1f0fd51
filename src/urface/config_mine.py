"""Settings of `urface mine train`."""

from __future__ import annotations

from dataclasses import dataclass, field

from urface.config import RunSettings, require


@dataclass
class MineSettings:
    """`urface mine train`: the network that labels a training set with further variations.

    data                faces with labels: CelebA, or a manifest with label columns; several with commas
                        between them (images without a label teach the adversary alone)
    attributes          which of the labels to learn, in any case
    adversary           weight of the identity adversary (method: 1); 0 leaves it out. With few people, who
                        are told apart by age and sex, 1 costs the attributes dear (docs/mining.md)
    compare             train a second network without the adversary, to tell what that bought
    hold_out            share of the people who are kept out of training, to judge the attributes on
    input_size          side in pixels of what the network sees
    batch_size          images a step
    epochs              passes over the images of the people trained on
    learning_rate       peak of the network's, reached after the warm-up; it falls to 0 by a cosine
    discriminator_rate  the same of the adversary's discriminator, constant: it must keep up
    probe_images        people with fewer images are not in the identity probe; a third of each one's images
                        (at least one) is kept to test it
    """

    data: str = ""
    attributes: tuple[str, ...] = ("smiling", "young", "male")
    adversary: float = 1.0
    compare: bool = True
    hold_out: float = 0.2
    input_size: int = 64
    batch_size: int = 64
    epochs: float = 10.0
    learning_rate: float = 2e-3
    weight_decay: float = 5e-4
    discriminator_rate: float = 2e-3
    probe_images: int = 3
    corrupt_share: float = 0.001
    cache_gigabytes: float = 4.0
    run: RunSettings = field(default_factory=RunSettings)

    def __post_init__(self) -> None:
        self.attributes = tuple(self.attributes)
        lower = [name.lower() for name in self.attributes]
        require(bool(lower), "attributes is empty: name at least one")
        require(len(set(lower)) == len(lower), f"attributes names one twice: {', '.join(lower)}")
        require(self.adversary >= 0, f"adversary must not be negative, got {self.adversary}")
        require(0 < self.hold_out < 1, f"hold_out is a share between 0 and 1, got {self.hold_out}")
        require(
            32 <= self.input_size <= 256, f"input_size must be from 32 to 256: {self.input_size}"
        )
        for name in ("batch_size", "epochs", "learning_rate", "discriminator_rate"):
            value = getattr(self, name)
            require(0 < value < float("inf"), f"{name} must be above 0 and finite, got {value}")
        require(
            self.batch_size >= 2, "batch_size must be at least 2: batch normalisation compares them"
        )
        require(self.weight_decay >= 0, "weight_decay must not be negative")
        require(self.probe_images >= 2, "probe_images must be at least 2: one to test on")

    @property
    def frame_size(self) -> int:
        """Side of the frames that the input is cropped from: at random in training, else the centre."""
        return self.input_size + 2 * round(self.input_size / 20)
