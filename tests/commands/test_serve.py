"""Claims about `urface serve` before it listens, and about its keys."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from urface.cli import main
from urface.commands.serve import check_address
from urface.types import UserError
from urface.web.keys import KeyFile


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "faces.example.org"])
def test_an_address_that_others_reach_needs_keys(
    host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert main(["serve", "--host", host]) == 2
    told = capsys.readouterr().err
    assert "needs keys" in told
    assert told.count("\n") == 1
    for loopback in ("127.0.0.1", "::1", "localhost"):
        check_address(loopback, None)


def test_keys_are_made_listed_and_removed(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = str(tmp_path / "more" / "keys.json")
    assert (
        main(["serve", "keys", "add", "door", "--role", "enrol", "--raw", "--key-file", path]) == 0
    )
    key = capsys.readouterr().out.strip()
    found = KeyFile(path).find(key)
    assert found is not None
    assert (found.role, found.raw) == ("enrol", True)
    assert main(["serve", "keys", "list", "--key-file", path]) == 0
    listed = capsys.readouterr().out
    assert listed.split() == ["door", "enrol", "raw"]
    assert main(["serve", "keys", "add", "door", "--key-file", path]) == 2
    assert "remove it first" in capsys.readouterr().err
    assert main(["serve", "keys", "remove", "door", "--key-file", path]) == 0
    assert main(["serve", "keys", "remove", "door", "--key-file", path]) == 2
    assert KeyFile(path).by_id() == {}


def test_named_keys_that_are_not_there_are_not_taken_for_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["serve", "--key-file", str(tmp_path / "keys.json")]) == 2
    assert "holds no key" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "70000"], "--port"),
        (["--rate", "0"], "--rate"),
        (["--workers", "-1"], "--workers"),
        (["--bind", "x"], "--bind"),
        (["keys", "ad", "x"], "did you mean add"),
        (["keys", "add", "x", "--role", "root"], "role"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
):
    assert main(["serve", *arguments]) == 2
    told = capsys.readouterr().err
    assert words in told
    assert told.count("\n") == 1


def test_a_port_that_is_taken_is_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert main(["serve", "no_such_model", "--port", str(taken.getsockname()[1])]) == 2
    assert "in use" in capsys.readouterr().err


def test_a_name_behind_a_proxy_needs_keys_as_well(tmp_path: Path):
    with pytest.raises(UserError, match=r"--hostname faces\.example\.org lets others in"):
        check_address("127.0.0.1", None, "faces.example.org")
    check_address("127.0.0.1", None, "localhost")
    check_address("127.0.0.1", KeyFile(tmp_path / "keys.json"), "faces.example.org")
