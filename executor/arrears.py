"""What attempts have in the spool: when it is filled, and how it is sent once a supervisor is there again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .spool import Spool

if TYPE_CHECKING:
    import asyncio

    from .attempts import Attempt
    from .boot import Boot
    from .outbox import Outbox

TURN_BYTES = 1024 * 1024
"""So much is read back before others have their turn."""
AGAIN_S = 2.0
"""After so long it is tried again whether there is room."""


class Arrears:
    """The attempts whose output waits there. `held_back` are those that are not read now."""

    def __init__(self, loop: asyncio.AbstractEventLoop, boot: Boot, outbox: Outbox, held_back: set[Attempt]) -> None:
        self.spool = Spool(boot.home, boot.spool_bytes, refuse=self._refused)
        self._loop = loop
        self._outbox = outbox
        self._held_back = held_back
        self._late: dict[Attempt, None] = {}
        self._turn: asyncio.Handle | None = None
        self._again: asyncio.TimerHandle | None = None
        self._said = False

    def note(self, attempt: Attempt) -> None:
        """Something of it waits."""
        self._late[attempt] = None

    def drop(self, attempt: Attempt) -> None:
        """Nothing of it is of use any more."""
        self._late.pop(attempt, None)

    def attached(self) -> None:
        """A supervisor listens: nothing more goes to the spool, and what is there is sent."""
        self.spool.open = self._said = False
        self.catch_up()

    def detached(self) -> None:
        """Nobody listens: those that wait for room go on."""
        self.spool.open = True
        self._try_again()

    def catch_up(self) -> None:
        """Send of what waits as much as there is room for, a little at a time, each attempt in its turn."""
        if self._late and self._turn is None and self._outbox.attached:
            self._turn = self._loop.call_soon(self._send_some)

    def _send_some(self) -> None:
        self._turn = None
        if not self._outbox.attached:
            return
        sent_bytes = 0
        for attempt in list(self._late):
            del self._late[attempt]
            sent_bytes += attempt.catch_up()
            if attempt.output.window.waiting:
                self._late[attempt] = None
            if sent_bytes >= TURN_BYTES:
                break
        if sent_bytes:
            self.catch_up()

    def _refused(self, why: str) -> None:
        """Tasks that write have to wait, as they do while a supervisor is there and does not keep up."""
        if not self._said:
            self._said = True
            self._outbox.log("warning", "spool_full", reason=why)
        if self._again is None:
            self._again = self._loop.call_later(AGAIN_S, self._try_again)

    def _try_again(self) -> None:
        if self._again:
            self._again.cancel()
            self._again = None
        if self.spool.open:
            self.spool.try_again()
            for attempt in list(self._held_back):
                attempt.breathe()
