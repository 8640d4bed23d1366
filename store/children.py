"""What the end of tasks makes of those that wait for them, in the transaction that ends them, whatever ended them.

Nothing here goes from task to task: however many end, and however many wait, it is a handful of statements, each of
which costs what there is to change. What will never run is found as a whole, for a skipped task dooms exactly those
that wait for it to end well; for all others it has ended otherwise, and they may go on.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ..proto.values import Condition, TaskState
from . import model, rows

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from .db import Db

HOW_IT_ENDED = {
    TaskState.SUCCEEDED: "succeeded",
    TaskState.FAILED: "failed",
    TaskState.CANCELLED: "was cancelled",
    TaskState.SKIPPED: "was skipped",
}


def met(condition: str, state: str) -> bool | None:
    """Whether a task in this state ended as the condition says; None as long as it has not ended."""
    if not TaskState(state).final:
        return None
    return condition == Condition.ANY or (condition == Condition.OK) == (state == TaskState.SUCCEEDED)


def why_skipped(parent_id: str, condition: str, state: str) -> str:
    """What people are told of a task that will never run."""
    wish = "succeed" if condition == Condition.OK else "fail"
    return f"it was to wait for task {parent_id} to {wish}, which {HOW_IT_ENDED[TaskState(state)]}"


def settle(db: Db, *, seqs: Sequence[int], now_us: int) -> tuple[model.Child, ...]:
    """Tell those that wait for tasks which have just ended, each of them once: what changed its state thereby.

    Skipped ones come first, and before those that wait for them.
    """
    ended = [row["seq"] for row in db.all("waited_for", seqs=json.dumps(seqs))] if seqs else []
    if not ended:
        return ()
    doomed = db.all("doomed", parents=json.dumps(ended))
    _skip(db, [row["seq"] for row in doomed], now_us)
    parents = json.dumps([*ended, *(row["seq"] for row in doomed)])
    db.run("settle_dependencies", parents=parents)
    freed = db.all("unblock_tasks", parents=parents, now_us=now_us)
    db.run("count_down", parents=parents)
    return (*(_child(row, TaskState.SKIPPED) for row in doomed), *(_child(row, row["state"]) for row in freed))


def skip(db: Db, *, seq: int, message: str, now_us: int) -> tuple[model.Child, ...]:
    """End a task that will never run, and tell those that wait for it."""
    _end_skipped(db, {seq: message}, now_us)
    return settle(db, seqs=[seq], now_us=now_us)


def _skip(db: Db, doomed: Sequence[int], now_us: int) -> None:
    if doomed:
        blamed = _blamed(db.all("open_of", seqs=json.dumps(doomed)), set(doomed))
        _end_skipped(db, {seq: why_skipped(*blamed[seq]) for seq in doomed}, now_us)


def _blamed(waits: Iterable[sqlite3.Row], doomed: set[int]) -> dict[int, tuple[str, str, str]]:
    """By task: the first other one that it waits for in vain, the condition, and how that one ended."""
    blamed: dict[int, tuple[str, str, str]] = {}
    for row in waits:
        state = TaskState.SKIPPED if row["parent"] in doomed else row["state"]
        if row["task"] not in blamed and met(row["condition"], state) is False:
            blamed[row["task"]] = (row["parent_id"], row["condition"], state)
    return blamed


def _end_skipped(db: Db, messages: dict[int, str], now_us: int) -> None:
    told = [
        {"seq": seq, "now_us": now_us, "message": rows.seal_message(db, message, table="tasks", row=seq)}
        for seq, message in messages.items()
    ]
    db.many("skip_task", told)


def _child(row: sqlite3.Row, state: str) -> model.Child:
    return model.Child(
        task_id=row["id"], state=state, queue=row["queue"], shared=bool(row["shared"]), due_at_us=row["due_at_us"]
    )
