"""Claims about what the API answers."""

from __future__ import annotations

import asyncio
import base64
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from small_model import one_thread  # noqa: F401
from urface.data.decode import decode_image
from urface.scoring import score
from urface.web.access import ACCESS
from urface.web.app import create_app
from urface.web.judging import percent
from urface.web.samples import FOLDER, SAMPLES, sample
from urface.web.service import Service

from .stand_ins import (
    CONSENT,
    client,
    embedder,
    images,
    made_up_decision,
    photo,
    service,
)


def ask(built: Service, *requests: tuple[str, str, dict[str, Any]]) -> list[Any]:
    """The answers to requests one after another."""

    async def all_of_them() -> list[Any]:
        async with client(built) as http:
            return [await http.request(method, path, **more) for method, path, more in requests]

    return asyncio.run(all_of_them())


PAIR = {"files": [*images(1, name="a"), *images(2, name="b")]}


def test_compare_gives_the_scores_of_the_embedder_to_three_digits():
    (answer,) = ask(service(), ("POST", "/v1/compare?aligned_a=true&aligned_b=true", PAIR))
    assert answer.status_code == 200
    told = answer.json()
    faces = embedder().embed([decode_image(photo(1)), decode_image(photo(2))])
    likelihood = float(score(faces[0], faces[1])[0])
    assert told["likelihood"] == float(f"{likelihood:.3g}")
    assert told["cosine"] == round(float(score(faces[0], faces[1], "cosine")[0]), 3)
    variance = np.asarray([face["variance"] for face in told["faces"]])
    np.testing.assert_allclose(variance, faces.sub_variance, rtol=0.006)
    shown = decode_image(base64.b64decode(told["faces"][0]["image"]))
    assert shown.shape == (112, 112, 3)
    assert told["model"]["demonstration"]
    assert "Demonstration" in told["model"]["note"]


def test_the_same_photo_twice_is_a_match_and_says_at_which_rate():
    same = {"files": [*images(3, name="a"), *images(3, name="b")]}
    (answer,) = ask(service(), ("POST", "/v1/compare", same))
    told = answer.json()
    assert told["verdict"] == "match"
    assert [point["false_match_rate"] for point in told["rates"]] == [0.001, 0.01]
    assert "1 in 1,000" in told["meaning"]
    assert "made-up pairs" in told["meaning"]


def test_a_face_above_the_calibrated_uncertainty_has_no_verdict():
    (answer,) = ask(service(decision=made_up_decision(-1e9)), ("POST", "/v1/compare", PAIR))
    told = answer.json()
    assert told["verdict"] == "unsure"
    assert told["sentence"].startswith("Too unsure to say: both photos")
    assert all(face["unsure"] for face in told["faces"])
    assert told["probability"] is None


def test_no_number_of_an_answer_has_more_than_three_digits(tmp_path: Path):
    requests = [
        ("POST", "/v1/compare", PAIR),
        ("POST", "/v1/people", {"data": {"name": "Ada", **CONSENT}, "files": images(1, 2, 3)}),
        ("POST", "/v1/search", {"files": images(1, name="image")}),
        ("POST", "/v1/identify", {"files": images(1, name="image")}),
    ]
    for answer in ask(service(folder=tmp_path), *requests):
        assert answer.status_code == 200, answer.text
        text = re.sub(r'"image":"[^"]*"', "", answer.text)
        for number in re.findall(r"-?\d+\.\d+(?:e-?\d+)?", text):
            digits = number.partition("e")[0].lstrip("-0.").replace(".", "")
            decimals = number.partition(".")[2]
            assert len(digits) <= 3 or len(decimals) <= 3, number


def test_a_person_is_enrolled_found_shown_and_removed(tmp_path: Path):
    built = service(folder=tmp_path)
    enrolled, again = ask(
        built,
        ("POST", "/v1/people", {"data": {"name": " Ada  L ", **CONSENT}, "files": images(1, 2)}),
        ("POST", "/v1/people", {"data": {"name": "Ada L", **CONSENT}, "files": images(5)}),
    )
    assert enrolled.json()["person"] == "Ada L"
    assert (again.json()["images"], again.json()["added"]) == (3, 1)
    identifier = enrolled.json()["id"]
    assert again.json()["id"] == identifier
    assert "Ada" not in identifier
    listed, template, found, known, removed, gone, nobody = ask(
        built,
        ("GET", "/v1/people", {}),
        ("GET", f"/v1/people/{identifier}/template", {}),
        ("POST", "/v1/search?k=3", {"files": images(1, name="image")}),
        ("POST", "/v1/identify?fpir=0.1", {"files": images(1, name="image")}),
        ("DELETE", f"/v1/people/{identifier}", {}),
        ("DELETE", f"/v1/people/{identifier}", {}),
        ("GET", "/v1/people", {}),
    )
    assert [person["person"] for person in listed.json()["people"]] == ["Ada L"]
    weights = np.asarray([image["weights"] for image in template.json()["images"]])
    np.testing.assert_allclose(weights.sum(0), 1, atol=0.002)
    assert found.json()["matches"][0]["person"] == "Ada L"
    assert known.json()["fpir"] == 0.1
    assert removed.json() == {"removed": True}
    assert gone.status_code == 404
    assert nobody.json() == {"people": [], "total": 0}


def test_without_a_detector_aligned_crops_are_taken_and_photos_refused_with_the_remedy():
    refused, taken, model = ask(
        service(detector=None),
        ("POST", "/v1/compare", PAIR),
        ("POST", "/v1/compare?aligned_a=true&aligned_b=true", PAIR),
        ("GET", "/v1/model", {}),
    )
    assert refused.status_code == 422
    assert refused.json()["error"]["code"] == "no_detector"
    assert "urface[faces]" in refused.json()["error"]["message"]
    assert taken.status_code == 200
    assert model.json()["finds_faces"] is False


def test_a_photo_without_a_face_is_named(tmp_path: Path):
    from urface.data.decode import encode_png

    grey = ("image", ("grey.png", encode_png(np.full((80, 80, 3), 127, np.uint8)), "image/png"))
    (answer,) = ask(service(folder=tmp_path), ("POST", "/v1/identify", {"files": [grey]}))
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "no_face"


def test_without_a_gallery_its_endpoints_say_how_to_have_one():
    for answer in ask(
        service(),
        ("GET", "/v1/people", {}),
        ("POST", "/v1/search", {"files": images(1, name="image")}),
    ):
        assert answer.status_code == 404
        assert "--gallery" in answer.json()["error"]["message"]


@pytest.mark.parametrize("identifier", ["x", "A" * 40, "..", "%2e%2e", "\N{SNOWMAN}", "a" * 9000])
def test_what_is_no_id_is_nobody(identifier: str, tmp_path: Path):
    (answer,) = ask(service(folder=tmp_path), ("DELETE", f"/v1/people/{identifier}", {}))
    assert answer.status_code in (404, 405)
    assert set(answer.json()) == {"error"}


def schema() -> dict[str, Any]:
    (answer,) = ask(service(), ("GET", "/openapi.json", {}))
    told: dict[str, Any] = answer.json()
    return told


def test_no_request_has_a_place_for_an_address_or_a_path():
    """G38: nothing that the service would fetch or open by name."""
    word = re.compile(
        r"ur[li]|href|path|file_?name|folder|host|address|link|callback", re.IGNORECASE
    )
    told = schema()
    bodies = [
        model for name, model in told["components"]["schemas"].items() if name.startswith("Body_")
    ]
    names = [name for body in bodies for name in body["properties"]]
    for methods in told["paths"].values():
        for operation in methods.values():
            names += [parameter["name"] for parameter in operation.get("parameters", [])]
            for content in operation.get("requestBody", {}).get("content", {}).values():
                names += content["schema"].get("properties", {})
    assert {"a", "b", "images", "name", "k", "fpir", "person"} <= set(names)
    assert [name for name in names if word.search(name)] == []
    assert word.search("image_url")  # the gate sees one


def test_the_schema_lists_exactly_the_endpoints_of_the_access_table():
    described = {
        (method.upper(), path): operation.get("x-needs", "anybody")
        for path, methods in schema()["paths"].items()
        for method, operation in methods.items()
    }
    assert described == {place: needs for place, needs in ACCESS.items() if "/v1" in place[1]}


def test_every_answer_keeps_a_browser_safe_and_is_not_kept():
    page, model, missing = ask(
        service(), ("GET", "/", {}), ("GET", "/v1/model", {}), ("GET", "/docs", {})
    )
    assert missing.status_code == 404
    for answer in (page, model, missing):
        assert answer.headers["content-security-policy"].startswith("default-src 'self';")
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
    assert model.headers["cache-control"] == "no-store"


def test_an_error_of_ours_is_one_line_without_its_track(caplog: pytest.LogCaptureFixture):
    built = service()

    def breaks(*_: Any) -> None:
        raise RuntimeError("secret name")

    built.engine.faces = breaks  # type: ignore[method-assign, assignment]
    (answer,) = ask(built, ("POST", "/v1/compare", PAIR))
    assert answer.status_code == 500
    assert answer.json() == {
        "error": {"code": "internal", "message": "the service failed; its log says why"}
    }
    assert "RuntimeError" in caplog.text
    assert "secret name" not in caplog.text


def test_logs_hold_no_name_and_no_query(caplog: pytest.LogCaptureFixture, tmp_path: Path):
    caplog.set_level("INFO", "urface.web")
    built = service(folder=tmp_path)
    (enrolled,) = ask(
        built, ("POST", "/v1/people", {"data": {"name": "Grace", **CONSENT}, "files": images(1)})
    )
    ask(built, ("DELETE", f"/v1/people/{enrolled.json()['id']}?x=Grace", {}))
    assert "DELETE /v1/people/{person} 200" in caplog.text
    assert "Grace" not in caplog.text
    assert enrolled.json()["id"] not in caplog.text


def test_the_application_closes_what_it_was_given(tmp_path: Path):
    built = service(folder=tmp_path)
    messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    sent: list[str] = []

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    asyncio.run(create_app(built)({"type": "lifespan"}, receive, send))
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


def test_the_sample_faces_are_those_that_samples_draws():
    for name in SAMPLES:
        shipped = decode_image((FOLDER / name).read_bytes())
        drawn = sample(name)
        assert shipped.shape == drawn.shape
        assert np.abs(shipped.astype(int) - drawn.astype(int)).mean() < 6, name


def test_a_detector_that_ended_is_no_fault_of_the_photo():
    from urface.recognisers.onnx_process import ProcessEnded

    class Ended:
        name = "ended"

        def detect(self, photo: np.ndarray) -> Any:
            raise ProcessEnded("/srv/operator/d.onnx: the process that runs it has ended")

    (answer,) = ask(service(detector=Ended), ("POST", "/v1/compare", PAIR))
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_detector")
    assert "operator" not in answer.text
    assert answer.headers["retry-after"] == "5"


def test_a_share_is_never_said_to_be_none_or_all():
    assert [percent(share) for share in (0.0003, 0.0, 0.25, 0.9995)] == [
        "under 0.1 %",
        "under 0.1 %",
        "25.0 %",
        "over 99.9 %",
    ]
