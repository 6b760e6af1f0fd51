"""A folder whose power is cut at every step: what would be there, had only the synced reached the disk.

Calls of os are watched. After each, two disks are possible and both are handed to a check:
- late: a folder has the names that it had when it was last synced;
- early: it has the names of now, as file systems may write names before they write contents.
On both a file holds what it held when it was last synced, and nothing where it never was.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

WATCHED = ("open", "write", "fsync", "rename", "replace", "mkdir", "unlink", "rmdir", "sync")
Tree = dict[str, "bytes | Tree"]


class PowerCut:
    """Watches what is done in ``root``; ``deaf_to`` are syncs that do nothing: "file", "folder".

    ``check(disk, when)`` is called with a folder for each possible disk.
    """

    def __init__(
        self, root: Path, check: Callable[[Path, str], None], deaf_to: tuple[str, ...] = ()
    ) -> None:
        self.root = root
        self.points = 0
        self._check = check
        self._deaf = deaf_to
        self._disk = root.with_name(root.name + "_after_the_cut")
        self._names: dict[int, dict[str, int]] = {}
        self._contents: dict[int, bytes] = {}
        self._held: dict[int, int] = {}  # open descriptors, so that no inode number is used again
        self._patch = pytest.MonkeyPatch()
        self._open, self._fsync = os.open, os.fsync
        self._busy = False

    def __enter__(self) -> PowerCut:
        self._sync_all()
        for name in WATCHED:
            self._patch.setattr(os, name, self._watched(name, getattr(os, name)))
        return self

    def __exit__(self, *_: object) -> None:
        self._patch.undo()
        for descriptor in self._held.values():
            os.close(descriptor)
        shutil.rmtree(self._disk, ignore_errors=True)

    def _watched(self, name: str, plain: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **keywords: object) -> object:
            if self._busy:
                return plain(*arguments, **keywords)
            deaf = False
            if name == "fsync":
                deaf = self._note(int(str(arguments[0])))
            elif name == "sync":
                self._sync_all()
            found = None if deaf else plain(*arguments, **keywords)
            self.cut(name)
            return found

        return call

    def _note(self, descriptor: int) -> bool:
        """What is now safe; whether this sync is to do nothing."""
        place = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        kind = "folder" if place.is_dir() else "file"
        if kind in self._deaf:
            return True
        if place == self.root or self.root in place.parents:
            self._remember(place)
        return False

    def _remember(self, place: Path) -> None:
        inode = place.stat().st_ino
        if inode not in self._held:
            self._held[inode] = self._open(place, os.O_RDONLY)
        if place.is_dir():
            self._names[inode] = {path.name: path.lstat().st_ino for path in place.iterdir()}
            for path in place.iterdir():
                if path.lstat().st_ino not in self._held:
                    self._held[path.lstat().st_ino] = self._open(path, os.O_RDONLY)
        else:
            self._contents[inode] = place.read_bytes()

    def _sync_all(self) -> None:
        if not self._deaf:
            for place in [self.root, *self.root.rglob("*")]:
                self._remember(place)

    def cut(self, when: str) -> None:
        """Check both disks that may be there now."""
        self._busy = True
        try:
            late = self._late(self.root.stat().st_ino)
            for kind, tree in (("late", late), ("early", self._early(self.root))):
                shutil.rmtree(self._disk, ignore_errors=True)
                lay_out(self._disk, tree)
                self.points += 1
                self._check(self._disk, f"{kind}, after {when}")
        finally:
            self._busy = False

    def _late(self, inode: int) -> Tree:
        found: Tree = {}
        for name, entry in self._names.get(inode, {}).items():
            folder = os.path.isdir(f"/proc/self/fd/{self._held[entry]}")
            found[name] = self._late(entry) if folder else self._contents.get(entry, b"")
        return found

    def _early(self, folder: Path) -> Tree:
        found: Tree = {}
        for path in folder.iterdir():
            inode = path.lstat().st_ino
            found[path.name] = (
                self._early(path) if path.is_dir() else self._contents.get(inode, b"")
            )
        return found


def lay_out(folder: Path, tree: Tree) -> None:
    folder.mkdir()
    for name, entry in tree.items():
        if isinstance(entry, dict):
            lay_out(folder / name, entry)
        else:
            (folder / name).write_bytes(entry)
