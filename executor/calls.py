"""Attempts of tasks that are calls of functions: what they add to an attempt's life (attempts.py).

A sync call is alone in its host when it has begun, though others may wait behind it there. Async ones share a host
(shared_call.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from ..proto.clock import SECOND_US
from ..proto.link_pb2 import Progress, Started
from ..proto.values import SourceKind
from . import host_messages as host
from . import verdict as verdicts
from .attempts import Attempt, House
from .kinds import Kind
from .messages import Paused as HostPaused
from .payloads import arguments, judged, native_arguments
from .standstill import StandStill
from .stop import Fall
from .verdict import Verdict

if TYPE_CHECKING:
    from ..proto.link_pb2 import Assignment
    from .hosts import Host
    from .messages import Message

QUICK_S = 0.002
"""A call that ends within this time is reported once, at its end."""


class CallHouse(House, Protocol):
    """Where calls live."""

    @property
    def sources(self) -> dict[str, dict[str, Any]]:
        """Where functions are found, by name."""

    def take_back(self, home: Host) -> None:
        """What this host has not come to waits for any slot again."""


class Call(Attempt):
    """One attempt at a call."""

    def __init__(self, given: Assignment, house: CallHouse) -> None:
        super().__init__(given, house)
        self._floor = house
        self._home: Host | None = None
        self._began_at_us: int | None = None
        self._ended: host.Ended | None = None
        self._native = False
        self._fall = Fall(house.loop, self._ask, self._kill)

    @property
    def kind(self) -> Kind:
        """Which hosts it may have: those with the newest code of its source."""
        source = self.given.source
        generation = self._floor.sources[source]["generation"]
        return Kind(self.given.profile, source, generation, self.shared, self.uid)

    @property
    def gone(self) -> bool:
        """Whether nobody has its function any more."""
        return self.given.source not in self._floor.sources

    @property
    def running(self) -> bool:
        """Whether its host has come to it, and there is no verdict."""
        return self._began_at_us is not None and self.verdict is None

    def order(self) -> host.Call:
        """What the host is told. Raises NotPlainError when the arguments are damaged, or it cannot take such."""
        given, call = self.given, self.given.payload.call
        self._native = self._floor.sources[given.source]["kind"] == SourceKind.NATIVE
        args, kwargs = native_arguments(call) if self._native else arguments(call)
        timeout_us = given.timeout_us if given.HasField("timeout_us") else None
        names = (given.task_id, given.number, given.max_attempts or 1, call.function, given.queue)
        return host.Call(self.id, *names, timeout_us, args, kwargs)

    def begin(self) -> None:
        """The host has come to it, as far as we know."""
        self._began_at_us = self._house.clock.now_us()
        self._time.count_from(self._now_mono_us)

    def hear(self, report: Message) -> None:
        """The host says something about it."""
        if isinstance(report, host.Progress):
            self._has_progressed(report)
        elif isinstance(report, host.Ended):
            self._has_ended(report)

    def wrote(self, stream: int, data: bytes) -> None:
        """It has written this past its host."""
        if self.verdict is None:
            self._write(stream, data)

    def _has_started(self) -> None:
        """It runs on."""
        home = self._home
        assert home  # noqa: S101 - it runs
        ticks = home.up.start_ticks if home.up else 0
        self.started = Started(
            attempt_id=self.id, pid=home.pid, start_ticks=ticks, started_at_us=self._began_at_us or 0
        )
        self._say(self.started)

    def _has_progressed(self, said: host.Progress) -> None:
        self.progress = Progress(attempt_id=self.id, done=said.done, text=said.text, at_us=said.at_us)
        if said.total is not None:
            self.progress.total = said.total
        self._say(self.progress)

    def _has_ended(self, report: host.Ended) -> None:
        """It has ended, and nothing it started is left."""
        self._ended = report
        ending = self.ending if report.stopped else None
        self._end(verdicts.stopped(ending) if ending else judged(report, native=self._native), report.at_us)

    def _end(self, verdict: Verdict, at_us: int) -> None:
        self.verdict = verdict
        self._fall.cancel()
        self._house.held_back.discard(self)
        self._time.end(self._ended.mono_us if self._ended else self._now_mono_us)
        self._leave_home()
        self._house.freed(self, self._run_s())
        self.given.ClearField("payload")
        self._finish(at_us)

    def _leave_home(self) -> None:
        raise NotImplementedError

    def _ask(self) -> None:
        raise NotImplementedError

    def _kill(self) -> None:
        """It does not end: its host has to."""
        assert self._home  # noqa: S101 - it runs
        self._home.kill()

    def _descend(self, grace_s: float) -> None:
        self._fall.descend(grace_s)

    def _run_s(self) -> float | None:
        ended = self._ended
        return (ended.mono_us - ended.began_mono_us - self._time.paused_us) / SECOND_US if ended else None

    def _beginning(self) -> tuple[int | None, int | None]:
        pid = self._home.pid if self._home else None
        return pid, self._ended.began_at_us if self._ended else self._began_at_us

    def _spent(self) -> tuple[float | None, int | None, int]:
        ended = self._ended
        return (ended.cpu_s, ended.peak_bytes, ended.leftovers) if ended else super()._spent()


class SyncCall(Call):
    """A call that has its host for itself."""

    def __init__(self, given: Assignment, house: CallHouse) -> None:
        super().__init__(given, house)
        self._stand_still: StandStill | None = None

    def launch(self, runner: Any) -> None:
        """Have an idle host run it, now. Raises OSError; nothing is started then. Raises NotPlainError."""
        if not runner.give(self, self.order()):
            raise OSError("the socket of an idle host is full")
        self.move_in(runner)

    def move_in(self, home: Host) -> None:
        """The host has come to it."""
        self._home = home
        home.attempt = self
        home.slow = False
        home.began_s = self._house.loop.time()
        self.begin()

    def unbegin(self) -> None:
        """The host has not come to it after all: nothing of it has run."""
        self._time.end(self._now_mono_us)
        self._fall.cancel()
        self._fall = Fall(self._house.loop, self._ask, self._kill)
        self._home = self._began_at_us = self.ending = None

    def reveal(self) -> None:
        """It takes its time, and is alone in its host: say so, and read what it writes as it comes."""
        self._has_started()
        self.breathe()

    def orphaned(self, *, alone: bool) -> None:
        """Its host has died, and nothing of it is left."""
        home = self._home
        if self.verdict is not None or home is None:
            return
        code = home.process.returncode
        if self.ending:
            verdict = verdicts.exited(code, self.ending)
        elif home.loaded:
            verdict = verdicts.host_ended(code)
        else:
            verdict = verdicts.not_loaded(self.given.source, code)
        self._end(verdict, self._house.clock.now_us())

    def pause(self, *, on: bool) -> None:
        """Have its host stand still, with all below it, or go on."""
        if not self.running:
            if self.verdict is None:
                self._refuse_to_pause()
            return
        home = self._home
        assert home  # noqa: S101 - it runs
        if on:
            self._floor.take_back(home)
        if not self.running or home.dead:  # its host had not come to it after all, or never will again
            self._refuse_to_pause()
            return
        if self._stand_still is None:
            self._stand_still = StandStill(self._house.loop, self._house.clock, home, self.id, self._paused_now)
        self._stand_still.turn(on=on and not self.ending)

    def breathe(self) -> None:
        """Read its output, unless it has ended, as soon as there is room for it."""
        if not self._home or not self.running or self._home.attempt is not self:
            return
        if self.output.window.full:
            self._house.held_back.add(self)
            self._home.pipes.pause()
        else:
            self._house.held_back.discard(self)
            self._home.pipes.watch(self._read)

    def _read(self, stream: int, data: bytes) -> None:
        self._write(stream, data)
        if self.output.window.full and self.verdict is None and self._home:
            self._home.pipes.pause()
            self._house.held_back.add(self)

    def _paused_now(self, report: HostPaused) -> None:
        if self.verdict is None:
            self._has_paused(report)

    def _ask(self) -> None:
        """Ask it to end; between the calls before it and its own end, nobody is asked."""
        if self._alone_at_home():
            if self._stand_still:
                self._stand_still.wake()
            self._home.ask_to_end()  # type: ignore[union-attr]  # it has one

    def _kill(self) -> None:
        if self._alone_at_home():
            super()._kill()

    def _alone_at_home(self) -> bool:
        """Make sure that whatever happens to the host now happens to this call alone."""
        home = self._home
        assert home  # noqa: S101 - it runs
        self._floor.take_back(home)
        return home.holds_last(self)

    def _leave_home(self) -> None:
        home, ended = self._home, self._ended
        assert home  # noqa: S101 - it had begun
        if self._stand_still:
            self._stand_still.end()
        if home.dead or home.pipes.watched or (ended and ended.writes):
            home.pipes.drain(self._write)
        if ended and ended.writes and not ended.tired:
            home.send(host.GoOn())
        home.calls.pop(self.id, None)
