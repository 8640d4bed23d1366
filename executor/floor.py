"""Where the work is done: attempts on their way from the backlog through a slot to the acknowledgement of their end.

`Desk` decides, the pool has the hands, each attempt lives its own life; here they meet.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING

from ..proto.values import EndReason
from . import verdict as verdicts
from .attempts import Attempt
from .messages import Exited, Refused
from .order import mark
from .runners import Pool
from .slots import Desk
from .sweep import sweep
from .verdict import Ending
from .window import Budget

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..proto.clock import Clock
    from ..proto.link_pb2 import Assignment, ChunkAck, Pause, Stop, Tap
    from ..proto.sealing import Sealer
    from .boot import Boot
    from .messages import Message
    from .outbox import Outbox
    from .runners import Runner

RECOVER_S = 1.0
"""So long no work is asked for after a runner could not be started."""


class Floor:
    """All attempts of an executor. `emptied` is called when the last of them is off its hands."""

    def __init__(
        self, *, boot: Boot, clock: Clock, sealer: Sealer, outbox: Outbox, emptied: Callable[[], None]
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.boot = boot
        self.clock = clock
        self.sealer = sealer
        self.outbox = outbox
        outbox.more_to_come = lambda: bool(self.desk.waiting)
        self.budget = Budget()
        self.desk = Desk(boot.slots)
        self.pool = Pool(self.loop, boot, self)
        self.attempts: dict[int, Attempt] = {}
        self.held_back: set[Attempt] = set()
        self._emptied = emptied
        self._unflushed: set[Attempt] = set()
        self._look_again: asyncio.TimerHandle | None = None
        self._burials: set[asyncio.Task[None]] = set()

    # -- what the supervisor wants

    def arrive(self, given: Assignment) -> None:
        """A task was sent."""
        if given.attempt_id in self.attempts:
            return
        attempt = self.attempts[given.attempt_id] = Attempt(given, self)
        self.desk.arrive(attempt.id, given.queue, self.loop.time())
        if self.desk.draining or self.desk.paused:
            self.recall(attempt.id)
        elif given.profile not in self.boot.profiles:
            self.desk.leave(attempt.id)
            text = f"this executor does not know the profile {given.profile!r}"
            attempt.conclude(verdicts.refused(EndReason.SPAWN_FAILED, text))

    def recall(self, attempt_id: int) -> None:
        """Give it back, unless it has started."""
        if self.desk.leave(attempt_id):
            self._give_back(attempt_id)
        else:
            self.outbox.keep(attempt_id)

    def stop(self, stop: Stop) -> None:
        """End it, started or not."""
        attempt = self.attempts.get(stop.attempt_id)
        ending = Ending(stop.state, stop.reason)
        if attempt and self.desk.leave(attempt.id):
            attempt.conclude(verdicts.stopped(ending))
        elif attempt:
            attempt.stop(ending, stop.grace_us)

    def pause(self, pause: Pause) -> None:
        """Have it stand still, or go on. Nothing is to be said of one that is not here any more."""
        if attempt := self.attempts.get(pause.attempt_id):
            attempt.pause(on=pause.on)

    def forget(self, attempt_id: int, grace_us: int = 0) -> None:
        """End it within the grace, and say nothing of it."""
        attempt = self.attempts.get(attempt_id)
        if attempt and (self.desk.leave(attempt_id) or attempt.finished):
            self._drop(attempt_id)
        elif attempt:
            attempt.forget(grace_us)

    def forget_all(self) -> None:
        """Take no more, end what there is, say nothing of it."""
        self.desk.draining = True
        for attempt in list(self.attempts.values()):
            self.forget(attempt.id, attempt.given.grace_us)

    def drain(self) -> None:
        """Take no more, give back what waits."""
        self.desk.draining = True
        self._return_backlog()

    def tap(self, taps: Iterable[Tap]) -> None:
        """Somebody wants every byte of these, or no longer."""
        for tap in taps:
            if attempt := self.attempts.get(tap.attempt_id):
                attempt.output.tapped = tap.on

    def acknowledge(self, chunks: Iterable[ChunkAck], finishes: Iterable[int]) -> None:
        """These are stored; there is room for more output."""
        for ack in chunks:
            if attempt := self.attempts.get(ack.attempt_id):
                attempt.output.window.acknowledge(ack.number)
        for attempt_id in finishes:
            self._drop(attempt_id)
        for attempt in list(self.held_back):
            attempt.breathe()

    def say_again(self) -> None:
        """Say all that is not known to be stored."""
        for runner in self.pool.unacknowledged():
            self.outbox.put(runner)
        for attempt in self.attempts.values():
            if not attempt.silent:
                for report in attempt.unreported:
                    self.outbox.put(report)

    def prepare(self) -> int:
        """Before a message is put together: flush the output; returns how many more tasks to ask for."""
        for attempt in self._unflushed:
            attempt.output.flush()
        self._unflushed.clear()
        return self.desk.grant()

    def fill(self) -> None:
        """Give waiting tasks to idle runners; start runners for those that have a slot and no runner."""
        missing: defaultdict[str, int] = defaultdict(int)
        for attempt_id in self.desk.first():
            attempt = self.attempts.get(attempt_id)
            if attempt is None:
                break  # a start has failed, and everything that waited was given back
            if runner := self.pool.take(attempt.given.profile):
                self._launch(attempt, runner)
            else:
                missing[attempt.given.profile] += 1
        for profile, count in missing.items():
            self._start_runners(profile, count)
        self._watch_backlog()
        if self.desk.wanted:
            self.outbox.touch()

    def warm_up(self) -> None:
        """Have a runner ready before the first task comes."""
        self._start_runners(self.pool.favourite, 1)

    # -- what attempts say

    def wrote(self, attempt: Attempt) -> None:
        """There is output to be flushed with the next message."""
        self._unflushed.add(attempt)
        self.outbox.touch()

    def freed(self, attempt: Attempt, run_s: float | None) -> None:
        """Its slot is free."""
        self.desk.end(attempt.given.queue, run_s)

    def dropped(self, attempt: Attempt) -> None:
        """Nobody wants to hear of it any more."""
        self._drop(attempt.id)

    # -- what runners say

    def runner_up(self, runner: Runner) -> None:
        """It waits for its acknowledgement."""
        report = runner.report
        assert report, runner.pid  # noqa: S101
        self.outbox.put(report)
        self.outbox.hurry()
        if runner.up and runner.up.notes:
            notes = "; ".join(runner.up.notes)
            self.outbox.log("warning", "profile_not_fully_applied", profile=runner.profile, notes=notes)

    def runner_reported(self, runner: Runner, report: Message) -> None:
        """It said this about its task."""
        attempt = runner.attempt
        if attempt is None:
            return
        if isinstance(report, Exited | Refused):
            self.pool.release(runner)
        attempt.hear(report)
        if runner.attempt is None:
            self.fill()
        if not self.desk.running and not self.desk.waiting:
            self.outbox.hurry()

    def runner_died(self, runner: Runner) -> None:
        """What it left behind is looked for and ended; then its task is lost."""
        if runner.up is None:
            code = str(runner.process.returncode)
            self.outbox.log("error", "runner_did_not_start", profile=runner.profile, code=code)
            self._pause()
        burial = asyncio.create_task(self._bury(runner))
        self._burials.add(burial)
        burial.add_done_callback(self._burials.discard)

    async def _bury(self, runner: Runner) -> None:
        attempt = runner.attempt
        namespace = runner.up.mount_namespace if runner.up else 0
        entries = mark(attempt.given, self.boot) if attempt else ()
        killed = await sweep(self.pool.runners, namespace, entries)
        task_id = attempt.given.task_id if attempt else ""
        self.outbox.log("warning", "runner_died", runner=str(runner.pid), task=task_id, killed=str(killed))
        if attempt:
            attempt.orphaned()
        self.fill()

    # -- what follows from it

    def _launch(self, attempt: Attempt, runner: Runner) -> None:
        """Start it. For want of descriptors or memory nothing is started: then somebody else may, or we later."""
        self.desk.start(attempt.id)
        try:
            attempt.launch(runner)
        except OSError as error:
            self.outbox.log("error", "task_not_started", task=attempt.given.task_id, error=str(error))
            self.desk.end(attempt.given.queue, None)
            self._give_back(attempt.id)
            self._pause()

    def _start_runners(self, profile: str, count: int) -> None:
        try:
            self.pool.ensure(profile, count)
        except OSError as error:
            self.outbox.log("error", "runner_not_started", profile=profile, error=str(error))
            self._pause()

    def _pause(self) -> None:
        """Give back what waits and ask for nothing, for a while."""
        if not self.desk.paused:
            self.desk.paused = True
            self._return_backlog()
            self.loop.call_later(RECOVER_S, self._resume)

    def _resume(self) -> None:
        self.desk.paused = False
        self.fill()

    def _return_backlog(self) -> None:
        for attempt_id in list(self.desk.waiting):
            self.recall(attempt_id)

    def _watch_backlog(self) -> None:
        """Look again when the first of those that wait will have waited for too long; not while nobody listens."""
        at_s = self.desk.give_back_at_s()
        if at_s is not None and self._look_again is None and self.outbox.attached:
            self._look_again = self.loop.call_at(at_s, self._give_back_late)

    def _give_back_late(self) -> None:
        """Give back what has waited for too long."""
        self._look_again = None
        if self.outbox.attached:
            for attempt_id in self.desk.give_back(self.loop.time()):
                self._give_back(attempt_id)
        self.fill()

    def _give_back(self, attempt_id: int) -> None:
        del self.attempts[attempt_id]
        self.outbox.give_back(attempt_id)
        self._tell_if_empty()

    def _drop(self, attempt_id: int) -> None:
        """Nothing is to be said about it any more."""
        if attempt := self.attempts.pop(attempt_id, None):
            attempt.output.window.clear()
            self._tell_if_empty()

    def _tell_if_empty(self) -> None:
        if not self.attempts:
            self._emptied()
