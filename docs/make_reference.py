"""The page of urface's public names, from their signatures and docstrings. `python docs/make_reference.py`"""

from __future__ import annotations

import importlib
import inspect
import re
from typing import Any

INTRODUCTION = """\
# Reference

What `import urface` gives, from the code's own docstrings. Shapes: B images, K sub-embeddings, D dimensions
of one, N x M a matrix of scores, C classes, S classes of this rank. A *confidence* is larger when the network
is surer, a *variance* when it is less sure, a *score* when two faces are more alike. Images are RGB uint8
[B, H, W, 3]. What a user can put right raises `UserError` with one line."""

# Modules whose public names get a section of their own, in order; the first is the package itself.
SECTIONS = {
    "urface": "The package",
    "urface.losses": "Losses",
}


def reference() -> str:
    """The page as Markdown."""
    parts = [INTRODUCTION]
    for name, title in SECTIONS.items():
        module = importlib.import_module(name)
        parts.append(f"## {title}: `{name}`")
        for public in module.__all__:
            thing = getattr(module, public)
            if not inspect.ismodule(thing):
                parts += described(thing, f"{name}.{public}", "###")
    return "\n\n".join(parts) + "\n"


def described(thing: Any, name: str, level: str) -> list[str]:
    """Heading, signature and docstring of ``thing``; of a class its public methods too."""
    short = name.rsplit(".", 1)[-1]
    parts = [f"{level} {short}", f"```python\n{signature(thing, name)}\n```"]
    text = inspect.getdoc(thing)
    if text and not (inspect.isclass(thing) and text.startswith(f"{short}(")):
        parts.append(prose(text))
    if inspect.isclass(thing):
        for public, member in vars(thing).items():
            inner = getattr(member, "__func__", member)  # of a static or class method
            inner = inner.fget if isinstance(inner, property) else inner
            if not public.startswith("_") and inspect.isfunction(inner):
                kind = " (property)" if isinstance(member, property) else ""
                text = inspect.getdoc(inner) or ""
                head = signature(inner, f"{short}.{public}") if not kind else f"{short}.{public}"
                parts += [
                    f"{level}# {short}.{public}{kind}",
                    f"```python\n{head}\n```",
                    prose(text),
                ]
    return [part for part in parts if part]


def signature(thing: Any, name: str) -> str:
    """``name`` with its arguments, one a line where they are many."""
    if inspect.isclass(thing) and issubclass(thing, BaseException):
        return f"class {name}({thing.__bases__[0].__name__})"
    if not callable(thing):
        return name
    found = inspect.signature(thing)
    words = _arguments([p for p in found.parameters.values() if p.name not in ("self", "cls")])
    if inspect.isclass(thing):
        head, result = f"class {name}", ""
    else:
        head, result = name, f" -> {found.return_annotation}"
    line = f"{head}({', '.join(words)}){result}"
    return (
        line
        if len(line) <= 88
        else "\n    ".join([f"{head}(", *(f"{w}," for w in words)]) + f"\n){result}"
    )


def _arguments(parameters: list[inspect.Parameter]) -> list[str]:
    words = []
    for parameter in parameters:
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in words:
            words.append("*")
        # Annotations are texts, for every file imports them from __future__.
        word = f"{parameter.name}: {parameter.annotation}"
        words.append(
            word if parameter.default is parameter.empty else f"{word} = {parameter.default!r}"
        )
    return words


def prose(text: str) -> str:
    """A docstring as Markdown: ``code`` as code, and tables of arguments kept in their columns."""
    blocks = []
    for block in re.split(r"\n\s*\n", text):
        lines = block.split("\n")
        columns = any(re.match(r"\S+(?:, \S+)* {2,}\S", line) for line in lines) or any(
            line.startswith("    ") for line in lines
        )
        if columns:
            plain = re.sub(r"``(.+?)``", r"\1", block)
            blocks.append(f"```text\n{plain}\n```")
        else:
            blocks.append(re.sub(r"``(.+?)``", r"`\1`", block).replace("<", "&lt;"))
    return "\n\n".join(blocks)


if __name__ == "__main__":
    print(reference())
