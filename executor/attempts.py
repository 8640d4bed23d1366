"""One attempt's life here, from its arrival to the acknowledgement of its end.

    waiting --launch--> running --runner says Exited or Refused--> draining --pipes read--> finished --acknowledged--> -
                        running --runner dies--> being swept --everything gone--> draining
    waiting --conclude--> finished

While it runs it may stand still, more than once; its time limit waits then. It ends with the first verdict. `stop` only
asks: a result that was there before wins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ..proto.clock import SECOND_US
from ..proto.link_pb2 import Assignment, Chunk, Finished, Paused, Started
from ..proto.values import AttemptState, EndReason, Stream
from . import verdict as verdicts
from .capture import Capture
from .messages import Exited, Pause, Refused, Stopping
from .messages import Paused as RunnerPaused
from .messages import Started as RunnerStarted
from .order import run_order, stdin_file
from .output import Output
from .runtime import RunTime
from .stop import Ladder
from .verdict import Ending, Verdict

if TYPE_CHECKING:
    import asyncio

    from ..proto.clock import Clock
    from ..proto.sealing import Sealer
    from .boot import Boot
    from .messages import Message
    from .outbox import Outbox
    from .runners import Runner
    from .window import Budget

START_LIMIT_US = 10 * SECOND_US
"""What a start takes beyond this counts as run time: a program on a dead network drive must not escape its limit."""


class House(Protocol):
    """Where attempts live."""

    loop: asyncio.AbstractEventLoop
    clock: Clock
    boot: Boot
    sealer: Sealer
    budget: Budget
    outbox: Outbox
    held_back: set[Attempt]
    """Those that write faster than their output is stored."""

    def wrote(self, attempt: Attempt) -> None:
        """There is output to be flushed with the next message."""

    def freed(self, attempt: Attempt, run_s: float | None) -> None:
        """Its runner and its slot are free."""

    def dropped(self, attempt: Attempt) -> None:
        """Nobody wants to hear of it any more, and it has ended."""


class Attempt:
    """One attempt."""

    def __init__(self, given: Assignment, house: House) -> None:
        self.id = given.attempt_id
        self.given = given
        self.silent = False
        self.ending: Ending | None = None
        self.verdict: Verdict | None = None
        self.started: Started | None = None
        self.paused: Paused | None = None
        self.finished: Finished | None = None
        self.output = Output(
            self.id,
            cap_bytes=given.output_cap_bytes,
            tapped=given.tapped,
            sealer=house.sealer,
            budget=house.budget,
            emit=self._emit,
        )
        self._house = house
        self._capture: Capture | None = None
        self._runner: Runner | None = None
        self._ladder: Ladder | None = None
        self._time = RunTime(house.loop, given.timeout_us if given.HasField("timeout_us") else None, self._time_out)
        self._exited: Exited | None = None

    @property
    def running(self) -> bool:
        """Whether it has a runner and no verdict."""
        return self._ladder is not None and self.verdict is None

    @property
    def unreported(self) -> list[Started | Chunk | Paused | Finished]:
        """All that is not acknowledged, in its order."""
        reports = [self.started, *self.output.window.chunks, self.paused, self.finished]
        return [report for report in reports if report is not None]

    def launch(self, runner: Runner) -> None:
        """Start it on an idle runner. Raises OSError when descriptors or memory run out; nothing is started then."""
        house = self._house
        order = run_order(self.given, house.boot)
        self._capture = Capture(house.loop, self._read)
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

    def orphaned(self) -> None:
        """Its runner has died, and nothing of it is left."""
        if self.verdict is None:
            lost = verdicts.stopped(self.ending) if self.ending else verdicts.RUNNER_DIED
            self._end(lost, self._house.clock.now_us())

    def stop(self, ending: Ending, grace_us: int) -> None:
        """End it like this, within the grace, unless it has ended already."""
        if self.running:
            self.ending = self.ending or ending
            self._steps.descend(grace_us / SECOND_US)

    def pause(self, *, on: bool) -> None:
        """Have it stand still, or go on. One that waits for its start does not stand still; one that ends, ends."""
        if self._runner and self.running:
            self._runner.send(Pause(self.id, on))
        elif self.verdict is None:
            self._say(Paused(attempt_id=self.id, on=False, at_us=self._house.clock.now_us(), answer=True))

    def forget(self, grace_us: int) -> None:
        """End it within the grace, and say nothing of it any more."""
        self.silent = True
        self.output.window.clear()
        self.stop(Ending(AttemptState.CANCELLED, EndReason.CANCELLED), grace_us)

    def conclude(self, verdict: Verdict) -> None:
        """It ends without having been launched."""
        self.verdict = verdict
        self._finish(self._house.clock.now_us())

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

    def _has_started(self, report: RunnerStarted) -> None:
        """It runs on: its output is read from now on. That of a quick one is read at its end, once."""
        self.started = Started(
            attempt_id=self.id, pid=report.pid, start_ticks=report.start_ticks, started_at_us=report.at_us
        )
        self._time.count_from(report.mono_us)
        self._say(self.started)
        self.breathe()

    def _has_paused(self, report: RunnerPaused) -> None:
        """It stands still, or runs: since now, or as before."""
        (self._time.pause if report.on else self._time.go_on)(report.mono_us)
        self.paused = Paused(attempt_id=self.id, on=report.on, at_us=report.at_us, paused_us=self._time.paused_us)
        said = Paused(answer=report.answer)
        said.MergeFrom(self.paused)
        self._say(said)

    def _time_out(self) -> None:
        text = f"ran longer than {self.given.timeout_us / SECOND_US:g} s"
        self.stop(Ending(AttemptState.TIMED_OUT, EndReason.TIMEOUT, text), self.given.grace_us)

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

    @property
    def _now_mono_us(self) -> int:
        return self._house.clock.mono_us()

    def _finish(self, at_us: int) -> None:
        self.output.finish()
        self.finished = self._report(at_us)
        self._say(self.finished)
        if self.silent:
            self._house.dropped(self)

    def _report(self, at_us: int) -> Finished:
        verdict, exited = self.verdict, self._exited
        assert verdict, self.id  # noqa: S101
        pid, began_at_us = self._beginning()
        return Finished(
            attempt_id=self.id,
            state=verdict.state,
            exit_code=verdict.exit_code,
            signal=verdict.signal,
            reason=verdict.reason,
            message=verdict.message,
            started_at_us=began_at_us,
            finished_at_us=at_us,
            cpu_s=exited.cpu_s if exited else None,
            peak_bytes=exited.peak_bytes if exited else None,
            stdout_bytes=self.output.lengths[Stream.OUT],
            stderr_bytes=self.output.lengths[Stream.ERR],
            dropped_bytes=self.output.dropped_bytes,
            leftovers=exited.leftovers if exited else 0,
            pid=pid,
            paused_us=self._time.paused_us,
        )

    def _beginning(self) -> tuple[int | None, int | None]:
        """Its pid, and since when it ran; of a quick one, and of one whose runner died, only one report tells."""
        if self._exited:
            return self._exited.pid, self._exited.began_at_us
        return (self.started.pid, self.started.started_at_us) if self.started else (None, None)

    def _read(self, stream: int, data: bytes) -> None:
        self.output.write(stream, data)
        self._house.wrote(self)
        if self.output.window.full and self._capture:
            self._capture.pause()
            self._house.held_back.add(self)

    def _emit(self, chunk: Chunk) -> None:
        if self.silent:
            self.output.window.clear()
        else:
            self._house.outbox.put(chunk)

    def _say(self, report: Started | Paused | Finished) -> None:
        if not self.silent:
            self._house.outbox.put(report)
