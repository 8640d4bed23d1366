"""The kept output of a task for `logs`: all of it or its last lines or bytes, and on request what is still to come."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from functools import partial

from ..proto import api_pb2
from ..proto.errors import Refusal, RefusalReason
from ..proto.values import Stream
from ..store import output
from .behalf import Behalf
from .follow import Follower, Reader
from .news import News

FIRST_LOOK_BYTES = 65_536
STREAMS = {"": None, Stream.OUT.word: Stream.OUT, Stream.ERR.word: Stream.ERR}


class Logs:
    """Answers LogsRequest."""

    def __init__(self, store: Behalf, news: News, follower: Follower) -> None:
        self._store = store
        self._news = news
        self._follower = follower

    async def answer(self, request: api_pb2.LogsRequest) -> AsyncIterator[api_pb2.Output]:
        """Yield the pieces asked for. Raises Refusal NO_SUCH_TASK, BAD_VALUE."""
        stream = _stream(request.stream)
        await self._follower.row(request.id)
        with self._news.about(request.id) as bell:
            attempt = await self._follower.attempt(request.id, request.attempt)
            if request.attempt and attempt is None:
                message = f"task {request.id} has no attempt {request.attempt}"
                raise Refusal(RefusalReason.BAD_VALUE, message, f"`tsched show {request.id}` lists them")
            reader = None
            if attempt is not None:
                reader, pieces = await self._beginning(request, attempt.attempt_id, stream)
                for piece in _only(pieces, stream):
                    yield piece
                async for piece in reader.stored():
                    for chosen in _only([piece], stream):
                        yield chosen
                if attempt.truncated and not request.follow:
                    yield api_pb2.Output(stream=Stream.OUT.word, truncated=True)
            if request.follow:
                async for piece in self._follower.follow(request.id, bell, begin=reader):
                    for chosen in _only([piece], stream):
                        yield chosen

    async def _beginning(
        self, request: api_pb2.LogsRequest, attempt_id: int, stream: Stream | None
    ) -> tuple[Reader, list[api_pb2.Output]]:
        if request.HasField("tail_lines"):
            return await self._last_lines(attempt_id, stream, request.tail_lines)
        if request.HasField("tail_bytes"):
            return await self._last_bytes(attempt_id, stream, request.tail_bytes)
        return self._follower.reader(attempt_id), []

    async def _last_lines(
        self, attempt_id: int, stream: Stream | None, lines: int
    ) -> tuple[Reader, list[api_pb2.Output]]:
        """Look further back until enough lines are found or the beginning is reached."""
        wanted = FIRST_LOOK_BYTES
        while True:
            reader, pieces, whole = await self._look_back(attempt_id, stream, wanted)
            ends = sum(piece.data.count(b"\n") for piece in pieces)
            if whole or ends > lines:
                return reader, _cut_lines(pieces, lines)
            wanted *= 4

    async def _last_bytes(
        self, attempt_id: int, stream: Stream | None, wanted: int
    ) -> tuple[Reader, list[api_pb2.Output]]:
        reader, pieces, _ = await self._look_back(attempt_id, stream, max(1, wanted))
        return reader, _cut_bytes(pieces, wanted)

    async def _look_back(
        self, attempt_id: int, stream: Stream | None, wanted: int
    ) -> tuple[Reader, list[api_pb2.Output], bool]:
        """At least so many of the last bytes, a reader behind them, and whether that is everything."""
        query = partial(output.tail_start, attempt_id=attempt_id, stream=stream, bytes=wanted)
        number = await asyncio.wrap_future(self._store.read_output(query))
        whole = number <= 1
        reader = self._follower.reader(attempt_id, number=max(0, number - 1), lenient=not whole)
        pieces = [piece async for piece in reader.stored()]
        return reader, _only(pieces, stream), whole


def _stream(word: str) -> Stream | None:
    if word not in STREAMS:
        raise Refusal(RefusalReason.BAD_VALUE, f"no such stream: {word!r}", "use out or err")
    return STREAMS[word]


def _only(pieces: list[api_pb2.Output], stream: Stream | None) -> list[api_pb2.Output]:
    return [piece for piece in pieces if stream is None or piece.stream == stream.word]


def _cut_lines(pieces: list[api_pb2.Output], lines: int) -> list[api_pb2.Output]:
    """The last so many lines; a last line without its end counts as one."""
    kept: deque[api_pb2.Output] = deque()
    missing = lines
    last = True
    for piece in reversed(pieces):
        if missing <= 0:
            break
        end = len(piece.data) - (last and piece.data.endswith(b"\n"))
        last = False
        count = piece.data.count(b"\n", 0, end)
        if count >= missing:
            kept.appendleft(_from(piece, _nth_last(piece.data, missing, end) + 1))
            break
        missing -= count
        kept.appendleft(piece)
    return [piece for piece in kept if piece.data]


def _nth_last(data: bytes, number: int, end: int) -> int:
    """Where the last line end but so many is, before `end`."""
    for _ in range(number):
        end = data.rfind(b"\n", 0, end)
    return end


def _cut_bytes(pieces: list[api_pb2.Output], wanted: int) -> list[api_pb2.Output]:
    kept: deque[api_pb2.Output] = deque()
    for piece in reversed(pieces):
        if wanted <= 0:
            break
        kept.appendleft(_from(piece, max(0, len(piece.data) - wanted)))
        wanted -= len(piece.data)
    return list(kept)


def _from(piece: api_pb2.Output, index: int) -> api_pb2.Output:
    if index == 0:
        return piece
    return api_pb2.Output(stream=piece.stream, offset=piece.offset + index, data=piece.data[index:])
