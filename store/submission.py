"""Submission: all of a batch or nothing, and the same submission twice is one task."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from ..proto.errors import Refusal, RefusalReason
from ..proto.values import EndReason, TaskState
from . import model, parents, rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .cipher import Cipher
    from .db import Db

NOT_ENDED = {"finished_at_us": None, "reason": None, "message": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A task as far as submissions are compared with it."""

    seq: int
    id: str
    key: str | None
    content: bytes
    state: str
    due_at_us: int
    owner: str


class New(NamedTuple):
    """A task that is to be stored, and what it waits for."""

    record: Record
    draft: model.Draft
    waits: parents.Waits | None


@dataclass(slots=True)
class Known:
    """What is there under the keys and ids of a batch of one owner, and what the batch itself has added."""

    owner: str
    by_key: dict[str, Record] = field(default_factory=dict)
    by_id: dict[str, Record] = field(default_factory=dict)

    def add(self, record: Record) -> None:
        """Find it from now on."""
        self.by_id[record.id] = record
        if record.key is not None and record.owner == self.owner:
            self.by_key[record.key] = record

    def same_as(self, draft: model.Draft, cipher: Cipher) -> Record | None:
        """The task this draft repeats. Raises Refusal ID_TAKEN when its key or id stands for another one."""
        record = self.by_key.get(draft.key) if draft.key is not None else None
        if record is not None and draft.id not in (None, record.id):
            raise _taken(f"this submission was made before, as task {record.id}", "submit it as a new one")
        if record is None and draft.id is not None:
            record = self.by_id.get(draft.id)
        if record is not None and record.owner != self.owner:
            raise _taken(f"id {record.id} is taken", "choose another id")
        if record is not None and not cipher.matches(record.content, draft.content):
            raise _taken(f"task {record.id} is there ({record.state}) and asks for something else", "choose another id")
        return record


def submit(db: Db, *, drafts: Sequence[model.Draft], now_us: int, owner: str | None = None) -> list[model.Submitted]:
    """Store all drafts or none, for an owner, if not for whoever asks.

    A draft whose key or id that owner has used before, with the same content, is the task that is there.

    Raises Refusal ID_TAKEN when the content differs or the id is another owner's, BAD_ID for an id of digits only:
    those are made here; for what they wait for NO_SUCH_TASK, BAD_VALUE for one that is named twice or an index that is
    none, and CYCLE; QUEUE_FULL when more would wait than may.
    """
    owner = db.who.owner if owner is None else owner
    known = _known(db, drafts, owner)
    last = _last_number(db)
    records: list[Record] = []
    existed: list[bool] = []
    fresh: dict[int, New] = {}
    digests: dict[bytes, bytes] = {}  # of many that ask for the same there is one
    for draft in drafts:
        record = known.same_as(draft, db.cipher)
        existed.append(record is not None)
        if record is None:
            content = digests.get(draft.content) or digests.setdefault(draft.content, db.cipher.digest(draft.content))
            record = _record(draft, content, last + len(fresh) + 1, owner)
            fresh[record.seq] = New(record, draft, None)
            known.add(record)
        records.append(record)
    if any(draft.dependencies for draft in drafts):
        fresh |= _waiting(db, known, records, fresh)
    _check_room(db, owner, fresh.values())
    _insert(db, list(fresh.values()), now_us)
    return [
        _answer(fresh[record.seq].record if record.seq in fresh else record, existed=there)
        for record, there in zip(records, existed, strict=True)
    ]


def _check_room(db: Db, owner: str, fresh: Iterable[New]) -> None:
    """Raises Refusal QUEUE_FULL when more tasks would wait than whoever asks may have."""
    if not (most := db.who.queued_limit):
        return
    more = sum(not TaskState(new.record.state).final for new in fresh)
    row = db.one("waiting_of", owner=owner)
    waiting = 0 if row is None else row["tasks"]
    if more and waiting + more > most:
        message = f"{waiting} tasks of {owner} wait, and {more} more are over {most}, the most that may"
        raise Refusal(RefusalReason.QUEUE_FULL, message, "wait until some have started")


def submitted_as(db: Db, *, key: str, content: bytes) -> model.Submitted | None:
    """The task that was submitted with a key. Raises Refusal ID_TAKEN when it asks for something else."""
    for row in db.all("records_by_key", keys=json.dumps([key])):
        if not db.sees(row["owner"]):
            continue
        if not db.cipher.matches(row["content"], content):
            raise _taken(f"this submission key was used before, for task {row['id']}", "use a new key")
        return model.Submitted(
            id=row["id"], existed=True, state=row["state"], due_at_us=row["due_at_us"], seq=row["seq"]
        )
    return None


def _known(db: Db, drafts: Sequence[model.Draft], owner: str) -> Known:
    known = Known(owner)
    keys = [draft.key for draft in drafts if draft.key is not None]
    ids = [_checked(draft.id) for draft in drafts if draft.id is not None]
    ids += {each.task for draft in drafts for each in draft.dependencies if isinstance(each.task, str)}
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


def _record(draft: model.Draft, content: bytes, number: int, owner: str) -> Record:
    return Record(
        seq=number,
        id=str(number) if draft.id is None else draft.id,
        key=draft.key,
        content=content,
        state=_state(draft, None),
        due_at_us=draft.due_at_us,
        owner=owner,
    )


def _waiting(db: Db, known: Known, records: Sequence[Record], fresh: Mapping[int, New]) -> dict[int, New]:
    """Those of the new tasks that wait for others, with what they wait for and where they begin."""
    places = {record.seq: index for index, record in enumerate(records)}

    def name(seq: int) -> str:
        return fresh[seq].draft.id or f"#{places[seq]}"

    def look(task: str | int) -> Record:
        return _of_index(records, task) if isinstance(task, int) else _of_id(db, known, task, fresh)

    found = {
        seq: parents.find(name(seq), new.draft.dependencies, look)
        for seq, new in fresh.items()
        if new.draft.dependencies
    }
    states = {record.seq: record.state for record in known.by_id.values()}
    waiting = {}
    for seq in parents.in_order(found, name):
        record, draft, _ = fresh[seq]
        waits = parents.weigh(found[seq], states)
        states[seq] = _state(draft, waits)
        waiting[seq] = New(replace(record, state=states[seq]), draft, waits)
    return waiting


def _of_index(records: Sequence[Record], index: int) -> Record:
    if not 0 <= index < len(records):
        raise Refusal(
            RefusalReason.BAD_VALUE, f"there is no task #{index} in this request", f"it has {len(records)}, from #0"
        )
    return records[index]


def _of_id(db: Db, known: Known, task_id: str, fresh: Mapping[int, New]) -> Record:
    """A number that is given only now is nobody's name yet."""
    record = known.by_id.get(task_id)
    if record is None or not db.sees(record.owner) or (record.seq in fresh and fresh[record.seq].draft.id is None):
        raise parents.no_such_parent(task_id)
    return record


def _state(draft: model.Draft, waits: parents.Waits | None) -> str:
    """Where a new task begins."""
    if waits is not None and waits.message:
        return TaskState.SKIPPED
    if draft.hold:
        return TaskState.HELD
    return TaskState.BLOCKED if waits is not None and waits.open else draft.state


def _answer(record: Record, *, existed: bool) -> model.Submitted:
    return model.Submitted(
        id=record.id, existed=existed, state=record.state, due_at_us=record.due_at_us, seq=record.seq
    )


def _insert(db: Db, fresh: Sequence[New], now_us: int) -> None:
    if not fresh:
        return
    db.run("set_last_number", value=max(new.record.seq for new in fresh))
    db.many("insert_task", [_columns(db, new, now_us) for new in fresh])
    db.many("insert_payload", [_payload(db, new.record.seq, new.draft) for new in fresh])
    db.many("insert_dependency", [row for new in fresh if new.waits for row in new.waits.rows(new.record.seq)])


def _columns(db: Db, new: New, now_us: int) -> dict[str, Any]:
    record, draft, waits = new
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
        "shared": draft.shared,
        "retry_delay_us": draft.retry_delay_us,
        "owner": record.owner,
        "waits_for": 0 if waits is None else waits.open,
        **_end_of(db, record, waits, now_us),
    }


def _end_of(db: Db, record: Record, waits: parents.Waits | None, now_us: int) -> dict[str, Any]:
    """What is told of a task that is skipped from the first."""
    if waits is None or not waits.message:
        return NOT_ENDED
    message = rows.seal_message(db, waits.message, table="tasks", row=record.seq)
    return {"finished_at_us": now_us, "reason": EndReason.DEPENDENCY, "message": message}


def _payload(db: Db, seq: int, draft: model.Draft) -> dict[str, Any]:
    return {"task": seq, "sealed": rows.seal_payload(db, draft.payload, seq=seq, revision=0)}


def _taken(message: str, hint: str) -> Refusal:
    return Refusal(RefusalReason.ID_TAKEN, message, hint)
