"""Progress on its way from a sync function to the executor: the newest at most every quarter of a second.

What comes too soon is kept, and sent when it is time, by a thread that is there only once it was needed, or at the end.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from ..proto.clock import SECOND_US, SystemClock
from .host_messages import Progress

if TYPE_CHECKING:
    from collections.abc import Callable

EVERY_S = 0.25
TEXT_CHARACTERS = 200
CLOCK = SystemClock()


def progress_of(attempt_id: int, done: float, total: float | None, text: str) -> Progress:
    """What is told of it."""
    sayable = str(text)[:TEXT_CHARACTERS].encode(errors="replace").decode()
    return Progress(attempt_id, float(done), None if total is None else float(total), sayable, CLOCK.now_us())


class Throttle:
    """The progress of the call that runs."""

    def __init__(self, send: Callable[[Progress], None]) -> None:
        self._send = send
        self._attempt_id = 0
        self._newest: Progress | None = None
        self._sent_mono_us = 0
        self._held = threading.Condition()
        self._thread: threading.Thread | None = None

    def begin(self, attempt_id: int) -> None:
        """This call begins."""
        self._attempt_id = attempt_id
        self._sent_mono_us = 0

    def report(self, done: float, total: float | None, text: str) -> None:
        """The function says this."""
        with self._held:
            self._newest = progress_of(self._attempt_id, done, total, text)
            if self._wait_s() <= 0:
                self._pass_on()
            else:
                self._have_it_sent()

    def rest(self) -> list[Progress]:
        """The call has ended: what was not sent yet."""
        if self._newest is None:
            return []
        with self._held:
            rest, self._newest = self._newest, None
            return [rest] if rest else []

    def _wait_s(self) -> float:
        return EVERY_S - (CLOCK.mono_us() - self._sent_mono_us) / SECOND_US

    def _pass_on(self) -> None:
        newest, self._newest = self._newest, None
        if newest and newest.attempt_id == self._attempt_id:
            self._sent_mono_us = CLOCK.mono_us()
            self._send(newest)

    def _have_it_sent(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="tsched-progress", daemon=True)
            self._thread.start()
        self._held.notify()

    def _serve(self) -> None:
        with self._held:
            while True:
                self._held.wait_for(lambda: self._newest)
                self._held.wait(max(0.0, self._wait_s()))
                if self._wait_s() <= 0:
                    self._pass_on()
