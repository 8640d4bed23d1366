"""The life cycle of tasks and attempts: state x event -> state. What is not listed is refused.

    scheduled, retrying --due--> ready --claim--> running --succeed--> succeeded
                                   ^                 |-----fail------> failed       (also: lost for good)
                                   |<--give_back-----|-----stopped---> cancelled
                                   |<--requeue-------'-----hold------> held

    whatever waits --hold--> held --release--> ready, or where it waited for its time
    An attempt that stands still is still running: pausing is no state, and no end of its task waits for it.

Each cell is carried out by a named statement in queries/, whose `from:` and `to:` say the same and whose WHERE holds
them to it: a statement that changed no row is an answer (somebody else was first), and the first final state wins.
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType

from ..proto.values import LOST_LIMIT, WAITING_TASK_STATES, AttemptState, OnLost, TaskState


class TaskEvent(StrEnum):
    """What can happen to a task."""

    SUBMIT = "submit"
    SUBMIT_LATER = "submit_later"
    """Submitted before its time."""
    SUBMIT_HELD = "submit_held"
    """Submitted to wait for a person."""
    DUE = "due"
    """Its time has come, by the clock or because a person moved it."""
    DEFER = "defer"
    """A person moved it to later."""
    EDIT = "edit"
    """A person changed what is to be done, not when."""
    CLAIM = "claim"
    GIVE_BACK = "give_back"
    """The executor returned it unstarted."""
    CORRUPT = "corrupt"
    """What is stored of it cannot be opened, found when it was to be claimed."""
    CANCEL = "cancel"
    """Somebody wants it ended; a running one ends when its attempt has."""
    SUCCEED = "succeed"
    FAIL = "fail"
    STOPPED = "stopped"
    """Its attempt was ended on request."""
    REQUEUE = "requeue"
    """Its attempt was lost, and it asked to be tried again."""
    HOLD = "hold"
    """A person shall decide: one said so, or its attempt was lost."""
    RELEASE = "release"
    """A person let it go, and it is due."""
    RELEASE_EARLY = "release_early"
    """A person let it go before its time."""
    RELEASE_AGAIN = "release_again"
    """The same, and it was tried before."""
    DELETE = "delete"
    """A person, or its age, removed all that was kept of it."""


class AttemptEvent(StrEnum):
    """What can happen to an attempt."""

    CLAIM = "claim"
    START = "start"
    STOP = "stop"
    WITHDRAW = "withdraw"
    """It never started: its row goes and its number is free for the next."""
    SUCCEED = "succeed"
    FAIL = "fail"
    TIME_OUT = "time_out"
    CANCEL = "cancel"
    LOSE = "lose"


NEW = "new"
GONE = "gone"
"""Before there is a row, and when there is none any more."""

T = TaskState
TASK = MappingProxyType(
    {
        (NEW, TaskEvent.SUBMIT): T.READY,
        (NEW, TaskEvent.SUBMIT_LATER): T.SCHEDULED,
        (NEW, TaskEvent.SUBMIT_HELD): T.HELD,
        (T.SCHEDULED, TaskEvent.DUE): T.READY,
        (T.SCHEDULED, TaskEvent.DEFER): T.SCHEDULED,
        (T.SCHEDULED, TaskEvent.EDIT): T.SCHEDULED,
        (T.SCHEDULED, TaskEvent.CANCEL): T.CANCELLED,
        (T.BLOCKED, TaskEvent.EDIT): T.BLOCKED,
        (T.BLOCKED, TaskEvent.CANCEL): T.CANCELLED,
        (T.READY, TaskEvent.DUE): T.READY,
        (T.READY, TaskEvent.DEFER): T.SCHEDULED,
        (T.READY, TaskEvent.EDIT): T.READY,
        (T.READY, TaskEvent.CLAIM): T.RUNNING,
        (T.READY, TaskEvent.CORRUPT): T.FAILED,
        (T.READY, TaskEvent.CANCEL): T.CANCELLED,
        (T.RUNNING, TaskEvent.GIVE_BACK): T.READY,
        (T.RUNNING, TaskEvent.CANCEL): T.RUNNING,
        (T.RUNNING, TaskEvent.SUCCEED): T.SUCCEEDED,
        (T.RUNNING, TaskEvent.FAIL): T.FAILED,
        (T.RUNNING, TaskEvent.STOPPED): T.CANCELLED,
        (T.RUNNING, TaskEvent.REQUEUE): T.READY,
        (T.RUNNING, TaskEvent.HOLD): T.HELD,
        (T.RETRYING, TaskEvent.DUE): T.READY,
        (T.RETRYING, TaskEvent.EDIT): T.RETRYING,
        (T.RETRYING, TaskEvent.CANCEL): T.CANCELLED,
        (T.HELD, TaskEvent.EDIT): T.HELD,
        (T.HELD, TaskEvent.CANCEL): T.CANCELLED,
        (T.HELD, TaskEvent.RELEASE): T.READY,
        (T.HELD, TaskEvent.RELEASE_EARLY): T.SCHEDULED,
        (T.HELD, TaskEvent.RELEASE_AGAIN): T.RETRYING,
    }
    | {(state, TaskEvent.HOLD): T.HELD for state in WAITING_TASK_STATES}
    | {(state, TaskEvent.DELETE): GONE for state in TaskState if state is not T.RUNNING}
)

A = AttemptState
ATTEMPT = MappingProxyType(
    {
        (NEW, AttemptEvent.CLAIM): A.CLAIMED,
        (A.CLAIMED, AttemptEvent.START): A.RUNNING,
        (A.CLAIMED, AttemptEvent.STOP): A.STOPPING,
        (A.CLAIMED, AttemptEvent.WITHDRAW): GONE,
        (A.RUNNING, AttemptEvent.STOP): A.STOPPING,
        (A.STOPPING, AttemptEvent.START): A.STOPPING,
        (A.STOPPING, AttemptEvent.WITHDRAW): GONE,
    }
    | {
        (live, event): end
        for live in (A.CLAIMED, A.RUNNING, A.STOPPING)
        for event, end in (
            (AttemptEvent.SUCCEED, A.SUCCEEDED),
            (AttemptEvent.FAIL, A.FAILED),
            (AttemptEvent.TIME_OUT, A.TIMED_OUT),
            (AttemptEvent.CANCEL, A.CANCELLED),
            (AttemptEvent.LOSE, A.LOST),
        )
    }
)

_AFTER = MappingProxyType(
    {
        A.SUCCEEDED: TaskEvent.SUCCEED,
        A.FAILED: TaskEvent.FAIL,
        A.TIMED_OUT: TaskEvent.FAIL,
        A.CANCELLED: TaskEvent.STOPPED,
    }
)


def event_after(end: AttemptState, *, on_lost: OnLost, lost_before: int, cancel_requested: bool) -> TaskEvent:
    """What the end of an attempt means for its task."""
    if end is not AttemptState.LOST:
        return _AFTER[end]
    if cancel_requested:
        return TaskEvent.STOPPED
    if on_lost is OnLost.HOLD:
        return TaskEvent.HOLD
    if on_lost is OnLost.RETRY and lost_before + 1 < LOST_LIMIT:
        return TaskEvent.REQUEUE
    return TaskEvent.FAIL
