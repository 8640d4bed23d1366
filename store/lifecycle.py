"""The life cycle of tasks and attempts: state x event -> state. What is not listed is refused.

    scheduled, retrying --due--> ready --claim--> running --succeed--> succeeded
                                   ^                 |-----fail------> failed       (also: lost for good)
                                   |<--give_back-----|-----stopped---> cancelled
                                   |<--requeue-------'-----hold------> held

    blocked --unblock--> ready, or where it waits for its time      blocked, held --skip--> skipped
    running --retry--> retrying: its attempt failed, and more are allowed
    whatever waits --hold--> held --release--> ready, or where it waited for its time or for others
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
    SUBMIT_BLOCKED = "submit_blocked"
    """Submitted to wait for tasks that have not ended."""
    SUBMIT_SKIPPED = "submit_skipped"
    """Submitted to wait for a task that had ended otherwise than it was to."""
    BLOCK = "block"
    """A person let it wait for other tasks."""
    UNBLOCK = "unblock"
    """It waits for no other task any more, and is due."""
    UNBLOCK_EARLY = "unblock_early"
    """The same, before its time."""
    UNBLOCK_AGAIN = "unblock_again"
    """The same, and it was tried before."""
    SKIP = "skip"
    """A task that it was to wait for ended otherwise than it was to."""
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
    RETRY = "retry"
    """Its attempt failed or asked for it, and it may be tried again, after a while."""
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
    RELEASE_BLOCKED = "release_blocked"
    """A person let it go, and it waits for other tasks."""
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


RETRY_DELAY_LIMIT_US = 3600 * 1_000_000
NEW = "new"
GONE = "gone"
"""Before there is a row, and when there is none any more."""

T = TaskState
TASK = MappingProxyType(
    {
        (NEW, TaskEvent.SUBMIT): T.READY,
        (NEW, TaskEvent.SUBMIT_LATER): T.SCHEDULED,
        (NEW, TaskEvent.SUBMIT_HELD): T.HELD,
        (NEW, TaskEvent.SUBMIT_BLOCKED): T.BLOCKED,
        (NEW, TaskEvent.SUBMIT_SKIPPED): T.SKIPPED,
        (T.SCHEDULED, TaskEvent.DUE): T.READY,
        (T.SCHEDULED, TaskEvent.DEFER): T.SCHEDULED,
        (T.SCHEDULED, TaskEvent.EDIT): T.SCHEDULED,
        (T.SCHEDULED, TaskEvent.CANCEL): T.CANCELLED,
        (T.SCHEDULED, TaskEvent.BLOCK): T.BLOCKED,
        (T.BLOCKED, TaskEvent.BLOCK): T.BLOCKED,
        (T.BLOCKED, TaskEvent.UNBLOCK): T.READY,
        (T.BLOCKED, TaskEvent.UNBLOCK_EARLY): T.SCHEDULED,
        (T.BLOCKED, TaskEvent.UNBLOCK_AGAIN): T.RETRYING,
        (T.BLOCKED, TaskEvent.SKIP): T.SKIPPED,
        (T.BLOCKED, TaskEvent.EDIT): T.BLOCKED,
        (T.BLOCKED, TaskEvent.CANCEL): T.CANCELLED,
        (T.READY, TaskEvent.DUE): T.READY,
        (T.READY, TaskEvent.DEFER): T.SCHEDULED,
        (T.READY, TaskEvent.EDIT): T.READY,
        (T.READY, TaskEvent.BLOCK): T.BLOCKED,
        (T.READY, TaskEvent.CLAIM): T.RUNNING,
        (T.READY, TaskEvent.CORRUPT): T.FAILED,
        (T.READY, TaskEvent.CANCEL): T.CANCELLED,
        (T.RUNNING, TaskEvent.GIVE_BACK): T.READY,
        (T.RUNNING, TaskEvent.CANCEL): T.RUNNING,
        (T.RUNNING, TaskEvent.SUCCEED): T.SUCCEEDED,
        (T.RUNNING, TaskEvent.FAIL): T.FAILED,
        (T.RUNNING, TaskEvent.STOPPED): T.CANCELLED,
        (T.RUNNING, TaskEvent.RETRY): T.RETRYING,
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
        (T.HELD, TaskEvent.RELEASE_BLOCKED): T.BLOCKED,
        (T.HELD, TaskEvent.SKIP): T.SKIPPED,
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


def event_after(
    end: AttemptState,
    *,
    on_lost: OnLost,
    lost_before: int,
    cancel_requested: bool,
    may_repeat: bool = False,
    asks_again: bool = False,
) -> TaskEvent:
    """What the end of an attempt means for its task.

    `may_repeat`: one that failed may be tried again. `asks_again`: it asked for that itself, so it has no result, and
    one that is to be cancelled is.
    """
    if end is not AttemptState.LOST:
        return _after_result(end, cancel_requested=cancel_requested, may_repeat=may_repeat, asks_again=asks_again)
    if cancel_requested:
        return TaskEvent.STOPPED
    if on_lost is OnLost.HOLD:
        return TaskEvent.HOLD
    if on_lost is OnLost.RETRY and lost_before + 1 < LOST_LIMIT:
        return TaskEvent.REQUEUE
    return TaskEvent.FAIL


def _after_result(end: AttemptState, *, cancel_requested: bool, may_repeat: bool, asks_again: bool) -> TaskEvent:
    event = _AFTER[end]
    if event is not TaskEvent.FAIL:
        return event
    if cancel_requested:
        return TaskEvent.STOPPED if asks_again else TaskEvent.FAIL
    return TaskEvent.RETRY if may_repeat else TaskEvent.FAIL


def retry_delay_us(first_us: int, failed_before: int) -> int:
    """How long a task waits after a failed attempt: twice as long each time, at most RETRY_DELAY_LIMIT_US."""
    return min(first_us << min(failed_before, 32), RETRY_DELAY_LIMIT_US)
