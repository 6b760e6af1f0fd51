"""Claims about who may do what (G37, G44): the whole matrix of endpoints and roles, and keys themselves."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from small_model import one_thread  # noqa: F401
from urface.types import UserError
from urface.web.access import ACCESS, NOBODY, Caller, needed
from urface.web.keys import KeyFile
from urface.web.limits import Limits
from urface.web.rate import Rate
from urface.web.refusal import Refusal

from .stand_ins import CONSENT, NO_RATE, client, images, service

KEYS = (
    ("searcher", "search", False),
    ("enroller", "enrol", False),
    ("admin", "admin", False),
    ("exporter", "search", True),
)
# Written by hand, not made from ACCESS: what the table is held against.
MAY = {
    ("GET", "/v1/health"): {"nobody", "searcher", "enroller", "admin", "exporter"},
    ("GET", "/openapi.json"): {"nobody", "searcher", "enroller", "admin", "exporter"},
    ("GET", "/"): {"nobody", "searcher", "enroller", "admin", "exporter"},
    ("GET", "/page/{file}"): {"nobody", "searcher", "enroller", "admin", "exporter"},
    ("GET", "/v1/model"): {"searcher", "enroller", "admin", "exporter"},
    ("POST", "/v1/compare"): {"searcher", "enroller", "admin", "exporter"},
    ("POST", "/v1/search"): {"searcher", "enroller", "admin", "exporter"},
    ("POST", "/v1/identify"): {"searcher", "enroller", "admin", "exporter"},
    ("GET", "/v1/people"): {"enroller", "admin"},
    ("POST", "/v1/people"): {"enroller", "admin"},
    ("GET", "/v1/people/{person}/template"): {"enroller", "admin"},
    ("DELETE", "/v1/people/{person}"): {"admin"},
    ("POST", "/v1/embed"): {"exporter"},
}


@pytest.fixture
def keys(tmp_path: Path) -> tuple[KeyFile, dict[str, str]]:
    file = KeyFile(tmp_path / "keys.json")
    return file, {name: file.add(name, role, raw) for name, role, raw in KEYS}


def request_for(method: str, path: str) -> dict[str, Any]:
    if (method, path) == ("POST", "/v1/people"):
        return {"data": {"name": "Ada", **CONSENT}, "files": images(1)}
    if path == "/v1/compare":
        return {"files": [*images(1, name="a"), *images(2, name="b")]}
    if path == "/v1/embed":
        return {"files": images(1)}
    return {"files": images(1, name="image")} if method == "POST" else {}


def test_every_endpoint_is_open_to_exactly_the_keys_of_the_matrix(
    keys: tuple[KeyFile, dict[str, str]], tmp_path: Path
):
    assert MAY.keys() == ACCESS.keys()
    file, texts = keys
    built = service(folder=tmp_path, keys=file)
    assert built.ids is not None
    person = built.ids.id_of("Nobody")
    granted: dict[tuple[str, str], set[str]] = {place: set() for place in MAY}

    async def try_all() -> None:
        async with client(built) as http:
            for method, path in MAY:
                target = path.replace("{person}", person).replace("{file}", "icon.svg")
                for name in ("nobody", *texts):
                    headers = {"Authorization": f"Bearer {texts[name]}"} if name in texts else {}
                    answer = await http.request(
                        method, target, headers=headers, **request_for(method, path)
                    )
                    refused = answer.status_code in (401, 403)
                    assert refused or answer.status_code in (200, 404), answer.text
                    assert (answer.status_code == 401) == (refused and name == "nobody")
                    if not refused:
                        granted[method, path].add(name)

    asyncio.run(try_all())
    assert granted == MAY


def test_a_role_or_need_that_nobody_knows_grants_nothing():
    assert not Caller("x", "root", False).may("search")
    assert not Caller("x", "admin", False).may("everything")
    assert not Caller("x", "admin", False).may("raw")
    assert not NOBODY.may("search")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/docs", 404),
        ("GET", "/v1/people/", 404),
        ("GET", "/v1/people/a/b/template", 404),
        ("PUT", "/v1/people", 405),
        ("POST", "/v1/people/a/template", 405),
        ("get", "/v1/people", 405),
        ("GET", "/page/../secret", 404),
    ],
)
def test_what_the_table_lacks_is_refused_before_the_application(
    method: str, path: str, status: int
):
    with pytest.raises(Refusal) as refused:
        needed(method, path)
    assert refused.value.status == status


def statuses(built: Any, authorizations: list[str | None], path: str = "/v1/model") -> list[int]:
    async def all_of_them() -> list[int]:
        async with client(built) as http:
            found = []
            for text in authorizations:
                headers = {} if text is None else {"Authorization": text}
                found.append((await http.get(path, headers=headers)).status_code)
            return found

    return asyncio.run(all_of_them())


def test_only_a_whole_key_opens(keys: tuple[KeyFile, dict[str, str]]):
    file, texts = keys
    key = texts["admin"]
    wrong = [None, "", "Bearer", f"Basic {key}", f"Bearer {key[:-1]}", f"Bearer {key}x", key]
    wrong += [f"Bearer {key[:-1]}{'A' if key[-1] != 'A' else 'B'}", "Bearer " + "x" * 200]
    assert set(statuses(service(keys=file), wrong)) == {401}
    assert statuses(service(keys=file), [f"Bearer {key}", f"bearer  {key} "]) == [200, 200]


def test_wrong_keys_are_limited_and_right_ones_still_pass(keys: tuple[KeyFile, dict[str, str]]):
    file, texts = keys
    built = service(keys=file, limits=Limits(wrong_keys=3))
    unknown = "Bearer urface_" + "0" * 16 + "_" + "A" * 43
    good = f"Bearer {texts['admin']}"
    assert statuses(built, [unknown] * 5 + [good]) == [401, 401, 401, 429, 429, 200]


def test_each_key_has_its_own_rate(keys: tuple[KeyFile, dict[str, str]]):
    file, texts = keys
    built = service(keys=file, limits=Limits(requests_per_second=0.01, burst=2))
    first, second = f"Bearer {texts['admin']}", f"Bearer {texts['searcher']}"
    assert statuses(built, [first, first, first, second]) == [200, 200, 429, 200]


def test_a_bucket_fills_at_its_rate():
    now = [0.0]
    rate = Rate(2.0, 2, lambda: now[0])
    assert [rate.wait("a"), rate.wait("a"), rate.wait("a")] == [0.0, 0.0, 0.5]
    now[0] = 0.5
    assert rate.wait("a") == 0.0
    assert rate.wait("a") == pytest.approx(0.5)
    assert rate.wait("b") == 0.0


def test_the_file_of_keys_holds_no_key_and_only_its_owner_reads_it(
    keys: tuple[KeyFile, dict[str, str]],
):
    file, texts = keys
    text = file.path.read_text()
    for key in texts.values():
        assert key.rpartition("_")[2] not in text
        assert key[len("urface_0123456789abcdef_") :] not in text
    assert file.path.stat().st_mode & 0o777 == 0o600
    again = KeyFile(file.path)
    found = again.find(texts["enroller"])
    assert found is not None
    assert (found.name, found.role) == ("enroller", "enrol")


def test_a_removed_key_is_refused_by_a_running_service(keys: tuple[KeyFile, dict[str, str]]):
    file, texts = keys
    built = service(keys=KeyFile(file.path))
    good = f"Bearer {texts['admin']}"
    assert statuses(built, [good]) == [200]
    file.remove("admin")
    assert statuses(built, [good]) == [401]


def test_a_key_seen_before_is_known_without_scrypt(keys: tuple[KeyFile, dict[str, str]]):
    file, texts = keys
    began = time.thread_time()
    assert file.find(texts["admin"])
    first = time.thread_time() - began
    began = time.thread_time()
    assert file.remembered(texts["admin"])
    assert time.thread_time() - began < first / 5
    assert file.remembered(texts["admin"][:-1]) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"keys": [1]}',
        '{"keys": [{"id": "x"}]}',
        '{"keys": [{"id": 1, "name": "a", "role": "admin", "raw": true, "salt": "00", "hash": "00"}]}',
        "[" * 100_000,
    ],
)
def test_a_damaged_file_of_keys_opens_nothing(text: str, tmp_path: Path):
    path = tmp_path / "keys.json"
    path.write_text(text)
    with pytest.raises(UserError, match="not a file of keys"):
        KeyFile(path).by_id()


def test_a_role_raised_by_hand_to_one_that_does_not_exist_is_refused(
    keys: tuple[KeyFile, dict[str, str]],
):
    file, _ = keys
    record = json.loads(file.path.read_text())
    record["keys"][0]["role"] = "root"
    file.path.write_text(json.dumps(record))
    os.utime(file.path, (1, 1))
    with pytest.raises(UserError):
        KeyFile(file.path).by_id()


def statuses_of(headers: list[dict[str, str]], **more: Any) -> list[int]:
    async def all_of_them() -> list[int]:
        async with client(service(limits=NO_RATE, **more)) as http:
            return [(await http.get("/v1/model", headers=given)).status_code for given in headers]

    return asyncio.run(all_of_them())


def test_only_this_machines_names_and_own_pages_reach_a_service_without_keys():
    good = [
        {},
        {"Host": "localhost:9"},
        {"Host": "[::1]:8000"},
        {"Origin": "http://127.0.0.1:8000"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
    ]
    assert set(statuses_of(good)) == {200}
    rebound = [{"Host": "evil.example"}, {"Host": "127.0.0.1.evil.example:8000"}, {"Host": ""}]
    assert set(statuses_of(rebound)) <= {400, 421}
    foreign = [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:8001"},
        {"Origin": "http://localhost:8000"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ]
    assert set(statuses_of(foreign)) == {403}
    assert statuses_of([{"Host": "evil.example"}], hosts=None) == [200]  # the control: no check


def test_a_damaged_file_of_keys_is_the_operators_and_names_no_path(
    keys: tuple[KeyFile, dict[str, str]], caplog: pytest.LogCaptureFixture
):
    file, texts = keys
    built = service(keys=file)
    file.path.write_text("{")

    async def go() -> Any:
        async with client(built, Authorization=f"Bearer {texts['admin']}") as http:
            return await http.get("/v1/model")

    answer = asyncio.run(go())
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "keys_damaged")
    assert str(file.path) not in answer.text
    assert str(file.path) in caplog.text


def test_a_link_from_another_page_opens_the_page_and_nothing_else():
    fields = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}

    async def go() -> list[int]:
        async with client(service()) as http:
            return [
                (await http.get("/", headers=fields)).status_code,
                (await http.get("/", headers=fields | {"Sec-Fetch-Mode": "no-cors"})).status_code,
                (await http.get("/v1/model", headers=fields)).status_code,
                (await http.post("/v1/compare", headers=fields)).status_code,
                (await http.get("/", headers=fields | {"Origin": "http://a.example"})).status_code,
            ]

    assert asyncio.run(go()) == [200, 403, 403, 403, 403]
