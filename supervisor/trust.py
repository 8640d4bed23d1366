"""Whether code may be loaded: only what nobody but this user and root can change, now or in a moment.

Where the umask is 002 a user's files can be written by a group that nobody else is in: that harms nobody.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
ACCESS_LIST = "system.posix_acl_access"
LINKS_LIMIT = 40
FILES_LIMIT = 20_000
"""Files and folders in one package that are looked at; one that has more is not trusted."""


class UnsafeError(Exception):
    """Others could change the code; says who, where, and how to mend it."""


def check_file(path: Path) -> None:
    """Raises UnsafeError, and OSError for what is not there."""
    _check_own(_check_way(path))


def check_tree(path: Path) -> None:
    """The same for a folder with everything in it, and everything in the folders that links in it lead to."""
    seen: set[Path] = set()
    trees, count = [_check_way(path)], 0
    while trees:
        seen.add(tree := trees.pop())
        _check_own(tree, whole=path)
        for each in _below(tree):
            if (count := count + 1) > FILES_LIMIT:
                raise UnsafeError(f"{path} holds more than {FILES_LIMIT} files: too many to be looked at")
            real = _check_way(each) if each.is_symlink() else each
            _check_own(real, whole=path if real is each else real)
            if real is not each and real.is_dir() and real not in seen:
                trees.append(real)


def check_folder(path: Path) -> None:
    """A folder from which modules are imported: others could add some where they may write."""
    _check_own(_check_way(path))


def _below(folder: Path) -> Iterator[Path]:
    for at, folders, files in os.walk(folder, onerror=_raise):
        yield from (Path(at, name) for name in (*folders, *files))


def _raise(error: OSError) -> None:
    raise error


def _check_way(path: Path) -> Path:
    """Where the path really leads, every folder and link on the way looked at."""
    here, links = Path("/"), 0
    ahead = list(reversed(Path(os.path.abspath(path)).parts[1:]))
    _check_passage(here)
    while ahead:
        step = ahead.pop()
        if step in (".", ".."):
            here = here.parent if step == ".." else here
            continue
        there = here / step
        found = there.lstat()
        if stat.S_ISLNK(found.st_mode):
            _check_owner(there, found)
            if (links := links + 1) > LINKS_LIMIT:
                raise UnsafeError(f"{path} leads through too many links")
            target = Path(os.readlink(there))
            here = Path("/") if target.is_absolute() else here
            ahead += reversed([part for part in target.parts if part != "/"])
            continue
        here = there
        if ahead:
            _check_passage(here)
    return here


def _check_passage(folder: Path) -> None:
    """A folder on the way. In one like /tmp (sticky) everybody may add, and nobody may replace what is another's."""
    found = folder.stat()
    _check_owner(folder, found)
    if _others_write(folder, found) and not found.st_mode & stat.S_ISVTX:
        raise UnsafeError(f"{folder} can be written by others: {_chmod(folder)}")


def _check_own(path: Path, *, whole: Path | None = None) -> None:
    """The code itself."""
    found = path.stat()
    _check_owner(path, found)
    if _others_write(path, found):
        mend = f"chmod -R go-w {shlex.quote(str(whole))}" if whole else _chmod(path)
        raise UnsafeError(f"{path} can be written by others: {mend}")


def _others_write(path: Path, found: os.stat_result) -> bool:
    """With an access list the group's bits are those of everybody on it."""
    if not found.st_mode & OTHERS_WRITE:
        return False
    return bool(found.st_mode & stat.S_IWOTH) or not is_private(found.st_gid) or _has_list(path)


def is_private(gid: int) -> bool:
    """Whether this is the group that a user was given for themselves: their first, of their name, with nobody else."""
    try:
        user, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(gid)
    except KeyError:
        return False
    if 0 in (user.pw_uid, gid) or user.pw_gid != gid or group.gr_name != user.pw_name:
        return False
    if not set(group.gr_mem) <= {user.pw_name}:
        return False
    return all(each.pw_uid == user.pw_uid for each in pwd.getpwall() if each.pw_gid == gid)


def _has_list(path: Path) -> bool:
    try:
        os.getxattr(path, ACCESS_LIST)
    except OSError as error:
        return error.errno not in (errno.ENODATA, errno.ENOTSUP)
    return True


def _check_owner(path: Path, found: os.stat_result) -> None:
    if found.st_uid not in (0, os.geteuid()):
        raise UnsafeError(
            f"{path} belongs to user {found.st_uid}, neither to this user nor to root: "
            f"chown {os.geteuid()} {shlex.quote(str(path))}"
        )


def _chmod(path: Path) -> str:
    return f"chmod go-w {shlex.quote(str(path))}"
