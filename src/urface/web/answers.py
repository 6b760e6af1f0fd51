"""What the API answers, as typed models: the schemas of /openapi.json."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import BaseModel, Field

Verdict = Literal["match", "no match", "unsure", "not calibrated"]


def rounded(value: float) -> float:
    """To three decimals: what cosines and probabilities are told to (G44)."""
    return round(float(value), 3)


def digits(value: float) -> float:
    """To three significant digits: likelihood scores and variances."""
    return float(f"{float(value):.3g}")


class Wrong(BaseModel):
    """Why a request was refused."""

    code: str = Field(description="a word for programs")
    message: str = Field(description="one line for people")


class ErrorAnswer(BaseModel):
    """Every answer with a status of 4xx or 5xx."""

    error: Wrong


class ModelNote(BaseModel):
    """Which model answered."""

    name: str
    digest: str = Field(description="first 16 hexadecimal digits of the file's SHA-256")
    demonstration: bool = Field(
        description="the small model in the box, trained on synthetic faces alone"
    )
    note: str = Field(description="to be shown with every answer")


class RatePoint(BaseModel):
    """A threshold and how many pairs of two people reached it, on the data it was measured on."""

    false_match_rate: float = Field(description="what the threshold keeps to, at most")
    threshold: float
    match: bool = Field(description="whether this pair reaches it")
    false_matches: int
    impostor_pairs: int


class FaceAnswer(BaseModel):
    """One face: what was looked at and how sure the model is of it."""

    image: str = Field(description="the aligned face, a PNG of 112 x 112 pixels in base64")
    others: int = Field(description="further faces of the photo, which were not looked at")
    uncertainty: float = Field(description="mean of log variance; larger is less sure")
    unsure: bool = Field(description="above what the model was calibrated to answer for")
    variance: list[float] = Field(description="of each sub-embedding; larger is less sure")


class CompareAnswer(BaseModel):
    """Whether two photos show one person."""

    verdict: Verdict
    sentence: str = Field(description="the verdict in words")
    meaning: str = Field(description="what the probability and the rate mean, and on which data")
    probability: float | None = Field(description="that both show one person, 0..1")
    likelihood: float = Field(description="log-likelihood score, to three digits")
    cosine: float = Field(description="mean cosine, -1..1, to three decimals")
    method: str = Field(description="the score that thresholds and probability are on")
    rates: list[RatePoint]
    faces: list[FaceAnswer] = Field(description="of a and of b")
    model: ModelNote


class Embedded(BaseModel):
    """The raw embedding of a face: biometric data, treat it as such."""

    mean: list[list[float]] = Field(description="[K][D], each of unit length")
    confidence: list[float] = Field(description="[K], larger is surer")
    variance: list[float] | list[list[float]] = Field(description="[K] or [K][D]")
    uncertainty: float


class EmbedAnswer(BaseModel):
    """One raw embedding a photo, in their order."""

    faces: list[Embedded]
    model: ModelNote


class Health(BaseModel):
    """That the service runs, and what it can do."""

    status: Literal["ok"]


class ModelAnswer(BaseModel):
    """The model, and what this service has beside it."""

    model: ModelNote
    sub_embeddings: int
    dimensions: int = Field(description="of one sub-embedding")
    calibrated: bool
    calibrated_on: str | None
    finds_faces: bool = Field(description="whether photos are taken, or aligned crops alone")
    gallery: bool
    role: str | None = Field(description="of the key that asks")
    raw: bool = Field(description="whether the key may have raw embeddings")


class PersonAnswer(BaseModel):
    """One enrolled person."""

    id: str = Field(description="opaque; what paths are made of")
    person: str = Field(description="the name given at enrolment")
    images: int = Field(description="of the person's template")
    expires: str = Field(description="ISO 8601; when the consent ends: never returned after it")


class PeopleAnswer(BaseModel):
    """Enrolled people."""

    people: list[PersonAnswer]
    total: int


class EnrolAnswer(PersonAnswer):
    """What was enrolled."""

    added: int = Field(description="images that were not in the template before")
    faces: list[FaceAnswer] = Field(description="of the images of this request")
    model: ModelNote


class MatchAnswer(BaseModel):
    """One person who resembles the probe."""

    id: str
    person: str
    score: float
    probability: float | None


class SearchAnswer(BaseModel):
    """The most alike people, best first; a candidate list, not an identification."""

    face: FaceAnswer
    matches: list[MatchAnswer]
    model: ModelNote


class IdentifyAnswer(BaseModel):
    """A name, "unknown", or "too unsure to say", at a false-positive identification rate."""

    face: FaceAnswer
    verdict: Literal["known", "unknown", "unsure"]
    sentence: str
    person: str | None
    id: str | None
    score: float | None
    probability: float | None
    threshold: float | None
    fpir: float
    model: ModelNote


class TemplateImage(BaseModel):
    """How one enrolled image weighs in the person's template."""

    image: str = Field(description="the image's number in the template")
    weight: float = Field(description="share of the whole, mean of the shares below")
    weights: list[float] = Field(
        description="share in each sub-embedding; they sum to 1 over images"
    )


class TemplateAnswer(BaseModel):
    """A person's template."""

    person: str
    images: list[TemplateImage]
    uncertainty: float
    variance: list[float] = Field(description="of each sub-embedding of the template")


class RemoveAnswer(BaseModel):
    """The person is gone: from the gallery and from its index."""

    removed: bool


def numbers(values: np.ndarray) -> list[float]:
    """To three significant digits each."""
    return [digits(value) for value in np.asarray(values).ravel()]
