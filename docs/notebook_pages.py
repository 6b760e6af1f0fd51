"""A notebook as a page: prose as it is, code in fences, and what each cell printed or drew below it."""

from __future__ import annotations

import base64
import re
from typing import Any

COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def page_of(notebook: dict[str, Any], name: str) -> tuple[str, dict[str, bytes]]:
    """The Markdown of ``notebook`` (nbformat 4) and its pictures by file name.

    Text and PNG are shown, of a cell that gives both the picture alone; HTML is not, since it could ask
    another host for something. Raises ValueError for a cell that failed: such a page is not published.
    """
    parts: list[str] = []
    pictures: dict[str, bytes] = {}
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
        elif cell["cell_type"] == "code" and source.strip():
            parts.append(fence(source, "python"))
            shown = [_output(output, name, pictures) for output in cell["outputs"]]
            if shown:
                parts += ["<div class='output' markdown>", *shown, "</div>"]
    parts.insert(
        1, f"*This page is a notebook: [{name}.ipynb]({name}.ipynb). It was run as it stands.*"
    )
    return "\n\n".join(parts) + "\n", pictures


def fence(text: str, language: str) -> str:
    """``text`` as a block of code, whatever backticks it holds."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    ticks = "`" * max(3, longest + 1)
    return f"{ticks}{language}\n{text.rstrip()}\n{ticks}"


def _output(output: dict[str, Any], name: str, pictures: dict[str, bytes]) -> str:
    if output["output_type"] == "error":
        raise ValueError(f"{name}: a cell failed: {output['ename']}: {output['evalue']}")
    if output["output_type"] == "stream":
        return fence(COLOURS.sub("", "".join(output["text"])), "text")
    if "image/png" in output["data"]:
        picture = f"{name}_{len(pictures) + 1}.png"
        pictures[picture] = base64.b64decode("".join(output["data"]["image/png"]))
        return f"![What the cell above draws]({picture})"
    return fence("".join(output["data"].get("text/plain", "")), "text")
