"""As whom a task runs: in a service of several users as who submitted it, else as who runs the service. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..proto.errors import Refusal, RefusalReason

USER = re.compile(r"uid:(?P<uid>0|[1-9][0-9]{0,9})", re.ASCII)
ROOT = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Owners:
    """What the mode of the service makes of an owner in the store ('': the service's own user)."""

    several_users: bool = False
    root_tasks: bool = False

    def uid(self, owner: str) -> int | None:
        """As whom an owner's tasks run; None: as the service itself. Raises Refusal FORBIDDEN for who may run none."""
        if not self.several_users:
            return None
        if owner == "":
            return self._root()
        found = USER.fullmatch(owner)
        if found is None:
            message = f"{owner} is no user of this machine, and a service of several users runs tasks as theirs"
            raise Refusal(RefusalReason.FORBIDDEN, message, "submit through the service's socket")
        uid = int(found["uid"])
        return uid if uid != ROOT else self._root()

    def _root(self) -> int:
        if self.root_tasks:
            return ROOT
        message = "this service runs nothing as root"
        hint = "submit as another user: sudo -u USER tsched ...; [system] root_tasks = true lets root"
        raise Refusal(RefusalReason.FORBIDDEN, message, hint)


OWN = Owners()
"""Of somebody's own service."""
