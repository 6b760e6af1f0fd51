"""Settings: a packaged recipe, YAML files over it, dotted options over both."""

from __future__ import annotations

import argparse
import dataclasses
import re
import sys
from collections.abc import Iterator, Sequence
from importlib import resources
from typing import Any, TypeVar, get_type_hints

import yaml

from urface.commands.parser import CommandParser, explain, suggestion, underscored
from urface.config import as_dict
from urface.types import UserError

Settings = TypeVar("Settings")

MAX_CHARACTERS, MAX_TEXT, MAX_DEPTH = 1 << 16, 4096, 16


def recipe_names(settings: type) -> list[str]:
    """The packaged recipes whose keys are all keys of ``settings``."""
    sections = {field.name for field in dataclasses.fields(settings)}
    names = []
    for file in resources.files("urface.recipes").iterdir():
        if file.name.endswith(".yaml"):
            values = yaml.safe_load(file.read_text(encoding="utf-8"))
            if set(values) <= sections:
                names.append(file.name.removesuffix(".yaml"))
    return sorted(names)


def read_settings(
    settings: type[Settings],
    prog: str,
    summary: str,
    examples: str,
    arguments: Sequence[str],
    recipe: str | None = None,
) -> Settings:
    """``settings`` as the command line gives them; ``recipe`` is the one taken where none is named.

    Raises UserError with one line for an unknown key, a wrong type or a file that is not YAML.
    """
    names = recipe_names(settings)
    usage = f"{prog} [--recipe NAME] [--config FILE ...] [--SETTING VALUE ...]"
    parser = CommandParser(prog, summary, examples, usage)
    _add_files(parser, f"one of {', '.join(names)}" + (f" (default: {recipe})" if recipe else ""))
    _add_fields(parser, settings)

    # Read before jsonargparse sees them, so that an unknown key is named with its file.
    files = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    _add_files(files)
    wanted = [underscored(argument) for argument in arguments]
    try:
        given, dotted = files.parse_known_args(wanted)
    except argparse.ArgumentError as error:
        raise UserError(str(error)) from None
    name = getattr(given, "recipe", recipe)
    layers = [_recipe(name, names)] if name else []
    layers += [(path, _read(path)) for path in getattr(given, "config", [])]
    values = parser.get_defaults()
    for where, text in layers:
        values = _overlay(parser, values, where, text)
    parsed = parser.parse_args(dotted, namespace=values)
    built = _build(settings, parsed.as_dict())
    if hasattr(given, "print_config"):
        yaml.safe_dump(as_dict(built), sys.stdout, sort_keys=False)
        raise SystemExit(0)
    return built


def _add_files(parser: argparse.ArgumentParser, recipes: str = "") -> None:
    nothing = argparse.SUPPRESS  # keeps "default: null" out of the help
    parser.add_argument("--recipe", metavar="NAME", default=nothing, help=recipes)
    parser.add_argument(
        "--config",
        metavar="FILE",
        action="append",
        default=nothing,
        help="YAML over the recipe; may be repeated",
    )
    parser.add_argument(
        "--print_config", action="store_true", default=nothing, help="print the settings and stop"
    )


def _recipe(name: str, names: list[str]) -> tuple[str, str]:
    if name not in names:
        near = suggestion(name, names)
        raise UserError(f"no recipe {name!r}{near}; there are {', '.join(names)}")
    file = resources.files("urface.recipes") / f"{name}.yaml"
    return f"recipe {name}", file.read_text(encoding="utf-8")


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except UnicodeDecodeError:
        raise UserError(f"{path}: not text, so not YAML") from None


def _check_plain(where: str, text: str) -> None:
    """Raise UserError where a few bytes of YAML would become a billion, or what contains itself."""
    if len(text) > MAX_CHARACTERS:
        raise UserError(
            f"{where}: {len(text):,} characters: settings have {MAX_CHARACTERS:,} at most"
        )
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        line = f"{where}:{event.start_mark.line + 1}" if event.start_mark else where
        if isinstance(event, yaml.AliasEvent):
            raise UserError(f"{line}: *{event.anchor} stands for another value: write that value")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise UserError(f"{line}: more than {MAX_DEPTH} levels: settings have two or three")
        # A text may be looked at as YAML again, for a list, so it is held to the same.
        if isinstance(event, yaml.ScalarEvent) and len(event.value) > MAX_TEXT:
            raise UserError(f"{line}: a text of {len(event.value):,} characters")


def _overlay(parser: CommandParser, values: Any, where: str, text: str) -> Any:
    """``values`` with those of a YAML text laid over them."""
    try:
        _check_plain(where, text)
        loaded = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "characters that YAML does not allow"
        raise UserError(f"{where}{line}: not valid YAML ({problem})") from None
    if not isinstance(loaded, dict):
        raise UserError(f"{where}: expected settings such as 'optim: {{epochs: 3}}'")
    sections = {key.rpartition(".")[0] for key in parser.hints}
    sections |= {section.partition(".")[0] for section in sections}
    for key, value in _leaves(loaded, parser.hints):
        if key in sections:
            raise UserError(f"{where}: {key} is a section: expected its settings, got {value!r}")
        if key not in parser.hints:
            raise UserError(f"{where}: unknown key {key}{suggestion(key, parser.hints)}")
    try:
        return parser.parse_object(loaded, namespace=values)
    except UserError as error:
        raise UserError(f"{where}: {str(error).rpartition('; see')[0]}") from None
    except (TypeError, ValueError) as error:
        raise UserError(f"{where}: {explain(str(error), parser.hints)}") from None


def _leaves(values: dict[Any, Any], known: dict[str, Any], prefix: str = "") -> Iterator[Any]:
    """Dotted keys and values of nested mappings."""
    for name, value in values.items():
        key = f"{prefix}{name}"
        if isinstance(value, dict) and value and key not in known:
            yield from _leaves(value, known, f"{key}.")
        else:
            yield key, value


def _add_fields(parser: CommandParser, settings: type, prefix: str = "") -> None:
    hints: dict[str, Any] = get_type_hints(settings)
    docs = field_docs(settings)
    for field in dataclasses.fields(settings):
        key, hint = prefix + field.name, hints[field.name]
        if isinstance(hint, type) and dataclasses.is_dataclass(hint):
            _add_fields(parser, hint, f"{key}.")
        else:
            parser.add(f"--{key}", hint, field.default, docs.get(field.name, ""))


def field_docs(settings: type) -> dict[str, str]:
    """What the docstring of a settings class says of each field, in lines ``name, name   text``."""
    docs: dict[str, str] = {}
    names: list[str] = []
    for line in (settings.__doc__ or "").splitlines():
        entry = re.match(r"    (\w+(?:, \w+)*)\s{2,}(\S.*)$", line)
        if entry:
            names = entry[1].split(", ")
            docs |= dict.fromkeys(names, entry[2])
        elif names and line.startswith(" " * 8):
            docs |= {name: f"{docs[name]} {line.strip()}" for name in names}
        else:
            names = []
    return {name: text.replace("%", "%%") for name, text in docs.items()}


def _build(settings: type[Settings], values: dict[str, Any]) -> Settings:
    hints: dict[str, Any] = get_type_hints(settings)
    parts = {}
    for field in dataclasses.fields(settings):  # type: ignore[arg-type]
        hint, value = hints[field.name], values[field.name]
        nested = isinstance(hint, type) and dataclasses.is_dataclass(hint)
        parts[field.name] = _build(hint, value) if nested else value
    return settings(**parts)
