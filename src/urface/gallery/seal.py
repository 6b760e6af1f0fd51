"""AES-256-GCM: what is sealed can be read and changed by nobody without the key (reliability goal G39).

Every sealed value is bound to its place: gallery, column and row are associated data, so that a value that
is moved to another row or gallery does not open.
"""

from __future__ import annotations

import os
from typing import Any

from urface.types import UserError

KEY_BYTES = 32
NONCE_BYTES = 12


class GalleryDamaged(UserError):
    """A gallery's files were changed by something else than urface, or the disk lost some of them."""


def seal(key: bytes, data: bytes, place: bytes) -> bytes:
    """``data`` encrypted under ``key`` (32 bytes), to be opened with the same ``place``: nonce, text, tag."""
    nonce = os.urandom(NONCE_BYTES)
    sealed: bytes = _aesgcm(key).encrypt(nonce, data, place)
    return nonce + sealed


def unseal(key: bytes, sealed: bytes, place: bytes, what: str) -> bytes:
    """What ``seal`` was given. Raises GalleryDamaged, naming ``what``, for another key, place or text."""
    from cryptography.exceptions import InvalidTag

    if isinstance(sealed, bytes) and len(sealed) > NONCE_BYTES:
        try:
            data: bytes = _aesgcm(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], place)
            return data
        except InvalidTag:
            pass
    raise GalleryDamaged(f"{what} does not open: it was changed, moved or cut; restore a backup")


def derive(key: bytes, purpose: str, salt: bytes) -> bytes:
    """32 bytes from ``key`` for one ``purpose`` (HKDF-SHA256, RFC 5869)."""
    _require()
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), KEY_BYTES, salt, f"urface gallery {purpose}".encode()).derive(key)


def key_stream(key: bytes, size: int) -> bytes:
    """``size`` bytes that look random to who lacks ``key``: AES-256 in counter mode from zero."""
    _require()
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.algorithms import AES
    from cryptography.hazmat.primitives.ciphers.modes import CTR

    return Cipher(AES(key), CTR(bytes(16))).encryptor().update(bytes(size))


def _aesgcm(key: bytes) -> Any:
    _require()
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)


def _require() -> None:
    try:
        import cryptography  # noqa: F401
    except ImportError:
        raise UserError("a gallery needs cryptography: pip install 'urface[gallery]'") from None
