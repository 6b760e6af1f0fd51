"""The report page and its Markdown: self-contained, escaped, and honest about what is withheld."""

from __future__ import annotations

import copy
import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from urface.evaluation.heat import position_on_scale, sequential_colour, sigma_range
from urface.evaluation.rate_text import duration
from urface.evaluation.report import report_html, report_markdown, write_report
from urface.evaluation.report_style import DARK, LIGHT

from .report_results import WITHHELD_REASON, fake_results

VOID = {"meta", "img", "br", "hr", "input", "link"}
OPTIONAL = (
    "lead",
    "created",
    "command",
    "seconds",
    "data",
    "conditions",
    "rows",
    "reference",
    "curves",
    "uncertainty",
    "discard",
    "settings",
    "machine",
)
ATTACK = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>&amp;|*_`"


class Page(HTMLParser):
    """Tags with their attributes, the text of table cells, and whether the tags nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "td":
            self.cells.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "td" in self.open:
            self.cells[-1] += data + " "

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def html() -> str:
    return report_html(fake_results())


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def attacked(value: Any, key: str = "") -> Any:
    """``value`` with an attack in every string but the keys that other parts refer to."""
    if isinstance(value, dict):
        return {k: attacked(v, k) for k, v in value.items()}
    if isinstance(value, list):
        return [attacked(item, key) for item in value]
    return value + ATTACK if isinstance(value, str) and key != "key" else value


def test_page_asks_nothing_of_any_other_place(html: str, page: Page) -> None:
    assert not re.search(r"https?://|//[a-z]|@import|url\(", re.sub(r"base64,[^\"]*", "", html))
    for _, attributes in page.tags:
        assert (attributes.get("src") or "data:").startswith("data:")
        assert (attributes.get("href") or "#").startswith("#")
    assert not page.all("script")
    assert not page.all("link")
    assert "default-src 'none'" in html


def test_tags_nest_and_links_lead_somewhere(page: Page) -> None:
    assert page.open == []
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {link["href"] for link in page.all("a")} == {f"#{name}" for name in ids}


def test_every_string_is_escaped() -> None:
    results = attacked(fake_results())
    results["settings"][ATTACK] = {ATTACK: [ATTACK]}
    results["machine"][ATTACK] = ATTACK
    results["seconds"][ATTACK] = 1.0
    results["curves"]["cosface"][ATTACK] = results["curves"]["cosface"]["L_idt"]
    text = report_html(results)
    attacked_page = Page(text)
    assert attacked_page.open == []
    assert "<script" not in text
    assert not attacked_page.all("script")
    assert all("onerror" not in attributes for _, attributes in attacked_page.tags)
    assert len(attacked_page.all("img")) == len(results["uncertainty"]["examples"])
    markdown, fence, code = report_markdown(results).partition("```sh\n")
    assert "<script" not in markdown
    assert fence
    assert code.endswith("`\n```\n")  # the command is code, which needs no escapes


def test_a_name_cannot_break_the_markdown_table() -> None:
    results = fake_results()
    results["rows"][0]["name"] = "a | b\n| c [x](y)"
    lines = report_markdown(results).splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {9}
    assert any(r"a \| b \| c [x\](y)" in row for row in rows)


def test_withheld_rate_shows_its_reason_and_no_number(page: Page) -> None:
    withheld = [cell for cell in page.cells if "withheld" in cell]
    # TAR at FAR 0.1% of 6 models in 2 conditions; TPIR of one model in its table and in its list.
    assert len(withheld) == 12 + 2
    assert all(WITHHELD_REASON in cell and not re.search(r"\d", cell) for cell in withheld)


def test_rate_without_an_interval_is_withheld_too() -> None:
    results = fake_results()
    results["rows"][0]["verification"]["clean"]["accuracy"] |= {"low": None}
    text = report_html(results)
    assert "84.2%" in report_html(fake_results())
    assert "84.2%" not in text
    assert "no reason was recorded" in text


def test_every_rate_stands_with_its_interval_and_counts(html: str) -> None:
    cells = re.findall(r'<td role="cell"[^>]*>(.*?)</td>', html)
    assert len(cells) == 2 * 6 * 7
    shown = [cell for cell in cells if 'class="value"' in cell]
    assert len(shown) == 2 * (4 * 7 + 2 * 2) - 1
    for cell in shown:
        text = re.sub(r"<[^>]+>", " ", cell)
        assert re.fullmatch(r"\s*\d+\.\d%\s+\d+\.\d–\d+\.\d\s+[\d,]+ of [\d,]+\s*", text)  # noqa: RUF001
    absent = [cell for cell in cells if "not measured" in cell]
    assert len(shown) + len(absent) + 1 == len(cells)


def test_markdown_holds_the_numbers_of_the_page(html: str) -> None:
    table = report_markdown(fake_results())
    in_page = re.findall(
        r'class="value">([\d.]+)%</span><span class="interval">([\d.]+).([\d.]+)</span>.*?'
        r"<small>([\d,]+) of ([\d,]+)",
        html,
    )
    expected = [
        (value, low, high, events.replace(",", ""), trials.replace(",", ""))
        for value, low, high, events, trials in in_page
    ]
    found = re.findall(r"([\d.]+) \[([\d.]+), ([\d.]+)\] \((\d+)/(\d+)\)", table)
    assert found == expected
    assert len(found) == 63
    assert table.count(f"withheld: {WITHHELD_REASON}") == 1


def test_one_seed_is_said_to_be_no_evidence() -> None:
    results = fake_results()
    for text in (report_html(results), report_markdown(results)):
        assert "One seed is not evidence" in text
        assert "Clopper-Pearson" in text
    results["rows"] += [row | {"seed": 1} for row in results["rows"]]
    for text in (report_html(results), report_markdown(results)):
        assert "One seed is not evidence" not in text
        assert "Seeds: 0, 1." in text


@pytest.mark.parametrize("missing", OPTIONAL)
def test_page_renders_without(missing: str) -> None:
    results = fake_results()
    del results[missing]
    assert Page(report_html(results)).open == []
    assert report_markdown(results)


def test_page_renders_with_a_title_alone() -> None:
    assert Page(report_html({"title": "nothing yet"})).open == []
    assert report_markdown({"title": "nothing yet"}).startswith("## nothing yet\n")


@pytest.mark.parametrize("part", ["lead", "rows", "reference", "curves", "uncertainty", "discard"])
def test_page_renders_with_an_empty(part: str) -> None:
    results = fake_results()
    results[part] = type(results[part])()
    assert Page(report_html(results)).open == []


def test_page_renders_with_gaps_and_single_values() -> None:
    results = fake_results()
    results["curves"] = {
        "gap": {"name": "gap", "steps": [1, 2, 3], "L_idt": [2.0, None, float("nan")]},
        "one": {"name": "one", "steps": [5], "L_idt": [0.0]},
        "none": {"name": "none", "steps": [], "L_idt": []},
    }
    results["uncertainty"]["examples"] = [
        {"image": "", "caption": "", "sigma": [0.5] * 3, "uncertainty": -1.0}
    ]
    results["uncertainty"]["by_condition"] = [{"name": "x", "quantiles": [1.0] * 5}]
    results["discard"] |= {
        "shares": [0.0, 0.5],
        "error": [0.0, None],
        "low": [0.0, None],
        "high": [0.0, None],
        "random": None,
    }
    text = report_html(results)
    assert Page(text).open == []
    assert not re.search(r"\bnan\b", text)


def test_page_is_accessible(html: str, page: Page) -> None:
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == 1
    assert all(image["alt"] for image in page.all("img"))
    assert len(page.all("caption")) == len(page.all("table"))
    assert all("scope" in header for header in page.all("th"))
    for chart in page.all("svg"):
        assert chart.get("aria-label") or chart.get("aria-hidden") == "true"
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert all(b - a <= 1 for a, b in pairwise(levels))


def test_faces_say_all_their_uncertainties_in_numbers(html: str) -> None:
    example = fake_results()["uncertainty"]["examples"][0]
    numbers = ", ".join(f"{value:.3g}" for value in example["sigma"])
    assert numbers in html
    assert html.count("sub-embedding 15:") == 15


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_text_has_contrast_enough(colours: dict[str, str]) -> None:
    for ink in ("ink", "muted", "accent", "second"):
        for ground in ("page", "card"):
            assert contrast(colours[ink], colours[ground]) >= 4.5


def contrast(first: str, second: str) -> float:
    """Contrast ratio as WCAG 2 defines it."""
    bright, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    """Relative luminance of ``#rrggbb`` in 0..1."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_colour_scale_grows_lighter_all_the_way() -> None:
    values = [luminance(sequential_colour(i / 20)) for i in range(21)]
    assert all(b > a for a, b in pairwise(values))
    assert values[0] < 0.03
    assert values[-1] > 0.7


def test_faces_share_one_logarithmic_scale() -> None:
    low, high = sigma_range([[0.1, 0.2], [1.0, 10.0]])
    assert (low, high) == (0.1, 10.0)
    assert position_on_scale(0.1, low, high) == 0.0
    assert position_on_scale(1.0, low, high) == pytest.approx(0.5)
    assert position_on_scale(10.0, low, high) == 1.0
    assert position_on_scale(3.0, 3.0, 3.0) == 0.5


def test_durations_are_readable() -> None:
    texts = [duration(seconds) for seconds in (0.44, 9.97, 42, 59.7, 303, 3599.8, 7860)]
    assert texts == ["0.4 s", "10.0 s", "42 s", "1 min 0 s", "5 min 3 s", "1 h 0 min", "2 h 11 min"]


def test_report_is_written_from_what_json_gives_back(tmp_path: Path, html: str) -> None:
    results = fake_results()
    before = copy.deepcopy(results)
    path = tmp_path / "run" / "report.html"
    write_report(json.loads(json.dumps(results)), path)
    assert path.read_text(encoding="utf-8") == html
    assert results == before
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]
