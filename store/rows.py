"""From rows to values: the one place that knows how a task reads, with what its newest attempt tells."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from ..proto.errors import Refusal, RefusalReason
from ..proto.values import TaskState
from . import model
from .cipher import CorruptRecord

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from .db import Db

UNREADABLE = "(the stored message is damaged)"
MADE = ("reason", "message", "shared", "progress", "payload")
AS_IT_IS = tuple(field.name for field in fields(model.TaskRow) if field.name not in MADE)
"""What of a task is told as its row has it."""


def tasks(db: Db, seqs: Sequence[int], *, with_payload: bool) -> list[model.TaskRow]:
    """The tasks, in the order asked for; those that are gone are left out."""
    asked = json.dumps(seqs)
    found = {row["seq"]: row for row in db.all("tasks_by_seq", seqs=asked)}
    payloads = _payloads(db, asked) if with_payload else {}
    return [_task(db, found[seq], payloads.get(seq)) for seq in seqs if seq in found]


def task(db: Db, seq: int, *, with_payload: bool = True) -> model.TaskRow:
    """One task that is there."""
    (row,) = tasks(db, [seq], with_payload=with_payload)
    return row


def attempts(db: Db, seq: int) -> list[model.AttemptRow]:
    """Every try of a task, the oldest first."""
    return [_attempt(db, row) for row in db.all("attempts_of_task", seq=seq)]


def seq_and_state(db: Db, task_id: str) -> tuple[int, str]:
    """Where a task is. Raises Refusal NO_SUCH_TASK."""
    row = db.one("seq_of", id=task_id, owner=db.only)
    if row is None:
        raise Refusal(RefusalReason.NO_SUCH_TASK, f"there is no task {task_id}", "`tsched list` shows what there is")
    return row["seq"], row["state"]


def wrong_state(task_id: str, state: str, deed: str) -> Refusal:
    """Why a task cannot be changed, held, deleted or cancelled, and what can be done."""
    if state == TaskState.RUNNING:
        return Refusal(
            RefusalReason.WRONG_STATE, f"task {task_id} is running and cannot be {deed}", "cancel it, or wait for it"
        )
    return Refusal(
        RefusalReason.WRONG_STATE,
        f"task {task_id} has ended ({state}) and cannot be {deed}",
        f"`tsched retry {task_id}` runs it once more, as a new task",
    )


def payload(db: Db, seq: int) -> tuple[bytes, int]:
    """What a task is to run, and its revision. Raises CorruptRecord."""
    for row in db.all("payloads_of", seqs=json.dumps([seq])):
        return open_payload(db, row["sealed"], seq=seq, revision=row["revision"]), row["revision"]
    raise CorruptRecord(f"task {seq} has no payload")


def readable_payload(db: Db, seq: int, task_id: str) -> bytes:
    """What a task is to run. Raises Refusal STORE_CORRUPT when it cannot be opened."""
    try:
        return payload(db, seq)[0]
    except CorruptRecord as error:
        raise Refusal(
            RefusalReason.STORE_CORRUPT, f"what is stored of task {task_id} is damaged", "delete it and submit it again"
        ) from error


def seal_payload(db: Db, plain: bytes, *, seq: int, revision: int) -> bytes:
    """A payload as it is stored."""
    return db.cipher.seal(plain, table="payloads", row=seq, column="sealed", revision=revision)


def open_payload(db: Db, sealed: bytes | None, *, seq: int, revision: int | None) -> bytes:
    """A payload as it was given. Raises CorruptRecord, also when there is none."""
    if sealed is None or revision is None:
        raise CorruptRecord(f"task {seq} has no payload")
    return db.cipher.open(sealed, table="payloads", row=seq, column="sealed", revision=revision)


def seal_message(db: Db, message: str, *, table: str, row: int) -> bytes | None:
    """A message as it is stored; nothing for none."""
    return db.cipher.seal(message.encode(errors="replace"), table=table, row=row, column="message") if message else None


def open_message(db: Db, sealed: bytes | None, *, table: str, row: int) -> str:
    """A message for people; a damaged one says so."""
    return _opened_text(db, sealed, table=table, row=row, column="message")


def seal_text(db: Db, text: str, *, attempt_id: int) -> bytes | None:
    """What an attempt says of its progress, as it is stored."""
    return (
        db.cipher.seal(text.encode(errors="replace"), table="progress", row=attempt_id, column="text") if text else None
    )


def open_text(db: Db, sealed: bytes | None, *, attempt_id: int) -> str:
    """What an attempt said of its progress."""
    return _opened_text(db, sealed, table="progress", row=attempt_id, column="text")


def _opened_text(db: Db, sealed: bytes | None, *, table: str, row: int, column: str) -> str:
    if sealed is None:
        return ""
    try:
        return db.cipher.open(sealed, table=table, row=row, column=column).decode()
    except (CorruptRecord, UnicodeDecodeError):
        return UNREADABLE


def _payloads(db: Db, seqs: str) -> dict[int, bytes]:
    """Those that can be opened."""
    opened = {}
    for row in db.all("payloads_of", seqs=seqs):
        try:
            opened[row["task"]] = open_payload(db, row["sealed"], seq=row["task"], revision=row["revision"])
        except CorruptRecord:
            continue
    return opened


def _why(db: Db, row: Mapping[str, Any]) -> tuple[str, str]:
    """Reason and message: the task's own where it ended for one, else those of its newest attempt."""
    if row["reason"] is not None:
        return row["reason"], open_message(db, row["message"], table="tasks", row=row["seq"])
    if row["newest_id"] is None:
        return "", ""
    return row["attempt_reason"], open_message(db, row["attempt_message"], table="attempts", row=row["newest_id"])


def _task(db: Db, row: sqlite3.Row, opened: bytes | None) -> model.TaskRow:
    found = dict(zip(row.keys(), row, strict=True))  # a Row looks for a column by walking past all others
    reason, message = _why(db, found)
    as_it_is = {name: found[name] for name in AS_IT_IS}
    return model.TaskRow(
        **as_it_is,
        reason=reason,
        message=message,
        shared=bool(found["shared"]),
        progress=_progress(db, found),
        payload=opened,
    )


def _progress(db: Db, row: Mapping[str, Any]) -> model.Progress | None:
    if row["done"] is None:
        return None
    text = open_text(db, row["text"], attempt_id=row["newest_id"])
    return model.Progress(done=row["done"], total=row["total"], text=text, at_us=row["at_us"])


def _attempt(db: Db, row: sqlite3.Row) -> model.AttemptRow:
    return model.AttemptRow(
        attempt_id=row["id"],
        number=row["number"],
        state=row["state"],
        executor=row["executor"],
        claimed_at_us=row["claimed_at_us"],
        started_at_us=row["started_at_us"],
        finished_at_us=row["finished_at_us"],
        pid=row["pid"],
        exit_code=row["exit_code"],
        signal=row["signal"],
        reason=row["reason"],
        message=open_message(db, row["message"], table="attempts", row=row["id"]),
        cpu_s=row["cpu_s"],
        peak_bytes=row["peak_bytes"],
        lateness_us=row["lateness_us"],
        stdout_bytes=row["stdout_bytes"],
        stderr_bytes=row["stderr_bytes"],
        dropped_bytes=row["dropped_bytes"],
        leftovers=row["leftovers"],
        paused_at_us=row["paused_at_us"],
        paused_us=row["paused_us"],
        truncated=row["state"] == "lost",
    )
