"""Ctrl-C while following tasks: the first asks them to stop, the second kills them, the third leaves them alone.

One that comes while they are being submitted is meant for them too: ending at once would leave behind tasks that
nobody was told of.

A signal's handler runs in the main thread between two instructions of gRPC, whose locks it may hold; so the handler
only notes the signal, and a thread makes the calls.
"""

from __future__ import annotations

import queue
import signal
import threading
from typing import TYPE_CHECKING, Any, Self

from ..proto.errors import Refusal, RefusalReason
from . import console

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..client.connection import Connection

SIGNALS = (signal.SIGINT, signal.SIGTERM)
LEAVE_AT = 3
LEAVE_UNANSWERED_AT = 2
LAST_WORD_S = 1.0
"""So long the word about what was asked for may take after the tasks have ended."""
CALLS_AT_ONCE = 16
"""The store commits what comes together in one go."""
_ENDED = (RefusalReason.WRONG_STATE, RefusalReason.NO_SUCH_TASK)
"""There is nothing left to stop."""


class Stopper:
    """A context in which SIGINT and SIGTERM are meant for the tasks that are followed."""

    def __init__(self, client: Connection) -> None:
        self._client = client
        self._left: dict[str, None] = {}
        self._told: dict[str, int] = {}
        self._known = False
        self._count = 0
        self._asked: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._before: dict[signal.Signals, Any] = {}
        self._thread = threading.Thread(target=self._serve, name="stopper", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, problem: type[BaseException] | None, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._asked.put(0)
        if problem is None and self._count:
            self._thread.join(LAST_WORD_S)
        if problem is KeyboardInterrupt and not self._known:
            console.say("left without an answer; the task may have been submitted: tsched list shows it")

    @property
    def asked(self) -> bool:
        """Whether the user has asked for an end."""
        return self._count > 0

    @property
    def what(self) -> str:
        """What is followed, in words."""
        return _name(list(self._left))

    def end(self, why: str) -> None:
        """Ask what is followed to stop for a reason of our own, and say so."""
        if self._left:
            what = self.what
            self._cancel(list(self._left), 1, hard=False)
            console.say(f"asked {what} to stop: {why}")

    def follow(self, *ids: str) -> None:
        """Name tasks that signals are meant for, those that came already too."""
        self._left.update(dict.fromkeys(ids))
        self._known = True
        if self._count:
            self._asked.put(self._count)

    def ended(self, id: str) -> None:  # noqa: A002 - the word of the contract
        """A task that needs no stopping any more."""
        self._left.pop(id, None)

    def _note(self, _number: int, _frame: object) -> None:
        self._count += 1
        if self._count >= (LEAVE_AT if self._known else LEAVE_UNANSWERED_AT):
            raise KeyboardInterrupt
        self._asked.put(self._count)

    def _serve(self) -> None:
        while count := self._asked.get():
            if self._known:
                self._stop(count)
            elif self._count < LEAVE_UNANSWERED_AT:
                console.say("waiting to hear whether the task was submitted; once more leaves")

    def _stop(self, count: int) -> None:
        """Stop those that were not told so often yet."""
        ids, hard = [each for each in list(self._left) if self._told.get(each, 0) < count], count > 1
        if not ids:
            return
        self._told.update(dict.fromkeys(ids, count))
        if len(ids) > 1 and not hard:
            console.say(f"asking {_name(ids)} to stop; once more kills them")
        refused = self._cancel(ids, count, hard=hard)
        if refused:
            console.say(f"could not stop {_name(ids)}: {refused[0].message}; once more leaves {_them(ids)}")
        elif len(ids) == 1 and not hard:
            console.say(f"asked {_name(ids)} to stop; once more kills it")

    def _cancel(self, ids: Sequence[str], count: int, *, hard: bool) -> list[Refusal]:
        """Cancel the newest first, so that none of them gets the place of one that has just ended; what was refused.

        Given up as soon as the user asks for more.
        """
        from concurrent.futures import ThreadPoolExecutor

        refused: list[Refusal] = []

        def cancel(id: str) -> None:  # noqa: A002 - the word of the contract
            if self._count > count:
                return
            try:
                self._client.cancel(id, grace_us=0 if hard else None)
            except Refusal as refusal:
                if refusal.reason not in _ENDED:
                    refused.append(refusal)

        with ThreadPoolExecutor(min(CALLS_AT_ONCE, len(ids) or 1)) as pool:
            list(pool.map(cancel, reversed(ids)))
        return refused


def _name(ids: Sequence[str]) -> str:
    return f"task {ids[0]}" if len(ids) == 1 else f"{len(ids)} tasks"


def _them(ids: Sequence[str]) -> str:
    return "it" if len(ids) == 1 else "them"
