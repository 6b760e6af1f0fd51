"""The documentation site builds strictly, asks nothing of another host, and every page can be reached."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# What makes a browser fetch something by itself; a link (a href) waits for a click.
LOADING = {"src", "srcset", "poster", "data", "background", "action", "formaction", "xlink:href"}
QUIET_LINKS = {"next", "prev", "canonical"}
OUTSIDE = re.compile(r"\s*(?:https?:)?//", re.IGNORECASE)
IN_STYLE = re.compile(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` builds it."""
    folder = tmp_path_factory.mktemp("site")
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "NO_MKDOCS_2_WARNING": "1"}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return folder


class Asked(HTMLParser):
    """What a page loads, and where its links lead."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "a":
            self.links.append(given.get("href", ""))
        elif tag == "link" and not set(given.get("rel", "").split()) & QUIET_LINKS:
            self.loads.append(given.get("href", ""))
        for name, value in given.items():
            if name in LOADING:
                self.loads += value.split(",") if name == "srcset" else [value]
            elif name == "style":
                self.loads += in_style(value)

    handle_startendtag = handle_starttag


def in_style(text: str) -> list[str]:
    return [one or other for one, other in IN_STYLE.findall(text)]


def outside(name: str, text: str) -> list[str]:
    """What the file ``name`` of a site makes a browser fetch from another host."""
    if name.endswith(".css"):
        loads = in_style(text)
    else:
        page = Asked()
        page.feed(text)
        styles = re.findall(r"<style[^>]*>(.*?)</style>", text, re.DOTALL)
        loads = page.loads + [load for style in styles for load in in_style(style)]
    return [load.strip() for load in loads if OUTSIDE.match(load)]


def test_no_page_and_no_style_loads_anything_from_another_host(site: Path) -> None:
    files = [file for ending in ("html", "css", "svg") for file in site.rglob(f"*.{ending}")]
    assert len(files) > 30
    found = {str(f.relative_to(site)): outside(f.name, f.read_text()) for f in files}
    assert {name: loads for name, loads in found.items() if loads} == {}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.html", "<script src='https://cdn.example/x.js'></script>"),
        ("a.html", "<link rel='stylesheet' href='//fonts.example/css'>"),
        ("a.html", "<link rel='preconnect' href='https://fonts.example'>"),
        ("a.html", "<img alt='' srcset='a.png, https://example.org/b.png 2x'>"),
        ("a.html", "<p style='background: url(http://example.org/a.png)'>"),
        ("a.html", "<style>@import 'https://example.org/a.css';</style>"),
        ("a.css", "@font-face { src: url('https://example.org/a.woff2') }"),
    ],
)
def test_a_load_from_another_host_is_seen(name: str, text: str) -> None:
    """The control, each kind of load once."""
    assert len(outside(name, text)) == 1


def test_a_link_to_another_host_is_no_load() -> None:
    assert outside("a.html", "<a href='https://example.org'>x</a><img src='b.png'>") == []


def test_every_page_is_reached_from_the_first(site: Path) -> None:
    """And no link within the site leads nowhere; 404.html alone is found by nobody."""
    reached, ahead = set(), [site / "index.html"]
    while ahead:
        file = ahead.pop()
        if file in reached:
            continue
        assert file.is_file(), file
        reached.add(file)
        if file.suffix == ".html":
            page = Asked()
            page.feed(file.read_text())
            for link in page.links:
                target = link.partition("#")[0]
                if target and not re.match(r"\w+:", target):
                    ahead.append((file.parent / target).resolve())
    pages = set(site.rglob("*.html")) - {site / "404.html"}
    assert pages - reached == set()
    sources = {page.stem for page in (ROOT / "docs").glob("*.md")}
    assert sources | {"reference", "contributing"} <= {page.stem for page in reached}
    for notebook in (ROOT / "docs" / "notebooks").glob("*.ipynb"):
        assert {
            site / "notebooks" / (notebook.stem + end) for end in (".html", ".ipynb")
        } <= reached


def test_the_search_index_is_part_of_the_site(site: Path) -> None:
    assert "likelihood" in (site / "search" / "search_index.json").read_text()


def test_lists_tables_code_and_pictures_are_what_they_look_like(site: Path) -> None:
    """Where Markdown was not understood its signs stay in the text."""
    for file in site.rglob("*.html"):
        article = re.search(r"<article.*?</article>", file.read_text(), re.DOTALL)
        if article is None:
            continue
        text = re.sub(r"<(pre|code|table|h\d)\b.*?</\1>", "", article[0], flags=re.DOTALL)
        text = re.sub(r"<[^>]+>", "", text)
        left_over = [
            line for line in text.split("\n") if re.match(r"(?:[-*] |\d+\. |\||```|#+ |!\[)", line)
        ]
        assert left_over == [], file.name
