"""The losses of mining: against loops in float64, and which gradient reaches what."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from urface.evaluation.identity_probe import identity_probe
from urface.losses.mining import attribute_loss, confusion_loss, identity_loss
from urface.models.attributes import AttributeNet, IdentityDiscriminator


def random(*shape: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64) * 2


def log_p(row: list[float], c: int) -> float:
    return row[c] - math.log(math.fsum(math.exp(z) for z in row))


def attribute_loop(logits: list[list[float]], labels: list[list[float]]) -> float:
    total = 0.0
    for a in range(len(logits[0])):
        terms = []
        for z, label in ((row[a], known[a]) for row, known in zip(logits, labels, strict=True)):
            if not math.isnan(label):
                p = 1 / (1 + math.exp(-z))
                terms.append(-label * math.log(p) - (1 - label) * math.log(1 - p))
        total += math.fsum(terms) / len(terms) if terms else 0.0
    return total


@pytest.mark.parametrize("unknown", [0.0, 0.4, 1.0])
def test_attribute_loss_equals_the_loop_and_passes_over_the_unknown(unknown: float) -> None:
    logits = random(7, 3, seed=0)
    labels = torch.sigmoid(random(7, 3, seed=1))
    labels[torch.rand(7, 3, generator=torch.Generator().manual_seed(2)) < unknown] = math.nan
    got = attribute_loss(logits, labels)
    assert got.item() == pytest.approx(attribute_loop(logits.tolist(), labels.tolist()), rel=1e-12)


def test_an_unknown_attribute_sends_no_gradient() -> None:
    logits = random(4, 2, seed=3).requires_grad_()
    labels = torch.tensor([[1.0, math.nan], [math.nan, 0.0], [0.5, 1.0], [math.nan, math.nan]])
    attribute_loss(logits, labels.double()).backward()
    assert logits.grad is not None
    assert torch.equal(logits.grad == 0, torch.isnan(labels) | (logits == 0))


@pytest.mark.parametrize("n", [2, 9])
def test_confusion_and_identity_losses_equal_their_loops(n: int) -> None:
    logits, labels = random(5, n, seed=n), torch.arange(5) % n
    rows = logits.tolist()
    confusion = [-math.fsum(log_p(row, c) for c in range(n)) / n for row in rows]
    identity = [-log_p(row, y) for row, y in zip(rows, labels.tolist(), strict=True)]
    expected = math.fsum(confusion) / 5 - math.log(n)
    assert confusion_loss(logits).item() == pytest.approx(expected, rel=1e-12)
    assert identity_loss(logits, labels).item() == pytest.approx(math.fsum(identity) / 5, rel=1e-12)


def test_confusion_is_least_and_zero_where_all_people_are_equally_likely() -> None:
    even = torch.full((3, 6), 4.2, dtype=torch.float64)
    assert confusion_loss(even).item() == pytest.approx(0, abs=1e-12)
    for seed in range(5):
        assert confusion_loss(even + 0.1 * random(3, 6, seed=seed)).item() > 0


@pytest.fixture
def networks() -> tuple[AttributeNet, IdentityDiscriminator, Tensor]:
    torch.manual_seed(0)
    images = torch.randint(0, 256, (4, 32, 32, 3), dtype=torch.uint8)
    return AttributeNet(("smiling",)), IdentityDiscriminator(5), images


def reached(module: torch.nn.Module) -> set[str]:
    return {n for n, p in module.named_parameters() if p.grad is not None and p.grad.any()}


def test_the_discriminators_loss_does_not_reach_theta(networks) -> None:
    network, discriminator, images = networks
    identity_loss(discriminator(network(images).features.detach()), torch.arange(4)).backward()
    assert reached(network) == set()
    assert reached(discriminator) == {"weight", "bias"}


def test_thetas_losses_reach_all_of_theta_and_not_the_discriminator(networks) -> None:
    network, discriminator, images = networks
    reading = network(images)
    loss = confusion_loss(discriminator.frozen(reading.features))
    (loss + attribute_loss(reading.logits, torch.ones(4, 1))).backward()
    assert reached(discriminator) == set()
    assert reached(network) == {name for name, _ in network.named_parameters()}


def probed(adversary: float, seed: int) -> tuple[float, float]:
    """(what a fresh probe reads of 8 people, how well the attribute is read), on images not trained on.

    A made-up problem: 6 numbers tell who it is, 1 the attribute, 3 nothing; theta_A is linear, 4 features.
    """
    generator = torch.Generator().manual_seed(seed)
    who = torch.arange(8).repeat_interleave(40)
    attribute = torch.randint(0, 2, (320, 1), generator=generator).float()
    codes = torch.randn(8, 6, generator=generator)[who]
    inputs = torch.cat([codes, 2 * attribute - 1, torch.zeros(320, 3)], 1)
    noise = torch.tensor([0.7] * 6 + [0.3] + [1.0] * 3)
    inputs += noise * torch.randn(320, 10, generator=generator)
    shown = torch.arange(320) % 2 == 0

    torch.manual_seed(seed)
    theta, head = torch.nn.Linear(10, 4), torch.nn.Linear(4, 1)
    discriminator = IdentityDiscriminator(8, 4)
    optimizer = torch.optim.Adam([*theta.parameters(), *head.parameters()], 1e-2)
    opponent = torch.optim.Adam(discriminator.parameters(), 1e-2)
    for _ in range(1200 if adversary else 200):
        features = theta(inputs[shown])
        loss = attribute_loss(head(features), attribute[shown])
        loss = loss + adversary * confusion_loss(discriminator.frozen(features))
        against = identity_loss(discriminator(features.detach()), who[shown])
        for one in (optimizer, opponent):
            one.zero_grad()
        torch.autograd.backward([loss, against])
        for one in (optimizer, opponent):
            one.step()
    features, answer = theta(inputs).detach().numpy(), head(theta(inputs)) > 0
    people, test = who.numpy(), ~shown.numpy()
    probe = identity_probe(features[~test], people[~test], features[test], people[test])
    assert probe.accuracy.value is not None
    right = (answer == (attribute > 0.5))[~shown].float().mean().item()
    return probe.accuracy.value, right


@pytest.mark.parametrize("seed", [0, 1])
def test_the_adversary_takes_identity_out_of_the_features_and_leaves_the_attribute(
    seed: int,
) -> None:
    with_it, without = probed(1.0, seed), probed(0.0, seed)
    assert without[0] > 0.3  # chance is 0.125
    assert with_it[0] < 0.8 * without[0]
    assert min(with_it[1], without[1]) > 0.95
