"""Claims about what `pip install urface` brings, and how light `import urface` is."""

from __future__ import annotations

import json
import os
import shutil
import site
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from urface.data.synthetic import render_face

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: setuptools leaves its traces beside the source."""
    copy, out = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    skipped = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(SOURCE, copy / "src", ignore=skipped)
    code = f"from setuptools.build_meta import build_wheel; build_wheel({str(out)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=copy, check=True, capture_output=True)
    (found,) = out.glob("*.whl")
    return found


def test_the_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    wanted = {
        str(path.relative_to(SOURCE))
        for path in (SOURCE / "urface").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    held = set(zipfile.ZipFile(wheel).namelist())
    assert wanted - held == set()
    for name in ("recipes/demo.yaml", "box/demonstration.safetensors", "variations/mean_face.npy"):
        assert f"urface/{name}" in held  # or `wanted` would have missed them too
    assert not [name for name in held if name.startswith("tests/")]
    assert wheel.stat().st_size < 20 << 20


def test_every_promised_extra_is_there() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    promised = {"faces", "gallery", "export", "train", "milvus", "onnx", "ray", "remote"}
    assert promised - extras.keys() == set()
    # Its wheel declares numpy<2, so that pip could not resolve it beside urface.
    assert not [line for line in extras["faces"] if line.startswith("mediapipe")]


@pytest.mark.slow
def test_an_installed_wheel_compares_at_the_first_touch(wheel: Path, tmp_path: Path) -> None:
    import cv2

    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    (packages,) = venv.glob("lib/python3*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():  # ours, just built
            archive.extract(name, packages)
    # A line of a .pth adds a folder, and does not follow the .pth files in it: no editable install.
    (packages / "shared.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    photos = []
    for number in range(2):
        photos.append(str(tmp_path / f"{number}.png"))
        cv2.imwrite(photos[-1], render_face(991, 0, number, 112).image[..., ::-1])
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}

    def run(*arguments: str) -> str:
        ran = subprocess.run(
            [str(venv / "bin" / "python"), *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return ran.stdout

    assert str(venv) in run("-c", "import urface; print(urface.__file__)")
    told = json.loads(
        run("-m", "urface", "compare", "demonstration", *photos, "--aligned", "--json")
    )
    assert told["demonstration"] is True
    assert 0 <= told["probability"] <= 1


def modules_after(code: str) -> set[str]:
    code = f"{code}\nimport sys, json\nprint(json.dumps(sorted(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(ran.stdout))


def test_import_urface_brings_numpy_and_a_handful_of_its_own() -> None:
    """Counted, since seconds depend on what else the machine does; bench/import_time.py times it."""
    base = modules_after("import numpy, secrets, dataclasses, pathlib, typing, importlib")
    ours = modules_after("import urface")
    assert len(ours - base) < 30
    heavy = {"torch", "scipy", "cv2", "numba", "pyarrow", "matplotlib", "sklearn", "yaml", "tqdm"}
    assert heavy & ours == set()
    assert "torch" in modules_after("import urface; urface.load")  # the control: they would be seen
