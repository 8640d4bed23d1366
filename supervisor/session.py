"""One attached executor: its free places, what it is told, and what it reports."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Any, TypeVar

from ..proto import endpoint, link_pb2
from ..store import model
from . import log

M = TypeVar("M", link_pb2.ToExecutor, link_pb2.FromExecutor | None)

# With the largest single assignment behind it a batch still fits into one message.
BATCH_BYTES = endpoint.MESSAGE_LIMIT // 8


class Session:
    """The supervisor's end of an executor's stream."""

    def __init__(self, executor: str, slots: int, shared: int = 0) -> None:
        """`shared`: so many shared tasks it runs at a time, beside those in its slots."""
        self.executor = executor
        self.slots = slots
        self.shared = shared
        self.free = {False: 0, True: 0}
        """How many tasks it has asked for and not been given; at True: of those that are shared."""
        self.tasks: dict[int, str] = {}
        """Attempt id to task id, of everything this executor has been given and not finished."""
        self._shared: set[int] = set()
        self._numbers: dict[int, int] = {}
        self.closed = asyncio.Event()
        self.stored = asyncio.Event()
        """Set when the stream has ended and every report that arrived is durable."""
        self._outgoing: asyncio.Queue[link_pb2.ToExecutor] = asyncio.Queue()
        self._reports: asyncio.Queue[link_pb2.FromExecutor | None] = asyncio.Queue()
        self._recalls: dict[int, asyncio.Future[bool]] = {}
        self._pauses: dict[int, deque[tuple[bool, asyncio.Future[bool]]]] = {}

    def idle(self, *, shared: bool) -> int:
        """Slots for which it has no task, or places for shared ones; below zero where tasks wait for them."""
        return self.shared - len(self._shared) if shared else self.slots - len(self.tasks) + len(self._shared)

    def places(self, *, shared: bool) -> int:
        """How many tasks it runs at a time, those that are shared or others."""
        return self.shared if shared else self.slots

    def given(self, *, shared: bool) -> list[str]:
        """The tasks of that kind that it has been given and not finished."""
        return [task_id for attempt_id, task_id in self.tasks.items() if (attempt_id in self._shared) is shared]

    def meet(self, live: Iterable[model.LiveAttempt]) -> None:
        """Note what it held before it came."""
        for each in live:
            self._hold(each.attempt_id, each.task_id, number=each.number, shared=each.shared)

    def _hold(self, attempt_id: int, task_id: str, *, number: int, shared: bool) -> None:
        self.tasks[attempt_id] = task_id
        self._numbers[attempt_id] = number
        if shared:
            self._shared.add(attempt_id)

    def tell(self, **fields: Any) -> None:
        """Queue a message for the executor."""
        self._outgoing.put_nowait(link_pb2.ToExecutor(**fields))

    def assign(self, assignments: Iterable[link_pb2.Assignment]) -> None:
        """Hand tasks over, in as few messages as their size allows."""
        for batch in _batches(assignments):
            for each in batch:
                self._hold(each.attempt_id, each.task_id, number=each.number, shared=each.shared)
                if log.tells_steps():
                    self.step("claimed", each.attempt_id, queue=each.queue)
            self.tell(assignments=batch)

    async def next_message(self) -> link_pb2.ToExecutor:
        """Wait for the next message to send; what is waiting becomes one, as far as size allows."""
        return await _merged(self._outgoing)

    def report(self, message: link_pb2.FromExecutor) -> None:
        """Take in a report, to be stored in its turn."""
        self._reports.put_nowait(message)

    async def next_reports(self) -> link_pb2.FromExecutor | None:
        """Wait for the next reports; what is waiting becomes one, as far as size allows. None: there are no more."""
        return await _merged(self._reports)

    async def recall(self, attempt_id: int) -> bool:
        """Ask for an attempt back. The answer: whether it came back unstarted (no, when the executor is gone)."""
        if not self._holds(attempt_id):
            return False
        answer = self._recalls.get(attempt_id)
        if answer is None:
            answer = self._recalls[attempt_id] = asyncio.get_running_loop().create_future()
            self.tell(recalls=[attempt_id])
        return await asyncio.shield(answer)  # others may wait for it too

    def recalled(self, attempt_id: int, *, back: bool) -> None:
        """Answer whoever recalled an attempt."""
        answer = self._recalls.pop(attempt_id, None)
        if answer is not None and not answer.done():
            answer.set_result(back)

    async def pause(self, attempt_id: int, *, on: bool) -> bool:
        """Have an attempt stand still, or go on. The answer: whether it does now; no, when it has ended first."""
        if not self._holds(attempt_id):
            return False
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._pauses.setdefault(attempt_id, deque()).append((on, answer))
        self.tell(pauses=[link_pb2.Pause(attempt_id=attempt_id, on=on)])
        return await answer

    def paused(self, attempt_id: int, *, on: bool) -> None:
        """Answer whoever asked first; the executor answers in the order in which it was asked."""
        waiting = self._pauses.get(attempt_id)
        if waiting:
            asked, answer = waiting.popleft()
            if not answer.done():  # whoever asked may have given up
                answer.set_result(asked is on)

    def _holds(self, attempt_id: int) -> bool:
        """Whether the executor is there and has this attempt; nothing else that is asked is ever answered."""
        return attempt_id in self.tasks and not self.closed.is_set()

    def tap(self, task_id: str, *, on: bool) -> None:
        """Tell the executor, where it has this task, that somebody wants every byte of it, or nobody any more."""
        taps = [link_pb2.Tap(attempt_id=attempt, on=on) for attempt, task in self.tasks.items() if task == task_id]
        if taps:
            self.tell(taps=taps)

    def step(self, event: str, attempt_id: int, **values: Any) -> None:
        """Log a step of an attempt's way."""
        if log.tells_steps():
            known = {"task": self.tasks.get(attempt_id), "attempt": self.number(attempt_id)}
            log.step(event, **known, executor=self.executor, **values)

    def number(self, attempt_id: int) -> int | None:
        """Which attempt of its task it is; None when this executor does not have it."""
        return self._numbers.get(attempt_id)

    def forget(self, attempt_id: int) -> None:
        """Note that the executor has nothing more to do with an attempt."""
        self.tasks.pop(attempt_id, None)
        self._numbers.pop(attempt_id, None)
        self._shared.discard(attempt_id)
        self._give_up(attempt_id)

    def returned(self, attempt_id: int) -> None:
        """Note that an attempt came back unstarted."""
        self.recalled(attempt_id, back=True)
        self.forget(attempt_id)

    def close(self) -> None:
        """Note that the stream has ended. Harmless when repeated."""
        self.free = {False: 0, True: 0}
        self.closed.set()
        self._reports.put_nowait(None)
        for attempt_id in {*self._recalls, *self._pauses}:
            self._give_up(attempt_id)

    def _give_up(self, attempt_id: int) -> None:
        """Nothing that was asked of this attempt will be answered any more."""
        self.recalled(attempt_id, back=False)
        for _, answer in self._pauses.pop(attempt_id, ()):
            if not answer.done():
                answer.set_result(False)


async def _merged(queue: asyncio.Queue[M]) -> M:
    message = await queue.get()
    if message is None:
        return None
    size = message.ByteSize()
    while size <= BATCH_BYTES and not queue.empty():
        following = queue.get_nowait()
        if following is None:
            queue.put_nowait(None)
            break
        size += following.ByteSize()
        if isinstance(following, link_pb2.ToExecutor) and following.HasField("sources"):
            message.ClearField("sources")  # merging would join both; only the last counts
        message.MergeFrom(following)
    return message


def _batches(assignments: Iterable[link_pb2.Assignment]) -> Iterable[list[link_pb2.Assignment]]:
    batch: list[link_pb2.Assignment] = []
    size = 0
    for assignment in assignments:
        length = assignment.ByteSize()
        if batch and size + length > BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(assignment)
        size += length
    if batch:
        yield batch
