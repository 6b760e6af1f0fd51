"""One door to a data set, whatever container it lies in."""

from __future__ import annotations

from pathlib import Path

from urface.data import celeba
from urface.data.colours import with_swapped_colours
from urface.data.folders import read_folder
from urface.data.join import join, with_equal_digits
from urface.data.manifest import MANIFEST_NAMES, read_manifest
from urface.data.record_source import read_records
from urface.data.remote import exists, is_url, local_path
from urface.data.remote_tars import remote_source
from urface.data.shards import ShardPattern, is_pattern
from urface.data.source import FaceSource
from urface.data.tar_index import index_tar
from urface.data.tars import tar_source
from urface.types import UserError

ACCEPTED = "a folder identity/image, a .tar of one, a manifest (.csv, .parquet), a .rec, or CelebA"

TRAINING_RECORDS = "train.rec"


def open_faces(path: str | Path, swap_colours: bool = False, window: int = 0) -> FaceSource:
    """The faces at ``path``: a folder, a plain ``.tar``, a manifest, RecordIO's ``.rec`` with its ``.idx``
    beside it, or CelebA as folder or tar.

    A folder or tar with a ``manifest.parquet`` or ``manifest.csv`` is read by it. Numbered tars,
    ``faces-{000..N}.tar``, are joined (see ``join``), and so are several sets with commas between them,
    unless the whole is the name of something that is there. With ``swap_colours`` red and blue of every
    image change places, for sets packed the wrong way. Tars may lie in a store, ``s3://bucket/faces.tar``
    (see ``remote``), where ``window`` images are to be kept at hand. Raises UserError when nothing is
    there, when it is of another kind, or as the reader of its kind does.
    """
    source = _open(path, window)
    return with_swapped_colours(source) if swap_colours else source


def _open(path: str | Path, window: int = 0) -> FaceSource:
    if is_url(path) and "," not in str(path):
        return _open_url(str(path), window)
    place = Path(path)
    if "," in str(path) and not place.exists():
        parts = [part.strip() for part in str(path).split(",")]
        if not all(parts):
            raise UserError(f"{path}: an empty name between commas")
        return join([_open(part, window) for part in parts])
    if is_pattern(path) and not place.exists():
        return join(with_equal_digits([_open(part) for part in ShardPattern(str(path)).to_read()]))
    if place.is_dir():
        return _open_folder(place)
    if not place.exists():
        raise UserError(f"{place}: nothing there: expected {ACCEPTED}")
    ending = place.suffix.lower()
    if ending in (".csv", ".parquet"):
        return read_manifest(place)
    if ending == ".rec":
        return read_records(place)
    if ending == ".bin":
        raise UserError(
            f"{place}: pairs to verify, not a set of people: `urface data convert` makes a folder of it"
        )
    if ending == ".tar" or place.name.lower().endswith((".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")):
        members = index_tar(place)
        if any(member.name.endswith(celeba.IDENTITIES) for member in members):
            return celeba.read_celeba_tar(place, members)
        return tar_source(place, members)
    raise UserError(f"{place}: not a data set: expected {ACCEPTED}")


def _open_url(url: str, window: int) -> FaceSource:
    place = local_path(url)
    if place is not None:
        return _open(place, window)
    if is_pattern(url):
        return remote_source(ShardPattern(url).names_to_read(exists), window)
    if url.endswith(".tar"):
        return remote_source([url], window)
    raise UserError(
        f"{url}: only tars are read out of a store: `urface data convert SRC 'faces-{{000..N}}.tar'` "
        "makes them"
    )


def _open_folder(folder: Path) -> FaceSource:
    manifests = [folder / name for name in MANIFEST_NAMES if (folder / name).is_file()]
    if len(manifests) > 1:
        raise UserError(f"{folder}: two manifests, {' and '.join(MANIFEST_NAMES)}: keep one")
    if manifests:
        return read_manifest(manifests[0])
    if (folder / celeba.IDENTITIES).is_file():
        return celeba.read_celeba(folder)
    if (folder / TRAINING_RECORDS).is_file():
        return read_records(folder / TRAINING_RECORDS)
    return read_folder(folder)
