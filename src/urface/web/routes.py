"""The endpoints. Each reads its parts, hands the work to the engine, and puts the result into its answer.

There is no address and no file name among the parameters: what is looked at comes with the request (G38).
"""

from __future__ import annotations

import datetime
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, File, Form, Query, Request, UploadFile

from urface.types import FaceEmbedding
from urface.web import answers
from urface.web.access import Caller
from urface.web.engine import Photo, Seen
from urface.web.judging import compare_answer, face_answer
from urface.web.people import (
    checked_name,
    identify_fields,
    match_answers,
    of_person,
    person_answer,
    template_answer,
)
from urface.web.service import Service
from urface.web.upload import FormRoute, bytes_of

router = APIRouter(
    prefix="/v1",
    route_class=FormRoute,
    responses={
        status: {"model": answers.ErrorAnswer, "description": words}
        for status, words in (
            (400, "what was sent cannot be read"),
            (401, "no key, or none of this service"),
            (403, "the key may not do this"),
            (404, "no such path, person or gallery"),
            (408, "the body came too slowly"),
            (413, "over the limit of bytes"),
            (422, "a field is missing or wrong, or there is no face"),
            (429, "too many requests"),
        )
    },
)

Upload = Annotated[UploadFile, File(description="JPEG, PNG or WebP")]
Uploads = Annotated[
    list[UploadFile], File(description="JPEG, PNG or WebP, one part each", min_length=1)
]
Aligned = Annotated[
    bool, Query(description="the images are aligned crops; otherwise the largest face is taken")
]
Fpir = Annotated[
    float, Query(gt=0, lt=1, allow_inf_nan=False, description="false-positive identification rate")
]


def service_of(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


async def embedded(
    request: Request, photos: list[Photo]
) -> tuple[Service, list[Seen], FaceEmbedding]:
    """The faces of ``photos``, one each."""
    service = service_of(request)
    seen, faces = await service.engine.run(lambda: service.engine.faces(photos))
    return service, seen, faces


@router.get("/health")
async def health() -> answers.Health:
    """Whether the service runs; needs no key."""
    return answers.Health(status="ok")


@router.get("/model")
async def model(request: Request) -> answers.ModelAnswer:
    """The model that answers, and what the key that asks may do."""
    service = service_of(request)
    caller: Caller = request.scope["state"]["caller"]
    settings = service.engine.embedder.settings
    return answers.ModelAnswer(
        model=service.model,
        sub_embeddings=settings.sub_embeddings,
        dimensions=settings.embedding_dim // settings.sub_embeddings,
        calibrated=service.decision is not None,
        calibrated_on=service.decision.data if service.decision else None,
        finds_faces=service.engine.finds_faces,
        gallery=service.gallery is not None,
        role=caller.role,
        raw=caller.raw,
    )


@router.post("/compare")
async def compare(
    request: Request, a: Upload, b: Upload, aligned_a: Aligned = False, aligned_b: Aligned = False
) -> answers.CompareAnswer:
    """Whether photos a and b show one person, how probable that is, and how sure the model is of each."""
    photos = [Photo("a", await bytes_of(a), aligned_a), Photo("b", await bytes_of(b), aligned_b)]
    service = service_of(request)

    def work() -> answers.CompareAnswer:
        seen, faces = service.engine.faces(photos)
        return compare_answer(seen, faces, service.decision, service.model)

    return await service.engine.run(work)


@router.post("/embed")
async def embed(request: Request, images: Uploads, aligned: Aligned = False) -> answers.EmbedAnswer:
    """Raw embeddings: biometric data, which needs a permission of its own."""
    service, _, faces = await embedded(request, await _photos(images, aligned))
    rows = [
        answers.Embedded(
            mean=np.asarray(faces.mean[place]).tolist(),
            confidence=np.asarray(faces.confidence[place]).tolist(),
            variance=np.asarray(faces.variance[place]).tolist(),
            uncertainty=float(faces.uncertainty[place]),
        )
        for place in range(len(faces))
    ]
    return answers.EmbedAnswer(faces=rows, model=service.model)


@router.get("/people")
async def people(
    request: Request,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> answers.PeopleAnswer:
    """Who is enrolled, by name."""
    service = service_of(request)
    gallery, ids = service.people()
    everybody = await service.engine.run(gallery.people)
    page = sorted(everybody, key=lambda person: person.person)[offset : offset + limit]
    listed = [person_answer(person, ids) for person in page]
    return answers.PeopleAnswer(people=listed, total=len(everybody))


@router.post("/people")
async def enrol(
    request: Request,
    name: Annotated[str, Form(description="who the images show")],
    reference: Annotated[str, Form(description="where the person's consent is on file")],
    purpose: Annotated[str, Form(description="what the person agreed to")],
    expires: Annotated[
        datetime.date, Form(description="when the consent ends, such as 2027-06-30")
    ],
    images: Uploads,
    aligned: Aligned = False,
) -> answers.EnrolAnswer:
    """Add images to a person's template; a new name is a new person. The images are not stored."""
    service = service_of(request)
    gallery, ids = service.people()
    person = checked_name(name)
    photos = await _photos(images, aligned)

    def work() -> answers.EnrolAnswer:
        from urface.gallery import Consent

        consent = Consent(reference, purpose, expires)
        seen, faces = service.engine.faces(photos)
        enrolled = gallery.enrol(person, faces, consent)
        return answers.EnrolAnswer(
            **person_answer(enrolled, ids).model_dump(),
            added=enrolled.added,
            faces=[
                face_answer(face, faces, place, service.decision) for place, face in enumerate(seen)
            ],
            model=service.model,
        )

    return await service.engine.run(work)


@router.get("/people/{person}/template")
async def template(request: Request, person: str) -> answers.TemplateAnswer:
    """How each image of a person weighs in the template."""
    service = service_of(request)
    gallery, ids = service.people()
    name = ids.person_of(person)
    return template_answer(
        name, await service.engine.run(lambda: of_person(lambda: gallery.template(name)))
    )


@router.delete("/people/{person}")
async def remove(request: Request, person: str) -> answers.RemoveAnswer:
    """Erase a person: templates, consent and name."""
    service = service_of(request)
    gallery, ids = service.people()
    name = ids.person_of(person)
    await service.engine.run(lambda: of_person(lambda: gallery.remove(name)))
    return answers.RemoveAnswer(removed=True)


@router.post("/search")
async def search(
    request: Request,
    image: Upload,
    k: Annotated[int, Query(ge=1, le=100, description="candidates at most")] = 5,
    method: Literal["likelihood", "cosine"] = "likelihood",
    aligned: Aligned = False,
) -> answers.SearchAnswer:
    """The most alike people of the gallery, whoever they are."""
    service = service_of(request)
    gallery, ids = service.people()
    photo = Photo("image", await bytes_of(image), aligned)

    def work() -> answers.SearchAnswer:
        seen, faces = service.engine.faces([photo])
        return answers.SearchAnswer(
            face=face_answer(seen[0], faces, 0, service.decision),
            matches=match_answers(gallery.search(faces, k, method)[0], ids, method),
            model=service.model,
        )

    return await service.engine.run(work)


@router.post("/identify")
async def identify(
    request: Request, image: Upload, fpir: Fpir = 0.01, aligned: Aligned = False
) -> answers.IdentifyAnswer:
    """A name, "unknown" or "too unsure to say", at a false-positive identification rate."""
    service = service_of(request)
    gallery, ids = service.people()
    photo = Photo("image", await bytes_of(image), aligned)

    def work() -> answers.IdentifyAnswer:
        seen, faces = service.engine.faces([photo])
        found = gallery.identify(faces, fpir)[0]
        method = service.decision.method if service.decision else "likelihood"
        fields: dict[str, Any] = identify_fields(found, ids, fpir, method)
        face = face_answer(seen[0], faces, 0, service.decision)
        return answers.IdentifyAnswer(face=face, model=service.model, **fields)

    return await service.engine.run(work)


async def _photos(images: list[UploadFile], aligned: bool) -> list[Photo]:
    return [
        Photo(f"image {number}", await bytes_of(image), aligned)
        for number, image in enumerate(images, 1)
    ]
