"""Claims: a ready task is given to one executor, handed back unstarted, or reported as started.

The fence of every write about an attempt is its id: it only grows, also over restored copies, and never comes back.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from . import model, rows
from .cipher import CorruptRecord
from .endings import finished, lose

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from .db import Db

__all__ = [
    "claim",
    "finished",
    "live_attempts",
    "lose",
    "paused",
    "queues_with_ready",
    "returned",
    "skip_ids",
    "started",
]

CLAIM_BYTES = 8 << 20
"""What a claim may load at once; the task that reaches it is still given."""
CORRUPT = "what is stored of this task is damaged; it was not run"


def claim(
    db: Db, *, executor: str, queue: str, limit: int, now_us: int, corrupt: list[str] | None = None
) -> list[model.Claimed]:
    """Give an executor at most `limit` ready tasks of a queue, the first first; no more once CLAIM_BYTES are reached.

    A task whose payload cannot be opened is not given; it fails (corrupt_record), the next one takes its place, and its
    id goes to `corrupt`. An executor that is gone, or unknown, is given nothing.
    """
    given: list[model.Claimed] = []
    damaged: list[str] = []
    more = _is_present(db, executor)
    while more and len(given) < limit and _bytes_of(given) < CLAIM_BYTES:
        first, bad = _first_ready(db, queue, limit - len(given), CLAIM_BYTES - _bytes_of(given))
        given += _take(db, executor, first, now_us)
        for seq in bad.values():
            _fail_corrupt(db, seq, now_us)
        damaged += bad
        more = bool(bad)
    if corrupt is not None:
        corrupt[:] = damaged  # the writer may run a command again
    return given


def ready_count(db: Db, *, queue: str, limit: int) -> int:
    """How many tasks of a queue are ready, counted no further than `limit` (supervisor/desk.py shares them out)."""
    (row,) = db.all("ready_count", queue=queue, limit=limit)
    return int(row["ready"])


def queues_with_ready(db: Db) -> list[str]:
    """The queues that have something to give."""
    return [row["queue"] for row in db.all("queues_with_ready")]


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


def returned(db: Db, *, attempt_ids: Sequence[int], executor: str) -> list[str]:
    """Take back attempts that were never started: their tasks are ready again, or cancelled if that was asked.

    Returns the ids of these tasks. Attempts that have started, ended, or are another executor's are passed over.
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
    return [row["task_id"] for row in unstarted]


def live_attempts(db: Db, *, executor: str) -> list[model.LiveAttempt]:
    """What an executor holds."""
    return [
        model.LiveAttempt(
            attempt_id=row["id"],
            task_id=row["task_id"],
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


def _bytes_of(claimed: Sequence[model.Claimed]) -> int:
    return sum(len(one.payload) for one in claimed)


def _first_ready(db: Db, queue: str, limit: int, room: int) -> tuple[list[tuple[sqlite3.Row, bytes]], dict[str, int]]:
    """The first ready tasks with their payloads, until these fill the room; and id and seq of those damaged."""
    good: list[tuple[sqlite3.Row, bytes]] = []
    bad: dict[str, int] = {}
    for row in db.each("first_ready", queue=queue, limit=limit):
        try:
            payload = rows.open_payload(db, row["sealed"], seq=row["seq"], revision=row["revision"])
        except CorruptRecord:
            bad[row["task_id"]] = row["seq"]
            continue
        good.append((row, payload))
        room -= len(payload)
        if room <= 0:
            break
    return good, bad


def _take(db: Db, executor: str, first: Sequence[tuple[sqlite3.Row, bytes]], now_us: int) -> list[model.Claimed]:
    if not first:
        return []
    seqs = json.dumps([row["seq"] for row, _ in first])
    made = db.all("claim_attempts", executor=executor, seqs=seqs, now_us=now_us)
    ids = {row["task"]: row["id"] for row in made}
    db.run("claim_tasks", first=min(ids.values()))
    return [_claimed(row, payload, ids[row["seq"]]) for row, payload in first]


def _claimed(row: sqlite3.Row, payload: bytes, attempt_id: int) -> model.Claimed:
    return model.Claimed(
        attempt_id=attempt_id,
        number=row["number"],
        task_id=row["task_id"],
        queue=row["queue"],
        payload=payload,
        timeout_us=row["timeout_us"],
        grace_us=row["grace_us"],
        due_at_us=row["due_at_us"],
        scheduled_for_us=row["scheduled_for_us"],
        profile=row["profile"],
        output_cap_bytes=row["output_cap_bytes"],
    )


def _fail_corrupt(db: Db, seq: int, now_us: int) -> None:
    message = rows.seal_message(db, CORRUPT, table="tasks", row=seq)
    db.run("fail_corrupt_task", seq=seq, now_us=now_us, message=message)
