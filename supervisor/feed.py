"""What happened to tasks, for those who follow: read from the store at a follower's own cursor, woken by commits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from ..proto import api_pb2
from ..proto.errors import Refusal, RefusalReason
from ..store import events, model
from ..store.db import Db
from .behalf import Behalf

PAGE = 500


class Feed:
    """Answers EventsRequest."""

    def __init__(self, store: Behalf) -> None:
        self._store = store

    async def answer(self, request: api_pb2.EventsRequest) -> AsyncIterator[api_pb2.EventBatch]:
        """Yield the events asked for. Raises Refusal NO_SUCH_CURSOR, also when the next were forgotten meanwhile."""
        with self._commits() as committed:
            cursor = await self._begin(request)
            yield api_pb2.EventBatch(cursor=cursor)
            while True:
                committed.clear()
                rows, reached = await self._page(cursor, list(request.ids))
                if reached > cursor:
                    cursor = reached
                    yield api_pb2.EventBatch(events=map(_event, rows), cursor=cursor)
                elif not request.follow:
                    return
                else:
                    await committed.wait()

    async def _begin(self, request: api_pb2.EventsRequest) -> int:
        """The cursor to go on from: the one asked for, if everything behind it is still kept."""
        bounds = await asyncio.wrap_future(self._store.read(events.bounds))
        if request.only_new:
            return bounds.newest
        if request.after == 0:
            return bounds.oldest - 1
        _check(request.after, bounds)
        return request.after

    async def _page(self, after: int, ids: list[str]) -> tuple[list[model.EventRow], int]:
        """The next events, and how far they reach: to the last of a full page, else to the last that was looked at."""

        def look(db: Db) -> tuple[list[model.EventRow], int]:
            bounds = events.bounds(db)
            _check(after, bounds)
            rows = events.page(db, after=after, limit=PAGE, ids=ids)
            looked_at = bounds.newest if db.only is None else min(bounds.newest, after + events.WALK)
            return rows, rows[-1].cursor if len(rows) == PAGE else looked_at

        return await asyncio.wrap_future(self._store.read(look))

    @contextmanager
    def _commits(self) -> Iterator[asyncio.Event]:
        """An event that is set after each commit while the block runs."""
        committed = asyncio.Event()
        loop = asyncio.get_running_loop()

        def ring() -> None:
            # Read in the writer's thread: who has not cleared it yet will look after this commit anyway.
            if not committed.is_set():
                loop.call_soon_threadsafe(committed.set)

        unregister = self._store.on_commit(ring)
        try:
            yield committed
        finally:
            unregister()


def _check(after: int, bounds: model.EventBounds) -> None:
    """Refuse a cursor when not all that followed it is kept."""
    if not bounds.oldest - 1 <= after <= bounds.newest:
        kept = f"kept are {bounds.oldest} to {bounds.newest}" if bounds.oldest <= bounds.newest else "none are kept"
        message = f"no events from cursor {after} on: {kept}"
        raise Refusal(RefusalReason.NO_SUCH_CURSOR, message, "0 begins with the oldest that is kept")


def _event(row: model.EventRow) -> api_pb2.Event:
    return api_pb2.Event(
        cursor=row.cursor,
        at_us=row.at_us,
        task=row.task,
        event=row.event,
        state=row.state,
        attempt=row.attempt,
        reason=row.reason,
        queue=row.queue,
    )
