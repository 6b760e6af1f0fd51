"""Writes that are either whole or absent, whatever kills the process (reliability goals G1, G2, G10)."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it is synced and renamed over ``path``.

    The temporary file lives in the same directory because a rename is atomic only within one file
    system. On any error it is removed and ``path`` keeps what it held; an OSError names ``path``.
    """
    target = Path(path)
    make_folder(target.parent)
    # The target's ending is kept: some writers (Parquet, images) choose their format by it.
    temporary = target.with_name(f".{target.stem}.{secrets.token_hex(4)}.tmp{target.suffix}")
    try:
        yield temporary
        descriptor = os.open(temporary, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, target)
        sync_directory(target.parent)
    except OSError as error:
        if error.errno is not None and error.filename in (None, temporary, str(temporary)):
            # A full disk shows in a write, which knows a number and no name.
            raise OSError(error.errno, error.strerror, str(target)) from None
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Yield a new empty folder beside ``path``; on success all in it is synced and it becomes ``path``.

    On any error it is removed and ``path`` stays as it was. Raises UserError, before anything is written,
    where ``path`` is a file or a folder that holds anything.
    """
    target = Path(path)
    if os.path.lexists(target) and not (target.is_dir() and not any(target.iterdir())):
        raise _occupied(target)
    make_folder(target.parent)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    temporary.mkdir()
    try:
        yield temporary
        # One sync of all disks: a sync for each of a million small files would take hours.
        os.sync()
        try:
            os.rename(temporary, target)  # takes the place of an empty folder, and of nothing else
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise _occupied(target) from None
            raise OSError(error.errno, error.strerror, str(target)) from None
        sync_directory(target.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _occupied(target: Path) -> Exception:
    from urface.types import UserError  # which itself writes with this module

    return UserError(
        f"{target}: exists already and is no empty folder: remove it or choose another place"
    )


def write_atomic(path: str | Path, data: bytes | str) -> None:
    """Write ``data`` (text as UTF-8) so that a reader sees the old file or the new, never a part."""
    with atomic_path(path) as temporary:
        # It is synced when the block ends.
        write_chunks(temporary, [data.encode() if isinstance(data, str) else data], sync=False)


def write_chunks(path: Path, chunks: Iterable[bytes | memoryview], sync: bool = True) -> None:
    """Write ``chunks`` of bytes to a new file, with ``sync`` down to the disk; an OSError names it."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        try:
            for chunk in chunks:
                left = memoryview(chunk)
                while len(left):  # a write may take a part: at 2 GiB, or where a disk gets full
                    left = left[os.write(descriptor, left) :]
            if sync:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from None


def make_folder(folder: Path) -> None:
    """Make ``folder`` and its parents where they are missing, so that a power cut leaves them there."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for place in missing:
        sync_directory(place.parent)


@contextmanager
def tensor_errors(path: str | Path) -> Iterator[None]:
    """Raise what safetensors says of a file at ``path`` that it cannot write as the OSError that it is.

    Its own error is no OSError, so a full disk would look like a fault of ours.
    """
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        number = re.search(r"\(os error (\d+)\)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from None


def sync_directory(directory: Path) -> None:
    """Make a rename in ``directory`` survive a power cut: the name lives in the directory's data.

    An OSError names the directory.
    """
    try:
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(directory)) from None
