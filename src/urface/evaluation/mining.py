"""The report of `urface mine train`: the attributes, and what the identity adversary bought."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from urface.data.source import FaceSource
from urface.data.split import split_images
from urface.environment import Environment
from urface.evaluation.attribute_rates import AttributeRates, attribute_rates
from urface.evaluation.attribute_reading import read_attributes
from urface.evaluation.identity_probe import IdentityProbe, identity_probe
from urface.metrics.bootstrap import PairedDifference, paired_bootstrap_difference
from urface.models.attribute_files import AttributeModel

TEST_SHARE = 1 / 3  # of a person's images, for the probe


@dataclass(frozen=True, eq=False)
class JudgedNetwork:
    """One network: its attributes on held-out people, the probe on people of training and held out."""

    name: str
    facts: dict[str, Any]
    attributes: list[AttributeRates]
    trained_people: IdentityProbe
    held_out_people: IdentityProbe


@dataclass(frozen=True, eq=False)
class MiningReport:
    """networks: the one to label with, then, where it was trained, the one without the adversary.

    trained_less, held_out_less  how much more often the probe names a person with the first network than
                                 with the second (below 0: the adversary removed identity); None without
                                 a second
    """

    faces: dict[str, Any]
    networks: list[JudgedNetwork]
    trained_less: PairedDifference | None
    held_out_less: PairedDifference | None

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON values."""
        return {
            "faces": self.faces,
            "networks": [
                {
                    "name": network.name,
                    "facts": network.facts,
                    "attributes": [rates.to_dict() for rates in network.attributes],
                    "identity_probe": {
                        "trained_people": network.trained_people.to_dict(),
                        "held_out_people": network.held_out_people.to_dict(),
                    },
                }
                for network in self.networks
            ],
            "adversary_less_none": {
                "trained_people": self.trained_less and asdict(self.trained_less),
                "held_out_people": self.held_out_less and asdict(self.held_out_less),
            },
        }

    def to_markdown(self) -> str:
        """report.md."""
        faces = self.faces
        lines = [
            "# Mined variations",
            "",
            f"Trained on {faces['train_images']:,} images of {faces['train_people']:,} people of "
            f"{faces['name']}; judged on {faces['held_out_images']:,} images of "
            f"{faces['held_out_people']:,} others. Rates in percent with 95 % intervals from resampling "
            "people, and counts.",
            "",
            "## Attributes, people not seen in training",
            "",
            "| network | attribute | accuracy | commonest answer | gain, p | AUC (true/false) | people |",
            "| --- | --- | --- | --- | --- | --- | --- |",
        ]
        for network in self.networks:
            lines += [_attribute_row(network.name, rates) for rates in network.attributes]
        lines += [
            "",
            "## Identity, read from the features by a fresh linear probe",
            "",
            "The probe learns each person on some of their images and is asked about others; the network",
            "is frozen. People of training are those whom the adversary knew.",
            "",
            "| network | people | named rightly | chance | images learned, people |",
            "| --- | --- | --- | --- | --- |",
        ]
        for network in self.networks:
            for kind, probe in (
                ("of training", network.trained_people),
                ("held out", network.held_out_people),
            ):
                lines.append(
                    f"| {network.name} | {kind} | {probe.accuracy.format()} | "
                    f"{100 * probe.chance:.2f} | {probe.trained:,}, {probe.people:,} |"
                )
        for kind, less in (("of training", self.trained_less), ("held out", self.held_out_less)):
            if less is not None:
                lines += [
                    "",
                    f"People {kind}: with the adversary less without it "
                    f"{_points(less)} points on {less.trials:,} images.",
                ]
        return "\n".join(lines) + "\n"


def _points(difference: PairedDifference) -> str:
    value, low, high = (100 * x for x in (difference.difference, difference.low, difference.high))
    return f"{value:+.1f} [{low:+.1f}, {high:+.1f}] (p = {difference.p:.3f})"


def _attribute_row(network: str, rates: AttributeRates) -> str:
    area = "withheld: all of one kind"
    if rates.auc is not None:
        value, low, high = (100 * x for x in (rates.auc.value, rates.auc.low, rates.auc.high))
        counts = f"({rates.auc.num_genuine}/{rates.auc.num_impostor})"
        area = f"{value:.1f} [{low:.1f}, {high:.1f}] {counts}"
    gain = _points(rates.gain) if rates.gain else ""
    return (
        f"| {network} | {rates.name} | {rates.accuracy.format()} | {rates.majority.format()} | "
        f"{gain} | {area} | {rates.people:,} |"
    )


def judge_mining(
    models: Sequence[tuple[str, AttributeModel]],
    train: FaceSource,
    held_out: FaceSource,
    env: Environment,
    probe_images: int = 3,
    seed: int = 0,
    progress: bool = True,
) -> MiningReport:
    """Judge the named networks that were trained on ``train``, the second being without the adversary.

    Both sources have the networks' attributes as columns. The probe takes people with at least
    ``probe_images`` images and tests on a third of each one's.
    """
    networks = []
    for name, model in models:
        on_train = read_attributes(model, train, env, progress=progress)
        on_held_out = read_attributes(model, held_out, env, progress=progress)
        probes = []
        for source, read in ((train, on_train), (held_out, on_held_out)):
            places = np.flatnonzero(read.readable)
            first, second = split_images(source.labels[places], probe_images, TEST_SHARE, seed)
            first, second = places[first], places[second]
            features, people = read.features, source.labels
            probes.append(
                identity_probe(
                    features[first], people[first], features[second], people[second], seed
                )
            )
        attributes = [
            attribute_rates(
                attribute,
                on_held_out.probabilities[:, column],
                held_out.variations[:, column],
                held_out.labels,
                commonest=_commonest(train.variations[:, column]),
                seed=seed,
            )
            for column, attribute in enumerate(model.network.names)
        ]
        networks.append(JudgedNetwork(name, model.facts, attributes, *probes))
    faces = {
        "name": train.name.rsplit("/", 1)[-1],
        "train_images": len(train),
        "train_people": len(train.identities),
        "held_out_images": len(held_out),
        "held_out_people": len(held_out.identities),
    }
    trained_less = held_out_less = None
    if len(networks) == 2:
        first_network, second_network = networks
        trained_less = _less(first_network.trained_people, second_network.trained_people, seed)
        held_out_less = _less(first_network.held_out_people, second_network.held_out_people, seed)
    return MiningReport(faces, networks, trained_less, held_out_less)


def _commonest(labels: np.ndarray) -> bool:
    known = labels[~np.isnan(labels)]
    return bool((known >= 0.5).mean() >= 0.5)


def _less(one: IdentityProbe, other: IdentityProbe, seed: int) -> PairedDifference | None:
    if one.people < 2:
        return None
    return paired_bootstrap_difference(one.correct, other.correct, one.subjects, seed)
