"""The file of keys: made once and for all, read only where nobody else can read it, replaced in one step.

What is new is written beside it, synced, and then given its name. A link never replaces anything, so of several that
make one at the same time the first wins; what a crash leaves is a name that nobody reads (`FRESH`).
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from . import ring
from .disk import sync_folder
from .ring import Ring

NAME = "key"
FRESH = "ring.new"
"""Beside the file: what is to become it. Nothing but the file itself has the word in its name."""
PRIVATE = 0o600
OTHERS = 0o077
LIMIT_BYTES = 64 * 1024
MEND = "it must be a file of its owner's alone: chmod 600, one name, no link"


def load(path: Path) -> Ring | None:
    """The keys in a file; None where there is no file. Raises Refusal KEY_UNUSABLE, and touches nothing."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ring.unusable(f"the key {path} cannot be read: {error.strerror}", MEND) from None
    try:
        if wrong := _mistrust(os.fstat(descriptor)):
            raise ring.unusable(f"the key {path} {wrong}", MEND)
        text = os.read(descriptor, LIMIT_BYTES).decode(errors="replace")
    finally:
        os.close(descriptor)
    return ring.parse(text, f"the key {path}")


def put_beside(folder: Path, keys: Ring) -> None:
    """Make what is to become the file of keys durable. Raises OSError."""
    beside = folder / FRESH
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(keys.text)
        file.flush()
        os.fsync(descriptor)
    sync_folder(folder)


def settle(folder: Path) -> None:
    """Give what lies beside it its name. Raises FileExistsError where that is taken, OSError."""
    os.link(folder / FRESH, folder / NAME, follow_symlinks=False)
    sync_folder(folder)
    (folder / FRESH).unlink()
    sync_folder(folder)


def replace(folder: Path, keys: Ring) -> None:
    """Put these keys in place of those that are there. Raises OSError; then the former are there."""
    put_beside(folder, keys)
    os.replace(folder / FRESH, folder / NAME)
    sync_folder(folder)


def discard(folder: Path) -> None:
    """Forget what never became the file of keys."""
    with suppress(FileNotFoundError):
        (folder / FRESH).unlink()
        sync_folder(folder)


def remove(folder: Path) -> None:
    """Take the file of keys away: nothing is sealed any more. Raises OSError."""
    (folder / NAME).unlink()
    sync_folder(folder)


def _mistrust(found: os.stat_result) -> str | None:
    if not stat.S_ISREG(found.st_mode):
        return "is no regular file"
    if found.st_uid not in (0, os.geteuid()):
        return f"belongs to user {found.st_uid}"
    if found.st_mode & OTHERS:
        return f"can be used by others (mode {stat.S_IMODE(found.st_mode):04o})"
    return "has a second name" if found.st_nlink != 1 else None
