"""Hooks of mkdocs: the pages that are made, and GitHub's Markdown as the site's reader wants it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from make_reference import reference
from mkdocs.structure.files import File, Files
from notebook_pages import page_of

ROOT = Path(__file__).resolve().parents[1]
ITEM = re.compile(r"(?:[-*]|\d+\.) ")
MENTION = re.compile(r"(?<![\w/`(\[])docs/(\w+)\.md(?!\w)")


def on_config(config: Any) -> Any:
    """The navigation names notebooks as the files that they are; their pages end in .md."""
    config.nav = json.loads(json.dumps(config.nav).replace(".ipynb", ".md"))
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the reference, CONTRIBUTING.md, and each notebook as a page beside itself with its pictures."""
    made: dict[str, str | bytes] = {
        "reference.md": reference(),
        "contributing.md": (ROOT / "CONTRIBUTING.md").read_text(),
    }
    for file in [file for file in files if file.src_uri.endswith(".ipynb")]:
        name = Path(file.src_uri).stem
        text, pictures = page_of(json.loads(Path(str(file.abs_src_path)).read_text()), name)
        made[f"notebooks/{name}.md"] = text
        made |= {f"notebooks/{picture}": png for picture, png in pictures.items()}
    for place, content in made.items():
        files.append(File.generated(config, place, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Called for each page before it becomes HTML."""
    here = page.file.src_uri
    up = "../" * here.count("/")
    pages = {file.src_uri for file in files}

    def link(found: re.Match[str]) -> str:
        name = f"{found[1]}.md"
        return f"[{found[1].replace('_', ' ')}]({up}{name})" if name in pages else found[0]

    return as_on_github(markdown, link)


def as_on_github(markdown: str, link: Any) -> str:
    """An empty line before every list, without which Python-Markdown takes it for text; and a link for
    every mention of docs/page.md outside code, as ``link`` makes it of the match."""
    lines: list[str] = []
    fenced = False
    for line in markdown.split("\n"):
        before = lines[-1] if lines else ""
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced and not line.startswith("    "):
            if ITEM.match(line) and before and not ITEM.match(before) and before[0] not in " #":
                lines.append("")
            line = MENTION.sub(link, line)
        lines.append(line)
    return "\n".join(lines)
