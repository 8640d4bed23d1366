"""What a person changes of a task that has not started: what it is to do, when, and which others it waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..proto.errors import Refusal, RefusalReason
from ..proto.values import TaskState
from . import model, parents, rows
from .children import skip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .db import Db


def modify(
    db: Db,
    *,
    id: str,  # noqa: A002
    patch: model.Patch,
    now_us: int,
    children: list[model.Child] | None = None,
) -> model.TaskRow:
    """Change a task that has not started. One that is to wait in vain is skipped; what that changes goes to `children`.

    Raises Refusal NO_SUCH_TASK, also for what it is to wait for, WRONG_STATE saying what is possible, BAD_VALUE for one
    that is named twice, or CYCLE.
    """
    seq, state = rows.seq_and_state(db, id)
    task = rows.task(db, seq, with_payload=False)
    if (move := _move(task.state, patch, now_us)) is not None:
        db.run(move, seq=seq, now_us=now_us)
    if not db.run("edit_waiting", **_edited(task, patch), now_us=now_us):
        raise rows.wrong_state(id, state, "changed")
    if patch.payload is not None:
        _replace_payload(db, seq, patch.payload)
    if patch.dependencies is not None:
        changed = _wait_for_others(db, rows.task(db, seq, with_payload=False), patch.dependencies, now_us)
        if children is not None:
            children[:] = changed
    return rows.task(db, seq)


def _edited(task: model.TaskRow, patch: model.Patch) -> dict[str, int | str | None]:
    """The columns of a task after a patch."""
    timeout_us = task.timeout_us if patch.timeout_us is None else patch.timeout_us or None
    return {
        "seq": task.seq,
        "name": task.name if patch.name is None else patch.name,
        "priority": task.priority if patch.priority is None else patch.priority,
        "due_at_us": task.due_at_us if patch.due_at_us is None else patch.due_at_us,
        "timeout_us": timeout_us,
        "grace_us": task.grace_us if patch.grace_us is None else patch.grace_us,
    }


def _move(state: str, patch: model.Patch, now_us: int) -> str | None:
    """The statement that moves a task to where its new time belongs: one that waits for its time, or for nothing."""
    wanted = patch.state
    if wanted is None and patch.due_at_us is not None:
        wanted = TaskState.SCHEDULED if patch.due_at_us > now_us else TaskState.READY
    if wanted == TaskState.READY and state in (TaskState.SCHEDULED, TaskState.READY, TaskState.RETRYING):
        return "advance_task"
    if wanted == TaskState.SCHEDULED and state in (TaskState.SCHEDULED, TaskState.READY):
        return "defer_task"
    return None


def _wait_for_others(
    db: Db, task: model.TaskRow, dependencies: Sequence[model.Dependency], now_us: int
) -> tuple[model.Child, ...]:
    """Let a task wait for these and no others: what that changed for those that wait for it."""
    if task.state == TaskState.RETRYING:
        raise Refusal(
            RefusalReason.WRONG_STATE,
            f"task {task.id} has been tried and cannot be made to wait for others",
            "cancel it, and submit it anew",
        )
    places = parents.places(db, [str(each.task) for each in dependencies])
    waits = parents.find(f"task {task.id}", dependencies, lambda name: places[str(name)])
    parents.check_no_cycle(db, seq=task.seq, id=task.id, waits=waits)
    weighed = parents.weigh(waits, {place.seq: place.state for place in places.values()})
    db.run("drop_dependencies", seq=task.seq)
    db.many("insert_dependency", weighed.rows(task.seq))
    return _place(db, task, weighed, now_us)


def _place(db: Db, task: model.TaskRow, waits: parents.Waits, now_us: int) -> tuple[model.Child, ...]:
    """Move a task to where what it waits for lets it be."""
    left = len(waits.met) - waits.met.count(True)
    if task.state == TaskState.HELD:
        db.run("recount_held", seq=task.seq, waits_for=left)
    elif left:
        db.run("block_task", seq=task.seq, waits_for=left, now_us=now_us)
    else:
        db.run("unblock_task", seq=task.seq, now_us=now_us)
    return skip(db, seq=task.seq, message=waits.message, now_us=now_us) if waits.message else ()


def _replace_payload(db: Db, seq: int, plain: bytes) -> None:
    row = db.one("payload_revision", seq=seq)
    revision = 0 if row is None else row["revision"] + 1
    sealed = rows.seal_payload(db, plain, seq=seq, revision=revision)
    db.run("replace_payload", task=seq, revision=revision, sealed=sealed)
