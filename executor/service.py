"""The executor: takes tasks from the supervisor, gives them to runners, reports until everything is acknowledged.

One event loop, no threads of its own, no timer without a need. It outlives the supervisor: while the link is broken,
runs go on, and all that is not acknowledged waits here, to be said again over the next link with the same numbers.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from typing import TYPE_CHECKING

from ..proto.link_pb2 import Hello, LogLine
from ..proto.values import EndReason
from . import verdict as verdicts
from .attempts import Attempt
from .link import Link
from .messages import Exited, Refused
from .order import mark
from .outbox import Outbox
from .runners import Pool
from .slots import Desk
from .sweep import sweep
from .verdict import Ending
from .window import Budget

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from ..proto.clock import Clock
    from ..proto.link_pb2 import Assignment, Stop, ToExecutor
    from ..proto.sealing import Sealer
    from .boot import Boot
    from .messages import Message
    from .runners import Runner

LONELY_S = 5.0
"""So long an executor that holds nothing waits for a supervisor."""
GOODBYE_S = 1.0
RECOVER_S = 1.0
"""So long no work is asked for after a runner could not be started."""


class Executor:
    """One executor, from its first link to its last acknowledgement."""

    def __init__(self, boot: Boot, clock: Clock, sealer: Sealer) -> None:
        self.loop = asyncio.get_running_loop()
        self.boot = boot
        self.clock = clock
        self.sealer = sealer
        self.budget = Budget()
        self.outbox = Outbox(self.loop, self._prepare)
        self._attempts: dict[int, Attempt] = {}
        self._desk = Desk(boot.slots)
        self._pool = Pool(self.loop, boot, self)
        self._unflushed: set[Attempt] = set()
        self._look_again: asyncio.TimerHandle | None = None
        self._lonely: asyncio.TimerHandle | None = None
        self._refused = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._done = asyncio.Event()

    async def run(self) -> None:
        """Work until there is nothing to do here any more."""
        link = asyncio.create_task(Link(self.boot.link, self, self.outbox).run())
        link.add_done_callback(lambda _: self._done.set())
        self._warm_up()
        self._wait_for_company()
        await self._done.wait()
        await self._say_goodbye(link)
        self._pool.close()

    def leave_if_idle(self) -> None:
        """Somebody asks us to go (SIGTERM); with work in hand we stay."""
        if not self._attempts:
            self._done.set()

    async def _say_goodbye(self, link: asyncio.Task[None]) -> None:
        """Send what is still to be said, and let the supervisor hang up. Raises what a bug in the link raised."""
        self._desk.draining = True
        self.outbox.close()
        if self.outbox.attached:
            await asyncio.wait([link], timeout=GOODBYE_S)
        link.cancel()
        await asyncio.wait([link])
        if not link.cancelled():
            link.result()

    # -- what the link says

    def hello(self) -> Hello:
        """Who we are and what we hold."""
        held = [attempt.id for attempt in self._attempts.values() if not attempt.silent]
        return Hello(
            executor_id=self.boot.executor_id,
            secret=self.boot.secret,
            version=self.boot.version,
            pid=os.getpid(),
            held=held,
            runners=self._pool.reports(),
            slots=self.boot.slots,
        )

    def attached(self) -> None:
        """A supervisor listens: say again all it may not know, and ask for work."""
        self._refused = False
        if self._lonely:
            self._lonely.cancel()
        self._desk.attach()
        self.outbox.attach()
        for runner in self._pool.unacknowledged():
            self.outbox.put(runner)
        for attempt in self._attempts.values():
            if not attempt.silent:
                for report in attempt.unreported:
                    self.outbox.put(report)

    def detached(self, *, refused: bool) -> None:
        """Nobody listens any more."""
        self._refused = refused
        self.outbox.detach()
        self._wait_for_company()

    def told(self, message: ToExecutor) -> None:
        """The supervisor has spoken."""
        if message.drain:
            self._drain()
        for given in message.assignments:
            self._arrive(given)
        self._pool.acknowledge(message.runner_acks)
        self._hear_acknowledgements(message)
        for attempt_id in message.recalls:
            self._recall(attempt_id)
        for stop in message.stops:
            self._stop(stop)
        for attempt_id in message.forget:
            self._forget(attempt_id)
        self._fill()

    def _hear_acknowledgements(self, message: ToExecutor) -> None:
        for tap in message.taps:
            if attempt := self._attempts.get(tap.attempt_id):
                attempt.tap(on=tap.on)
        for ack in message.chunk_acks:
            if attempt := self._attempts.get(ack.attempt_id):
                attempt.output.window.acknowledge(ack.number)
        for attempt_id in message.finish_acks:
            self._drop(attempt_id)
        if message.chunk_acks or message.finish_acks:
            for attempt in self._attempts.values():
                attempt.breathe()

    def _arrive(self, given: Assignment) -> None:
        if given.attempt_id in self._attempts:
            return
        attempt = self._attempts[given.attempt_id] = Attempt(given, self)
        if self._desk.draining:
            self._give_back(attempt.id)
        elif given.profile in self.boot.profiles:
            self._desk.arrive(attempt.id, given.queue, self.loop.time())
        else:
            text = f"this executor does not know the profile {given.profile!r}"
            attempt.conclude(verdicts.refused(EndReason.SPAWN_FAILED, text))

    def _recall(self, attempt_id: int) -> None:
        if self._desk.leave(attempt_id):
            self._give_back(attempt_id)
        else:
            self.outbox.keep(attempt_id)

    def _stop(self, stop: Stop) -> None:
        attempt = self._attempts.get(stop.attempt_id)
        ending = Ending(stop.state, stop.reason)
        if attempt and self._desk.leave(attempt.id):
            attempt.conclude(verdicts.stopped(ending))
        elif attempt:
            attempt.stop(ending, stop.grace_us)

    def _forget(self, attempt_id: int) -> None:
        attempt = self._attempts.get(attempt_id)
        if attempt and (self._desk.leave(attempt_id) or attempt.finished):
            self._drop(attempt_id)
        elif attempt:
            attempt.forget()

    def _drain(self) -> None:
        self._desk.draining = True
        for attempt_id in list(self._desk.waiting):
            self._recall(attempt_id)
        self._leave_when_drained()

    # -- what attempts say

    def wrote(self, attempt: Attempt) -> None:
        """There is output to be flushed with the next message."""
        self._unflushed.add(attempt)
        self.outbox.touch()

    def freed(self, attempt: Attempt, run_s: float | None) -> None:
        """Its slot is free."""
        self._desk.end(attempt.given.queue, run_s)

    def dropped(self, attempt: Attempt) -> None:
        """Nobody wants to hear of it any more."""
        self._drop(attempt.id)

    # -- what runners say

    def runner_up(self, runner: Runner) -> None:
        """It waits for its acknowledgement."""
        report = runner.report
        assert report, runner.pid  # noqa: S101
        self.outbox.put(report)
        if runner.up and runner.up.notes:
            self.log("warning", "profile_not_fully_applied", profile=runner.profile, notes="; ".join(runner.up.notes))

    def runner_reported(self, runner: Runner, report: Message) -> None:
        """It said this about its task."""
        attempt = runner.attempt
        if attempt is None:
            return
        if isinstance(report, Exited | Refused):
            self._pool.release(runner)
        attempt.hear(report)
        if runner.attempt is None:
            self._fill()

    def runner_died(self, runner: Runner) -> None:
        """What it left behind is looked for and ended; then its task is lost."""
        if runner.up is None:
            self.log("error", "runner_did_not_start", profile=runner.profile, code=str(runner.process.returncode))
            self._pause_work()
        self._spawn(self._bury(runner))

    async def _bury(self, runner: Runner) -> None:
        attempt = runner.attempt
        namespace = runner.up.mount_namespace if runner.up else 0
        entries = mark(attempt.given, self.boot) if attempt else ()
        killed = await sweep(self._pool.runners, namespace, entries)
        task_id = attempt.given.task_id if attempt else ""
        self.log("warning", "runner_died", runner=str(runner.pid), task=task_id, killed=str(killed))
        if attempt:
            attempt.orphaned()
        self._fill()

    # -- what follows from it

    def _fill(self) -> None:
        """Give waiting tasks to idle runners; start runners for those that have a slot and no runner."""
        missing: Counter[str] = Counter()
        for attempt_id in self._desk.first():
            attempt = self._attempts[attempt_id]
            if runner := self._pool.take(attempt.given.profile):
                self._launch(attempt, runner)
            else:
                missing[attempt.given.profile] += 1
        self._start_runners(missing)
        self._watch_backlog()
        if self._desk.wanted:
            self.outbox.touch()

    def _launch(self, attempt: Attempt, runner: Runner) -> None:
        try:
            self._desk.start(attempt.id)
            attempt.launch(runner)
        except OSError as error:
            self._desk.end(attempt.given.queue, None)
            attempt.conclude(verdicts.refused(EndReason.SPAWN_FAILED, f"cannot be started: {error.strerror}"))

    def _start_runners(self, missing: Counter[str]) -> None:
        try:
            for profile, count in missing.items():
                self._pool.ensure(profile, count)
        except OSError as error:
            self.log("error", "runner_not_started", error=str(error))
            self._pause_work()

    def _warm_up(self) -> None:
        try:
            self._pool.warm_up()
        except OSError as error:
            self.log("error", "runner_not_started", error=str(error))

    def _pause_work(self) -> None:
        """Give back what waits and ask for nothing, for a while."""
        if self._desk.paused:
            return
        self._desk.paused = True
        for attempt_id in list(self._desk.waiting):
            self._recall(attempt_id)
        self.loop.call_later(RECOVER_S, self._resume_work)

    def _resume_work(self) -> None:
        self._desk.paused = False
        self.outbox.touch()

    def _watch_backlog(self) -> None:
        """Give back what waits for too long, and look again when the next one will have."""
        for attempt_id in self._desk.give_back(self.loop.time()):
            self._give_back(attempt_id)
        at_s = self._desk.give_back_at_s()
        if self._look_again:
            self._look_again.cancel()
        self._look_again = self.loop.call_at(at_s, self._fill) if at_s is not None else None

    def _give_back(self, attempt_id: int) -> None:
        del self._attempts[attempt_id]
        self.outbox.give_back(attempt_id)

    def _drop(self, attempt_id: int) -> None:
        """Nothing is to be said about it any more."""
        attempt = self._attempts.pop(attempt_id, None)
        if attempt is None:
            return
        attempt.output.window.clear()
        self._leave_when_drained()
        if not self._attempts:
            self._wait_for_company()

    def _prepare(self) -> int:
        """Before a message is put together: flush the output, and ask for as many tasks as are wanted."""
        for attempt in self._unflushed:
            attempt.output.flush()
        self._unflushed.clear()
        return self._desk.grant()

    def _leave_when_drained(self) -> None:
        if self._desk.draining and not self._attempts:
            self._done.set()

    def _wait_for_company(self) -> None:
        """Detached and with nothing to keep, leave after a while; refused, at once."""
        if self._lonely:
            self._lonely.cancel()
        if self.outbox.attached or not self._idle:
            return
        self._lonely = self.loop.call_later(0 if self._refused else LONELY_S, self._leave_if_lonely)

    def _leave_if_lonely(self) -> None:
        if not self.outbox.attached and self._idle:
            self._done.set()

    @property
    def _idle(self) -> bool:
        """Whether there is nothing to keep: no attempt, or, for a supervisor that refuses us, none that runs."""
        if self._refused:
            return all(attempt.finished for attempt in self._attempts.values())
        return not self._attempts

    def log(self, level: str, event: str, **fields: str) -> None:
        """A line for the supervisor's log. Never a command, never a secret."""
        self.outbox.log(LogLine(level=level, event=event, fields=fields))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
