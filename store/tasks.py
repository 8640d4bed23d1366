"""Tasks: what people do with them. Claims and ends are in claims.py and endings.py."""

from __future__ import annotations

import heapq
import json
from typing import TYPE_CHECKING

from ..proto.errors import Refusal, RefusalReason
from ..proto.values import TaskState
from . import model, parents, rows
from .again import retry
from .children import settle
from .editing import modify
from .results import among as results_among
from .results import first as first_results
from .results import result
from .retention import output_dropped, prune
from .submission import submit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .db import Db

__all__ = [
    "attempts_of",
    "cancel",
    "counts",
    "delete",
    "final_among",
    "first_results",
    "get",
    "hold",
    "list_page",
    "modify",
    "next_due",
    "output_dropped",
    "parents_of",
    "payload",
    "promote",
    "prune",
    "release",
    "result",
    "results_among",
    "retry",
    "running_among",
    "state_and_attempts",
    "submit",
]

NEWEST = 2**63 - 1
OLDEST_US = -(2**63)


def promote(db: Db, *, now_us: int, limit: int = 1000) -> int:
    """Make ready what waited for its time, at most `limit`; how many."""
    return db.run("promote_due", now_us=now_us, limit=limit)


def next_due(db: Db) -> int | None:
    """When the earliest task that waits for its time is due."""
    row = db.one("next_due")
    return None if row is None else row["due_at_us"]


def get(db: Db, *, id: str) -> model.TaskRow:  # noqa: A002 - the word of the contract
    """A task. Raises Refusal NO_SUCH_TASK."""
    seq, _ = rows.seq_and_state(db, id)
    return rows.task(db, seq)


def attempts_of(db: Db, *, id: str) -> list[model.AttemptRow]:  # noqa: A002
    """Every try of a task, the oldest first. Raises Refusal NO_SUCH_TASK."""
    seq, _ = rows.seq_and_state(db, id)
    return rows.attempts(db, seq)


def parents_of(db: Db, *, id: str) -> list[model.ParentRow]:  # noqa: A002
    """What a task waits for, or waited for, in the order it was asked for. Raises Refusal NO_SUCH_TASK."""
    seq, _ = rows.seq_and_state(db, id)
    return parents.of(db, seq=seq)


def state_and_attempts(db: Db, *, id: str) -> tuple[TaskState, list[model.AttemptRow]]:  # noqa: A002
    """Where a task is, and every try of it, at one moment. Raises Refusal NO_SUCH_TASK."""
    seq, state = rows.seq_and_state(db, id)
    return TaskState(state), rows.attempts(db, seq)


def final_among(db: Db, *, ids: Sequence[str], with_payload: bool) -> list[model.TaskRow]:
    """Those of the tasks that are final, in the order asked for. Raises Refusal NO_SUCH_TASK."""
    found = {row["id"]: row for row in db.all("states_of", ids=json.dumps(ids), owner=db.only)}
    for missing in (each for each in ids if each not in found):
        rows.seq_and_state(db, missing)
    final = [found[each]["seq"] for each in ids if TaskState(found[each]["state"]).final]
    return rows.tasks(db, final, with_payload=with_payload) if final else []


def running_among(db: Db, *, ids: Sequence[str]) -> list[model.TaskRow]:
    """Those of the tasks that run, without what they run. Those that are gone are passed over."""
    found = db.all("states_of", ids=json.dumps(ids), owner=db.only)
    running = [row["seq"] for row in found if row["state"] == TaskState.RUNNING]
    return rows.tasks(db, running, with_payload=False) if running else []


def payload(db: Db, *, id: str) -> bytes:  # noqa: A002
    """What a task is to run. Raises Refusal NO_SUCH_TASK, or STORE_CORRUPT when it cannot be opened."""
    seq, _ = rows.seq_and_state(db, id)
    return rows.readable_payload(db, seq, id)


def list_page(
    db: Db,
    *,
    states: Sequence[str],
    queue: str | None,
    before_seq: int | None,
    limit: int,
    since_us: int | None = None,
) -> list[model.TaskRow]:
    """The newest tasks before a key, with their payloads; no states and no queue mean all.

    With `since_us` only those submitted at that instant or later: older ones are walked past, for a clock that was set
    back may have made them older than what came before.
    """
    page = {
        "before": NEWEST if before_seq is None else before_seq,
        "since_us": OLDEST_US if since_us is None else since_us,
        "limit": limit,
    }
    if db.only is not None:
        asked = json.dumps(states) if states else None
        found = db.all("page_of_owner", owner=db.only, queue=queue, states=asked, **page)
        seqs = [row["seq"] for row in found]
    elif states:
        branches = [_of_state(db, state, queue, page) for state in dict.fromkeys(states)]
        seqs = heapq.nlargest(limit, (seq for branch in branches for seq in branch))
    elif queue is not None:
        seqs = [row["seq"] for row in db.all("page_of_queue", queue=queue, **page)]
    else:
        seqs = [row["seq"] for row in db.all("page_of_all", **page)]
    return rows.tasks(db, seqs, with_payload=True)


def counts(db: Db) -> dict[str, int]:
    """How many tasks are in each state, in every state."""
    found = {row["state"]: row["tasks"] for row in db.all("counts")}
    return {state.value: found.get(state, 0) for state in TaskState}


def hold(db: Db, *, id: str, now_us: int) -> model.TaskRow:  # noqa: A002
    """Keep a task that has not started until it is released. Raises Refusal NO_SUCH_TASK or WRONG_STATE."""
    seq, state = rows.seq_and_state(db, id)
    if state != TaskState.HELD and not db.run("keep_back_task", seq=seq, now_us=now_us):
        raise rows.wrong_state(id, state, "held")
    return rows.task(db, seq)


def release(db: Db, *, id: str, now_us: int) -> model.TaskRow:  # noqa: A002
    """Let a held task go: it is ready when it is due, else at its time. Raises Refusal NO_SUCH_TASK or WRONG_STATE."""
    seq, state = rows.seq_and_state(db, id)
    if not db.run("release_task", seq=seq, now_us=now_us):
        raise Refusal(
            RefusalReason.WRONG_STATE, f"task {id} is {state}, not held", f"`tsched show {id}` tells more of it"
        )
    return rows.task(db, seq)


def delete(db: Db, *, id: str, now_us: int) -> model.Deleted:  # noqa: A002
    """Remove a task that is not running, with its attempts.

    Raises Refusal NO_SUCH_TASK, or WRONG_STATE, also while one that has not ended waits for it or takes its result.
    """
    seq, state = rows.seq_and_state(db, id)
    for child in db.all("child_in_need", seq=seq):
        raise _in_need(id, f"task {child['id']}" if db.sees(child["owner"]) else "another one")
    attempt_ids = [row["id"] for row in db.all("attempt_ids_of_task", seq=seq)]
    db.run("date_tasks", seqs=json.dumps([seq]), now_us=now_us)
    if not db.run("delete_task", seq=seq):
        raise rows.wrong_state(id, state, "deleted")
    return model.Deleted(attempt_ids=attempt_ids)


def cancel(db: Db, *, id: str, now_us: int, grace_us: int | None = None) -> model.Cancelled:  # noqa: A002
    """End a task: at once where it waits; where it runs, note the wish for its executor to carry out.

    Repeating the wish changes nothing but its grace, where one is given. Raises Refusal NO_SUCH_TASK, or WRONG_STATE
    when the task has ended.
    """
    seq, state = rows.seq_and_state(db, id)
    waited = db.run("cancel_waiting", seq=seq, now_us=now_us)
    if not waited and not db.run("request_cancel", seq=seq, now_us=now_us, grace_us=grace_us):
        raise rows.wrong_state(id, state, "cancelled")
    row = rows.task(db, seq)
    if row.attempt_id is None:
        children = settle(db, seqs=[seq], now_us=now_us)
        return model.Cancelled(row=row, attempt_id=None, executor=None, grace_us=row.grace_us, children=children)
    db.run("stop_attempt", attempt_id=row.attempt_id)
    executor = rows.attempts(db, seq)[-1].executor
    return model.Cancelled(row=row, attempt_id=row.attempt_id, executor=executor, grace_us=row.grace_us)


def _of_state(db: Db, state: str, queue: str | None, page: dict[str, int]) -> list[int]:
    if queue is None:
        found = db.all("page_of_state", state=state, **page)
    else:
        found = db.all("page_of_state_in_queue", state=state, queue=queue, **page)
    return [row["seq"] for row in found]


def _in_need(task_id: str, child: str) -> Refusal:
    return Refusal(
        RefusalReason.WRONG_STATE,
        f"task {task_id} cannot be deleted: {child}, which has not ended, waits for it or takes its result",
        "cancel that one first",
    )
