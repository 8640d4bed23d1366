"""Looking at tasks: one whole, many in pages, what one waits for, and what it hangs together with."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from ..proto import api_pb2
from ..proto.clock import Clock
from ..proto.errors import Refusal, RefusalReason
from ..proto.values import TaskState
from ..store import claims, graph, model, tasks
from ..store.db import Db
from . import callers, pages, views
from .behalf import Behalf
from .pool import Pool
from .why import Around, Seen, causes

AHEAD_LIMIT = 10_000
"""So many tasks that come before one are counted."""
PAGE_SIZE = 100
PAGE_LIMIT = 1000
PAGE_DIGITS = 18
GRAPH_LIMIT = 1_000
GRAPH_LIMIT_RANGE = (1, 10_000)


class Whole(NamedTuple):
    """All that is kept of a task but its output."""

    row: model.TaskRow
    attempts: list[model.AttemptRow]
    parents: list[model.ParentRow]
    result: bytes | None


class Looking:
    """Answers Get, List, Why and Graph."""

    def __init__(self, *, store: Behalf, clock: Clock, pool: Pool) -> None:
        self._store = store
        self._clock = clock
        self._pool = pool

    async def shown(self, task_id: str, *, result: bool = False) -> api_pb2.Task:
        """A task whole. Raises Refusal NO_SUCH_TASK, and with its result STORE_CORRUPT."""
        whole = await self._whole(task_id, result=result)
        return views.with_result(views.detailed(whole.row, whole.attempts, whole.parents), whole.result)

    async def outcome(self, task_id: str) -> api_pb2.Task:
        """What became of a task, with its result. Raises Refusal NO_SUCH_TASK, STORE_CORRUPT."""
        whole = await self._whole(task_id, result=True)
        return views.with_result(views.outcome(whole.row), whole.result)

    async def page(self, request: api_pb2.ListRequest) -> api_pb2.ListResponse:
        """A page of tasks, the newest first. Raises Refusal BAD_VALUE."""
        limit = min(request.page_size or PAGE_SIZE, PAGE_LIMIT)
        query = partial(
            tasks.list_page,
            states=[_state(word) for word in request.states],
            queue=request.queue or None,
            since_us=request.since_us if request.HasField("since_us") else None,
            before_seq=_page(request.page_token),
            limit=limit,
        )
        rows = await asyncio.wrap_future(self._store.read(query))
        shown = pages.fitting([views.task(row) for row in rows])
        token = str(rows[len(shown) - 1].seq) if len(rows) == limit or len(shown) < len(rows) else ""
        return api_pb2.ListResponse(tasks=shown, next_page_token=token)

    async def why(self, task_id: str, *, draining: bool) -> api_pb2.WhyResponse:
        """What a task waits for, or why it ended as it did. Raises Refusal NO_SUCH_TASK."""
        seen = await asyncio.wrap_future(self._store.read(partial(_seen, id=task_id)))
        around = self._around(seen.row, draining=draining)
        found = causes(seen, replace(around, busy=await self._theirs(around.busy)))
        return api_pb2.WhyResponse(task=views.outcome(seen.row), causes=found)

    async def graph(self, request: api_pb2.GraphRequest) -> api_pb2.GraphResponse:
        """The tasks that the named ones hang together with. Raises Refusal NO_SUCH_TASK, BAD_VALUE."""
        if not request.ids:
            raise Refusal(RefusalReason.BAD_VALUE, "no task is named", "name at least one")
        least, most = GRAPH_LIMIT_RANGE
        limit = max(least, min(request.limit or GRAPH_LIMIT, most))
        return await asyncio.wrap_future(self._store.read(partial(_graph, ids=list(request.ids), limit=limit)))

    async def _whole(self, task_id: str, *, result: bool) -> Whole:
        return await asyncio.wrap_future(self._store.read(partial(_whole, id=task_id, result=result)))

    async def _theirs(self, task_ids: Sequence[str]) -> list[str]:
        """Those of the tasks that the caller may be told of; of others nothing but a name that is none."""
        caller = callers.CURRENT.get()
        if caller is None or caller.is_free:
            return list(task_ids)
        rows = await asyncio.wrap_future(self._store.read(partial(tasks.running_among, ids=task_ids)))
        known = {row.id for row in rows}
        return [each if each in known else "" for each in task_ids]

    def _around(self, row: model.TaskRow, *, draining: bool) -> Around:
        """The places that executors have for tasks of its kind, and which tasks are in them."""
        sessions = [member.session for member in self._pool.members.values() if member.session and not member.leaving]
        return Around(
            now_us=self._clock.now_us(),
            draining=draining,
            attached=bool(sessions),
            places=sum(session.places(shared=row.shared) for session in sessions),
            busy=[task_id for session in sessions for task_id in session.given(shared=row.shared)],
        )


def _whole(db: Db, *, id: str, result: bool) -> Whole:  # noqa: A002 - the word of the contract
    row = tasks.get(db, id=id)
    returned = tasks.result(db, id=id) if result else None
    return Whole(row, tasks.attempts_of(db, id=id), tasks.parents_of(db, id=id), returned)


def _graph(db: Db, *, ids: list[str], limit: int) -> api_pb2.GraphResponse:
    found = graph.connected(db, ids=ids, limit=limit)
    return api_pb2.GraphResponse(
        nodes=[_node(db, each) for each in found.tasks],
        edges=[
            api_pb2.Edge(parent=each.parent, child=each.child, condition=each.condition, met=each.met)
            for each in found.edges
        ],
        truncated=found.truncated,
    )


def _node(db: Db, row: model.TaskRow) -> api_pb2.Node:
    return api_pb2.Node(id=row.id, label=row.name or _work(db, row.id), state=row.state)


def _work(db: Db, task_id: str) -> str:
    """What a task runs, loaded one at a time: each may be megabytes long."""
    try:
        return views.work(tasks.payload(db, id=task_id))
    except Refusal:  # it is damaged
        return ""


def _seen(db: Db, *, id: str) -> Seen:  # noqa: A002 - the word of the contract
    row = tasks.get(db, id=id)
    attempts = tasks.attempts_of(db, id=id)
    ready = row.state == TaskState.READY
    return Seen(
        row=row,
        attempt=attempts[-1] if attempts else None,
        parents=tasks.parents_of(db, id=id),
        ahead=claims.ahead_of(db, row=row, limit=AHEAD_LIMIT) if ready else 0,
    )


def _state(word: str) -> str:
    try:
        return TaskState(word)
    except ValueError:
        raise Refusal(
            RefusalReason.BAD_VALUE, f"no such state: {word!r}", f"there are {', '.join(TaskState)}"
        ) from None


def _page(token: str) -> int | None:
    if token and not (token.isascii() and token.isdigit() and len(token) <= PAGE_DIGITS):
        raise Refusal(RefusalReason.BAD_VALUE, f"no such page: {token!r}", "use the token of the page before")
    return int(token) if token else None
