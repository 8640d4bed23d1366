"""Becoming the user that a task belongs to: their groups and uid, no privilege left, and what programs know them by."""

from __future__ import annotations

import os
import pwd
from typing import NamedTuple

from . import kernel

UNPRIVILEGED = frozenset({"CapInh", "CapPrm", "CapEff", "CapAmb"})
"""Of /proc/self/status: the sets that say what a process may do, or may come to do."""
OF_THE_SERVICE = ("XDG_RUNTIME_DIR", "TMPDIR")
"""Variables of the service's own environment that name folders of its own user."""


class UserError(Exception):
    """Nothing can be run as this user; says why in one line."""


class User(NamedTuple):
    """As the machine knows them."""

    uid: int
    gid: int
    name: str
    home: str
    shell: str
    groups: frozenset[int]

    @classmethod
    def of_uid(cls, uid: int) -> User:
        """Look them up. Raises UserError where the machine does not know them."""
        try:
            entry = pwd.getpwuid(uid)
            groups = os.getgrouplist(entry.pw_name, entry.pw_gid)
        except (KeyError, OSError):
            raise UserError(f"user {uid} is not known to this machine any more") from None
        return cls(uid, entry.pw_gid, entry.pw_name, entry.pw_dir, entry.pw_shell, frozenset(groups))

    def environment(self, given: dict[str, str]) -> dict[str, str]:
        """What a program is told: home and shell are this user's, unless something else was said; who it is, always."""
        defaults = {"HOME": self.home, "SHELL": self.shell or "/bin/sh"}
        return {**defaults, **given, "USER": self.name, "LOGNAME": self.name}

    @property
    def unchanged(self) -> bool:
        """Whether the machine still knows them as it did."""
        try:
            return self.of_uid(self.uid) == self
        except UserError:
            return False

    def become(self) -> None:
        """Be this user from now on, and nobody else again. Raises UserError; then this process is good for nothing."""
        try:
            self._drop()
        except OSError as error:
            raise UserError(f"no process of this service can become user {self.uid}: {error.strerror}") from None
        for name in OF_THE_SERVICE:
            os.environ.pop(name, None)
        os.environ.update(self.environment({}))

    def _drop(self) -> None:
        kernel.leave_session_keyring()
        os.setgroups(sorted(self.groups))
        os.setresgid(self.gid, self.gid, self.gid)
        os.setresuid(self.uid, self.uid, self.uid)
        if self.uid != 0:
            kernel.drop_capabilities()
            kernel.keep_from_tracers()
            _check_dropped(self)


def _check_dropped(user: User) -> None:
    """What the kernel says of this process, believed more than what was asked of it. Raises UserError."""
    ids = (*os.getresuid(), *os.getresgid())
    if ids != (user.uid,) * 3 + (user.gid,) * 3 or set(os.getgroups()) - user.groups or _capabilities():
        raise UserError(f"this process could not become user {user.uid}")


def _capabilities() -> set[str]:
    """The sets that are not empty."""
    with open("/proc/self/status") as file:
        lines = dict(line.split(":", 1) for line in file)
    return {name for name in UNPRIVILEGED if int(lines[name], 16)}
