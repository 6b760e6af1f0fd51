"""G70: floors, exact pins, hashes and a check of advisories that cannot pass without having looked."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]


def _load() -> Any:
    spec = importlib.util.spec_from_file_location("audit", ROOT / "scripts" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


audit = _load()
FLOOR = re.compile(r"[A-Za-z0-9_.-]+(?:\[[\w,]+\])?(?:>=|==)\d[\w.]*(?:,<\d[\w.]*)?")
PIN = re.compile(r"[A-Za-z0-9_.-]+==\d[\w.]*")


def without_floor(requirements: list[str]) -> list[str]:
    return [line for line in requirements if not FLOOR.fullmatch(line)]


def without_pin(lines: list[str]) -> list[str]:
    return [line for line in lines if line and line[0] != "#" and not PIN.fullmatch(line)]


def required() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"].values()
    own = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    listed = [*own, *(line for extra in extras for line in extra)]
    return [line for line in listed if not line.startswith("urface[")]  # an extra made of others


def test_every_requirement_has_a_floor_and_the_gate_sees_one_that_has_none():
    assert without_floor(required()) == []
    assert without_floor(["numpy", "torch<3", "pillow>=11.3"]) == ["numpy", "torch<3"]


def test_every_line_of_requirements_is_an_exact_pin_and_the_gate_sees_one_that_is_not():
    for name in (*audit.PINS, "audit.txt"):
        assert without_pin((ROOT / "requirements" / name).read_text().splitlines()) == []
    assert without_pin(["# why", "numpy>=2", "torch==2.13.0"]) == ["numpy>=2"]


def test_pins_and_floors_of_pyproject_are_at_or_above_the_floors_of_known_advisories():
    floors = audit.read_floors()
    assert {"torch", "pillow", "ray", "pyarrow"} <= floors.keys()
    assert audit.below_floor(audit.read_pins(), floors) == []
    for line in required():
        name, bound = re.split(r"(?:\[[\w,]+\])?(?:>=|==)", line.partition(",")[0])
        floor = floors.get(audit.canonical(name), "0")
        assert audit.number(bound) >= audit.number(floor), line


def test_a_pin_below_its_floor_is_found():
    low = audit.below_floor(
        {"torch": "2.5.1", "pillow": "11.10"}, {"torch": "2.10", "pillow": "11.3"}
    )
    assert low == ["torch 2.5.1 is below its floor 2.10"]
    assert audit.below_floor({}, {"torch": "2.10"}) == ["torch has a floor and no pin"]


def answering(bad: dict[str, list[str]], skipped: tuple[str, ...] = ()) -> Any:
    """A service that knows advisories, and has not heard of some packages."""

    def service(path: Path) -> dict[str, Any]:
        dependencies = []
        for line in path.read_text().split():
            name, version = line.split("==")
            if name in skipped:
                dependencies.append({"name": name, "skip_reason": "not found on PyPI"})
            else:
                vulns = [{"id": found} for found in bad.get(line, [])]
                dependencies.append({"name": name, "version": version, "vulns": vulns})
        return {"dependencies": dependencies}

    return service


KNOWS = {"pillow==9.0.0": ["CVE-2022-22817"]}
PINNED = {"pillow": "13.0.0", "torch": "2.13.0"}


def test_pins_without_an_advisory_pass_and_one_with_an_advisory_fails(capsys):
    assert audit.main(answering(KNOWS), PINNED, {"torch": "2.10"}) == 0
    assert "2 pins asked about, 0 with advisories" in capsys.readouterr().out
    bad = KNOWS | {"torch==2.13.0": ["CVE-1"]}
    assert audit.main(answering(bad), PINNED, {"torch": "2.10"}) == audit.BELOW
    assert "advisory: torch 2.13.0: CVE-1" in capsys.readouterr().out
    assert audit.main(answering(KNOWS), {"torch": "2.5"}, {"torch": "2.10"}) == audit.BELOW


@pytest.mark.parametrize(
    "service",
    [lambda path: None, answering({}), answering(KNOWS, ("torch",)), lambda path: {}],
    ids=["no answer", "finds nothing at all", "skips a pin", "empty"],
)
def test_a_service_that_did_not_look_is_no_pass_and_is_said(service, capsys):
    """The control: pip-audit by itself ends with 0 on an index that knows no advisories."""
    assert audit.main(service, PINNED, {"torch": "2.10"}) == audit.UNREACHED
    assert "NOT AUDITED" in capsys.readouterr().out


def test_the_tool_that_cannot_be_reached_or_writes_no_json_is_no_answer(tmp_path):
    tool = tmp_path / "tool.py"
    tool.write_text("import sys; print('no route', file=sys.stderr); sys.exit(1)")
    assert audit.pip_audit([sys.executable, str(tool)])(tmp_path / "r.txt") is None
    tool.write_text(f"print({json.dumps(json.dumps({'dependencies': []}))})")
    assert audit.pip_audit([sys.executable, str(tool)])(tmp_path / "r.txt") == {"dependencies": []}


def test_every_pin_but_torch_is_locked_by_hash_and_nothing_else_is():
    text = (ROOT / "requirements" / "hashes.txt").read_text().replace("\\\n", "")
    locked = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            package, *hashes = line.split()
            assert hashes, line
            assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", found) for found in hashes)
            name, version = package.split("==")
            locked[name] = version
    pins = audit.read_pins()
    del pins["torch"]
    assert locked == pins
