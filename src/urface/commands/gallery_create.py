"""`urface gallery create`."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path

from urface.commands.gallery_given import gallery_parser, model_digest
from urface.commands.parser import note
from urface.models.box import DEMONSTRATION
from urface.types import UserError

SUMMARY = """\
Make an empty gallery in the new folder G, for the embeddings of one model, and its key in a new file.
Keep the key apart from the folder, and a copy of it: who has both can read everything, and without the
key nobody can."""
EXAMPLES = """\
  urface gallery create people --model runs/mine --key ~/keys/people.key
  urface gallery create people --model demonstration --key people.key --index exact:"""


def run(arguments: list[str]) -> int:
    parser = gallery_parser("create", SUMMARY, EXAMPLES)
    parser.add("--model", str, required=True, help="model.safetensors, or the folder of a run")
    parser.add(
        "--index",
        str,
        "faiss:",
        help="faiss:, faiss-flat:, exact:, milvus:/FILE.db, milvus+http://HOST:PORT",
    )
    parser.add(
        "--retention_days", int, 1095, help="longest that anyone is kept; at most three years"
    )
    given = parser.read(arguments)
    _create(given.gallery, given.model, given.key, given.index, given.retention_days)
    if given.json:
        print(json.dumps({"gallery": given.gallery, "key": given.key, "index": given.index}))
    elif given.key:
        note(f"{given.key}: the key. Keep it apart from {given.gallery}, and keep a copy of it")
    return 0


def _create(folder: str, model: str, key_path: str, index: str, days: int) -> None:
    from urface.embedder import load
    from urface.gallery import Gallery
    from urface.gallery.keys import VARIABLE, new_key, read_key, write_key

    if not key_path and not os.environ.get(VARIABLE):
        raise UserError(f"--key FILE says where the new key goes (or set the variable {VARIABLE})")
    place = Path(folder)
    if key_path and place.resolve() in Path(key_path).resolve().parents:
        raise UserError(f"{key_path}: in the gallery's own folder; keep the key apart from it")
    if place.exists() and any(place.iterdir()):
        raise UserError(f"{folder}: exists already and is no empty folder")
    settings = load(model).settings
    shape = (settings.sub_embeddings, settings.embedding_dim // settings.sub_embeddings)
    where = model if model == DEMONSTRATION else os.path.abspath(model)
    digest = model_digest(model)
    if key_path:
        key = new_key()
        write_key(key_path, key)
    else:
        key = read_key()
    try:
        Gallery.create(
            folder,
            model=digest,
            shape=shape,
            key=key,
            index=index,
            retention=timedelta(days=min(max(days, 0), 10_000)),  # which is refused there
            path=where,
        ).close()
    except BaseException:
        if key_path:  # nothing is sealed with it
            Path(key_path).unlink(missing_ok=True)
        raise
