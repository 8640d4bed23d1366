"""Having a running supervisor begin anew in its own process, and waiting until it has."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from .. import __version__
from ..proto.clock import SECOND_US, SystemClock
from ..proto.errors import Refusal, RefusalReason
from . import console

if TYPE_CHECKING:
    from ..client.connection import Connection
    from ..proto import api_pb2 as api

READY_S = 120.0
"""A supervisor that began anew answers within this time, a migration of its store included."""
PAUSE_S = 0.02


class Renewed(NamedTuple):
    """The service before and after."""

    before: api.StatusResponse
    after: api.StatusResponse

    def as_json(self) -> dict[str, object]:
        """For --json."""
        return {
            "pid": self.after.pid,
            "before": self.before.version,
            "after": self.after.version,
            "state_dir": self.after.state_dir,
            "socket": self.after.socket,
        }

    def text(self) -> str:
        """For people."""
        return f"supervisor {self.after.pid} began anew: {self.before.version} -> {self.after.version}"


def put(renewed: Renewed, *, as_json: bool) -> None:
    """Print it."""
    if as_json:
        console.put_json(renewed.as_json())
    else:
        console.put(renewed.text())


def renew(client: Connection) -> Renewed:
    """Begin anew. Raises what the supervisor refuses with, and INTERNAL when it did not come back."""
    before = client.status()
    client.reload()
    clock = SystemClock()
    end_us = clock.mono_us() + int(READY_S * SECOND_US)
    while (after := _status(client, before)).started_at_us == before.started_at_us:
        if clock.mono_us() > end_us:
            raise _lost(before, f"has not begun anew within {READY_S:g} s")
        time.sleep(PAUSE_S)
    if after.version != __version__:
        console.say(f"the service now runs version {after.version}; this command is version {__version__}")
    return Renewed(before, after)


def _status(client: Connection, before: api.StatusResponse) -> api.StatusResponse:
    from ..client.errors import broken

    try:
        return client.status()
    except Refusal as refusal:
        if broken(refusal):
            raise _lost(before, "ended while it began anew") from None
        raise


def _lost(before: api.StatusResponse, what: str) -> Refusal:
    where = before.log_dir or "its stderr, or the journal"
    return Refusal(RefusalReason.INTERNAL, f"supervisor {before.pid} {what}", f"its log says why: {where}")
