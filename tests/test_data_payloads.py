"""Nothing that is read as settings, shards, records, names or tables runs: canary and audit hook (G24)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from data_payloads import names, records, shards, tables, yaml_texts

TESTS = Path(__file__).parent

SCRIPT = """
import sys
from pathlib import Path
from data_payloads import names, picture, records, shards, tables, yaml_texts
from urface.commands.settings import read_settings
from urface.config import TrainSettings
from urface.data.open import open_faces
from urface.types import UserError

folder = Path(sys.argv[1])
canary = folder / "canary"
DANGEROUS = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "subprocess.Popen",
             "socket", "pty.spawn", "ctypes.dlopen", "pickle.find_class", "os.remove", "os.rename",
             "os.putenv", "webbrowser.open", "urllib.Request")
seen, watching = [], False

def hook(event, arguments):
    writes = event == "open" and arguments[1] not in ("r", "rb", None)
    # Type hints are compiled too, and imports: of these only what comes of a payload.
    compiled = event == "compile" and "canary" in str(arguments[0])
    if watching and (writes or compiled or event.startswith(DANGEROUS)):
        seen.append((event, str(arguments)[:100]))

sys.addaudithook(hook)
(folder / "a").mkdir()
(folder / "a" / "0.png").write_bytes(picture())

def settings(text):
    (folder / "x.yaml").write_text(text)
    arguments = ["--config", str(folder / "x.yaml")]
    return lambda: read_settings(TrainSettings, "urface", "", "", arguments)

def given(text):
    return lambda: read_settings(TrainSettings, "urface", "", "", [f"--run.seed={text}"])

def faces(name, data, beside=()):
    (folder / name).write_bytes(data)
    for other, text in beside:
        (folder / other).write_text(text)
    return read(folder / name)

def read(path):
    def opened():
        source = open_faces(path)
        for place in range(len(source)):
            source.read(place)
            source.image(place)
    return opened

def cases():
    for name, text in yaml_texts(canary):
        yield "yaml", name, lambda: settings(text)
        if "as a value" in name:
            yield "option", name, lambda: given(text)
    for name in names(canary):
        yield "name", name, lambda: read(name)
    for name, data in shards(canary):
        yield "tar", name, lambda: faces("x.tar", data)
    for name, data in records(canary):
        yield "rec", name, lambda: faces("x.rec", data, [("x.idx", "0\\t0\\n")])
    for name, data in tables(canary):
        yield "table", name, lambda: faces("x.parquet", data)
        yield "table", name, lambda: faces("x.csv", data)

counts = {}
for kind, name, made in cases():
    reading = made()
    watching = True
    try:
        reading()
        outcome = "read"
    except UserError as error:
        outcome = "refused" if "\\n" not in str(error) else f"two lines: {error}"
    except Exception as error:
        outcome = f"untyped {type(error).__name__} {error}"[:150]
    watching = False
    if outcome not in ("read", "refused"):
        print("BAD", kind, name, outcome)
    counts[kind, outcome] = counts.get((kind, outcome), 0) + 1
    if canary.exists():
        print("RAN", kind, name)
        canary.unlink()
print(len(seen), seen[:5])
print({f"{kind} {outcome}": count for (kind, outcome), count in sorted(counts.items())})
"""

CARELESS = """
import io, pickle, subprocess, sys, tarfile
from pathlib import Path
import yaml
from data_payloads import names, shards, yaml_texts

canary = Path(sys.argv[1]) / "canary"
ran = {"yaml": 0, "tar": 0, "name": 0}

def count(kind, call):
    try:
        call()
    except BaseException:
        pass
    ran[kind] += canary.exists()
    canary.unlink(missing_ok=True)

def unpickled(data):
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for member in tar:
            if member.name.endswith((".pkl", ".pickle", ".pyd", ".pth", ".pt")):
                pickle.loads(tar.extractfile(member).read())

for name, text in yaml_texts(canary):
    if "laughs" not in name and "deep" not in name:
        count("yaml", lambda: yaml.unsafe_load(text))
for name, data in shards(canary):
    if any(call in name for call in ("system", "popen", "getoutput")):
        count("tar", lambda: unpickled(data))
for name in names(canary):
    if name.startswith("pipe:"):
        count("name", lambda: subprocess.run(name[5:], shell=True, capture_output=True))
print(ran["yaml"], ran["tar"], ran["name"])
"""


def run(script: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, str(folder)],
        env=os.environ | {"PYTHONPATH": f"{TESTS}:{TESTS.parent / 'src'}"},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_none_of_200_payloads_runs_and_each_ends_in_a_typed_error_or_is_only_data(
    tmp_path: Path,
) -> None:
    canary = tmp_path / "canary"
    made = [len(list(kind(canary))) for kind in (yaml_texts, names, shards, records, tables)]
    assert sum(made) >= 180
    *bad, events, counts = run(SCRIPT, tmp_path).splitlines()
    assert bad == []
    assert events == "0 []"
    found = eval(counts)
    assert sum(made[1:4]) + 2 * made[4] == sum(
        count for name, count in found.items() if name.split()[0] in ("name", "tar", "rec", "table")
    )
    assert found["yaml refused"] == made[0]
    assert found["name refused"] == made[1]


def test_careless_readers_run_dozens_of_them(tmp_path: Path) -> None:
    """The control."""
    by_yaml, by_tar, by_name = map(int, run(CARELESS, tmp_path).split())
    assert by_yaml >= 20
    assert by_tar >= 4
    assert by_name >= 2
