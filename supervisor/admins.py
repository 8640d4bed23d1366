"""Which users of this machine are admins: by name, or by a group they are in. Looked up once in a while."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Sequence

from ..proto.clock import SECOND_US, Clock

KNOWN_FOR_US = 60 * SECOND_US
KNOWN_LIMIT = 10_000


class Admins:
    """[access] admins of config.toml; a name with a % before it is a group's."""

    def __init__(self, names: Sequence[str], clock: Clock) -> None:
        self._users = {name for name in names if not name.startswith("%")}
        self._groups = {name[1:] for name in names if name.startswith("%")}
        self._clock = clock
        self._known: dict[int, tuple[bool, int]] = {}

    def __call__(self, uid: int) -> bool:
        """Whether this user is one. A user whom the machine does not know is none."""
        now_us = self._clock.mono_us()
        known, since_us = self._known.get(uid, (False, -KNOWN_FOR_US))
        if now_us - since_us < KNOWN_FOR_US:
            return known
        if len(self._known) >= KNOWN_LIMIT:
            self._known.clear()
        self._known[uid] = (is_admin := self._look(uid), now_us)
        return is_admin

    def _look(self, uid: int) -> bool:
        try:
            user = pwd.getpwuid(uid)
        except KeyError:
            return False
        return user.pw_name in self._users or bool(self._groups and self._groups & _groups_of(user))


def _groups_of(user: pwd.struct_passwd) -> set[str]:
    names = set()
    for gid in os.getgrouplist(user.pw_name, user.pw_gid):
        try:
            names.add(grp.getgrgid(gid).gr_name)
        except KeyError:
            continue
    return names
