"""Changing a file of a layout for the length of a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from urface.types import UserError


@contextmanager
def damaged(file: Path, change: Callable[[list[str]], None]) -> Iterator[None]:
    """``file`` with its lines changed in place by ``change``; put back at the end."""
    whole = file.read_bytes()
    lines = whole.decode().splitlines()
    change(lines)
    file.write_text("".join(f"{line}\n" for line in lines))
    try:
        yield
    finally:
        file.write_bytes(whole)


@contextmanager
def without(file: Path) -> Iterator[None]:
    """No ``file`` for a while."""
    hidden = file.with_name(file.name + ".hidden")
    file.rename(hidden)
    try:
        yield
    finally:
        hidden.rename(file)


def refusal(read: Callable[[], object], file: Path, line: int, text: str) -> str:
    """What ``read`` says of ``file`` when its ``line``, from 1, is ``text``; it must name file and line."""

    def change(lines: list[str]) -> None:
        lines[line - 1] = text

    with damaged(file, change), pytest.raises(UserError) as refused:
        read()
    message = str(refused.value)
    assert message.startswith(f"{file}:{line}: "), message
    assert "\n" not in message
    return message.removeprefix(f"{file}:{line}: ")


def line(file: Path, number: int) -> str:
    """The line ``number``, from 1, of a file."""
    return file.read_text().splitlines()[number - 1]
