"""Telling of tasks that did not succeed: why, and the last of what they wrote."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from ..proto.errors import Refusal
from ..proto.values import EndReason, TaskState
from . import console, escape, exits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..client.connection import Connection
    from ..proto import api_pb2 as api

SHOWN = 10
"""So many are told one by one, the rest are counted."""
TAIL_LINES = 10
TAIL_BYTES = 4096
LINE_COLUMNS = 200
ITEM_COLUMNS = 60


class Failures:
    """Tells of the first ones as they come, and of the rest at the end."""

    def __init__(self, client: Connection) -> None:
        self._client = client
        self.count = 0
        self.told = 0

    def note(self, task: api.Task, item: str | None = None, *, quiet: bool = False) -> None:
        """Tell of a task that has ended, if it did not succeed; `item`: the line of a list that it was for."""
        if task.state == TaskState.SUCCEEDED:
            return
        self.count += 1
        if self.told < SHOWN and not quiet:
            self.told += 1
            tell(self._client, task, item)

    def sum_up(self) -> None:
        """Tell of those that were not told of."""
        if rest := self.count - self.told:
            more = " more" if self.told else ""
            states = f"{TaskState.FAILED},{TaskState.CANCELLED},{TaskState.SKIPPED}"
            console.say(f"{rest}{more} did not succeed (tsched list --state {states} shows them)")


def tell(client: Connection, task: api.Task, item: str | None = None) -> None:
    """Say on stderr why a task did not succeed, and its last lines."""
    last = () if task.state == TaskState.CANCELLED else last_lines(client, task.id)
    console.say(headline(task, item) + (", its last lines:" if last else ""))
    if last:
        with suppress(OSError):  # nobody hears us; that is no reason to fail
            print("\n".join(f"    {line}" for line in last), file=sys.stderr, flush=True)


def headline(task: api.Task, item: str | None = None) -> str:
    """Which task, what it was for, and how it ended: `task 7 (b.png) failed: exit 3`."""
    which = task.id if item is None else f"{task.id} ({escape.fit(escape.line(item), ITEM_COLUMNS)})"
    if task.reason == EndReason.EXIT_CODE:
        return f"task {which} {task.state}: {exits.result(task)}"
    why = "" if task.reason == task.state else f" ({exits.result(task)})"
    return f"task {which} {task.state}{why}{f': {task.message}' if task.message else ''}"


def last_lines(client: Connection, id: str) -> Sequence[str]:  # noqa: A002 - the word of the contract
    """The last lines a task wrote, of stderr where it wrote any, safe to be shown; none where they cannot be had."""
    try:
        return shown(_tail(client, id, "err") or _tail(client, id, "out"))
    except Refusal:
        return ()


def _tail(client: Connection, id: str, stream: str) -> bytes:  # noqa: A002 - the word of the contract
    from ..proto import api_pb2 as api

    request = api.LogsRequest(id=id, stream=stream, tail_bytes=TAIL_BYTES)
    return b"".join(piece.data for piece in client.logs(request))


def shown(data: bytes) -> list[str]:
    """The last lines in some bytes, each on one line and not too wide; the first may lack its begin."""
    lines = data.decode(errors="replace").rstrip().split("\n")[-TAIL_LINES:]
    return [escape.fit(escape.line(line.rstrip("\r").expandtabs()), LINE_COLUMNS) for line in lines if lines != [""]]
