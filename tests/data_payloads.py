"""What would run code if a careless program read it as settings, shards, names or tables (G24)."""

from __future__ import annotations

import io
import pickle
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pickle_payloads import Reduced, payloads
from urface.data.decode import encode_png
from urface.data.record_frames import write_frames
from urface.data.records import HEADER


def picture() -> bytes:
    import numpy as np

    return encode_png(np.full((8, 8, 3), 9, np.uint8))


def yaml_texts(canary: Path) -> Iterator[tuple[str, str]]:
    """Settings with tags that PyYAML's unsafe loaders turn into calls, and what other loaders know."""
    command = f"touch {canary}"
    calls = {
        "apply": f"!!python/object/apply:os.system ['{command}']",
        "apply, long tag": f"!<tag:yaml.org,2002:python/object/apply:os.system> ['{command}']",
        "new": f"!!python/object/new:os.system ['{command}']",
        "a process": f"!!python/object/apply:subprocess.getoutput ['{command}']",
        "eval": f"!!python/object/apply:eval [\"__import__('os').system('{command}')\"]",
        "exec": f"!!python/object/apply:exec [\"open('{canary}', 'w')\"]",
        "open": f"!!python/object/apply:io.open ['{canary}', 'w']",
        "keywords": f"!!python/object/apply:os.system {{args: ['{command}']}}",
        "a state": "!!python/object:urface.types.UserError {x: 1}",
        "a list behind a call": f"!!python/object/new:list [[!!python/object/apply:os.system ['{command}']]]",
        "a name": "!!python/name:os.system",
        "a module": "!!python/module:os",
        "a tuple": "!!python/tuple [1, 2]",
        "a complex number": "!!python/complex 1+2j",
        "bytes": "!!python/bytes AAAA",
        "another file": "!include /etc/passwd",
        "the environment": "!ENV ${HOME}",
        "a class": f"{{class_path: os.system, init_args: {{command: '{command}'}}}}",
    }
    for name, call in calls.items():
        yield f"{name}, alone", f"{call}\n"
        yield f"{name}, as a value", f"run:\n  seed: {call}\n"
        yield f"{name}, under a known text", f"data:\n  train: [{call}]\n"
        yield f"{name}, as a key", f"? {call}\n: 1\n"
    yield (
        "a tag of its own name",
        f"%TAG ! tag:yaml.org,2002:python/\n---\n!object/apply:os.system ['{command}']\n",
    )
    yield "a merge", f"run: {{<<: !!python/object/apply:os.system ['{command}']}}\n"
    yield "a second document", f"run: {{}}\n---\n!!python/object/apply:os.system ['{command}']\n"
    laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    laughs += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10))
    yield "a billion laughs", laughs
    maps = "a0: &a0 {x: 1}\n"
    fields = ", ".join(f"k{i}: *a{{n}}" for i in range(10))
    maps += "".join(f"a{n}: &a{n} {{{fields.replace('{n}', str(n - 1))}}}\n" for n in range(1, 10))
    yield "a billion laughs of sections", maps
    yield "very deep", "run: " + "[" * 20_000
    yield "a deep text", "run:\n  seed: '" + "[" * 20_000 + "'\n"
    yield "itself within itself", "run: &a {x: *a}\n"


def names(canary: Path) -> Iterator[str]:
    """What webdataset, shells and URL openers take for a command or a place elsewhere."""
    command = f"touch {canary}"
    yield from (
        f"pipe:{command}",
        f"pipe:{command}.tar",
        f"pipe:{command}; cat faces-{{000..001}}.tar",
        f"pipe:{command}#faces-{{000..N}}.tar",
        f"|{command}",
        f"{command}|",
        f"$({command}).tar",
        f"`{command}`.tar",
        f"x.tar; {command}; .tar",
        f"x.tar && {command} && x.tar",
        f"faces-{{000..$({command})}}.tar",
        f"faces-{{000..001}};{command};.tar",
        f"a.tar,pipe:{command}",
    )
    # Not s3, gs, az and https, which are read on purpose (tests/data/test_remote_tars.py).
    schemes = (
        "http",
        "ftp",
        "ssh",
        "hdfs",
        "ais",
        "file",
        "data",
        "jar",
        "zip",
        "reference",
        "sftp",
    )
    for scheme in schemes:
        yield f"{scheme}://127.0.0.1:9/faces.tar"
    yield from (
        "file:///etc/passwd",
        "data:,x",
        "git+ssh://x/y.tar",
        "//127.0.0.1/share/x.tar",
        "-",
    )


def shards(canary: Path) -> Iterator[tuple[str, bytes]]:
    """Tars of an image with, beside it, what webdataset's decoders unpickle or import."""
    code = f"import os; os.system('touch {canary}')"

    for number, (name, data) in enumerate(list(payloads(str(canary)))[::5]):
        ending = ("pkl", "pickle", "pyd", "pth", "pt", "npy", "cls", "index", "jpg", "json")[
            number % 10
        ]
        key = "a/0" if ending != "cls" else "0"
        yield f"{name} as .{ending}", packed({f"{key}.png": picture(), f"{key}.{ending}": data})
    for name in ("a/setup.py", "a/__init__.py", "conftest.py", "a/sitecustomize.py", "a/x.pth"):
        yield name, packed({"a/0.png": picture(), name: code.encode()})
    for name in ("manifest.csv", "manifest.parquet"):
        call = pickle.dumps(Reduced(eval, code), 4)
        yield f"a pickle as {name}", packed({"a/0.png": picture(), name: call})


def packed(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def records(canary: Path) -> Iterator[tuple[str, bytes]]:
    """RecordIO sets whose one record, or whose image, is a pickle."""
    for number, (name, data) in enumerate(list(payloads(str(canary)))[1::9]):
        out = io.BytesIO()
        write_frames(out, data if number % 2 else HEADER.pack(0, 1.0, 0, 0) + data)
        yield f"{name} as a {'record' if number % 2 else 'record`s image'}", out.getvalue()


def tables(canary: Path) -> Iterator[tuple[str, bytes]]:
    """Parquet whose schema brings a pickled type along (CVE-2023-47248), and pandas' pickled columns."""
    command = f"touch {canary}"
    code = f"__import__('os').system({command!r})"
    for call in ((__import__("os").system, command), (eval, code)):
        for protocol in (2, 4):
            call_data = pickle.dumps(Reduced(*call), protocol)
            for about in ("arrow.py_extension_type", "arrow.opaque", "pandas"):
                kept = {"ARROW:extension:name": about, "ARROW:extension:metadata": call_data}
                fields = [pa.field(n, pa.string(), metadata=kept) for n in ("path", "identity")]
                schema = pa.schema(fields, metadata={"pandas": call_data})
                table = pa.Table.from_arrays(
                    [pa.array(["a/0.png"]), pa.array(["a"])], schema=schema
                )
                out = io.BytesIO()
                pq.write_table(table, out)
                yield f"{call[0].__name__}, {about}, protocol {protocol}", out.getvalue()
    yield "a formula", f"path,identity\na/0.png,=cmd|'/c {command}'!A1\n".encode()
    yield "a pickle", pickle.dumps(Reduced(*call), 4)
    yield "an object's repr", f"path,identity\na/0.png,{{{{ {code} }}}}\n".encode()
