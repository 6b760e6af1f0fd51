"""Files far away: a URL of a store that fsspec knows, read by ranges of bytes."""

from __future__ import annotations

import functools
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from urface.types import UserError

# Scheme -> the package that fsspec needs for it. A list of what may pass: fsspec has schemes too that
# unpack, chain or run something, and `pipe:` of webdataset is a shell.
PACKAGES = {
    "file": "", "memory": "", "s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs",
    "abfs": "adlfs", "https": "aiohttp",
}  # fmt: skip
URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
TRIES, PAUSE = 4, 0.5  # seconds before the second try, twice as long before each further one
# What stores call the thing that changes with a file's bytes.
STAMPS = ("etag", "mtime", "lastmodified", "last_modified", "updated", "created", "generation")


def is_url(path: str | Path) -> bool:
    """Whether ``path`` is written as a URL, of whatever scheme: no path that anyone means holds ``://``."""
    return "://" in str(path)


def local_path(url: str) -> Path | None:
    """The path that a ``file://`` URL names; None for another scheme. Raises UserError for a host in it."""
    scheme, _, path = url.partition("://")
    if scheme.lower() != "file" or not is_url(url):
        return None
    if not path.startswith("/"):
        raise UserError(f"{url}: a file on another host: write file:///folder/name")
    return Path(path)


class RemoteFile:
    """The file at ``url``: ``size`` in bytes, and ``stamp``, which changes when the file does.

    Safe to use from threads. Raises UserError where the scheme is not one of ``PACKAGES``, its package is
    missing, or nothing is there.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.store, self.path = file_system(url)
        info = tried(url, lambda: self.store.info(self.path))
        if info.get("type") == "directory" or info.get("size") is None:
            raise UserError(f"{url}: not a file that can be read by ranges")
        self.size = int(info["size"])
        self.stamp = stamp_of_facts(info)

    def __reduce__(self) -> tuple[object, ...]:
        return RemoteFile, (self.url,)

    def read(self, length: int, offset: int) -> bytes:
        """``length`` bytes from ``offset`` on, fewer only at the end of the file.

        Raises UserError when the store does not answer after some tries. That is no damaged image, to be
        stepped over: the order of the data must not depend on the weather of a network.
        """
        end = min(offset + length, self.size)
        if end <= offset:
            return b""
        data: bytes = tried(self.url, lambda: self.store.cat_file(self.path, offset, end))
        if len(data) != end - offset:
            raise UserError(
                f"{self.url}: {len(data):,} bytes at byte {offset} where {end - offset:,} should be: it "
                "was changed while it was read"
            )
        return data


def exists(url: str) -> bool:
    """Whether a file is at ``url``. Raises UserError where the store does not tell."""
    store, path = file_system(url)

    def ask() -> bool:
        try:
            store.info(path)  # fsspec's own `exists` takes any failure for a file that is not there
        except FileNotFoundError:
            return False
        return True

    return bool(tried(url, ask))


def stamp_of_facts(facts: dict[str, Any]) -> str:
    """What changes with a file's bytes, as far as its store tells: its size, and hashes and times."""
    told = {str(key).lower(): value for key, value in facts.items()}
    return " ".join([str(told.get("size")), *(f"{k}={told[k]}" for k in STAMPS if k in told)])


@functools.lru_cache(maxsize=64)
def file_system(url: str) -> tuple[Any, str]:
    """fsspec's file system of ``url``, or of a local path, and the path on it.

    Raises UserError where the scheme is not one of ``PACKAGES``, its package is missing, or a ``file://`` URL
    names a host.
    """
    found = URL.match(url)
    scheme = found[1].lower() if found else "file"
    # What fsspec would take for a scheme is not always what looks like one here: 1x://a, data:,x
    hidden = found is None and (is_url(url) or url.startswith("data:"))
    if hidden or scheme not in PACKAGES or "::" in url or "|" in url:
        raise UserError(f"{url}: not a URL that is read: expected {', '.join(PACKAGES)}, unchained")
    try:
        import fsspec
        from fsspec.implementations.local import LocalFileSystem

        if scheme == "file":
            return LocalFileSystem(), os.path.abspath(local_path(url) or url)
        store, path = fsspec.core.url_to_fs(url)
    except ImportError:
        package = PACKAGES[scheme] or "fsspec"
        raise UserError(f"{url}: needs a package: pip install {package}") from None
    except Exception as error:  # each store has errors of its own
        raise UserError(f"{url}: cannot be opened ({_line(error)})") from None
    return store, path


def tried(url: str, ask: Callable[[], Any]) -> Any:
    """What ``ask`` answers, asked again where the store fails; UserError when it goes on failing."""
    number = 0
    while True:
        try:
            return ask()
        except (FileNotFoundError, PermissionError) as error:
            what = "nothing there" if isinstance(error, FileNotFoundError) else "not allowed"
            raise UserError(f"{url}: {what}") from None
        except Exception as error:  # each store has errors of its own, few of them OSError
            number += 1
            if number == TRIES:
                raise UserError(
                    f"{url}: cannot be read after {TRIES} tries ({_line(error)}): start again when the "
                    "store answers; training goes on from its checkpoint"
                ) from None
        time.sleep(PAUSE * 2 ** (number - 1))


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]
