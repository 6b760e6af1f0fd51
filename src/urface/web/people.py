"""The gallery over HTTP: names stay out of paths and logs, for an id is the name encrypted."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from urface.types import UserError
from urface.web.answers import (
    IdentifyAnswer,
    MatchAnswer,
    PersonAnswer,
    TemplateAnswer,
    TemplateImage,
    digits,
    numbers,
    rounded,
)
from urface.web.judging import percent
from urface.web.refusal import Refusal

if TYPE_CHECKING:
    from urface.gallery import EnrolledPerson, Identification, Match, PersonTemplate

Result = TypeVar("Result")
LONGEST_NAME = 200  # characters


class PersonIds:
    """Names to ids and back with a key made of the gallery's: the same as long as the gallery lives.

    AES-SIV (RFC 5297) gives one id to one name, and no name to an id that it did not give.
    """

    def __init__(self, gallery_key: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESSIV

        key = hashlib.blake2b(gallery_key, digest_size=64, person=b"urface web ids").digest()
        self._cipher = AESSIV(key)

    def id_of(self, person: str) -> str:
        """Of characters that a path may have."""
        sealed = self._cipher.encrypt(person.encode("utf-8", "surrogatepass"), None)
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def person_of(self, identifier: str) -> str:
        """Raises Refusal (404) for what is no id of this gallery."""
        from cryptography.exceptions import InvalidTag

        try:
            sealed = base64.b64decode(identifier + "=" * (-len(identifier) % 4), b"-_", True)
            return self._cipher.decrypt(sealed, None).decode("utf-8", "surrogatepass")
        except (binascii.Error, ValueError, InvalidTag, OverflowError):
            raise Refusal(404, "no_such_person", "nobody is enrolled under this id") from None


def of_person(work: Callable[[], Result]) -> Result:
    """``work`` on one person. Raises Refusal (404) where the gallery says that there is none."""
    try:
        return work()
    except UserError as error:
        if type(error) is not UserError:
            raise
        raise Refusal(404, "no_such_person", "nobody is enrolled under this id") from None


def checked_name(name: str) -> str:
    """``name`` without blanks around it. Raises Refusal where it is none."""
    name = " ".join(name.split())
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise Refusal(
            422, "bad_request", f"name: 1 to {LONGEST_NAME} characters without line breaks"
        )
    return name


def person_answer(person: EnrolledPerson, ids: PersonIds) -> PersonAnswer:
    """What is told of an enrolled person."""
    return PersonAnswer(
        id=ids.id_of(person.person),
        person=person.person,
        images=person.images,
        expires=person.expires.isoformat(),
    )


def match_answers(matches: list[Match], ids: PersonIds, method: str) -> list[MatchAnswer]:
    """Candidates with scores to three digits."""
    return [
        MatchAnswer(
            id=ids.id_of(match.person),
            person=match.person,
            score=rounded(match.score) if method == "cosine" else digits(match.score),
            probability=None if match.probability is None else rounded(match.probability),
        )
        for match in matches
    ]


def identify_words(found: Identification, fpir: float) -> str:
    """The answer in a sentence."""
    if found.verdict == "unsure":
        return "Too unsure to say: the photo shows too little of the face."
    if found.verdict == "unknown":
        return "Unknown: nobody in the gallery is alike enough."
    probability = "" if found.probability is None else f" ({percent(found.probability)})"
    return (
        f"Probably {found.person}{probability}. Of people who are not enrolled, about "
        f"{100 * fpir:g} in 100 would be given some name."
    )


def identify_fields(
    found: Identification, ids: PersonIds, fpir: float, method: str
) -> dict[str, object]:
    """The fields of IdentifyAnswer but the face and the model. An unsure probe gets no candidate."""
    known = found.verdict == "known" and found.person is not None
    told = found.verdict != "unsure"

    def score(value: float | None) -> float | None:
        if value is None or not told:
            return None
        return rounded(value) if method == "cosine" else digits(value)

    probability = found.probability if told else None
    return {
        "verdict": found.verdict,
        "sentence": identify_words(found, fpir),
        "person": found.person if known else None,
        "id": ids.id_of(str(found.person)) if known else None,
        "score": score(found.score),
        "probability": None if probability is None else rounded(probability),
        "threshold": score(found.threshold),
        "fpir": fpir,
    }


def template_answer(person: str, template: PersonTemplate) -> TemplateAnswer:
    """Each image's share of the template, in each sub-embedding and on the whole."""
    weights = np.asarray(template.weights, np.float64)
    return TemplateAnswer(
        person=person,
        images=[
            TemplateImage(
                image=str(number),
                weight=rounded(weights[place].mean()),
                weights=[rounded(value) for value in weights[place]],
            )
            for place, number in enumerate(range(1, len(weights) + 1))
        ],
        uncertainty=rounded(float(template.faces.uncertainty[0])),
        variance=numbers(np.asarray(template.faces.sub_variance)[0]),
    )


__all__ = [
    "IdentifyAnswer",
    "PersonIds",
    "checked_name",
    "identify_fields",
    "match_answers",
    "person_answer",
    "template_answer",
]
