"""Final results at hand, so that asking again for one costs no look into the store. Bounded by entries and bytes.

What is remembered may be deleted, and its id given again. Whoever deletes does so within `gone`: meanwhile nothing is
told of it, and what was looked up before it is not remembered after.
"""

from __future__ import annotations

import sys
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from ..proto.values import TaskState

ENTRIES_LIMIT = 10_000
BYTES_LIMIT = 16 << 20
ENTRY_LIMIT = 1 << 20
"""What is larger is read from the store each time: it would push out many others."""


class FinalAnswer(NamedTuple):
    """How a task ended, its result or why there is none, as text, and whose it is."""

    state: TaskState
    text: str
    owner: str
    """By name; see callers.sees."""


class FinalAnswers:
    """The answers that were asked for last."""

    def __init__(self, entries: int = ENTRIES_LIMIT, size: int = BYTES_LIMIT) -> None:
        self._entries_limit = entries
        self._bytes_limit = size
        self._kept: OrderedDict[str, FinalAnswer] = OrderedDict()
        self._bytes = 0
        self._going: Counter[str | None] = Counter()
        self._deletions = 0

    def find(self, task_id: str) -> FinalAnswer | None:
        """The answer, if it is at hand."""
        if self._is_going(task_id):
            return None
        found = self._kept.get(task_id)
        if found is not None:
            self._kept.move_to_end(task_id)
        return found

    def mark(self) -> int:
        """Now, as `keep` wants to know it: taken before the store is asked."""
        return self._deletions

    def keep(self, task_id: str, answer: FinalAnswer, mark: int) -> None:
        """Remember what the store said, unless anything was deleted since."""
        size = _size(task_id, answer)
        if mark != self._deletions or self._is_going(task_id) or size > ENTRY_LIMIT:
            return
        self._forget(task_id)
        self._kept[task_id] = answer
        self._bytes += size
        while len(self._kept) > self._entries_limit or self._bytes > self._bytes_limit:
            self._forget(next(iter(self._kept)))

    @contextmanager
    def gone(self, task_id: str | None = None) -> Iterator[None]:
        """Within the block this task is deleted; without one, any."""
        self._going[task_id] += 1
        self._drop(task_id)
        try:
            yield
        finally:
            self._going -= Counter({task_id: 1})
            self._deletions += 1

    def _is_going(self, task_id: str) -> bool:
        return bool(self._going) and (task_id in self._going or None in self._going)

    def _drop(self, task_id: str | None) -> None:
        if task_id is not None:
            self._forget(task_id)
        else:
            self._kept.clear()
            self._bytes = 0

    def _forget(self, task_id: str) -> None:
        former = self._kept.pop(task_id, None)
        if former is not None:
            self._bytes -= _size(task_id, former)


def _size(task_id: str, answer: FinalAnswer) -> int:
    return sys.getsizeof(task_id) + sys.getsizeof(answer.text)
