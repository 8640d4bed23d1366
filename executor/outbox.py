"""Everything an executor has to say, gathered into few messages.

What is put here goes out together a moment later, in the order it was put: so a chunk before the finish of its attempt.
Nothing is kept while no supervisor is attached: on attaching, whoever holds something puts it again. Only log lines
wait here, the newest of them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from ..proto.link_pb2 import Chunk, Finished, FromExecutor, LogLine, Paused, Progress, RunnerUp, Started

if TYPE_CHECKING:
    from collections.abc import Callable

Item = RunnerUp | Started | Chunk | Paused | Finished

FLUSH_S = 0.002
GATHER_S = 0.02
"""While there is work at hand, nobody waits for the supervisor's answer, and more is gathered into a message."""
MESSAGE_BYTES = 1024 * 1024
MOST_LOGS = 200


class Outbox:
    """What waits to be sent.

    `prepare` is called before a message is put together, to put what is not yet put; it returns the claims, of tasks
    and of async calls.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.prepare: Callable[[], tuple[int, int]] = lambda: (0, 0)
        self.more_to_come: Callable[[], bool] = lambda: False
        self._items: deque[Item] = deque()
        self._progress: dict[int, Progress] = {}
        self._returned: list[int] = []
        self._kept: list[int] = []
        self._logs: deque[LogLine] = deque(maxlen=MOST_LOGS)
        self.attached = False
        """Whether somebody listens."""
        self._timer: asyncio.Handle | None = None
        self._due = asyncio.Event()
        self.closed = False
        """Whether what is still to be said is the last."""

    def attach(self) -> None:
        """Somebody listens from now on."""
        self.detach()
        self.attached = True
        self.touch()

    def detach(self) -> None:
        """Nobody listens any more."""
        self.attached = False
        self._items.clear()
        self._progress.clear()
        self._returned.clear()
        self._kept.clear()
        self._due.clear()
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def put(self, item: Item | Progress) -> None:
        """Send this; of each attempt's progress only the newest."""
        if not self.attached:
            return
        if isinstance(item, Progress):
            self._progress[item.attempt_id] = item
        else:
            self._items.append(item)
        self.touch()

    def give_back(self, attempt_id: int) -> None:
        """Say that this attempt was not started."""
        self._returned.append(attempt_id)
        self.touch()

    def keep(self, attempt_id: int) -> None:
        """Say that this attempt has been started already."""
        self._kept.append(attempt_id)
        self.touch()

    def log(self, level: str, event: str, **fields: str) -> None:
        """Send a log line, now or when somebody listens. Never a command, never a secret."""
        self._logs.append(LogLine(level=level, event=event, fields=fields))
        self.touch()

    def touch(self) -> None:
        """There is something to say, soon."""
        if self.attached and self._timer is None:
            self._timer = self._loop.call_later(GATHER_S if self.more_to_come() else FLUSH_S, self._ring)

    def hurry(self) -> None:
        """Nothing more is to be expected soon: send what there is."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = self._loop.call_soon(self._ring)

    def close(self) -> None:
        """There will be nothing more to say."""
        self.closed = True
        self._due.set()

    async def take(self) -> FromExecutor | None:
        """The next message, when there is something to say; None when all has been said."""
        while True:
            await self._due.wait()
            self._due.clear()
            message = self._compose()
            if message.ListFields():
                return message
            if self.closed:
                return None

    def _ring(self) -> None:
        self._timer = None
        self._due.set()

    def _compose(self) -> FromExecutor:
        claim, claim_shared = self.prepare()
        message = FromExecutor(
            claim=claim, claim_shared=claim_shared, returned=self._returned, kept=self._kept, logs=self._logs
        )
        message.progress.extend(self._progress.values())
        self._progress.clear()
        self._returned.clear()
        self._kept.clear()
        self._logs.clear()
        size = 0
        while self._items and size < MESSAGE_BYTES:
            size += _add(message, self._items.popleft())
        if self._items or self.closed:
            self._due.set()
        return message


def _add(message: FromExecutor, item: Item) -> int:
    """Add it to the message; returns its size, where that matters."""
    if isinstance(item, Chunk):
        message.chunks.append(item)
        return item.length
    if isinstance(item, Started):
        message.started.append(item)
    elif isinstance(item, Finished):
        message.finished.append(item)
        return len(item.result)
    elif isinstance(item, Paused):
        message.paused.append(item)
    else:
        message.runners.append(item)
    return 0
