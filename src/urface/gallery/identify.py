"""Open-set search: a name, "unknown", or "too unsure to say"."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from urface.decision import Decision
from urface.gallery.answers import Identification, probability
from urface.gallery.open_set import (
    MeasuredRate,
    Strangers,
    Threshold,
    checked_fpir,
    measured_rates,
    threshold_of,
)
from urface.gallery.seal import seal, unseal
from urface.gallery.store import Store
from urface.types import FaceEmbedding, UserError


def identify(
    store: Store, decision: Decision | None, probes: FaceEmbedding, fpir: float
) -> list[Identification]:
    """See ``Gallery.identify``."""
    method = method_of(decision)
    limit = decision.unsure_above if decision is not None else math.inf
    answers, numbers = [], []
    with store.lock:
        own, found = store.best(probes, 1, method)
        least = threshold(store, decision, fpir).value
        for row, uncertainty in zip(found, np.asarray(own.uncertainty).tolist(), strict=True):
            number, name, score = row[0] if row else (None, None, None)
            verdict: Literal["known", "unknown", "unsure"] = "unknown"
            if uncertainty > limit:
                verdict = "unsure"
            elif score is not None and score >= least:
                verdict = "known"
                numbers.append(number)
            chance = None if score is None else probability(decision, score, method)
            who = name if verdict == "known" else None
            answers.append(Identification(verdict, who, score, chance, least, uncertainty))
        store.log("identify", probes=len(own), fpir=fpir, known=numbers)
    return answers


def threshold(store: Store, decision: Decision | None, fpir: float) -> Threshold:
    """See ``Gallery.threshold``."""
    fpir, now = checked_fpir(fpir), store.seconds()
    with store.reading():
        ((people,),) = store.database.run("SELECT COUNT(*) FROM person WHERE expires > ?", (now,))
        sealed = store.database.meta("calibration")
        strangers = None
        if sealed is not None:
            data = unseal(store.people.keys.audit, sealed, _place(store), "the calibration")
            strangers = Strangers.from_bytes(data)
    if strangers is not None and strangers.method != method_of(decision):
        strangers = None
    return threshold_of(fpir, people, decision, strangers)


def calibrate(
    store: Store, decision: Decision | None, strangers: FaceEmbedding, wanted: Sequence[float]
) -> list[MeasuredRate]:
    """See ``Gallery.calibrate``."""
    method = method_of(decision)
    with store.lock:
        _, best = store.best(strangers, 1, method)
        scores = np.sort(np.array([row[0][2] for row in best if row], np.float64))
        if not len(scores):
            raise UserError("strangers are searched among people: enrol these first")
        measured = Strangers(len(store.cache), method, scores)
        with store.changing() as change:
            sealed = seal(store.people.keys.audit, measured.to_bytes(), _place(store))
            store.database.set_meta("calibration", sealed)
            change.line("calibrate", strangers=len(scores), people=measured.people)
    return measured_rates(measured, wanted)


def method_of(decision: Decision | None) -> Literal["likelihood", "cosine"]:
    """The score that verdicts are on."""
    return "cosine" if decision is not None and decision.method == "cosine" else "likelihood"


def _place(store: Store) -> bytes:
    return store.people.keys.gallery + b"|calibration"
