"""Claims: a ready task is given to one executor, handed back unstarted, or reported as started.

The fence of every write about an attempt is its id: it only grows, also over restored copies, and never comes back.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from . import model, results, rows
from .children import settle
from .cipher import CorruptRecord
from .endings import finished, lose

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from .db import Db

__all__ = [
    "ahead_of",
    "claim",
    "finished",
    "live_attempts",
    "lose",
    "paused",
    "progressed",
    "queues_with_ready",
    "returned",
    "skip_ids",
    "started",
]

T = TypeVar("T")
CLAIM_BYTES = 8 << 20
"""What a claim may load at once; the task that reaches it is still given."""
CORRUPT = "what is stored of this task is damaged; it was not run"


class Lane(NamedTuple):
    """Where to look for ready tasks, and for how many."""

    queue: str
    shared: bool
    limit: int


class First(NamedTuple):
    """A ready task, what it is to run, and the results of others that it takes."""

    row: sqlite3.Row
    payload: bytes
    results: tuple[bytes | None, ...]


def claim(
    db: Db,
    *,
    executor: str,
    queue: str,
    limit: int,
    now_us: int,
    shared: bool = False,
    corrupt: list[str] | None = None,
    children: list[model.Child] | None = None,
) -> list[model.Claimed]:
    """Give an executor at most `limit` ready tasks of a lane, the first first; no more once CLAIM_BYTES are reached.

    With each come the results of other tasks that it takes. A task whose payload, or one of those, cannot be opened is
    not given; it fails (corrupt_record), the next one takes its place, its id goes to `corrupt`, and what that makes of
    those that wait for it to `children`. An executor that is gone, or unknown, is given nothing.
    """
    given: list[model.Claimed] = []
    damaged: dict[str, int] = {}
    more = _is_present(db, executor)
    while more and len(given) < limit and _bytes_of(given) < CLAIM_BYTES:
        lane = Lane(queue, shared, limit - len(given))
        first, bad = _first_ready(db, lane, CLAIM_BYTES - _bytes_of(given))
        given += _take(db, executor, first, now_us)
        for seq in bad.values():
            _fail_corrupt(db, seq, now_us)
        damaged |= bad
        more = bool(bad)
    _hand_over(corrupt, damaged)
    _hand_over(children, settle(db, seqs=list(damaged.values()), now_us=now_us))
    return given


def ready_count(db: Db, *, queue: str, limit: int, shared: bool = False) -> int:
    """How many tasks of a lane are ready, counted no further than `limit` (supervisor/desk.py shares them out)."""
    (row,) = db.all("ready_count", queue=queue, shared=shared, limit=limit)
    return int(row["ready"])


def ahead_of(db: Db, *, row: model.TaskRow, limit: int) -> int:
    """How many ready tasks of its lane are given out before one that is ready, counted no further than `limit`."""
    place = {"priority": row.priority, "due_at_us": row.due_at_us, "seq": row.seq}
    (found,) = db.all("ahead_of", shared=row.shared, queue=row.queue, limit=limit, **place)
    return int(found["ahead"])


def queues_with_ready(db: Db) -> list[tuple[str, bool]]:
    """The lanes that have something to give: a queue, and whether what is ready there shares runners."""
    return [(row["queue"], bool(row["shared"])) for row in db.all("queues_with_ready")]


def started(db: Db, *, reports: Sequence[model.StartReport]) -> None:
    """Note that attempts have started. Those that ended, or are another executor's, are passed over."""
    values = [
        {
            "attempt_id": report.attempt_id,
            "executor": report.executor,
            "pid": report.pid,
            "start_ticks": report.start_ticks,
            "started_at_us": report.started_at_us,
        }
        for report in reports
    ]
    if db.many("start_claimed", values) < len(values):
        db.many("start_stopping", values)


def paused(db: Db, *, reports: Sequence[model.PauseReport]) -> None:
    """Note which attempts stand still, and which go on. Those not running, or another executor's, are passed over."""
    values = [
        {
            "attempt_id": report.attempt_id,
            "executor": report.executor,
            "paused_at_us": report.at_us if report.on else None,
            "paused_us": report.paused_us,
        }
        for report in reports
    ]
    db.many("pause_attempt", values)


def progressed(db: Db, *, reports: Sequence[model.ProgressReport]) -> None:
    """Note how far attempts are. Those that have ended, or are another executor's, are passed over."""
    values = [
        {
            "attempt_id": report.attempt_id,
            "executor": report.executor,
            "at_us": report.at_us,
            "done": report.done,
            "total": report.total,
            "text": rows.seal_text(db, report.text, attempt_id=report.attempt_id),
        }
        for report in reports
    ]
    db.many("note_progress", values)


def returned(
    db: Db, *, attempt_ids: Sequence[int], executor: str, children: list[model.Child] | None = None
) -> list[str]:
    """Take back attempts that were never started: their tasks are ready again, or cancelled if that was asked.

    Returns the ids of these tasks; what a cancel makes of those that wait goes to `children`. Attempts that have
    started, ended, or are another executor's are passed over.
    """
    unstarted = [
        row
        for row in db.all("live_among", attempt_ids=json.dumps(list(attempt_ids)))
        if row["executor"] == executor and row["state"] != "running" and row["started_at_us"] is None
    ]
    for row in unstarted:
        back = "give_back_task" if row["cancel_requested_at_us"] is None else "stop_unstarted_task"
        db.run(back, seq=row["seq"], attempt_id=row["id"])
        db.run("withdraw_attempt", attempt_id=row["id"])
    cancelled = [row for row in unstarted if row["cancel_requested_at_us"] is not None]
    now_us = max((row["cancel_requested_at_us"] for row in cancelled), default=0)
    _hand_over(children, settle(db, seqs=[row["seq"] for row in cancelled], now_us=now_us))
    return [row["task_id"] for row in unstarted]


def live_attempts(db: Db, *, executor: str) -> list[model.LiveAttempt]:
    """What an executor holds."""
    return [
        model.LiveAttempt(
            attempt_id=row["id"],
            number=row["number"],
            task_id=row["task_id"],
            shared=bool(row["shared"]),
            state=row["state"],
            grace_us=row["grace_us"],
            cancel=row["cancel_requested_at_us"] is not None,
        )
        for row in db.all("live_of_executor", executor=executor)
    ]


def skip_ids(db: Db, *, newest: int) -> None:
    """Give the next attempt an id above `newest`, for output of a later copy may be kept under ids up to that one."""
    db.run("begin_attempt_ids", newest=newest)
    db.run("skip_attempt_ids", newest=newest)


def _is_present(db: Db, executor: str) -> bool:
    row = db.one("executor_by_id", id=executor)
    return row is not None and row["state"] == "present"


def _hand_over(wanted: list[T] | None, found: Iterable[T]) -> None:
    """Give a caller what it asked for; whole, for the writer may run a command again."""
    if wanted is not None:
        wanted[:] = found


def _bytes_of(claimed: Sequence[model.Claimed]) -> int:
    return sum(len(one.payload) + (_size(one.results) if one.results else 0) for one in claimed)


def _size(results: Iterable[bytes | None]) -> int:
    return sum(len(each) for each in results if each is not None)


def _first_ready(db: Db, lane: Lane, room: int) -> tuple[list[First], dict[str, int]]:
    """The first ready tasks with all they take, until that fills the room; and id and seq of those damaged."""
    good: list[First] = []
    bad: dict[str, int] = {}
    for row in db.each("first_ready", **lane._asdict()):
        try:
            first = First(row, rows.open_payload(db, row["sealed"], seq=row["seq"], revision=row["revision"]), ())
            if row["wants_results"]:
                first = first._replace(results=results.wanted(db, row["seq"]))
        except CorruptRecord:
            bad[row["task_id"]] = row["seq"]
            continue
        good.append(first)
        room -= len(first.payload) + (_size(first.results) if first.results else 0)
        if room <= 0:
            break
    return good, bad


def _take(db: Db, executor: str, first: Sequence[First], now_us: int) -> list[model.Claimed]:
    if not first:
        return []
    seqs = json.dumps([one.row["seq"] for one in first])
    made = db.all("claim_attempts", executor=executor, seqs=seqs, now_us=now_us)
    ids = {row["task"]: row["id"] for row in made}
    db.run("claim_tasks", first=min(ids.values()))
    return [_claimed(one, ids[one.row["seq"]]) for one in first]


def _claimed(first: First, attempt_id: int) -> model.Claimed:
    row = first.row
    return model.Claimed(
        attempt_id=attempt_id,
        number=row["number"],
        task_id=row["task_id"],
        queue=row["queue"],
        payload=first.payload,
        timeout_us=row["timeout_us"],
        grace_us=row["grace_us"],
        due_at_us=row["due_at_us"],
        scheduled_for_us=row["scheduled_for_us"],
        profile=row["profile"],
        output_cap_bytes=row["output_cap_bytes"],
        kind=row["kind"],
        shared=bool(row["shared"]),
        max_attempts=row["max_attempts"],
        owner=row["owner"],
        results=first.results,
    )


def _fail_corrupt(db: Db, seq: int, now_us: int) -> None:
    message = rows.seal_message(db, CORRUPT, table="tasks", row=seq)
    db.run("fail_corrupt_task", seq=seq, now_us=now_us, message=message)
