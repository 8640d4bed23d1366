"""Where the work is done: attempts on their way from the backlog through a slot to the acknowledgement of their end.

`Desk` decides, the pool has the hands, each attempt lives its own life; here they meet.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from ..proto import procs
from ..proto.plain import NotPlainError
from ..proto.values import EndReason
from . import verdict as verdicts
from .arrears import Arrears
from .burials import Burials
from .calls import QUICK_S, Call, SyncCall
from .commands import Command
from .host_messages import Ended, Loaded, Ready
from .hosts import AHEAD, Host
from .messages import Beyond, Exited, Refused
from .pool import Pool
from .shared_call import SharedCall
from .slots import Desk
from .verdict import Ending
from .window import Budget

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..proto.clock import Clock
    from ..proto.link_pb2 import Assignment, ChunkAck, Pause, Source, Stop, Tap
    from ..proto.sealing import Sealer
    from .attempts import Attempt
    from .boot import Boot
    from .kinds import Kind
    from .messages import Message
    from .outbox import Outbox
    from .runners import Runner
    from .verdict import Verdict

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
        outbox.more_to_come = lambda: bool(self.desk.waiting or self.desk.placed)
        self.held_back: set[Attempt] = set()
        self.arrears = Arrears(self.loop, boot, outbox, self.held_back)
        self.budget = Budget(spool=self.arrears.spool)
        self.desk = Desk(boot.slots, most_shared=boot.async_calls)
        self.pool = Pool(self.loop, boot, self)
        self.attempts: dict[int, Attempt] = {}
        self._emptied = emptied
        self._unflushed: set[Attempt] = set()
        self._shared: dict[int, SharedCall] = {}
        """Async calls that wait for their host."""
        self._look_again: asyncio.TimerHandle | None = None
        self._burials = Burials(self)

    # -- what the supervisor wants

    @property
    def sources(self) -> dict[str, dict[str, Any]]:
        """Where functions are found, by name."""
        return self.pool.sources

    def know(self, sources: Iterable[Source]) -> None:
        """These are all sources there are."""
        self.pool.know({source.name: _plain(source) for source in sources})
        for home in self.pool.hosts():
            if home.outdated and not home.retired:
                self.take_back(home)

    def arrive(self, given: Assignment) -> None:
        """A task was sent."""
        if given.attempt_id in self.attempts:
            return
        attempt = self.attempts[given.attempt_id] = self._attempt_of(given)
        if isinstance(attempt, SharedCall):
            self.desk.arrive_shared()
            self._shared[attempt.id] = attempt
        else:
            self.desk.arrive(attempt.id, given.queue, self.loop.time())
        if self.desk.draining or self.desk.paused:
            self.recall(attempt.id)
        elif given.profile not in self.boot.profiles:
            text = f"this executor does not know the profile {given.profile!r}"
            self._conclude(attempt, verdicts.refused(EndReason.SPAWN_FAILED, text))
        elif self.boot.several_users != given.HasField("uid"):
            self._conclude(attempt, verdicts.refused(EndReason.USER_UNUSABLE, "as whom to run it was not said"))
        elif isinstance(attempt, Call) and attempt.gone:
            self._conclude(attempt, _no_such_function(given))

    def _attempt_of(self, given: Assignment) -> Attempt:
        if not given.payload.HasField("call"):
            return Command(given, self)
        return SharedCall(given, self) if given.shared else SyncCall(given, self)

    def recall(self, attempt_id: int) -> None:
        """Give it back, unless it has started."""
        if self._unlaunched(attempt_id):
            self._give_back(attempt_id)
        else:
            self.outbox.keep(attempt_id)

    def _unlaunched(self, attempt_id: int) -> bool:
        """Take it out of what waits; False when it does not wait (any more)."""
        if self._shared.pop(attempt_id, None):
            self.desk.end_shared()
            return True
        if attempt_id in self.desk.placed:
            self.take_back(next(home for home in self.pool.hosts() if attempt_id in home.calls))
        return self.desk.leave(attempt_id)

    def _conclude(self, attempt: Attempt, verdict: Verdict) -> None:
        """It waits, and ends without having been launched."""
        self._unlaunched(attempt.id)
        attempt.conclude(verdict)

    def stop(self, stop: Stop) -> None:
        """End it, started or not."""
        attempt = self.attempts.get(stop.attempt_id)
        ending = Ending(stop.state, stop.reason)
        if attempt and self._unlaunched(attempt.id):
            attempt.conclude(verdicts.stopped(ending))
        elif attempt:
            self._see_to(attempt)
            attempt.stop(ending, stop.grace_us)
            if not attempt.running and not attempt.verdict and self._unlaunched(attempt.id):
                attempt.conclude(verdicts.stopped(ending))  # its host had not come to it after all

    def pause(self, pause: Pause) -> None:
        """Have it stand still, or go on. Nothing is to be said of one that is not here any more."""
        if attempt := self.attempts.get(pause.attempt_id):
            attempt.pause(on=pause.on)

    def forget(self, attempt_id: int, grace_us: int = 0) -> None:
        """End it within the grace, and say nothing of it."""
        attempt = self.attempts.get(attempt_id)
        if attempt and (self._unlaunched(attempt_id) or attempt.finished):
            self._drop(attempt_id)
        elif attempt:
            self._see_to(attempt)
            attempt.forget(grace_us)
            if not attempt.running and not attempt.verdict and self._unlaunched(attempt_id):
                self._drop(attempt_id)

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
        self.arrears.catch_up()

    def say_again(self) -> None:
        """Say all that is not known to be stored, as far as there is room for it on the way."""
        for runner in self.pool.unacknowledged():
            self.outbox.put(runner)
        for attempt in self.attempts.values():
            if not attempt.silent:
                for report in attempt.unreported:
                    self.outbox.put(report)
        self.arrears.attached()

    def prepare(self) -> tuple[int, int]:
        """Before a message is put together: flush the output. How many more tasks and async calls to ask for."""
        for attempt in self._unflushed:
            attempt.output.flush()
        self._unflushed.clear()
        return self.desk.grant(), self.desk.grant_shared()

    def fill(self) -> None:
        """Give waiting tasks to free runners; start runners for those that have a slot and no runner."""
        missing: defaultdict[Kind, int] = defaultdict(int)
        for attempt_id in self.desk.first():
            attempt = self.attempts.get(attempt_id)
            if attempt is None:
                break  # a start has failed, and everything that waited was given back
            self._launch_or_miss(attempt, missing)
        for call in list(self._shared.values()):
            self._launch_or_miss(call, missing)
        for kind, count in missing.items():
            self._start_runners(kind, 1 if kind.shared else count)
        self._send_ahead()
        self._watch_backlog()
        if self.desk.wanted or self.desk.wanted_shared:
            self.outbox.touch()

    def _launch_or_miss(self, attempt: Attempt, missing: dict[Kind, int]) -> None:
        if isinstance(attempt, Call) and attempt.gone:
            self._conclude(attempt, _no_such_function(attempt.given))
        elif runner := self.pool.take(attempt.kind):
            self._launch(attempt, runner)
        else:
            missing[attempt.kind] += 1

    def _send_ahead(self) -> None:
        """Let hosts that come to the next call in no time have some, so that they need not wait for us in between."""
        takers = [home for home in self.pool.hosts() if home.takes_ahead]
        if not takers:
            return
        for attempt_id in list(islice(self.desk.next_brisk(), len(takers) * AHEAD)):
            call = self.attempts[attempt_id]
            if isinstance(call, SyncCall) and not call.gone:
                homes = [home for home in takers if home.kind == call.kind and len(home.calls) <= AHEAD]
                if homes and self._place(call, min(homes, key=lambda home: len(home.calls))):
                    self.desk.place(attempt_id)

    def _place(self, call: SyncCall, home: Host) -> bool:
        try:
            return home.give(call, call.order())
        except NotPlainError:
            return False  # said when it is launched
        except OSError:
            return False

    def warm_up(self) -> None:
        """Have a runner ready before the first task comes, where it is known whose that will be."""
        if not self.boot.several_users:
            self._start_runners(self.pool.favourite, 1)

    # -- what attempts say

    def wrote(self, attempt: Attempt) -> None:
        """There is output to be flushed with the next message."""
        self._unflushed.add(attempt)
        self.outbox.touch()

    def freed(self, attempt: Attempt, run_s: float | None) -> None:
        """Its slot is free."""
        if attempt.shared:
            self.desk.end_shared()
        else:
            self.desk.end(attempt.given.queue, run_s)

    def dropped(self, attempt: Attempt) -> None:
        """Nobody wants to hear of it any more."""
        self._drop(attempt.id)

    def take_back(self, home: Host) -> None:
        """What this host has not come to waits for any slot again; behind what runs there now nothing waits."""
        home.slow = True
        taken = home.take_back()
        first = home.attempt
        if isinstance(first, SyncCall) and first.id in taken:
            first.unbegin()
            self.desk.stay(first.id, first.given.queue, self.loop.time())
        self.desk.take_back(taken)
        if first and first.id in taken:
            self._next_call(home)  # it may have come to one behind meanwhile

    # -- what runners say

    def runner_up(self, runner: Runner) -> None:
        """It waits for its acknowledgement."""
        report = runner.report
        assert report, runner.pid  # noqa: S101
        self.outbox.put(report)
        self.outbox.hurry()
        if runner.up and runner.up.notes:
            notes = "; ".join(runner.up.notes)
            self.outbox.log("warning", "profile_not_fully_applied", profile=runner.kind.profile, notes=notes)

    def runner_unfit(self, runner: Runner, message: str) -> None:
        """It cannot become what it was to be: nothing can be run as that user."""
        self.outbox.log("warning", "user_unusable", uid=str(runner.kind.uid), error=message)
        self.fail_waiting(runner.kind, verdicts.refused(EndReason.USER_UNUSABLE, message))
        self.fill()

    def runner_reported(self, runner: Runner, report: Message) -> None:
        """It said this about its task."""
        if isinstance(runner, Host):
            self._host_reported(runner, report)
        elif isinstance(report, Beyond):
            _strike_below(runner)
        elif attempt := runner.attempt:
            if isinstance(report, Exited | Refused):
                self.pool.release(runner)
            attempt.hear(report)
        if runner.attempt is None:
            self.fill()
        if not (self.desk.running or self.desk.waiting or self.desk.placed):
            self.outbox.hurry()

    def _host_reported(self, home: Host, report: Message) -> None:
        """A host says something about one of its calls; a sync one about the first it has, or it is not our host."""
        if isinstance(report, Loaded):
            home.loaded = True
        elif isinstance(report, Ready):
            self._burials.started(home.kind)
            if home.kind.shared:
                home.pipes.watch(partial(self.unasked, home))
        attempt_id = getattr(report, "attempt_id", None)
        call = None if attempt_id is None else home.calls.get(attempt_id)
        if call is None:
            return
        if not home.kind.shared and call is not home.attempt:
            home.kill()
            return
        if home.kind.shared and isinstance(report, Ended) and len(home.calls) == 1:
            home.pipes.catch_up()
        call.hear(report)
        if isinstance(report, Ended):
            self._next_call(home)

    def unasked(self, home: Host, stream: int, data: bytes) -> None:
        """A host of async calls, or a child of it, has written past them: of one that is alone it is known whose."""
        if len(home.calls) == 1:
            next(iter(home.calls.values())).wrote(stream, data)
        elif not home.noted:
            home.noted = True
            self.outbox.log("warning", "output_of_unknown_call", source=home.kind.source, calls=str(len(home.calls)))

    def _next_call(self, home: Host) -> None:
        """The call that ran has left it."""
        home.attempt = None
        if home.tired:
            self.take_back(home)
        if self.move_next_in(home):
            self._watch_host(home)
            if home.takes_ahead:
                self._send_ahead()
            if self.desk.wanted:
                self.outbox.touch()
        else:
            self.pool.release(home)

    def move_next_in(self, home: Host) -> bool:
        """What a sync host has next, it has come to; False when there is nothing."""
        following = None if home.kind.shared else next(iter(home.calls.values()), None)
        if not isinstance(following, SyncCall):
            return False
        self.desk.come_to(following.id)
        following.move_in(home)
        return True

    def _watch_host(self, home: Host) -> None:
        """See soon whether its call takes its time."""
        if home.look is None:
            home.look = self.loop.call_at(home.began_s + QUICK_S, self._look_at, home)

    def _look_at(self, home: Host) -> None:
        home.look = None
        call = home.attempt
        if home.dead or home.retired or not isinstance(call, SyncCall) or call.started:
            return
        if self.loop.time() < home.began_s + QUICK_S:
            self._watch_host(home)
            return
        self.take_back(home)
        if home.holds_last(call):
            call.reveal()
        else:  # it has ended, and what we hear next says so
            home.look = self.loop.call_later(QUICK_S, self._look_at, home)
        self.fill()

    def runner_died(self, runner: Runner) -> None:
        """What it left behind is looked for and ended; then its task is lost."""
        if runner.up is None:
            code = str(runner.process.returncode)
            self.outbox.log("error", "runner_did_not_start", profile=runner.kind.profile, code=code)
            self.recover()
        if isinstance(runner, Host) and not runner.retired:
            self.take_back(runner)  # now, not when it is buried: what has come back may be recalled meanwhile
        self._burials.soon(runner)

    def runner_left(self, runner: Runner) -> None:
        """It was let go; functions may have left something behind."""
        self._burials.soon(runner)

    def fail_waiting(self, kind: Kind, verdict: Verdict) -> None:
        """So it is for all that wait for such a runner."""
        for attempt_id in [*self._shared, *self.desk.waiting]:
            attempt = self.attempts[attempt_id]
            if not (isinstance(attempt, Call) and attempt.gone) and attempt.kind == kind:
                self._conclude(attempt, verdict)

    # -- what follows from it

    def _launch(self, attempt: Attempt, runner: Runner) -> None:
        """Start it. For want of descriptors or memory nothing is started: then somebody else may, or we later."""
        if attempt.shared:
            del self._shared[attempt.id]
        else:
            self.desk.start(attempt.id)
        try:
            attempt.launch(runner)
        except NotPlainError as error:
            self._free(attempt)
            attempt.conclude(verdicts.bad_arguments(str(error)))
        except OSError as error:
            self.outbox.log("error", "task_not_started", task=attempt.given.task_id, error=str(error))
            self._free(attempt)
            self._give_back(attempt.id)
            self.recover()
        else:
            if isinstance(runner, Host) and not attempt.shared:
                self._watch_host(runner)

    def _free(self, attempt: Attempt) -> None:
        """It was not started after all."""
        self.freed(attempt, None)

    def _see_to(self, attempt: Attempt) -> None:
        """One that its host may have come to, as far as we have heard: hear what it has said meanwhile."""
        if isinstance(attempt, SyncCall) and not attempt.running and not attempt.verdict:
            home = next((home for home in self.pool.hosts() if attempt.id in home.calls), None)
            if home:
                home.port.read_rest()

    def _start_runners(self, kind: Kind, count: int) -> None:
        try:
            self.pool.ensure(kind, count)
        except OSError as error:
            self.outbox.log("error", "runner_not_started", profile=kind.profile, error=str(error))
            self.recover()

    def recover(self) -> None:
        """Give back what waits and ask for nothing, for a while."""
        if not self.desk.paused:
            self.desk.paused = True
            self._return_backlog()
            self.loop.call_later(RECOVER_S, self._resume)

    def _resume(self) -> None:
        self.desk.paused = False
        self.fill()

    def _return_backlog(self) -> None:
        for attempt_id in [*self.desk.placed, *self.desk.waiting, *self._shared]:
            if attempt_id in self.attempts and attempt_id not in self.desk.placed:
                self.recall(attempt_id)
            elif self._unlaunched(attempt_id):
                self._give_back(attempt_id)

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
            self.arrears.drop(attempt)
            self._tell_if_empty()

    def _tell_if_empty(self) -> None:
        if not self.attempts:
            self._emptied()


def _plain(source: Source) -> dict[str, Any]:
    """As hosts are told it."""
    names = ("name", "generation", "kind", "python", "path")
    return {name: getattr(source, name) for name in names} | {"modules": list(source.modules)}


def _strike_below(runner: Runner) -> None:
    """End what has become another user's below a runner that has become one itself: here that may be possible."""
    if runner.kind.uid is not None:
        procs.strike(procs.children_of(runner.pid))


def _no_such_function(given: Assignment) -> Verdict:
    name = given.payload.call.function
    return verdicts.refused(EndReason.NO_SUCH_FUNCTION, f"nobody has the function {name} any more")
