"""Are the pinned packages free of known advisories? `make audit`, before a release (goal G70).

    python scripts/audit.py [--pip-audit COMMAND ...]

Two checks. Without a network: every pin is at or above its floor in requirements/floors.txt. With one:
pip-audit asks PyPI's advisories about every pin. pip-audit reports success where the service knows a package
not at all, as an index that only mirrors files does, so a version known to be bad goes along: unless it is
found, nothing was audited.

Ends with 0 when both checks passed, 1 where a pin is below its floor or has an advisory, 3 where the
service was not reached: that is no pass, and it is said.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PINS = ("runtime.txt", "dev.txt", "detector.txt", "people.txt")
BAD = ("pillow", "9.0.0")  # arbitrary expressions were evaluated: CVE-2022-22817
BELOW, UNREACHED = 1, 3

# A file of requirements -> pip-audit's JSON, or None where it ended without any.
Service = Callable[[Path], "dict[str, Any] | None"]


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def read_pins(root: Path = ROOT) -> dict[str, str]:
    """Version by name of all that scripts/setup.sh installs, torch too."""
    setup = (root / "scripts" / "setup.sh").read_text()
    found = re.search(r"\btorch==([\w.]+)", setup)
    assert found is not None
    pins = {"torch": found[1]}
    for name in PINS:
        for line in (root / "requirements" / name).read_text().splitlines():
            if line and not line.startswith("#"):
                package, version = line.split("==")
                pins[canonical(package)] = version
    return pins


def read_floors(root: Path = ROOT) -> dict[str, str]:
    """Lowest version by name that has no high or critical advisory that we know."""
    lines = (root / "requirements" / "floors.txt").read_text().splitlines()
    bare = [line.partition("#")[0].strip() for line in lines]
    return {canonical(name): floor for name, _, floor in (b.partition(">=") for b in bare if b)}


def number(version: str) -> tuple[int, ...]:
    """The numbers of a release; what follows them (post1) is left out."""
    match = re.match(r"\d+(?:\.\d+)*", version)
    assert match is not None, version
    return tuple(int(part) for part in match[0].split("."))


def below_floor(pins: dict[str, str], floors: dict[str, str]) -> list[str]:
    """Pins under their floor, and floors of what is not pinned, in words."""
    found = [
        f"{name} {pins[name]} is below its floor {floor}"
        for name, floor in floors.items()
        if name in pins and number(pins[name]) < number(floor)
    ]
    return found + [f"{name} has a floor and no pin" for name in floors if name not in pins]


def advisories(pins: dict[str, str], service: Service) -> tuple[list[str], list[str]]:
    """What the service says against the pins, and why it cannot be trusted (nothing: it can)."""
    asked = [*pins.items(), BAD]
    with tempfile.TemporaryDirectory() as folder:
        against, doubts = [], []
        # The bad one by itself: a file may not name a package twice.
        for group in (asked[:-1], asked[-1:]):
            path = Path(folder) / f"{len(group)}.txt"
            path.write_text("".join(f"{name}=={version}\n" for name, version in group))
            answer = service(path)
            if answer is None:
                return [], ["the advisory service was not reached"]
            for package in answer.get("dependencies", []):
                told = f"{package['name']} {package.get('version', '')}".strip()
                if "skip_reason" in package:
                    doubts.append(f"{told} was skipped: {package['skip_reason']}")
                ids = [found["id"] for found in package.get("vulns", [])]
                if group == [BAD]:
                    if not ids:
                        doubts.append(f"{BAD[0]} {BAD[1]}, which is known to be bad, was not found")
                elif ids:
                    against.append(f"{told}: {', '.join(ids)}")
            if len(answer.get("dependencies", [])) < len(group):
                doubts.append("the service answered for fewer packages than it was asked about")
    return against, doubts


def pip_audit(command: Sequence[str]) -> Service:
    """The tool itself; its exit code says whether it found anything, so only its words are used."""

    def service(path: Path) -> dict[str, Any] | None:
        options = ["--no-deps", "--disable-pip", "--progress-spinner", "off", "--timeout", "20"]
        call = [*command, "-r", str(path), *options, "-s", "pypi", "-f", "json"]
        done = subprocess.run(call, capture_output=True, text=True)
        try:
            return dict(json.loads(done.stdout))
        except (ValueError, TypeError):
            print(done.stderr.strip()[-300:], file=sys.stderr)
            return None

    return service


def main(service: Service, pins: dict[str, str], floors: dict[str, str]) -> int:
    low = below_floor(pins, floors)
    for line in low:
        print(f"audit: {line}")
    print(f"audit: {len(floors)} floors, {len(low)} pins below them, of {len(pins)} pins")
    against, doubts = advisories(pins, service)
    for line in against:
        print(f"audit: advisory: {line}")
    if doubts:
        print(f"audit: NOT AUDITED against advisories: {doubts[0]}")
        if len(doubts) > 1:
            print(f"audit: and {len(doubts) - 1} more such answers")
    else:
        print(f"audit: {len(pins)} pins asked about, {len(against)} with advisories")
    if low or against:
        return BELOW
    return UNREACHED if doubts else 0


if __name__ == "__main__":
    given = (
        sys.argv[2:] if sys.argv[1:2] == ["--pip-audit"] else [sys.executable, "-m", "pip_audit"]
    )
    sys.exit(main(pip_audit(given), read_pins(), read_floors()))
