"""The service of several users: what it needs before it starts, who may connect, and what to know about it."""

from __future__ import annotations

import grp
import os
import pwd
import resource
import stat
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from ..proto.errors import Refusal, RefusalReason
from ..store import model
from . import trust
from .front import Access

EVERYBODY = "*"
NOBODY, NOBODY_UID = "nobody", 65534
ONLY_ROOT = 0o600
PACKAGE = Path(__file__).resolve().parent.parent
ROOMS = ("cli", "client", "executor", "proto", "store", "supervisor")
OTHERS_ENTER = stat.S_IXOTH
OTHERS_READ = stat.S_IROTH
DESCRIPTORS_KEPT = 256
"""For everything but connections."""
DESCRIPTORS_EACH = 4
"""Two in front, one in gRPC, and one that callers over TCP may have."""


def check(config_path: Path | None) -> None:
    """All that has to be so before it starts. Raises Refusal."""
    check_root()
    check_config(config_path)
    check_program()
    check_reach()


def check_root() -> None:
    """Raises Refusal BAD_USAGE for everybody else."""
    if os.geteuid() != 0:
        message = "only root can run the service of several users"
        raise Refusal(RefusalReason.BAD_USAGE, message, "sudo tsched up --system; one of your own: tsched up -d")


def check_config(path: Path | None) -> None:
    """Others must not be able to change what root acts on. Raises Refusal BAD_CONFIG."""
    if path is None:
        return
    try:
        trust.check_file(path)
    except trust.UnsafeError as error:
        raise Refusal(RefusalReason.BAD_CONFIG, str(error), "root alone may change the configuration") from None
    except OSError as error:
        raise Refusal(RefusalReason.BAD_CONFIG, f"cannot read {path}: {error.strerror}", "name another") from None


def check_program() -> None:
    """Others must not be able to change what root runs. Raises Refusal BAD_CONFIG."""
    try:
        trust.check_file(Path(sys.executable))
        for room in ROOMS:
            trust.check_tree(PACKAGE / room)
        for folder in (PACKAGE, PACKAGE.parent, Path(psutil.__file__).parent.parent):
            trust.check_folder(folder)
    except trust.UnsafeError as error:
        message = f"others could change what this service runs as root: {error}"
        raise Refusal(RefusalReason.BAD_CONFIG, message, "install tsched as root, where only root may write") from None


def check_reach() -> None:
    """Whoever a task belongs to, its runner has to reach Python and tsched. Raises Refusal BAD_CONFIG."""
    for path in _needed():
        if closed := closed_to_others(path):
            message = f"users cannot reach {path}: {closed} is closed to them"
            hint = "install tsched with a Python outside of root's home, such as /usr/bin/python3 -m venv /opt/tsched"
            raise Refusal(RefusalReason.BAD_CONFIG, message, hint)


def _needed() -> list[Path]:
    """The interpreter, its library, our package and what runners import besides."""
    library = [sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")]
    return [*map(Path, (sys.executable, *library)), PACKAGE, Path(psutil.__file__).parent]


def closed_to_others(path: Path) -> Path | None:
    """The first folder on the way that others may not enter, or what is there when they may not read it."""
    for folder in reversed(path.parents):
        if not folder.stat().st_mode & OTHERS_ENTER:
            return folder
    if path.is_symlink():
        return closed_to_others(Path(os.path.normpath(path.parent / path.readlink())))
    needed = OTHERS_READ | (OTHERS_ENTER if path.is_dir() else 0)
    return path if path.stat().st_mode & needed != needed else None


def nobody() -> int:
    """Whom sources of functions are looked at as: code that root did not choose runs as root nowhere."""
    try:
        return pwd.getpwnam(NOBODY).pw_uid
    except KeyError:
        return NOBODY_UID


def access(group: str) -> Access:
    """Who may connect to the socket: the group's members, everybody, or root alone where there is no such group."""
    if group == EVERYBODY:
        return Access(0o666)
    try:
        return Access(0o660, grp.getgrnam(group).gr_gid)
    except KeyError:
        return Access(ONLY_ROOT)


def more_descriptors() -> int:
    """Take all descriptors that this process may have; how many it had, for those it starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return soft


def most_connections() -> int:
    """How many there can be at the same time, whoever they belong to."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, (soft - DESCRIPTORS_KEPT) // DESCRIPTORS_EACH)


def findings(group: str, socket: Path, *, root_tasks: bool) -> Iterator[model.Finding]:
    """What whoever runs it should know, in plain words."""
    if access(group).mode == ONLY_ROOT:
        yield _notice(
            str(socket),
            f"there is no group {group}: only root can connect",
            f"groupadd --system {group}, usermod -aG {group} USER, tsched up --system --replace",
        )
    if group == EVERYBODY:
        yield _notice(
            str(socket), "every user of this machine can connect and run tasks as themselves", "[system] group"
        )
    if closed := closed_to_others(socket.parent):
        yield model.Finding(
            severity="problem",
            object=str(socket),
            message=f"users cannot reach the socket: {closed} is closed to them",
            hint=f"chmod 755 {closed}",
        )
    if root_tasks:
        yield _notice("root_tasks", "what root submits runs as root", "[system] root_tasks = false refuses it")
    yield _notice(
        "users",
        "each user's tasks run as that user: they can end or trace each other, read what that user can read, and use "
        "all processors, memory and disk that a profile does not limit",
        "[profiles] limits; what needs more needs a machine, or a container, of its own",
    )


def _notice(about: str, message: str, hint: str) -> model.Finding:
    return model.Finding(severity="notice", object=about, message=message, hint=hint)
