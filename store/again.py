"""A finished task once more: a new task that is to do what the old one did."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..proto.errors import Refusal, RefusalReason
from ..proto.values import EndReason, TaskState
from . import model, rows
from .submission import submit, submitted_as

if TYPE_CHECKING:
    from collections.abc import Callable

    from .db import Db


def retry(
    db: Db,
    *,
    id: str,  # noqa: A002 - the word of the contract
    key: str | None,
    now_us: int,
    renew: Callable[[bytes], bytes] = lambda payload: payload,
) -> model.Submitted:
    """Make a new task from a final one, due now. It takes the same results of others, and waits only for those.

    It is the old one's owner's, whoever asks. The results stand at places 0, 1, 2 ... then: `renew` makes a payload
    that says so of the old one. The same key gives the same new task, also when the old one is gone. Raises Refusal
    NO_SUCH_TASK, WRONG_STATE, ID_TAKEN when the key stands for something else, QUEUE_FULL, or STORE_CORRUPT when what
    the old one ran cannot be opened.
    """
    content = f"retry of {id}".encode()
    if key is not None and (made := submitted_as(db, key=key, content=content)) is not None:
        return made
    seq, state = rows.seq_and_state(db, id)
    if not TaskState(state).final:
        raise Refusal(
            RefusalReason.WRONG_STATE, f"task {id} has not ended ({state}) and cannot be run again", "wait for its end"
        )
    payload = renew(rows.readable_payload(db, seq, id))
    old = rows.task(db, seq, with_payload=False)
    draft = _draft(db, old, payload=payload, key=key, content=content, now_us=now_us)
    (made,) = submit(db, drafts=[draft], now_us=now_us, owner=old.owner)
    return _with_results(db, made, seq, now_us)


def _with_results(db: Db, made: model.Submitted, old: int, now_us: int) -> model.Submitted:
    """Let a new task take the results that the old one took, and wait for those that are still to come."""
    if not db.run("keep_wanted", seq=made.seq, old=old):
        return made
    (row,) = db.all("open_count", seq=made.seq)
    if not row["open"]:
        return made
    db.run("block_task", seq=made.seq, waits_for=row["open"], now_us=now_us)
    return replace(made, state=TaskState.BLOCKED)


def _draft(db: Db, old: model.TaskRow, *, payload: bytes, key: str | None, content: bytes, now_us: int) -> model.Draft:
    """What the old task was; the payload is sealed anew with the row it goes to."""
    return model.Draft(
        id=None,
        key=key,
        name=old.name,
        kind=old.kind,
        queue=old.queue,
        priority=old.priority,
        state=TaskState.READY,
        due_at_us=now_us,
        payload=payload,
        content=content,
        timeout_us=old.timeout_us,
        grace_us=old.grace_us,
        on_lost=old.on_lost,
        profile=old.profile,
        output_cap_bytes=old.output_cap_bytes,
        max_attempts=old.max_attempts - sum(try_.reason == EndReason.SNOOZED for try_ in rows.attempts(db, old.seq)),
        shared=old.shared,
        retry_delay_us=old.retry_delay_us,
        retry_of=old.id,
    )
