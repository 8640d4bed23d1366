"""Ctrl-C while following a task: the first asks it to stop, the second kills it, the third leaves it alone.

One that comes while the task is being submitted is meant for it too: ending at once would leave behind a task that
nobody was told of.

A signal's handler runs in the main thread between two instructions of gRPC, whose locks it may hold; so the handler
only notes the signal, and a thread makes the calls.
"""

from __future__ import annotations

import queue
import signal
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from ..proto.errors import Refusal, RefusalReason
from . import console

if TYPE_CHECKING:
    from ..client.client import Client

SIGNALS = (signal.SIGINT, signal.SIGTERM)
LEAVE_AT = 3
LEAVE_UNANSWERED_AT = 2


class Stopper:
    """A context in which SIGINT and SIGTERM are meant for the task that is followed."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.id = ""
        self._count = 0
        self._asked: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, name="stopper", daemon=True).start()
        self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, problem: type[BaseException] | None, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._asked.put(0)
        if problem is KeyboardInterrupt and not self.id:
            console.say("left without an answer; the task may have been submitted: tsched list shows it")

    def end(self, why: str) -> None:
        """Ask the task to stop for a reason of our own, and say so."""
        if self.id:
            with suppress(Refusal):
                self._client.cancel(self.id)
                console.say(f"asked task {self.id} to stop: {why}")

    def follow(self, id: str) -> None:  # noqa: A002 - the word of the contract
        """Name the task that signals are meant for, those that came already too."""
        self.id = id
        if self._count:
            self._asked.put(self._count)

    def _note(self, _number: int, _frame: object) -> None:
        self._count += 1
        if self._count >= (LEAVE_AT if self.id else LEAVE_UNANSWERED_AT):
            raise KeyboardInterrupt
        self._asked.put(self._count)

    def _serve(self) -> None:
        done = 0
        while count := self._asked.get():
            if self.id and count > done:
                done = count
                self._try_to_stop(hard=count > 1)
            elif not self.id and self._count < LEAVE_UNANSWERED_AT:
                console.say("waiting to hear whether the task was submitted; once more leaves")

    def _try_to_stop(self, *, hard: bool) -> None:
        try:
            self._stop(hard=hard)
        except Refusal as refusal:
            if refusal.reason is not RefusalReason.WRONG_STATE:  # it has just ended
                console.say(f"could not stop task {self.id}: {refusal.message}; once more leaves it")

    def _stop(self, *, hard: bool) -> None:
        self._client.cancel(self.id, grace_us=0 if hard else None)
        if not hard:
            console.say(f"asked task {self.id} to stop; once more kills it")
