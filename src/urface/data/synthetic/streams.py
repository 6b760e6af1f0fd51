"""Random numbers that depend on nothing but their address (seed, identity, shot, stream)."""

from __future__ import annotations

import numpy as np

from urface.types import UserError

PERSON = -1  # the "shot" under which the lasting traits of an identity are drawn
MAXIMUM = 2**62


def stream(seed: int, identity: int, shot: int, number: int) -> np.random.Generator:
    """The generator of one address: a counter-based Philox keyed by (seed, identity).

    Shot and stream number set the high words of its 256-bit counter, so no two addresses share a
    number and the order in which faces are made cannot matter. Raises UserError for an address
    below 0 (shot: below PERSON) or above 2**62.
    """
    for name, value, low in (("seed", seed, 0), ("identity", identity, 0), ("shot", shot, PERSON)):
        if not low <= value < MAXIMUM:
            raise UserError(f"{name} must be from {max(low, 0)} to 2**62 - 1, got {value}")
    key = np.array([seed, identity], np.uint64)
    counter = np.array([0, 0, shot - PERSON, number], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


def bounded_normal(rng: np.random.Generator, sd: float = 1.0, limit: float = 2.2) -> float:
    """A normal draw of spread ``sd``, cut at ``limit`` spreads: nobody's nose is 5 sigma long."""
    return float(np.clip(rng.standard_normal(), -limit, limit) * sd)
