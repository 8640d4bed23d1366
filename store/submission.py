"""Submission: all of a batch or nothing, and the same submission twice is one task."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..proto.errors import Refusal, RefusalReason
from ..proto.values import TaskState
from . import model, rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .db import Db


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A task as far as submissions are compared with it."""

    seq: int
    id: str
    key: str | None
    content: bytes
    state: str
    due_at_us: int


@dataclass(slots=True)
class Known:
    """What is there under the keys and ids of a batch, and what the batch itself has added."""

    by_key: dict[str, Record] = field(default_factory=dict)
    by_id: dict[str, Record] = field(default_factory=dict)

    def add(self, record: Record) -> None:
        """Find it from now on."""
        self.by_id[record.id] = record
        if record.key is not None:
            self.by_key[record.key] = record

    def same_as(self, draft: model.Draft, content: bytes) -> Record | None:
        """The task this draft repeats. Raises Refusal ID_TAKEN when its key or id stands for another one."""
        record = self.by_key.get(draft.key) if draft.key is not None else None
        if record is not None and draft.id not in (None, record.id):
            raise _taken(f"this submission was made before, as task {record.id}", "submit it as a new one")
        if record is None and draft.id is not None:
            record = self.by_id.get(draft.id)
        if record is not None and record.content != content:
            raise _taken(f"task {record.id} is there ({record.state}) and asks for something else", "choose another id")
        return record


def submit(db: Db, *, drafts: Sequence[model.Draft], now_us: int) -> list[model.Submitted]:
    """Store all drafts or none. A draft whose key or id is known, with the same content, is the task that is there.

    Raises Refusal ID_TAKEN when the content differs, BAD_ID for an id of digits only: those are made here.
    """
    known = _known(db, drafts)
    last = _last_number(db)
    answers: list[model.Submitted] = []
    fresh: list[tuple[Record, model.Draft]] = []
    for draft in drafts:
        content = db.cipher.digest(draft.content)
        record = there = known.same_as(draft, content)
        if record is None:
            record = _record(draft, content, last + len(fresh) + 1)
            fresh.append((record, draft))
            known.add(record)
        answers.append(_answer(record, existed=there is not None))
    _insert(db, fresh, now_us)
    return answers


def submitted_as(db: Db, *, key: str, content: bytes) -> model.Submitted | None:
    """The task that was submitted with a key. Raises Refusal ID_TAKEN when it asks for something else."""
    for row in db.all("records_by_key", keys=json.dumps([key])):
        if row["content"] != db.cipher.digest(content):
            raise _taken(f"this submission key was used before, for task {row['id']}", "use a new key")
        return model.Submitted(
            id=row["id"], existed=True, state=row["state"], due_at_us=row["due_at_us"], seq=row["seq"]
        )
    return None


def _known(db: Db, drafts: Sequence[model.Draft]) -> Known:
    known = Known()
    keys = [draft.key for draft in drafts if draft.key is not None]
    ids = [_checked(draft.id) for draft in drafts if draft.id is not None]
    found = db.all("records_by_key", keys=json.dumps(keys)) if keys else []
    found += db.all("records_by_id", ids=json.dumps(ids)) if ids else []
    for row in found:
        known.add(Record(**{name: row[name] for name in row.keys()}))  # noqa: SIM118 - a Row is no mapping
    return known


def _checked(task_id: str) -> str:
    if task_id.isdigit():
        raise Refusal(RefusalReason.BAD_ID, f"id {task_id} has digits only", "such ids are made by tsched itself")
    return task_id


def _last_number(db: Db) -> int:
    row = db.one("last_number")
    if row is None:
        raise LookupError("counter 'id' is missing")
    return int(row["value"])


def _record(draft: model.Draft, content: bytes, number: int) -> Record:
    return Record(
        seq=number,
        id=str(number) if draft.id is None else draft.id,
        key=draft.key,
        content=content,
        state=TaskState.HELD if draft.hold else draft.state,
        due_at_us=draft.due_at_us,
    )


def _answer(record: Record, *, existed: bool) -> model.Submitted:
    return model.Submitted(
        id=record.id, existed=existed, state=record.state, due_at_us=record.due_at_us, seq=record.seq
    )


def _insert(db: Db, fresh: Sequence[tuple[Record, model.Draft]], now_us: int) -> None:
    if not fresh:
        return
    db.run("set_last_number", value=fresh[-1][0].seq)
    db.many("insert_task", [_columns(record, draft, now_us) for record, draft in fresh])
    db.many("insert_payload", [_payload(db, record.seq, draft) for record, draft in fresh])


def _columns(record: Record, draft: model.Draft, now_us: int) -> dict[str, Any]:
    return {
        "seq": record.seq,
        "id": record.id,
        "key": record.key,
        "content": record.content,
        "name": draft.name,
        "kind": draft.kind,
        "queue": draft.queue,
        "priority": draft.priority,
        "state": record.state,
        "created_at_us": now_us,
        "due_at_us": draft.due_at_us,
        "max_attempts": draft.max_attempts,
        "timeout_us": draft.timeout_us,
        "grace_us": draft.grace_us,
        "on_lost": draft.on_lost,
        "profile": draft.profile,
        "output_cap_bytes": draft.output_cap_bytes,
        "retry_of": draft.retry_of,
    }


def _payload(db: Db, seq: int, draft: model.Draft) -> dict[str, Any]:
    return {"task": seq, "sealed": rows.seal_payload(db, draft.payload, seq=seq, revision=0)}


def _taken(message: str, hint: str) -> Refusal:
    return Refusal(RefusalReason.ID_TAKEN, message, hint)
