"""Waiting for the ends of tasks, many at a time, with what they returned and how far they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial

from ..proto import api_pb2
from ..store import model, tasks
from . import pages, views
from .behalf import Behalf
from .news import Bell, News

TASKS_AT_ONCE = 100
GATHER_S = 0.01
"""Where many tasks are waited for, ends are told of several at a time: a look and a message for each would be dear."""
RESULT_BYTES = 4 * 1024 * 1024
"""Results are read this many at a time, and one more."""


class Waiting:
    """Answers WaitRequest."""

    def __init__(self, store: Behalf, news: News) -> None:
        self._store = store
        self._news = news

    async def answer(self, request: api_pb2.WaitRequest) -> AsyncIterator[api_pb2.TaskBatch]:
        """Tell of each task when it is final, and of progress before. Raises Refusal NO_SUCH_TASK."""
        waiting = set(request.ids)
        with self._news.about(*waiting, progress=request.progress) as bell:
            looked_at = list(dict.fromkeys(request.ids))
            if request.progress:
                yield api_pb2.TaskBatch(progress=await self._progress(looked_at))
            while True:
                async for ended in self._ended(looked_at, request):
                    waiting.difference_update(task.id for task in ended)
                    yield api_pb2.TaskBatch(tasks=ended)
                if not waiting:
                    return
                await bell.wait()
                if len(waiting) > 1:
                    await asyncio.sleep(GATHER_S)
                looked_at = sorted(bell.clear() & waiting)
                if told := _of(waiting, bell):
                    yield api_pb2.TaskBatch(progress=told)

    async def _ended(self, task_ids: list[str], request: api_pb2.WaitRequest) -> AsyncIterator[list[api_pb2.Task]]:
        """Those of the tasks that are final, some at a time, whole or only how."""
        show = views.outcome if request.outcomes else views.task
        for some in _some(task_ids):
            query = partial(tasks.final_among, ids=some, with_payload=not request.outcomes)
            found = await asyncio.wrap_future(self._store.read(query))
            batches = self._with_results(found, show) if request.results else _shown(found, show)
            async for batch in batches:
                yield batch

    async def _with_results(
        self, found: list[model.TaskRow], show: Callable[[model.TaskRow], api_pb2.Task]
    ) -> AsyncIterator[list[api_pb2.Task]]:
        """The same with their results. All at once would be hundreds of megabytes, where each is as large as may be."""
        while found:
            query = partial(tasks.first_results, ids=[row.id for row in found], limit=RESULT_BYTES)
            results = await asyncio.wrap_future(self._store.read(query))
            now, found = found[: len(results)], found[len(results) :]
            shown = [views.with_result(show(row), result) for row, result in zip(now, results, strict=True)]
            for batch in pages.batches(shown):
                yield batch

    async def _progress(self, task_ids: list[str]) -> list[api_pb2.TaskProgress]:
        """How far those are that have said so."""
        told: list[api_pb2.TaskProgress] = []
        for some in _some(task_ids):
            rows = await asyncio.wrap_future(self._store.read(partial(tasks.running_among, ids=some)))
            told += [
                api_pb2.TaskProgress(id=row.id, attempt=row.attempt, progress=views.progress(row.progress))
                for row in rows
                if row.progress is not None
            ]
        return told


async def _shown(
    found: list[model.TaskRow], show: Callable[[model.TaskRow], api_pb2.Task]
) -> AsyncIterator[list[api_pb2.Task]]:
    for batch in pages.batches(show(row) for row in found):
        yield batch


def _some(task_ids: list[str]) -> list[list[str]]:
    return [task_ids[begin : begin + TASKS_AT_ONCE] for begin in range(0, len(task_ids), TASKS_AT_ONCE)]


def _of(waiting: set[str], bell: Bell) -> list[api_pb2.TaskProgress]:
    return [told for told in bell.progress() if told.id in waiting]
