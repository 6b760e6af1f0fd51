"""The rules of the house that no other tool checks."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
RECIPES = sorted((ROOT / "src" / "urface" / "recipes").glob("*.yaml"))
PINS = ("runtime.txt", "dev.txt", "detector.txt", "people.txt")

# Each runs code that a file or an argument brings along, or unpacks to wherever an archive says.
UNSAFE = re.compile(
    r"pickle\.loads?\(|torch\.load\(|yaml\.(?:unsafe_|full_)?load\(|allow_pickle=True|shell=True"
    r"|extractall|os\.system\(|(?<![\w.])(?:eval|exec)\("
)
# Modules that run what they read. One file may: its unpickler finds nothing but inert stand-ins.
RUNS_WHAT_IT_READS = re.compile(
    r"(?:^\s*(?:import|from)\s+|import_module\(\W?|__import__\(\W?)"
    r"(?:c?_?[Pp]ickle|pickletools|dill|cloudpickle|shelve|marshal|joblib)\b"
)
MAY_UNPICKLE = {"src/urface/data/verification_bin.py"}
PRIVATE_PATH = re.compile(r"(?<![\w.}])/(?:root|home|work|Users)/\w")


def test_no_source_file_is_longer_than_400_lines():
    lengths = {str(path): len(path.read_text().splitlines()) for path in SOURCES}
    assert {name: length for name, length in lengths.items() if length > 400} == {}


# The one door for pickles of weights: weights_only, in a process of its own (test_hostile.py).
CONVERTER = "src/urface/recognisers/convert_weights.py"


def test_no_source_file_runs_code_from_data():
    found = [
        (str(path.relative_to(ROOT)), line.strip())
        for path in SOURCES
        for line in path.read_text().splitlines()
        if UNSAFE.search(line)
    ]
    allowed = [(name, line) for name, line in found if name == CONVERTER]
    assert [place for place in found if place not in allowed] == []
    assert len(allowed) == 2  # mapped, and read whole where the format is too old for that
    for _, line in allowed:
        assert line.startswith("return torch.load(")
        assert "weights_only=True" in line


def test_one_file_alone_imports_pickle():
    found = {
        str(path.relative_to(ROOT))
        for path in SOURCES
        if any(RUNS_WHAT_IT_READS.search(line) for line in path.read_text().splitlines())
    }
    assert found == MAY_UNPICKLE
    for line in ("import pickle", "    from pickle import loads", "import_module('dill')"):
        assert RUNS_WHAT_IT_READS.search(line)
    assert not RUNS_WHAT_IT_READS.search("from urface.data.pickle_scan import scan_pickle")


def test_the_gate_for_unsafe_calls_sees_them():
    for line in ("x = eval(y)", "torch.load(p)", "yaml.load(t)", "tar.extractall()"):
        assert UNSAFE.search(line)
    for line in ("model.eval()", "yaml.safe_load(t)", "def evaluate(x)"):
        assert not UNSAFE.search(line)


def test_no_file_names_a_private_path():
    folders = ("src", "tests", "docs", "bench", "scripts", "requirements", ".ci")
    files = [p for folder in folders for p in (ROOT / folder).rglob("*")]
    files += [p for p in ROOT.iterdir() if p.is_file()]
    kinds = "py md yaml yml toml sh txt html json js css ipynb"
    endings = {f".{kind}" for kind in kinds.split()} | {""}
    found = []
    for path in files:
        skipped = (
            {"__pycache__", "node_modules"} & {*path.parts}
            or path.name == ".git"
            or not path.is_file()
        )
        if not skipped and path.suffix in endings and PRIVATE_PATH.search(path.read_text()):
            found.append(str(path.relative_to(ROOT)))
    assert found == []


def test_every_page_of_docs_is_in_the_sites_navigation_and_the_readmes_links_lead_somewhere():
    pages = {page.name for page in (ROOT / "docs").glob("*.md")}
    made = {"reference.md", "contributing.md"}  # by docs/site_hooks.py
    listed = re.findall(r"[\s:](\w+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(pages | made)
    linked = set(re.findall(r"\]\(docs/(\w+\.md)\)", (ROOT / "README.md").read_text()))
    assert linked <= pages


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_recipe_begins_with_its_record(recipe):
    header = []
    for line in recipe.read_text().splitlines():
        if not line.startswith("# "):
            break
        header.append(line)
    assert len(header) >= 2


def pinned() -> dict[str, str]:
    pins = {"torch": "2.13.0"}
    for name in PINS:
        for line in (ROOT / "requirements" / name).read_text().splitlines():
            if line and not line.startswith("#"):
                package, version = line.split("==")
                assert canonical(package) not in pins, line
                pins[canonical(package)] = version
    return pins


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def direct() -> list[str]:
    """The requirements that pyproject.toml names, those of dev too."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [*project["dependencies"], *project["optional-dependencies"]["dev"]]


def test_every_requirement_is_pinned():
    names = {canonical(re.split(r"[\[<>=]", line)[0]) for line in direct()}
    assert names - pinned().keys() == set()


def test_what_pinned_packages_require_is_pinned_too():
    """An indirect dependency without a pin would change from one day to the next."""
    pins = pinned()
    missing = set()
    for package in pins.keys() - {"mediapipe"}:  # installed without its dependencies, on purpose
        for line in metadata.requires(package) or []:
            requirement, _, marker = line.partition(";")
            if not marker:
                missing.add(canonical(re.split(r"[ \[<>=!~(]", requirement)[0]))
    assert missing - pins.keys() == set()


@pytest.mark.parametrize("package", ["urface", "urface.config", "urface.cli"])
def test_light_packages_load_without_torch(package):
    code = f"import sys, {package}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
