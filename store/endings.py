"""How attempts end, and what that makes of their tasks. The first end counts; a later one is passed over."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from ..proto.values import AttemptState, EndReason, OnLost, TaskState
from . import model, rows
from .lifecycle import TASK, TaskEvent, event_after

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from .db import Db

STATEMENTS = {
    TaskEvent.SUCCEED: "succeed_task",
    TaskEvent.FAIL: "fail_task",
    TaskEvent.STOPPED: "stop_task",
    TaskEvent.REQUEUE: "requeue_task",
    TaskEvent.HOLD: "hold_task",
}
LOST_WHILE_STOPPING = "stop_lost_task"

End = tuple["sqlite3.Row", model.FinishReport]


def finished(db: Db, *, reports: Sequence[model.FinishReport]) -> list[model.Ended]:
    """Record ends. Reports of attempts that ended before, are unknown, or are another executor's are passed over.

    A lost attempt fails its task, or readies or holds it, as the task asked for; one whose cancel was asked for ends
    cancelled.
    """
    live = _live_among(db, [report.attempt_id for report in reports])
    ends: list[End] = []
    for report in reports:
        row = live.get(report.attempt_id)
        if row is not None and row["executor"] == report.executor:
            ends.append((live.pop(report.attempt_id), report))
    return _end(db, ends)


def lose(db: Db, *, executor: str, reason: str, message: str, now_us: int) -> list[model.Ended]:
    """Record that every attempt of a dead executor is lost: no result exists, and all it started is proven gone."""
    held = [row["id"] for row in db.all("live_of_executor", executor=executor)]
    return _end(
        db,
        [
            (row, _lost(attempt_id, executor, reason, message, now_us))
            for attempt_id, row in _live_among(db, held).items()
        ],
    )


def _live_among(db: Db, attempt_ids: Iterable[int]) -> dict[int, sqlite3.Row]:
    return {row["id"]: row for row in db.all("live_among", attempt_ids=json.dumps(list(attempt_ids)))}


def _end(db: Db, ends: Sequence[End]) -> list[model.Ended]:
    db.many("end_attempt", [_attempt_columns(db, report) for _, report in ends])
    by_statement: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    ended = []
    for row, report in ends:
        event = _event(row, report)
        task = {"seq": row["seq"], "attempt_id": report.attempt_id, "now_us": report.finished_at_us}
        by_statement[_statement(event, report)].append(task)
        ended.append(_ended(row, report, event))
    for statement, tasks in by_statement.items():
        db.many(statement, tasks)
    return ended


def _event(row: sqlite3.Row, report: model.FinishReport) -> TaskEvent:
    return event_after(
        AttemptState(report.state),
        on_lost=OnLost(row["on_lost"]),
        lost_before=row["lost_before"],
        cancel_requested=row["cancel_requested_at_us"] is not None,
    )


def _statement(event: TaskEvent, report: model.FinishReport) -> str:
    """The statement that tells the task."""
    return LOST_WHILE_STOPPING if _lost_while_stopping(event, report) else STATEMENTS[event]


def _lost_while_stopping(event: TaskEvent, report: model.FinishReport) -> bool:
    return event is TaskEvent.STOPPED and report.state == AttemptState.LOST


def _ended(row: sqlite3.Row, report: model.FinishReport, event: TaskEvent) -> model.Ended:
    return model.Ended(
        attempt_id=report.attempt_id,
        task_id=row["task_id"],
        state=TASK[TaskState.RUNNING, event],
        attempt=row["number"],
        queue=row["queue"],
        due_at_us=report.finished_at_us if event is TaskEvent.REQUEUE else row["due_at_us"],
        reason=EndReason.CANCELLED if _lost_while_stopping(event, report) else report.reason,
        exit_code=report.exit_code,
        signal=report.signal,
    )


def _attempt_columns(db: Db, report: model.FinishReport) -> dict[str, Any]:
    return {
        "attempt_id": report.attempt_id,
        "state": report.state,
        "exit_code": report.exit_code,
        "signal": report.signal,
        "reason": report.reason,
        "message": rows.seal_message(db, report.message, table="attempts", row=report.attempt_id),
        "started_at_us": report.started_at_us,
        "finished_at_us": report.finished_at_us,
        "cpu_s": report.cpu_s,
        "peak_bytes": report.peak_bytes,
        "stdout_bytes": report.stdout_bytes,
        "stderr_bytes": report.stderr_bytes,
        "dropped_bytes": report.dropped_bytes,
        "leftovers": report.leftovers,
        "pid": report.pid,
        "paused_us": report.paused_us,
    }


def _lost(attempt_id: int, executor: str, reason: str, message: str, now_us: int) -> model.FinishReport:
    return model.FinishReport(
        attempt_id=attempt_id,
        executor=executor,
        state=AttemptState.LOST,
        exit_code=None,
        signal=None,
        reason=reason,
        message=message,
        started_at_us=None,
        finished_at_us=now_us,
        cpu_s=None,
        peak_bytes=None,
        stdout_bytes=0,
        stderr_bytes=0,
        dropped_bytes=0,
        leftovers=0,
        pid=None,
    )
