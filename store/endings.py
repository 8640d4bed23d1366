"""How attempts end, and what that makes of their tasks. The first end counts; a later one is passed over."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..proto.values import FINAL_TASK_STATES, AttemptState, EndReason, OnLost, TaskState
from . import model, results, rows
from .children import settle
from .lifecycle import TASK, TaskEvent, event_after, retry_delay_us

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from .db import Db

STATEMENTS = {
    TaskEvent.SUCCEED: "succeed_task",
    TaskEvent.FAIL: "fail_task",
    TaskEvent.STOPPED: "stop_task",
    TaskEvent.RETRY: "retry_task",
    TaskEvent.REQUEUE: "requeue_task",
    TaskEvent.HOLD: "hold_task",
}
FUNCTION = "function"
"""The kind of tasks that return something."""
STOPPED_UNFINISHED = "stop_unfinished_task"

End = tuple["sqlite3.Row", model.FinishReport]


def finished(db: Db, *, reports: Sequence[model.FinishReport]) -> list[model.Ended]:
    """Record ends. Reports of attempts that ended before, are unknown, or are another executor's are passed over.

    A lost attempt fails its task, or readies or holds it, as the task asked for; one whose cancel was asked for ends
    cancelled. A failed one is tried again later while it may be. What is final is told to those that wait for it.
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
    if not ends:
        return []
    db.many("end_attempt", [_attempt_columns(db, report) for _, report in ends])
    by_statement: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    ended = []
    for row, report in ends:
        event = _event(row, report)
        end = _ended(row, report, event)
        by_statement[_statement(event, report)].append(_task_columns(row, report, end))
        ended.append(end)
    for statement, tasks in by_statement.items():
        db.many(statement, tasks)
    results.store(
        db, [(row["seq"], row["id"], plain) for row, report in ends if (plain := _returned(row, report)) is not None]
    )
    return _with_children(db, ends, ended)


def _with_children(db: Db, ends: Sequence[End], ended: list[model.Ended]) -> list[model.Ended]:
    final = [row["seq"] for (row, _), end in zip(ends, ended, strict=True) if end.state in FINAL_TASK_STATES]
    children = settle(db, seqs=final, now_us=max(report.finished_at_us for _, report in ends))
    return [*ended[:-1], replace(ended[-1], children=children)] if children else ended


def _returned(row: sqlite3.Row, report: model.FinishReport) -> bytes | None:
    """Only a function that succeeded has a result."""
    return report.result if report.state == AttemptState.SUCCEEDED and row["kind"] == FUNCTION else None


def _event(row: sqlite3.Row, report: model.FinishReport) -> TaskEvent:
    return event_after(
        AttemptState(report.state),
        on_lost=OnLost(row["on_lost"]),
        lost_before=row["lost_before"],
        cancel_requested=row["cancel_requested_at_us"] is not None,
        may_repeat=report.snoozed or row["number"] < row["max_attempts"],
        asks_again=report.snoozed or report.again_in_us is not None,
    )


def _statement(event: TaskEvent, report: model.FinishReport) -> str:
    """The statement that tells the task."""
    return STOPPED_UNFINISHED if _stopped_unfinished(event, report) else STATEMENTS[event]


def _stopped_unfinished(event: TaskEvent, report: model.FinishReport) -> bool:
    return event is TaskEvent.STOPPED and report.state != AttemptState.CANCELLED


def _task_columns(row: sqlite3.Row, report: model.FinishReport, end: model.Ended) -> dict[str, Any]:
    return {
        "seq": row["seq"],
        "attempt_id": report.attempt_id,
        "now_us": report.finished_at_us,
        "due_at_us": end.due_at_us,
        "more": report.snoozed,
    }


def _again_at_us(row: sqlite3.Row, report: model.FinishReport) -> int:
    """When it would be tried again."""
    delay_us = report.again_in_us
    if delay_us is None:
        delay_us = retry_delay_us(row["retry_delay_us"], row["failed_before"])
    return report.finished_at_us + delay_us


def _due_at_us(row: sqlite3.Row, report: model.FinishReport, event: TaskEvent) -> int:
    if event is TaskEvent.RETRY:
        return _again_at_us(row, report)
    return report.finished_at_us if event is TaskEvent.REQUEUE else int(row["due_at_us"])


def _ended(row: sqlite3.Row, report: model.FinishReport, event: TaskEvent) -> model.Ended:
    return model.Ended(
        attempt_id=report.attempt_id,
        task_id=row["task_id"],
        state=TASK[TaskState.RUNNING, event],
        attempt=row["number"],
        queue=row["queue"],
        due_at_us=_due_at_us(row, report, event),
        reason=EndReason.CANCELLED if _stopped_unfinished(event, report) else report.reason,
        exit_code=report.exit_code,
        signal=report.signal,
        shared=bool(row["shared"]),
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
