"""The executor: attached to a supervisor, and outliving it.

One event loop, no threads of its own, no timer without a need. While the link is broken, runs go on, and all that is
not acknowledged waits, to be said again over the next link with the same numbers. An executor leaves when it is
drained, when it is told to go (SIGTERM) and has nothing to do, or when nobody has wanted it for a while. When there is
no supervisor and its home folder is gone too, nobody will ever ask for what it holds: it ends its tasks, and leaves.
"""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

from ..proto.link_pb2 import Hello
from .floor import Floor
from .home import EXIT_HOMELESS, Home
from .link import Link
from .outbox import Outbox

if TYPE_CHECKING:
    from ..proto.clock import Clock
    from ..proto.link_pb2 import ToExecutor
    from ..proto.sealing import Sealer
    from .boot import Boot

LONELY_S = 5.0
"""So long an executor that holds nothing waits for a supervisor."""
GOODBYE_S = 1.0
"""So long the supervisor may take to hang up."""


class Executor:
    """One executor, from its first link to its last acknowledgement."""

    def __init__(self, boot: Boot, clock: Clock, sealer: Sealer) -> None:
        self.loop = asyncio.get_running_loop()
        self._boot = boot
        self._outbox = Outbox(self.loop)
        self._floor = Floor(boot=boot, clock=clock, sealer=sealer, outbox=self._outbox, emptied=self._leave_when_due)
        self._outbox.prepare = self._floor.prepare
        self._lonely: asyncio.TimerHandle | None = None
        self._home = Home(self.loop, boot.home, boot.homeless_s, self._give_up)
        self._refused = False
        self._done = asyncio.Event()

    async def run(self) -> int:
        """Work until there is nothing to do here any more; the exit code."""
        link = asyncio.create_task(Link(self._boot.link, self, self._outbox).run())
        link.add_done_callback(lambda _: self._done.set())
        self.loop.add_signal_handler(signal.SIGCHLD, self._floor.pool.wake)
        self._floor.warm_up()
        self._home.watch()
        self._leave_when_due()
        await self._done.wait()
        await self._say_goodbye(link)
        self._floor.pool.close()
        return EXIT_HOMELESS if self._home.lost else 0

    def leave_if_idle(self) -> None:
        """Somebody asks us to go (SIGTERM); with work in hand we stay."""
        if not self._floor.attempts:
            self._done.set()

    async def _say_goodbye(self, link: asyncio.Task[None]) -> None:
        """Send what is still to be said, and let the supervisor hang up. Raises what a bug in the link raised."""
        self._floor.drain()
        self._outbox.close()
        if self._outbox.attached:
            await asyncio.wait([link], timeout=GOODBYE_S)
        link.cancel()
        await asyncio.wait([link])
        if not link.cancelled():
            link.result()

    # -- what the link says

    def hello(self) -> Hello:
        """Who we are and what we hold."""
        boot, floor = self._boot, self._floor
        return Hello(
            executor_id=boot.executor_id,
            secret=boot.secret,
            version=boot.version,
            pid=os.getpid(),
            held=[attempt.id for attempt in floor.attempts.values() if not attempt.silent],
            runners=floor.pool.reports(),
            slots=boot.slots,
            shared=boot.async_calls,
        )

    def attached(self) -> None:
        """A supervisor listens: say again all it may not know, and ask for work."""
        self._refused = False
        self._home.trust()
        self._floor.desk.attach()
        self._outbox.attach()
        self._floor.say_again()
        self._leave_when_due()

    def detached(self, *, refused: bool) -> None:
        """Nobody listens any more."""
        self._refused = refused
        self._outbox.detach()
        self._floor.arrears.detached()
        self._home.watch()
        self._leave_when_due()

    def told(self, message: ToExecutor) -> None:
        """The supervisor has spoken."""
        floor = self._floor
        if message.drain:
            floor.drain()
        if message.HasField("sources"):
            floor.know(message.sources.sources)
        for given in message.assignments:
            floor.arrive(given)
        floor.pool.acknowledge(message.runner_acks)
        floor.tap(message.taps)
        if message.chunk_acks or message.finish_acks:
            floor.acknowledge(message.chunk_acks, message.finish_acks)
        for attempt_id in message.recalls:
            floor.recall(attempt_id)
        for stop in message.stops:
            floor.stop(stop)
        for pause in message.pauses:
            floor.pause(pause)
        for attempt_id in message.forget:
            floor.forget(attempt_id)
        floor.fill()
        if message.drain:
            self._leave_when_due()

    # -- when to leave

    def _give_up(self) -> None:
        """Nobody will ever want what we hold: end it all, each task within its grace."""
        self._floor.forget_all()
        self._leave_when_due()

    def _leave_when_due(self) -> None:
        """Leave when drained. Alone and with nothing to keep, leave after a while; refused, at once."""
        if self._lonely:
            self._lonely.cancel()
        if (self._floor.desk.draining or self._home.lost) and not self._floor.attempts:
            self._done.set()
        elif self._alone:
            self._lonely = self.loop.call_later(0 if self._refused else LONELY_S, self._leave_if_alone)

    def _leave_if_alone(self) -> None:
        if self._alone:
            self._done.set()

    @property
    def _alone(self) -> bool:
        """Whether nobody is there and nothing is to be kept; nothing is kept for a supervisor that refuses us."""
        if self._outbox.attached:
            return False
        return all(self._refused and attempt.finished for attempt in self._floor.attempts.values())
