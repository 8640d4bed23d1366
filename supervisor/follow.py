"""A task's output for a reader: from the store at the reader's own pace, live until the end.

Chunks are numbered over both streams; offsets count per stream, so a reader knows what it has
seen and what was not kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from functools import partial

from ..proto import api_pb2, link_pb2
from ..proto.values import AttemptState, Stream, TaskState
from ..store import model, tasks
from ..store.data_keys import Opener
from .behalf import Behalf
from .news import Bell, News
from .output_keys import OutputKeys
from .shelf import Rows, Shelf, opened
from .taps import Tap


class Reader:
    """Reads one attempt's output in order."""

    def __init__(
        self, shelf: Shelf, keys: OutputKeys, attempt_id: int, *, number: int = 0, lenient: bool = False
    ) -> None:
        """Begin behind chunk `number`; `lenient`: what lies before the first chunk read is no gap."""
        self._shelf = shelf
        self._keys = keys
        self._opener: Opener | None = None
        self.attempt_id = attempt_id
        self._number = number
        self._lenient = lenient
        self._seen: dict[int, int] = {}
        self._in_hand: Rows | None = None
        """Held until the next are asked for, so that others who read the same find them."""
        shelf.enter(self)

    async def stored(self) -> AsyncIterator[api_pb2.Output]:
        """Read what is kept behind what was read, until there is no more."""
        while rows := await self.rows():
            for row in rows:
                for piece in self.take(row):
                    yield piece

    async def rows(self) -> list[model.ChunkRow]:
        """What is kept behind what was taken, some of it."""
        self._in_hand = None
        self._in_hand = await self._shelf.rows(self.attempt_id, self._number)
        return self._in_hand

    async def passing(self) -> None:
        """Be ready for what is not kept, too."""
        if self._opener is None:
            self._opener = await self._keys.opener(self.attempt_id)

    def take(self, chunk: model.ChunkRow | link_pb2.Chunk) -> Iterator[api_pb2.Output]:
        """Take the next chunk: what in it is new, in pieces. All of them are to be taken. Raises STORE_CORRUPT."""
        data = chunk.data
        if chunk.sealed:  # it passes by; what is kept was opened for all who read it
            assert self._opener is not None  # noqa: S101 - `passing` was called
            data = opened(chunk, self._opener)
        self._number = max(self._number, chunk.number)
        return self._pieces(chunk.stream, chunk.offset, data)

    def _pieces(self, stream: int, offset: int, data: bytes) -> Iterator[api_pb2.Output]:
        """The part of a chunk that was not seen yet, with the gap before it."""
        first = 0 if not self._lenient else offset
        seen = self._seen.get(stream, first)
        at, end = max(seen, offset), offset + len(data)
        while at < end:
            piece = data[at - offset : at - offset + self._shelf.piece_bytes]
            yield api_pb2.Output(stream=Stream(stream).word, offset=at, data=piece, gap_bytes=at - seen)
            at = seen = self._seen[stream] = at + len(piece)


@dataclass(slots=True)
class Seen:
    """A task as it was when it was looked at last."""

    state: TaskState
    attempts: list[model.AttemptRow]


class Follower:
    """Follows a task over its attempts to its end."""

    def __init__(self, store: Behalf, news: News) -> None:
        self._store = store
        self._keys = OutputKeys(store.whole)
        self._news = news
        self._shelf = Shelf(store.whole, self._keys)

    def reader(self, attempt_id: int, *, number: int = 0, lenient: bool = False) -> Reader:
        """One more who reads an attempt's output; see Reader."""
        return Reader(self._shelf, self._keys, attempt_id, number=number, lenient=lenient)

    async def row(self, task_id: str) -> model.TaskRow:
        """The task as it is now. Raises Refusal NO_SUCH_TASK."""
        return await asyncio.wrap_future(self._store.read(partial(tasks.get, id=task_id)))

    async def attempts(self, task_id: str) -> list[model.AttemptRow]:
        """Every attempt of a task, oldest first."""
        return await asyncio.wrap_future(self._store.read(partial(tasks.attempts_of, id=task_id)))

    async def attempt(self, task_id: str, number: int) -> model.AttemptRow | None:
        """The attempt of this number; 0: the newest; None when there is none."""
        rows = await self.attempts(task_id)
        return next((row for row in reversed(rows) if number in (0, row.number)), None)

    async def until_final(self, task_id: str, bell: Bell) -> model.TaskRow:
        """Wait until the task is final."""
        while True:
            bell.clear()
            row = await self.row(task_id)
            if TaskState(row.state).final:
                return row
            await bell.wait()

    async def follow(
        self, task_id: str, bell: Bell, tap: Tap | None = None, begin: Reader | None = None
    ) -> AsyncIterator[api_pb2.Output]:
        """Everything every attempt from the newest one on writes, until the task is final."""
        done = 0
        while True:
            bell.clear()
            seen = await self._seen(task_id)
            newest = seen.attempts[-1] if seen.attempts else None
            if newest is not None and newest.attempt_id > done:
                if begin is None or begin.attempt_id != newest.attempt_id:
                    begin = self.reader(newest.attempt_id)
                async for piece in self._attempt(begin, task_id, seen, bell, tap):
                    yield piece
                done = newest.attempt_id
                if not seen.state.final or any(row.attempt_id > done for row in seen.attempts):
                    continue
            if seen.state.final:
                return
            await bell.wait()

    async def _seen(self, task_id: str) -> Seen:
        return Seen(*await asyncio.wrap_future(self._store.read(partial(tasks.state_and_attempts, id=task_id))))

    async def _attempt(
        self, reader: Reader, task_id: str, seen: Seen, bell: Bell, tap: Tap | None
    ) -> AsyncIterator[api_pb2.Output]:
        """One attempt's output to its end. Its state is read before its output: a final one hides nothing behind it.

        A claim that is handed back takes its attempt with it, and the next one has its number: only the id tells them
        apart.
        """
        while True:
            now = next((row for row in seen.attempts if row.attempt_id == reader.attempt_id), None)
            if now is None or not _is_mute(now):
                async for piece in self._available(reader, tap):
                    yield piece
            if now is None or AttemptState(now.state).final:
                if now is not None and now.truncated:
                    yield api_pb2.Output(stream="out", truncated=True)
                return
            await bell.wait()
            bell.clear()
            newer = await self._seen(task_id)
            seen.state, seen.attempts = newer.state, newer.attempts

    async def _available(self, reader: Reader, tap: Tap | None) -> AsyncIterator[api_pb2.Output]:
        """What is there, in the order of the chunks' numbers, be it kept or only passing."""
        if tap is not None:
            await reader.passing()
        while True:
            seen = tap is not None and tap.number is not None
            chunks = _in_order(await reader.rows(), tap)
            if not chunks and seen and tap is not None:
                # It was here before the store was read: all that is kept before it has been read.
                chunks = [tap.take()]
            if not chunks:
                return
            for chunk in chunks:
                for piece in reader.take(chunk):
                    yield piece


def _is_mute(attempt: model.AttemptRow) -> bool:
    """Whether it has ended and wrote nothing; how much a lost one wrote is not known."""
    known = AttemptState(attempt.state).final and not attempt.truncated
    return known and not attempt.stdout_bytes and not attempt.stderr_bytes


def _in_order(rows: list[model.ChunkRow], tap: Tap | None) -> list[model.ChunkRow | link_pb2.Chunk]:
    """What was kept, and before each what passed before it: that was given to the tap before the other was kept."""
    chunks: list[model.ChunkRow | link_pb2.Chunk] = []
    for row in rows:
        while tap is not None and tap.number is not None and tap.number < row.number:
            chunks.append(tap.take())
        chunks.append(row)
    return chunks
