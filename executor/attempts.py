"""One attempt's life here, from its arrival to the acknowledgement of its end.

    waiting --launch--> running --runner says how it ended--> draining --output read--> finished --acknowledged--> -
                        running --runner dies--> being swept --everything gone--> draining
    waiting --conclude--> finished

While it runs it may stand still, more than once; its time limit waits then. It ends with the first verdict. `stop` only
asks: a result that was there before wins. What is run is known to the subclasses (commands.py, calls.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ..proto.clock import SECOND_US
from ..proto.link_pb2 import Assignment, Chunk, Finished, Paused, Progress, Started
from ..proto.values import AttemptState, EndReason, Stream
from .output import Output
from .runtime import RunTime
from .verdict import Ending, Verdict

if TYPE_CHECKING:
    import asyncio

    from ..proto.clock import Clock
    from ..proto.sealing import Sealer
    from .arrears import Arrears
    from .boot import Boot
    from .kinds import Kind
    from .messages import Message
    from .messages import Paused as RunnerPaused
    from .outbox import Outbox
    from .runners import Runner
    from .window import Budget


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
    arrears: Arrears

    def wrote(self, attempt: Attempt) -> None:
        """There is output to be flushed with the next message."""

    def freed(self, attempt: Attempt, run_s: float | None) -> None:
        """Its runner and its slot are free."""

    def dropped(self, attempt: Attempt) -> None:
        """Nobody wants to hear of it any more, and it has ended."""


class Attempt:
    """One attempt at something."""

    shared = False
    """Whether it runs beside others in one runner, and takes no slot."""

    def __init__(self, given: Assignment, house: House) -> None:
        self.id = given.attempt_id
        self.given = given
        self.silent = False
        self.ending: Ending | None = None
        self.verdict: Verdict | None = None
        self.started: Started | None = None
        self.paused: Paused | None = None
        self.progress: Progress | None = None
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
        self._time = RunTime(house.loop, given.timeout_us if given.HasField("timeout_us") else None, self._time_out)

    @property
    def kind(self) -> Kind:
        """Which runners it may have."""
        raise NotImplementedError

    @property
    def uid(self) -> int | None:
        """As whom it is run; None: as the one who runs the service."""
        return self.given.uid if self.given.HasField("uid") else None

    @property
    def running(self) -> bool:
        """Whether it has a runner and no verdict."""
        raise NotImplementedError

    @property
    def marks(self) -> list[bytes]:
        """Environment entries by which its own processes are known, where there are such."""
        return []

    def launch(self, runner: Runner) -> None:
        """Start it on a runner that is free for it. Raises OSError; nothing is started then."""
        raise NotImplementedError

    def hear(self, report: Message) -> None:
        """The runner says something about it."""
        raise NotImplementedError

    def orphaned(self, *, alone: bool) -> None:
        """Its runner has died, and nothing of it is left. `alone`: no other attempt ran there."""
        raise NotImplementedError

    def pause(self, *, on: bool) -> None:
        """Have it stand still, or go on."""
        raise NotImplementedError

    def breathe(self) -> None:
        """Read its output, unless it has ended, as soon as there is room for it."""
        raise NotImplementedError

    def _descend(self, grace_s: float) -> None:
        """End what runs within the grace."""
        raise NotImplementedError

    @property
    def unreported(self) -> list[Started | Chunk | Paused | Progress | Finished]:
        """All that is not acknowledged, in its order."""
        window = self.output.window
        finished = None if window.waiting else self.finished
        reports = [self.started, *window.chunks, self.paused, self.progress, finished]
        return [report for report in reports if report is not None]

    def stop(self, ending: Ending, grace_us: int) -> None:
        """End it like this, within the grace, unless it has ended already."""
        if self.running:
            self.ending = self.ending or ending
            self._descend(grace_us / SECOND_US)

    def forget(self, grace_us: int) -> None:
        """End it within the grace, and say nothing of it any more."""
        self.silent = True
        self.output.window.clear()
        self.stop(Ending(AttemptState.CANCELLED, EndReason.CANCELLED), grace_us)

    def conclude(self, verdict: Verdict) -> None:
        """It ends without having been launched."""
        self.verdict = verdict
        self._finish(self._house.clock.now_us())

    def _refuse_to_pause(self) -> None:
        """Answer that it does not stand still."""
        self._say(Paused(attempt_id=self.id, on=False, at_us=self._house.clock.now_us(), answer=True))

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

    @property
    def _now_mono_us(self) -> int:
        return self._house.clock.mono_us()

    def _finish(self, at_us: int) -> None:
        self.output.finish()
        self.finished = self._report(at_us)
        if not self.output.window.waiting:
            self._say(self.finished)
        if self.silent:
            self._house.dropped(self)

    def catch_up(self) -> int:
        """Send the next of what waits in the spool, if there is room, and the end behind the last; how many bytes."""
        window = self.output.window
        lost_bytes = window.lost_bytes
        chunk = window.next()
        if chunk:
            self._house.outbox.put(chunk)
        if lost_bytes != window.lost_bytes:
            self._has_lost(window.lost_bytes - lost_bytes)
        if not window.waiting:
            self._caught_up()
        return chunk.length if chunk else 0

    def _has_lost(self, lost_bytes: int) -> None:
        """What came back from the spool was not what went there."""
        self._house.outbox.log("error", "output_damaged", task=self.given.task_id, lost_bytes=str(lost_bytes))
        if self.finished:
            self.finished.dropped_bytes = self.output.dropped_bytes
            self.finished.message = self._message()

    def _caught_up(self) -> None:
        """Nothing waits any more: its end may be told, or its output read."""
        if self.finished:
            self._say(self.finished)
        else:
            self.breathe()

    def _report(self, at_us: int) -> Finished:
        verdict = self.verdict
        assert verdict, self.id  # noqa: S101
        pid, began_at_us = self._beginning()
        cpu_s, peak_bytes, leftovers = self._spent()
        return Finished(
            attempt_id=self.id,
            state=verdict.state,
            exit_code=verdict.exit_code,
            signal=verdict.signal,
            reason=verdict.reason,
            message=self._message(),
            started_at_us=began_at_us,
            finished_at_us=at_us,
            cpu_s=cpu_s,
            peak_bytes=peak_bytes,
            stdout_bytes=self.output.lengths[Stream.OUT],
            stderr_bytes=self.output.lengths[Stream.ERR],
            dropped_bytes=self.output.dropped_bytes,
            leftovers=leftovers,
            pid=pid,
            paused_us=self._time.paused_us,
            result=verdict.result,
            again_in_us=verdict.again_in_us,
            snoozed=verdict.snoozed,
        )

    def _message(self) -> str:
        """What is said of its end, and of output that was lost here."""
        assert self.verdict, self.id  # noqa: S101
        lost_bytes = self.output.window.lost_bytes
        lost = f"{lost_bytes} bytes of its output were damaged while no supervisor was there" if lost_bytes else ""
        return "; ".join(filter(None, [self.verdict.message, lost]))

    def _beginning(self) -> tuple[int | None, int | None]:
        """Its pid, and since when it ran; of a quick one, and of one whose runner died, only one report tells."""
        return (self.started.pid, self.started.started_at_us) if self.started else (None, None)

    def _spent(self) -> tuple[float | None, int | None, int]:
        """Its processor time, its peak of memory, and how many processes it left behind; as far as is known."""
        return None, None, 0

    def _write(self, stream: int, data: bytes) -> None:
        self.output.write(stream, data)
        self._house.wrote(self)

    def _emit(self, chunk: Chunk) -> None:
        if self.silent:
            self.output.window.clear()
        elif self.output.window.waiting:
            self._house.arrears.note(self)
        else:
            self._house.outbox.put(chunk)

    def _say(self, report: Started | Paused | Progress | Finished) -> None:
        if not self.silent:
            self._house.outbox.put(report)
