"""Files far away: a URL of a store that fsspec knows, read by ranges of bytes."""

from __future__ import annotations

import re
import time
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
    """Whether ``path`` is written as a URL."""
    return URL.match(str(path)) is not None


def local_path(url: str) -> Path | None:
    """The path that a ``file://`` URL names; None for another scheme. Raises UserError for a host in it."""
    if not url.startswith("file://"):
        return None
    if not url.startswith("file:///"):
        raise UserError(f"{url}: a file on another host: write file:///folder/name")
    return Path(url.removeprefix("file://"))


class RemoteFile:
    """The file at ``url``: ``size`` in bytes, and ``stamp``, which changes when the file does.

    Safe to use from threads. Raises UserError where the scheme is not one of ``PACKAGES``, its package is
    missing, or nothing is there.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.store, self.path = _store(url)
        info = _tried(url, lambda: self.store.info(self.path))
        if info.get("type") == "directory" or info.get("size") is None:
            raise UserError(f"{url}: not a file that can be read by ranges")
        self.size = int(info["size"])
        told = {str(key).lower(): value for key, value in info.items()}
        self.stamp = " ".join([str(self.size), *(f"{k}={told[k]}" for k in STAMPS if k in told)])

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
        data: bytes = _tried(self.url, lambda: self.store.cat_file(self.path, offset, end))
        if len(data) != end - offset:
            raise UserError(
                f"{self.url}: {len(data):,} bytes at byte {offset} where {end - offset:,} should be: it "
                "was changed while it was read"
            )
        return data


def exists(url: str) -> bool:
    """Whether a file is at ``url``."""
    store, path = _store(url)
    return bool(_tried(url, lambda: store.exists(path)))


def _store(url: str) -> tuple[Any, str]:
    found = URL.match(url)
    scheme = found[1].lower() if found else ""
    if scheme not in PACKAGES or "::" in url or "|" in url:
        raise UserError(f"{url}: not a URL that is read: expected {', '.join(PACKAGES)}, unchained")
    try:
        import fsspec

        store, path = fsspec.core.url_to_fs(url)
    except ImportError:
        package = PACKAGES[scheme] or "fsspec"
        raise UserError(f"{url}: needs a package: pip install {package}") from None
    except Exception as error:  # each store has errors of its own
        raise UserError(f"{url}: cannot be opened ({_line(error)})") from None
    return store, path


def _tried(url: str, ask: Any) -> Any:
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
