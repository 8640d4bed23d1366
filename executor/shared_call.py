"""Attempts of calls that run beside others in one host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import host_messages as host
from . import verdict as verdicts
from .calls import QUICK_S, Call, CallHouse

if TYPE_CHECKING:
    from ..proto.link_pb2 import Assignment
    from .messages import Message


class SharedCall(Call):
    """A call that runs beside others in one host."""

    shared = True

    def __init__(self, given: Assignment, house: CallHouse) -> None:
        super().__init__(given, house)
        self._look: Any = None

    def launch(self, runner: Any) -> None:
        """Have the host run it beside the others. Raises NotPlainError."""
        order = self.order()
        self._home = runner
        runner.calls[self.id] = self
        runner.send(order)
        self.begin()
        self._look = self._house.loop.call_later(QUICK_S, self._has_started)

    def hear(self, report: Message) -> None:
        """The host says something about it."""
        if isinstance(report, host.Wrote):
            self._has_written(report)
        else:
            super().hear(report)

    def orphaned(self, *, alone: bool) -> None:
        """Its host has died, and nothing is left. Whose doing it was is known of one that was alone, or to end."""
        home = self._home
        if self.verdict is not None or home is None:
            return
        if self.ending:
            verdict = verdicts.exited(home.process.returncode, self.ending)
        elif home.loaded:
            code = home.process.returncode
            verdict = verdicts.host_ended(code) if alone else verdicts.RUNNER_DIED
        else:
            verdict = verdicts.not_loaded(self.given.source, home.process.returncode)
        self._end(verdict, self._house.clock.now_us())

    def pause(self, *, on: bool) -> None:
        """It cannot stand still: others run in the same process."""
        if self.verdict is None:
            self._refuse_to_pause()

    def breathe(self) -> None:
        """Hear its host again, as soon as there is room for what it writes."""
        if self._home and not self.output.window.full:
            self._house.held_back.discard(self)
            self._home.port.resume()

    def _has_written(self, report: host.Wrote) -> None:
        if self.verdict is not None:
            return
        self._write(report.stream, _bytes(report.text))
        if self.output.window.full and self._home:
            self._house.held_back.add(self)
            self._home.port.pause()

    def _ask(self) -> None:
        assert self._home  # noqa: S101 - it runs
        self._home.send(host.Cancel(self.id))

    def _leave_home(self) -> None:
        assert self._home  # noqa: S101 - it had begun
        self._look.cancel()
        self._home.calls.pop(self.id, None)
        self._home.port.resume()


def _bytes(text: str) -> bytes:
    """What was written; of what is no character there are no bytes to be had."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace")
