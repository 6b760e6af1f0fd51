"""Keys of the service: made once, shown once, stored as scrypt hashes, compared in constant time (G37).

A key is ``urface_ID_SECRET``: the id finds its line in the file, the 256 bits of the secret are what is
hashed. Ids are no secret; who guesses secrets is slowed by the limit on wrong keys (access.py).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from urface.atomic import atomic_path
from urface.types import UserError

Role = Literal["search", "enrol", "admin"]
ROLES: tuple[str, ...] = get_args(Role)
KEY = re.compile(r"urface_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")
NAME = re.compile(r"[\w .@+-]{1,64}")
# 16 MB and some 50 ms: what OWASP's password storage sheet gives as one of its equals for scrypt
COST = {"n": 1 << 14, "r": 8, "p": 1}
MAX_FILE = 1 << 20
SCHEMA = 1


@dataclass(frozen=True)
class Key:
    """One key as it is stored.

    id, name    what it is found by, and who has it
    role        search < enrol < admin
    raw         whether it may ask for raw embeddings, which no role includes
    salt, hash  hexadecimal; scrypt of the secret
    """

    id: str
    name: str
    role: str
    raw: bool
    salt: str
    hash: str

    def fits(self, secret: str) -> bool:
        """Whether ``secret`` is this key's; takes some 50 ms."""
        return hmac.compare_digest(_hashed(secret, bytes.fromhex(self.salt)), self.hash)


class KeysDamaged(UserError):
    """The file of keys cannot be read: the operator's to mend, not a client's."""


class KeyFile:
    """The keys in ``path``, read again whenever the file changes: a removed key is refused at once."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._stamp: tuple[int, int, int] | None = None
        self._keys: dict[str, Key] = {}
        self._known: dict[bytes, str] = {}
        self._pepper = secrets.token_bytes(32)

    def by_id(self) -> dict[str, Key]:
        """All of them; empty where there is no file. Raises KeysDamaged where it is damaged."""
        stamp = _stamp(self.path)
        if stamp != self._stamp:
            self._keys = {} if stamp is None else _read(self.path)
            self._known.clear()
            self._stamp = stamp
        return self._keys

    def remembered(self, text: str) -> Key | None:
        """The key that ``text`` was found to be before, without scrypt's time."""
        keys = self.by_id()
        return keys.get(self._known.get(self._mark(text), ""))

    def find(self, text: str) -> Key | None:
        """The key that ``text`` is, after scrypt; None where it is none."""
        keys = self.by_id()
        parts = KEY.fullmatch(text)
        key = keys.get(parts[1]) if parts else None
        if parts is None or key is None or not key.fits(parts[2]):
            return None
        # Only a keyed hash of it stays in memory, and only for keys that are right.
        self._known[self._mark(text)] = key.id
        return key

    def add(self, name: str, role: str, raw: bool = False) -> str:
        """Store a new key; the text of it, which is not to be had again."""
        keys = dict(self.by_id())
        if not NAME.fullmatch(name):
            raise UserError(f"{name!r}: a key's name is 1 to 64 letters, digits, spaces and ._@+-")
        if role not in ROLES:
            raise UserError(f"role must be one of {', '.join(ROLES)}, got {role!r}")
        if any(key.name == name for key in keys.values()):
            raise UserError(f"{self.path}: there is a key named {name!r}: remove it first")
        identifier, secret, salt = secrets.token_hex(8), secrets.token_urlsafe(32), os.urandom(16)
        keys[identifier] = Key(identifier, name, role, raw, salt.hex(), _hashed(secret, salt))
        self._write(keys)
        return f"urface_{identifier}_{secret}"

    def remove(self, name: str) -> None:
        """Forget the key of ``name``. Raises UserError where there is none."""
        left = {key.id: key for key in self.by_id().values() if key.name != name}
        if len(left) == len(self.by_id()):
            raise UserError(f"{self.path}: no key named {name!r}")
        self._write(left)

    def _write(self, keys: dict[str, Key]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        record = {"schema": SCHEMA, "keys": [asdict(key) for key in keys.values()]}
        with atomic_path(self.path) as path:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(record, file, indent=1)
            path.chmod(0o600)

    def _mark(self, text: str) -> bytes:
        return hmac.digest(self._pepper, text.encode(), "sha256")


def default_key_file() -> Path:
    """keys.json in the user's folder of settings (XDG_CONFIG_HOME)."""
    return (
        Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "urface" / "keys.json"
    )


def _hashed(secret: str, salt: bytes) -> str:
    return hashlib.scrypt(secret.encode(), salt=salt, **COST, dklen=32).hex()


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _read(path: Path) -> dict[str, Key]:
    damaged = KeysDamaged(f"{path}: not a file of keys as `urface serve keys add` writes it")
    with path.open("rb") as file:
        text = file.read(MAX_FILE + 1)
    if len(text) > MAX_FILE:
        raise damaged
    try:
        keys = [_key(line) for line in json.loads(text)["keys"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise damaged from None
    return {key.id: key for key in keys}


def _key(line: dict[str, Any]) -> Key:
    key = Key(**line)
    texts = (key.id, key.name, key.role, key.salt, key.hash)
    if not all(isinstance(text, str) for text in texts) or not isinstance(key.raw, bool):
        raise TypeError("a value of another type")
    if key.role not in ROLES or len(bytes.fromhex(key.hash)) != 32 or not bytes.fromhex(key.salt):
        raise ValueError("a value out of range")
    return key
