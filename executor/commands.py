"""An attempt of a task that is a command: a program started by a runner, with two pipes of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..proto.clock import SECOND_US
from ..proto.link_pb2 import Assignment, Started
from . import verdict as verdicts
from .attempts import Attempt, House
from .capture import Capture
from .kinds import Kind
from .messages import Exited, Pause, Refused, Stopping
from .messages import Paused as RunnerPaused
from .messages import Started as RunnerStarted
from .order import mark, run_order, stdin_file
from .stop import Ladder

if TYPE_CHECKING:
    from .messages import Message
    from .runners import Runner
    from .verdict import Verdict

START_LIMIT_US = 10 * SECOND_US
"""What a start takes beyond this counts as run time: a program on a dead network drive must not escape its limit."""


class Command(Attempt):
    """One attempt at a command."""

    def __init__(self, given: Assignment, house: House) -> None:
        super().__init__(given, house)
        self._capture: Capture | None = None
        self._runner: Runner | None = None
        self._ladder: Ladder | None = None
        self._exited: Exited | None = None

    @property
    def kind(self) -> Kind:
        """Which runners it may have."""
        return Kind(self.given.profile, uid=self.uid)

    @property
    def running(self) -> bool:
        """Whether it has a runner and no verdict."""
        return self._ladder is not None and self.verdict is None

    @property
    def marks(self) -> list[bytes]:
        """By which its processes are known."""
        return mark(self.given, self._house.boot)

    def launch(self, runner: Runner) -> None:
        """Start it on an idle runner. Raises OSError when descriptors or memory run out; nothing is started then."""
        house = self._house
        order = run_order(self.given, house.boot)
        self._capture = Capture(house.loop, self._read, self.uid)
        try:
            stdin = [stdin_file(self.given.payload.stdin)] if order.stdin else []
            runner.send(order, [*stdin, *self._capture.take_writers()])
        except OSError:
            self._capture.close()
            raise
        runner.attempt = self
        self._runner = runner
        self._ladder = Ladder(house.loop, runner, self.id)
        self.given.ClearField("payload")
        self._time.count_from(self._now_mono_us + START_LIMIT_US)

    def hear(self, report: Message) -> None:
        """The runner says something about it."""
        if isinstance(report, RunnerStarted):
            self._has_started(report)
        elif isinstance(report, Stopping):
            self._steps.answered()
        elif isinstance(report, RunnerPaused):
            self._has_paused(report)
        elif isinstance(report, Refused):
            self._end(verdicts.refused(report.reason, report.message, report.exit_code), report.at_us)
        elif isinstance(report, Exited):
            self._has_exited(report)

    def orphaned(self, *, alone: bool) -> None:
        """Its runner has died, and nothing of it is left."""
        if self.verdict is None:
            lost = verdicts.stopped(self.ending) if self.ending else verdicts.RUNNER_DIED
            self._end(lost, self._house.clock.now_us())

    def pause(self, *, on: bool) -> None:
        """Have it stand still, or go on. One that waits for its start does not stand still; one that ends, ends."""
        if self._runner and self.running:
            self._runner.send(Pause(self.id, on))
        elif self.verdict is None:
            self._refuse_to_pause()

    def breathe(self) -> None:
        """Read its output, unless it has ended, as soon as there is room for it."""
        if not self._capture or not self.running:
            return
        if self.output.window.full:
            self._house.held_back.add(self)
        else:
            self._house.held_back.discard(self)
            self._capture.resume()

    @property
    def _steps(self) -> Ladder:
        assert self._ladder, self.id  # noqa: S101 - whoever has a runner has one
        return self._ladder

    def _descend(self, grace_s: float) -> None:
        self._steps.descend(grace_s)

    def _has_started(self, report: RunnerStarted) -> None:
        """It runs on: its output is read from now on. That of a quick one is read at its end, once."""
        self.started = Started(
            attempt_id=self.id, pid=report.pid, start_ticks=report.start_ticks, started_at_us=report.at_us
        )
        self._time.count_from(report.mono_us)
        self._say(self.started)
        self.breathe()

    def _has_exited(self, report: Exited) -> None:
        self._exited = report
        ending = self.ending if report.stopped else None
        self._end(verdicts.exited(report.returncode, ending), report.at_us)

    def _end(self, verdict: Verdict, at_us: int) -> None:
        """The verdict is there and nothing of it runs: read the rest of its output, then say so."""
        self.verdict = verdict
        self._steps.cancel()
        self._house.held_back.discard(self)
        self._house.freed(self, self._run_s())
        assert self._capture, self.id  # noqa: S101
        self._capture.drain(lambda: self._finish(at_us))

    def _run_s(self) -> float | None:
        """How long it ran; its time limit is over in any case."""
        exited = self._exited
        self._time.end(exited.mono_us if exited else self._now_mono_us)
        return (exited.mono_us - exited.began_mono_us - self._time.paused_us) / SECOND_US if exited else None

    def _beginning(self) -> tuple[int | None, int | None]:
        return (self._exited.pid, self._exited.began_at_us) if self._exited else super()._beginning()

    def _spent(self) -> tuple[float | None, int | None, int]:
        exited = self._exited
        return (exited.cpu_s, exited.peak_bytes, exited.leftovers) if exited else super()._spent()

    def _read(self, stream: int, data: bytes) -> None:
        self._write(stream, data)
        if self.output.window.full and self._capture:
            self._capture.pause()
            self._house.held_back.add(self)
