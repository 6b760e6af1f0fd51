"""Small shards for tests, in fsspec's store within this process or in a folder."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable
from typing import Any

import fsspec
import numpy as np

from urface.data.decode import encode_jpeg

SIDE = 16


def picture(number: int) -> bytes:
    """The JPEG of image ``number``."""
    noise = np.random.default_rng(number).integers(0, 256, (4, 4, 3), np.uint8)
    return encode_jpeg(np.repeat(np.repeat(noise, SIDE // 4, 0), SIDE // 4, 1))


def tar_of(files: Iterable[tuple[str, bytes]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def shards(
    count: int, images: int, people: int, kind: str = "cls", corrupt: frozenset[int] = frozenset()
) -> list[bytes]:
    """``count`` tars of ``images`` each: key.jpg beside key.cls or key.json, or folders of people."""
    made = []
    for shard in range(count):
        files: list[tuple[str, bytes]] = []
        for number in range(shard * images, (shard + 1) * images):
            person, data = number % people, picture(number)
            data = data[:-40] if number in corrupt else data
            if kind == "folders":
                files.append((f"p{person:03d}/{number:06d}.jpg", data))
                continue
            files.append((f"{number:06d}.jpg", data))
            told = json.dumps({"label": person, "url": "x" * 50}) if kind == "json" else str(person)
            files.append((f"{number:06d}.{kind}", told.encode()))
        made.append(tar_of(files))
    return made


def put(folder: str, tars: list[bytes]) -> str:
    """The tars in the store at ``memory://folder``, and the pattern that names them."""
    store = fsspec.filesystem("memory")
    for number, data in enumerate(tars):
        store.pipe_file(f"/{folder}/faces-{number:03d}.tar", data)
    return f"memory://{folder}/faces-{{000..{len(tars) - 1:03d}}}.tar"


class CountedReads:
    """Counts what the store is asked for while in use."""

    def __init__(self, monkeypatch: Any) -> None:
        self.requests, self.bytes = 0, 0
        store = type(fsspec.filesystem("memory"))
        cat_file = store.cat_file

        def counted(this: Any, path: str, start: Any = None, end: Any = None, **more: Any) -> bytes:
            data: bytes = cat_file(this, path, start, end, **more)
            self.requests += 1
            self.bytes += len(data)
            return data

        monkeypatch.setattr(store, "cat_file", counted)

    def reset(self) -> None:
        self.requests, self.bytes = 0, 0
