"""Arguments of commands: help with examples, errors of one line that name the nearest key."""

from __future__ import annotations

import argparse
import difflib
import importlib
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, NoReturn, get_args, get_origin

from jsonargparse import ArgumentParser, DefaultHelpFormatter

from urface.types import UserError


class Command(NamedTuple):
    """Where ``run(arguments) -> exit code`` lies, imported when wanted, and one line on it."""

    module: str
    summary: str


class HelpFormatter(DefaultHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Keeps the line breaks of descriptions and examples."""


class CommandParser(ArgumentParser):
    """Raises UserError with one line where argparse would print its usage and exit."""

    def __init__(self, prog: str, summary: str, examples: str, usage: str | None = None) -> None:
        super().__init__(
            prog=prog,
            usage=usage,
            description=summary,
            epilog=f"examples:\n{examples}",
            formatter_class=HelpFormatter,
            allow_abbrev=False,
        )
        self.hints: dict[str, Any] = {}

    def add(self, name: str, hint: Any, default: Any = None, help: str = "", **more: Any) -> None:
        """An argument of type ``hint``, positional without leading dashes."""
        key = name.lstrip("-")
        self.hints[key] = hint
        if name != key:
            more["default"] = default
        self.add_argument(name, type=hint, help=help, **more)

    def add_flag(self, name: str, help: str) -> None:
        """A switch that is off unless given."""
        self.hints[name.lstrip("-")] = bool
        self.add_argument(name, action="store_true", help=help)

    def add_passes(self) -> None:
        """--batch_size and --corrupt_share, of commands that pass a data set through a network."""
        self.add("--batch_size", int, 64, help="images that pass through the network at a time")
        self.add("--corrupt_share", float, 0.001, help="share of images that may be undecodable")

    def read_passes(self, arguments: Sequence[str]) -> Any:
        """``read``, with what ``add_passes`` added checked."""
        given = self.read(arguments)
        if given.batch_size < 1:
            raise UserError(f"--batch-size must be at least 1, got {given.batch_size}")
        if not 0 <= given.corrupt_share <= 1:
            raise UserError(f"--corrupt-share must be from 0 to 1, got {given.corrupt_share}")
        return given

    def read(self, arguments: Sequence[str]) -> Any:
        """The parsed arguments; - and _ are the same in the names of options."""
        return self.parse_args([underscored(argument) for argument in arguments])

    def format_help(self, *given: Any) -> str:
        """With the hyphens that the documentation has; settings (--model.input_size) as in their files."""
        return re.sub(
            r"(?<![\w.-])--[a-z_]+(?![\w.])",
            lambda m: m[0].replace("_", "-"),
            super().format_help(*given),
        )

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        raise UserError(f"{explain(message, self.hints)}; see {self.prog} --help")


def underscored(argument: str) -> str:
    """``--test-lfw=a-b`` -> ``--test_lfw=a-b``; anything else as it is."""
    if not re.match(r"--[A-Za-z]", argument):
        return argument
    name, equals, value = argument.partition("=")
    return "--" + name[2:].replace("-", "_") + equals + value


def explain(message: str, hints: Mapping[str, Any]) -> str:
    """jsonargparse's words, with their types and tracks of Python, as one line for a user."""
    text = " ".join(message.split())
    wrong = re.match(r'Parser key "([^"]+)": .*Got value: (.*)$', text)
    if wrong and wrong[1] in hints:
        return f"{wrong[1]}: expected {describe(hints[wrong[1]])}, got {wrong[2]!r}"
    unknown = re.match(r"unrecognized arguments: (--\S*?)(?:[= ].*)?$", text, re.IGNORECASE)
    if unknown:
        return f"unknown option {unknown[1]}{suggestion(unknown[1].lstrip('-'), hints, '--')}"
    return re.sub(r"^unrecognized arguments?", "unexpected argument", text, flags=re.IGNORECASE)


def suggestion(key: str, known: Iterable[str], prefix: str = "") -> str:
    """`` (did you mean ...?)`` with the known key nearest to ``key``, or nothing."""
    known = list(known)
    # A forgotten section (input_size for model.input_size) is as common as a slip of the finger.
    same_end = [name for name in known if name.rpartition(".")[2] == key.rpartition(".")[2]]
    near = same_end or difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    return f" (did you mean {prefix}{near[0]}?)" if near else ""


def describe(hint: Any) -> str:
    """A type in a user's words."""
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(str(value) for value in get_args(hint))
    if get_origin(hint) is tuple:
        inner, *rest = get_args(hint)
        number = "a list of" if Ellipsis in rest else f"a list [a, b] of {1 + len(rest)}"
        return f"{number} values, each {describe(inner)}"
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    return names.get(hint, str(hint))


def dispatch(
    prog: str, summary: str, examples: str, commands: Mapping[str, Command], arguments: list[str]
) -> int:
    """Run the command that ``arguments`` begins with on the rest of them; its exit code."""
    if not arguments or arguments[0] in ("-h", "--help"):
        width = max(len(name) for name in commands) + 2
        listed = "\n".join(
            f"  {name:{width}}{command.summary}" for name, command in commands.items()
        )
        print(f"usage: {prog} COMMAND ...\n\n{summary}\n\ncommands:\n{listed}\n")
        print(f"examples:\n{examples}\n\n{prog} COMMAND --help says more.")
        return 0
    name = arguments[0]
    if name == "--version":
        print(f"urface {importlib.import_module('urface').__version__}")
        return 0
    if name not in commands:
        raise UserError(f"no command {name!r}{suggestion(name, commands)}; see {prog} --help")
    code: int = importlib.import_module(commands[name].module).run(arguments[1:])
    return code


def note(line: str) -> None:
    """A line for the user beside the results, on stderr."""
    print(line, file=sys.stderr)
