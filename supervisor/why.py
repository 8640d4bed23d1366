"""What a task waits for, or why it ended as it did. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..proto.api_pb2 import Cause
from ..proto.values import AttemptState, Condition, EndReason, TaskState
from ..store import model

SHOWN = 5
"""So many tasks that keep it from starting are named."""
ENDED = {Condition.OK: "succeeded", Condition.FAIL: "ended otherwise than well", Condition.ANY: "ended"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A task as the store has it; `ahead`: so many of its lane are given out before it, `executor`: of its attempt."""

    row: model.TaskRow
    attempt: model.AttemptRow | None
    parents: Sequence[model.ParentRow]
    ahead: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """How the service is now: places for tasks of its kind, and which tasks have them."""

    now_us: int
    draining: bool
    attached: bool
    places: int
    busy: Sequence[str]
    """Empty names: tasks of others, of which nothing is told."""


def causes(seen: Seen, around: Around) -> list[Cause]:
    """All causes there are, what has to happen first before the others. At least one."""
    state = TaskState(seen.row.state)
    if state.final:
        return [_ended(seen)]
    if state is TaskState.RUNNING:
        return list(_running(seen, around))
    return [*_waiting(seen, around)] or [Cause(kind="slot", message="it is given to an executor any moment")]


def _waiting(seen: Seen, around: Around) -> Iterator[Cause]:
    row = seen.row
    if around.draining:
        yield Cause(kind="draining", message="the service is stopping and gives out nothing any more")
    if row.state == TaskState.HELD:
        yield Cause(kind="held", message="it is held until a person releases it")
    if row.waits_for:
        for parent in seen.parents:
            if not parent.met:
                yield _dependency(parent)
    if row.due_at_us > around.now_us:
        yield _due(seen)
    if row.state == TaskState.READY and not around.draining:
        yield _place(seen, around)


def _dependency(parent: model.ParentRow) -> Cause:
    wanted = ENDED[Condition(parent.condition)]
    return Cause(
        kind="dependency", message=f"task {parent.id} has not {wanted} yet: it is {parent.state}", task=parent.id
    )


def _due(seen: Seen) -> Cause:
    row = seen.row
    if row.attempt and seen.attempt is not None and seen.attempt.state != AttemptState.CLAIMED:
        left = row.max_attempts - row.attempt
        message = f"attempt {row.attempt} ended ({seen.attempt.reason or seen.attempt.state}) and it is tried again"
        return Cause(kind="retry", message=f"{message}, at most {left} time{'s'[: left != 1]}", until_us=row.due_at_us)
    return Cause(kind="due", message="it is due later", until_us=row.due_at_us)


def _place(seen: Seen, around: Around) -> Cause:
    """It is ready: nobody is there to take it, or others come first."""
    if not around.attached:
        return Cause(kind="executor", message="no executor is attached; one is started as soon as the machine can")
    what = "places for async calls" if seen.row.shared else "slots"
    if len(around.busy) < around.places:
        return Cause(kind="slot", message=f"{_ahead(seen)}, then it is given to an executor")
    message = f"all {around.places} {what} are busy with {_named(around.busy)}; {_ahead(seen)}"
    return Cause(kind="slot", message=message, task=next(filter(None, around.busy), ""))


def _ahead(seen: Seen) -> str:
    if not seen.ahead:
        return "it is the next of its queue"
    are = "task of its queue comes" if seen.ahead == 1 else "tasks of its queue come"
    return f"{seen.ahead} other {are} before it"


def _named(task_ids: Sequence[str]) -> str:
    known = [task_id for task_id in task_ids if task_id][:SHOWN]
    more = len(task_ids) - len(known)
    if not known:
        return "tasks of others"
    return f"task{'s'[: len(task_ids) != 1]} {', '.join(known)}{f' and {more} more' if more > 0 else ''}"


def _running(seen: Seen, around: Around) -> Iterator[Cause]:
    row, attempt = seen.row, seen.attempt
    executor = attempt.executor[:8] if attempt is not None else ""
    if row.cancel_requested_at_us is not None:
        yield Cause(kind="stopping", message=f"it is being ended, as was asked for, by executor {executor}")
    elif attempt is not None and attempt.state == AttemptState.CLAIMED:
        slots = f"; the executors have {around.places} slots together" if around.places and not row.shared else ""
        yield Cause(kind="slot", message=f"executor {executor} has it and starts it as soon as it can{slots}")
    elif row.paused_at_us is not None:
        yield Cause(kind="paused", message="it stands still until a person resumes it")
    else:
        yield Cause(kind="running", message=f"it runs in executor {executor}, attempt {row.attempt}")


def _ended(seen: Seen) -> Cause:
    row = seen.row
    if row.state == TaskState.SUCCEEDED:
        return Cause(kind="ended", message="it has succeeded")
    if row.reason == EndReason.DEPENDENCY:
        return Cause(kind="ended", message=row.message, task=_to_blame(seen.parents))
    told = ": ".join(each for each in (row.reason, row.message) if each and each != row.state)
    tries = f" in {row.attempt} attempts" if row.attempt > 1 else ""
    return Cause(kind="ended", message=f"it {_PAST[TaskState(row.state)]}{tries}{f' ({told})' if told else ''}")


_PAST = {TaskState.FAILED: "has failed", TaskState.CANCELLED: "was cancelled", TaskState.SKIPPED: "was skipped"}


def _to_blame(parents: Sequence[model.ParentRow]) -> str:
    """The first task that ended otherwise than it was to."""
    return next((each.id for each in parents if not each.met and _final(each.state)), "")


def _final(state: str | None) -> bool:
    return state is None or TaskState(state).final
