"""What people may do to a task depends on where it is, and a refusal says what is possible instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support.keep import Keep, chunk, kept
from tsched.proto.errors import Refusal, RefusalReason
from tsched.store import claims, model, output, retention, tasks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def keep(tmp_path: Path) -> Iterator[Keep]:
    with kept(tmp_path) as keep:
        yield keep


@pytest.fixture
def executor(keep: Keep) -> str:
    return keep.executor()


def modify(keep: Keep, task_id: str, **values: Any) -> model.TaskRow:
    return keep.do(tasks.modify, id=task_id, patch=model.Patch(**values), now_us=keep.clock.us)


def cancel(keep: Keep, task_id: str) -> model.Cancelled:
    return keep.do(tasks.cancel, id=task_id, now_us=keep.clock.us)


def finished(keep: Keep, executor: str, state: str) -> str:
    claimed = keep.running(executor)
    keep.finish(executor, claimed, state)
    return claimed.task_id


def held(keep: Keep) -> str:
    executor = keep.executor("h")
    claimed = keep.running(executor, on_lost="hold")
    keep.lose(executor)
    return claimed.task_id


def test_a_waiting_task_is_changed_where_asked_and_nowhere_else(keep: Keep) -> None:
    task_id = keep.task(timeout_us=9)
    before = keep.get(task_id)
    changes = {"name": "new", "priority": 4, "grace_us": 0, "timeout_us": 77, "payload": b"new"}
    after = modify(keep, task_id, **changes)
    assert after == keep.get(task_id)
    for name in before.__slots__:
        assert getattr(after, name) == changes.get(name, getattr(before, name)), name
    assert modify(keep, task_id) == after


def test_a_timeout_of_nothing_takes_the_limit_away(keep: Keep) -> None:
    task_id = keep.task(timeout_us=9)
    assert modify(keep, task_id, timeout_us=0).timeout_us is None


def test_a_changed_payload_is_what_is_run(keep: Keep, executor: str) -> None:
    task_id = keep.task(payload=b"one")
    modify(keep, task_id, payload=b"two")
    modify(keep, task_id, payload=b"three")
    assert keep.claim(executor)[0].payload == b"three"


@pytest.mark.parametrize("damage", ["UPDATE payloads SET sealed = x'00'", "DELETE FROM payloads"])
def test_a_new_payload_heals_a_damaged_one(keep: Keep, executor: str, damage: str) -> None:
    task_id = keep.task()
    keep.sql(damage)
    modify(keep, task_id, payload=b"new")
    assert keep.claim(executor)[0].payload == b"new"


def test_an_older_payload_put_back_is_not_run(keep: Keep, executor: str) -> None:
    task_id = keep.task(payload=b"one")
    ((old,),) = keep.sql("SELECT sealed FROM payloads")
    modify(keep, task_id, payload=b"two")
    keep.sql("UPDATE payloads SET sealed = ?", old)
    assert keep.claim(executor) == []
    assert keep.get(task_id).reason == "corrupt_record"
    keep.delete(task_id)


@pytest.mark.parametrize("state", [None, "scheduled"])
def test_a_ready_task_moved_to_later_waits_for_its_time(keep: Keep, executor: str, state: str | None) -> None:
    task_id = keep.task()
    later_us = keep.clock.us + 1_000_000
    assert modify(keep, task_id, due_at_us=later_us, state=state).state == "scheduled"
    assert keep.claim(executor) == []
    assert keep.ask(tasks.next_due) == later_us


@pytest.mark.parametrize("state", [None, "ready"])
def test_a_scheduled_task_moved_to_now_is_ready(keep: Keep, executor: str, state: str | None) -> None:
    task_id = keep.task(state="scheduled", due_at_us=keep.clock.us + 9)
    assert modify(keep, task_id, due_at_us=keep.clock.us, state=state).state == "ready"
    assert [claimed.task_id for claimed in keep.claim(executor)] == [task_id]


def test_a_held_task_moved_to_now_stays_held(keep: Keep) -> None:
    task_id = held(keep)
    assert modify(keep, task_id, due_at_us=1, state="ready", priority=3).state == "held"
    assert keep.get(task_id).priority == 3


def test_a_running_task_cannot_be_changed(keep: Keep, executor: str) -> None:
    claimed = keep.running(executor)
    with pytest.raises(Refusal, match=f"task {claimed.task_id} is running") as refused:
        modify(keep, claimed.task_id, name="x", payload=b"x")
    assert refused.value.reason is RefusalReason.WRONG_STATE
    assert "cancel it, or wait" in refused.value.hint
    assert keep.get(claimed.task_id).payload == claimed.payload


@pytest.mark.parametrize("state", ["succeeded", "failed", "cancelled"])
def test_a_finished_task_cannot_be_changed_or_cancelled(keep: Keep, executor: str, state: str) -> None:
    task_id = finished(keep, executor, state)
    before = keep.get(task_id)
    for attempt in (lambda: modify(keep, task_id, name="x"), lambda: cancel(keep, task_id)):
        with pytest.raises(Refusal, match=f"task {task_id} has ended \\({state}\\)") as refused:
            attempt()
        assert refused.value.reason is RefusalReason.WRONG_STATE
        assert "new task" in refused.value.hint
    assert keep.get(task_id) == before


@pytest.mark.parametrize("state", ["ready", "scheduled", "held"])
def test_a_waiting_task_is_cancelled_at_once(keep: Keep, state: str) -> None:
    task_id = held(keep) if state == "held" else keep.task(state=state, due_at_us=keep.clock.us + 9)
    cancelled = cancel(keep, task_id)
    assert (cancelled.attempt_id, cancelled.executor) == (None, None)
    row = cancelled.row
    assert (row.state, row.reason, row.finished_at_us) == ("cancelled", "cancelled", keep.clock.us)
    assert keep.ask(tasks.next_due) is None


@pytest.mark.parametrize("started", [False, True])
def test_the_wish_to_end_a_running_task_is_noted_for_its_executor(keep: Keep, executor: str, started: bool) -> None:
    task_id = keep.task(grace_us=77)
    (claimed,) = keep.claim(executor)
    if started:
        keep.start(executor, claimed)
    cancelled = cancel(keep, task_id)
    assert (cancelled.attempt_id, cancelled.executor, cancelled.grace_us) == (claimed.attempt_id, executor, 77)
    assert (cancelled.row.state, cancelled.row.cancel_requested_at_us) == ("running", keep.clock.us)
    assert [attempt.state for attempt in keep.attempts(task_id)] == ["stopping"]


def test_the_wish_is_durable_and_repeating_it_changes_nothing(keep: Keep, executor: str) -> None:
    claimed = keep.running(executor)
    first = cancel(keep, claimed.task_id)
    keep.reopen()
    keep.clock.advance(3)
    assert cancel(keep, claimed.task_id) == first


def test_the_grace_of_a_wish_is_durable_and_may_be_given_again(keep: Keep, executor: str) -> None:
    claimed = keep.running(executor, grace_us=77)
    for grace_us, wanted in ((None, 77), (9, 9), (None, 9), (0, 0)):
        cancelled = keep.do(tasks.cancel, id=claimed.task_id, now_us=keep.clock.us, grace_us=grace_us)
        keep.reopen()
        (live,) = keep.ask(claims.live_attempts, executor=executor)
        assert (cancelled.grace_us, live.grace_us) == (wanted, wanted)


def test_a_start_that_comes_after_the_wish_is_noted_and_stops_nothing(keep: Keep, executor: str) -> None:
    task_id = keep.task()
    (claimed,) = keep.claim(executor)
    cancel(keep, task_id)
    keep.start(executor, claimed)
    (attempt,) = keep.attempts(task_id)
    assert (attempt.state, attempt.pid, attempt.started_at_us) == ("stopping", 4000, keep.clock.us)


def test_a_running_task_cannot_be_deleted(keep: Keep, executor: str) -> None:
    claimed = keep.running(executor)
    with pytest.raises(Refusal, match="is running and cannot be deleted"):
        keep.delete(claimed.task_id)
    assert keep.get(claimed.task_id).payload == claimed.payload


def test_a_deleted_task_leaves_nothing_but_what_is_to_follow(keep: Keep, executor: str) -> None:
    claimed = keep.running(executor, on_lost="retry")
    keep.do_output(output.append, chunks=[chunk(claimed.attempt_id, 1, b"text")])
    keep.finish(executor, claimed, "lost")
    (again,) = keep.claim(executor)
    keep.start(executor, again)
    keep.finish(executor, again)
    deleted = keep.delete(claimed.task_id)
    assert deleted.attempt_ids == [claimed.attempt_id, again.attempt_id]
    assert keep.counts() == {}
    for table in ("tasks", "payloads", "attempts"):
        assert keep.sql(f"SELECT * FROM {table}") == []
    assert keep.ask(retention.dropped, limit=9) == deleted.attempt_ids


def test_output_of_a_deleted_task_goes_with_the_next_start_at_the_latest(keep: Keep, executor: str) -> None:
    claimed, other = keep.running(executor), keep.running(executor)
    for attempt_id in (claimed.attempt_id, other.attempt_id):
        keep.do_output(output.append, chunks=[chunk(attempt_id, 1, b"text")])
    keep.finish(executor, claimed, stdout_bytes=4)
    keep.finish(executor, other, stdout_bytes=4)
    keep.delete(claimed.task_id)
    keep.reopen()
    assert keep.sql_output("SELECT attempt_id FROM chunks") == [(other.attempt_id,)]
    assert keep.ask(retention.dropped, limit=9) == []


def test_output_dropped_is_forgotten(keep: Keep, executor: str) -> None:
    claimed = keep.running(executor)
    keep.finish(executor, claimed)
    ids = keep.delete(claimed.task_id).attempt_ids
    keep.do_output(output.drop, attempt_ids=ids)
    keep.do(tasks.output_dropped, attempt_ids=ids)
    assert keep.ask(retention.dropped, limit=9) == []


def test_what_is_due_is_promoted_and_nothing_earlier_or_later(keep: Keep) -> None:
    now_us = keep.clock.us
    keep.submit(*(keep.draft(state="scheduled", due_at_us=now_us + step) for step in (-1, 0, 1, 2)))
    assert keep.ask(tasks.next_due) == now_us - 1
    assert keep.do(tasks.promote, now_us=now_us) == 2
    assert keep.counts() == {"ready": 2, "scheduled": 2}
    assert keep.ask(tasks.next_due) == now_us + 1
    assert keep.do(tasks.promote, now_us=now_us) == 0
    keep.clock.advance(1)


def test_the_earliest_are_promoted_first_when_there_are_many(keep: Keep) -> None:
    now_us = keep.clock.us
    keep.submit(*(keep.draft(name=str(age), state="scheduled", due_at_us=now_us - age) for age in (1, 3, 2, 4)))
    assert keep.do(tasks.promote, now_us=now_us, limit=2) == 2
    page = keep.ask(tasks.list_page, states=["ready"], queue=None, before_seq=None, limit=9)
    assert {row.name for row in page} == {"3", "4"}
