"""The service under load: `python bench/service.py [MODEL] [--seconds 60]`; the goal's run is --seconds 600.

`urface serve` runs in a process of its own with a gallery of 200 people; the clients are in this process
and use the same cores. A client asks, waits for the answer, pauses as long as chance says, asks again.
With 32 clients the pauses are such that together they ask for 60 % of what one client without pauses gets
done: a service that is asked for more than it can do has no p99 but the length of its queue. What it does
then, with 32 clients that never pause, is in the last lines. Photos are 640 x 480 JPEGs of a synthetic
face; without mediapipe aligned crops are sent, and the lines say so.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

from figure import Figure, tell
from urface.data.decode import encode_jpeg
from urface.data.synthetic import render_face
from urface.embedder import load
from urface.gallery import Consent, Gallery
from urface.gallery.keys import new_key, write_key
from urface.models.box import model_path
from urface.recognisers.network import digest_of_ours
from urface.web.people import PersonIds

CLIENTS, PEOPLE, LOAD = 32, 200, 0.6
ALIGNED = find_spec("mediapipe") is None
WHAT = " (aligned crops)" if ALIGNED else ""
# Of a busy door: mostly who is this, now and then an enrolment and a removal. Not identify, which a model
# whose calibration does not support the rate refuses.
MIX = (("search", 0.6), ("compare", 0.15), ("enrol", 0.1), ("template", 0.1), ("remove", 0.05))


def picture(identity: int, shot: int) -> bytes:
    """A face before a plain wall, 640 x 480, or the crop alone where nothing finds it."""
    face = render_face(3, identity, shot, 224).image
    if ALIGNED:
        return encode_jpeg(face, 90)
    wall = cv2.GaussianBlur(cv2.resize(face[:8, :8], (640, 480)), (0, 0), 25)
    wall[130:354, 208:432] = face
    return encode_jpeg(wall, 90)


def found_pictures(count: int) -> list[bytes]:
    """The first pictures in which the detector finds the face: it is looked for once, as in most photos."""
    from urface.data.decode import decode_image
    from urface.photos import find_faces, open_detector

    detector = None if ALIGNED else open_detector()
    found: list[bytes] = []
    person = 0
    while len(found) < count:
        photo = picture(person, 1)
        if detector is None or find_faces(decode_image(photo), detector):
            found.append(photo)
        person += 1
    return found


@dataclass
class Seen:
    """Milliseconds of each answer, and how often each status came."""

    took: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    def quantile(self, share: float) -> float:
        return float(np.quantile(self.took, share))


class Client:
    """One connection, kept; requests are bytes made before, so that asking costs little."""

    def __init__(self, port: int, ids: PersonIds, photos: list[bytes], seed: int) -> None:
        self.port, self.ids, self.photos = port, ids, photos
        self.random = random.Random(seed)
        self.streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, kind: str) -> int:
        photo, other = self.random.choice(self.photos), self.random.choice(self.photos)
        person = f"person {self.random.randrange(PEOPLE)}"
        aligned = str(ALIGNED).lower()
        if kind == "search":
            path = f"/v1/search?k=5&aligned={aligned}"
            return await self.send("POST", path, {}, [("image", photo)])
        if kind == "compare":
            path = f"/v1/compare?aligned_a={aligned}&aligned_b={aligned}"
            return await self.send("POST", path, {}, [("a", photo), ("b", other)])
        if kind == "enrol":
            soon = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 1e7))
            fields = {"name": person, "reference": "bench", "purpose": "bench", "expires": soon}
            path = f"/v1/people?aligned={aligned}"
            return await self.send("POST", path, fields, [("images", photo)])
        identifier = self.ids.id_of(person)
        if kind == "remove":
            return await self.send("DELETE", f"/v1/people/{identifier}", {}, [])
        return await self.send("GET", f"/v1/people/{identifier}/template", {}, [])

    async def send(
        self, method: str, path: str, fields: dict[str, str], images: list[tuple[str, bytes]]
    ) -> int:
        form = b""
        for name, value in fields.items():
            form += (
                f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
            )
        for name, data in images:
            head = f'--x\r\nContent-Disposition: form-data; name="{name}"; filename="p"\r\n\r\n'
            form += head.encode() + data + b"\r\n"
        form += b"--x--\r\n" if form else b""
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nContent-Length: {len(form)}\r\n"
            "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
        )
        try:
            return await self._exchange(head.encode() + form)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.streams = None  # closed while idle: once more on a new connection
            return await self._exchange(head.encode() + form)

    async def _exchange(self, request: bytes) -> int:
        if self.streams is None:
            self.streams = await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = self.streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(head.partition("content-length:")[2].partition("\r\n")[0])
        await reader.readexactly(length)
        if "connection: close" in head:
            self.streams = None
        return int(head.split()[1])


async def use(client: Client, seen: Seen, until: float, pause: float, only: str = "") -> None:
    """Ask until the time is up, pausing ``pause`` seconds on average."""
    kinds, shares = zip(*MIX, strict=True)
    if pause:
        await asyncio.sleep(client.random.uniform(0, 2 * pause))
    while time.monotonic() < until:
        kind = only or client.random.choices(kinds, shares)[0]
        began = time.monotonic()
        status = await client.ask(kind)
        if status != 429:
            seen.took.append(1000 * (time.monotonic() - began))
        seen.statuses[status] += 1
        await asyncio.sleep(client.random.expovariate(1 / pause) if pause else 0)


def run(clients: list[Client], seconds: float, pause: float = 0.0, only: str = "") -> Seen:
    seen = Seen()
    until = time.monotonic() + seconds

    async def together() -> None:
        for client in clients:
            client.streams = None
        await asyncio.gather(*(use(client, seen, until, pause, only) for client in clients))

    asyncio.run(together())
    return seen


def fill(folder: Path, model: str, photos: list[bytes]) -> bytes:
    """A gallery of PEOPLE with one synthetic face each; its key."""
    key = new_key()
    write_key(folder / "key", key)
    embedder = load(model)
    settings = embedder.settings
    shape = (settings.sub_embeddings, settings.embedding_dim // settings.sub_embeddings)
    soon = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 1e7))
    with Gallery.create(
        folder / "people",
        model=digest_of_ours(model_path(model)),
        shape=shape,
        key=key,
        index="exact:",
    ) as gallery:
        for person in range(PEOPLE):
            faces = embedder.embed(render_face(3, person, 0, 112).image[None])
            gallery.enrol(f"person {person}", faces, Consent("bench", "bench", soon))
    return key


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model", nargs="?", default="demonstration")
    parser.add_argument("--seconds", type=float, default=60.0, help="of the 32 clients")
    given = parser.parse_args()
    photos = found_pictures(12)
    with tempfile.TemporaryDirectory() as place:
        key = fill(Path(place), given.model, photos)
        command = [
            sys.executable, "-m", "urface", "serve", given.model, "--port", "0", "--rate", "1e6",
            "--gallery", f"{place}/people", "--gallery-key", f"{place}/key",
        ]  # fmt: skip
        with open(f"{place}/log", "w", encoding="utf-8") as log:
            server = subprocess.Popen(command, stderr=log)
        try:
            measure(wait_for(server, Path(place) / "log"), PersonIds(key), photos, given.seconds)
        finally:
            server.terminate()
            server.wait(30)


def wait_for(server: subprocess.Popen[bytes], log: Path) -> int:
    """The port, once the server says it and answers."""
    for _ in range(600):
        line = next((x for x in log.read_text().splitlines() if x.startswith("http://")), "")
        if line:
            time.sleep(1)
            return int(line.split("/")[2].rpartition(":")[2])
        if server.poll() is not None:
            raise SystemExit(log.read_text())
        time.sleep(0.2)
    raise SystemExit("the service did not start")


def measure(port: int, ids: PersonIds, photos: list[bytes], seconds: float) -> None:
    clients = [Client(port, ids, photos, seed) for seed in range(CLIENTS)]
    run(clients[:4], 3.0)  # each worker's detector and the index are made at their first use
    one = run(clients[:1], 10.0, only="search")
    tell(Figure(f"one photo to an answer, p50{WHAT}", one.quantile(0.5), "ms", 40.0))
    single = run(clients[:1], 20.0)
    rate = len(single.took) / 20.0
    tell(Figure(f"one client, mixed requests, p99{WHAT}", single.quantile(0.99), "ms"))
    tell(Figure("one client, mixed requests", rate, "requests/s"))
    pause = CLIENTS / (LOAD * rate) - float(np.mean(single.took)) / 1000
    many = run(clients, seconds, pause)
    ratio = many.quantile(0.99) / single.quantile(0.99)
    tell(Figure(f"{CLIENTS} clients, {seconds:g} s, p99 of one client's", ratio, "x", 3.0))
    tell(Figure(f"{CLIENTS} clients, requests", sum(many.statuses.values()), ""))
    tell(Figure(f"{CLIENTS} clients, answers of 5xx", failures(many), "", 0.0))
    flood = run(clients, min(20.0, seconds))
    tell(
        Figure(
            f"{CLIENTS} clients without pauses, answered",
            len(flood.took) / min(20.0, seconds),
            "requests/s",
        )
    )
    tell(Figure(f"{CLIENTS} clients without pauses, answers of 5xx", failures(flood), "", 0.0))
    tell(Figure(f"{CLIENTS} clients without pauses, p99", flood.quantile(0.99), "ms"))
    print(f"statuses: {dict(many.statuses)}, without pauses {dict(flood.statuses)}")


def failures(seen: Seen) -> int:
    return sum(count for status, count in seen.statuses.items() if status >= 500)


if __name__ == "__main__":
    main()
