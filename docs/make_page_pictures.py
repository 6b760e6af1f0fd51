"""Pictures of the page: `python docs/make_page_pictures.py [MODEL] [FOLDER]`; needs node and chromium.

A service with MODEL (the demonstration model without one) and a gallery that lasts as long as the
pictures take is looked at by a browser; `npm ci` in tests/web/browser installs what drives it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import threading
import time
from argparse import Namespace
from pathlib import Path

from PIL import Image

from urface.commands.serve import build_service
from urface.embedder import load
from urface.gallery import Gallery
from urface.gallery.keys import new_key, write_key
from urface.models.box import model_path
from urface.recognisers.network import digest_of_ours
from urface.web.server import build_server, listen

ROOT = Path(__file__).resolve().parents[1]
BROWSER = ROOT / "tests" / "web" / "browser"


def main(model: str = "demonstration", folder: str = str(ROOT / "docs")) -> None:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as place, listen("127.0.0.1", 0) as listener:
        key, people = new_key(), Path(place) / "people"
        write_key(Path(place) / "key", key)
        settings = load(model).settings
        shape = (settings.sub_embeddings, settings.embedding_dim // settings.sub_embeddings)
        Gallery.create(
            people, model=digest_of_ours(model_path(model)), shape=shape, key=key, index="exact:"
        ).close()
        given = Namespace(
            model=model, host="127.0.0.1", hostname="", gallery=str(people), raw=False, workers=1,
            gallery_key=str(Path(place) / "key"), detector="mediapipe", rate=100.0,
        )  # fmt: skip
        server = build_server(build_service(given, None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.05)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        subprocess.run(
            ["node", str(BROWSER / "shots.mjs"), address, str(chromium), folder], check=True
        )
        server.should_exit = True
        thread.join()
    for picture in Path(folder).glob("page_*.png"):
        with Image.open(picture) as shot:  # 256 colours, the best for this picture: half the bytes
            small = shot.convert("RGB").quantize(256, kmeans=4)
        small.save(picture, optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
