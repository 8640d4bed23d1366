"""A held task waits for a person; a finished one can be run once more, as a new task; an attempt can stand still."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.keep import SECOND_US, START_US, Keep, kept
from tsched.proto.errors import Refusal, RefusalReason
from tsched.store import claims, model, tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LATER_US = START_US + 60 * SECOND_US


@pytest.fixture
def keep(tmp_path: Path) -> Iterator[Keep]:
    with kept(tmp_path) as keep:
        yield keep


@pytest.fixture
def executor(keep: Keep) -> str:
    return keep.executor()


def hold(keep: Keep, task_id: str) -> model.TaskRow:
    return keep.do(tasks.hold, id=task_id, now_us=keep.clock.us)


def release(keep: Keep, task_id: str) -> model.TaskRow:
    return keep.do(tasks.release, id=task_id, now_us=keep.clock.us)


def retry(keep: Keep, task_id: str, key: str | None = None) -> model.Submitted:
    return keep.do(tasks.retry, id=task_id, key=key, now_us=keep.clock.us)


def ended(keep: Keep, executor: str, end: str = "failed", **values: object) -> str:
    claimed = keep.running(executor, **values)
    keep.finish(executor, claimed, end)
    return claimed.task_id


def refused(keep: Keep, command: Callable[..., object], task_id: str) -> Refusal:
    with pytest.raises(Refusal) as told:
        command(keep, task_id)
    assert told.value.reason is RefusalReason.WRONG_STATE
    assert task_id in told.value.message
    assert told.value.hint
    return told.value


def test_a_held_task_is_given_to_nobody_until_it_is_released(keep: Keep, executor: str) -> None:
    task_id = keep.task()
    assert hold(keep, task_id).state == "held"
    assert keep.claim(executor) == []
    assert release(keep, task_id).state == "ready"
    assert [one.task_id for one in keep.claim(executor)] == [task_id]


def test_its_time_does_not_move_a_held_task(keep: Keep) -> None:
    task_id = keep.task(state="scheduled", due_at_us=LATER_US)
    hold(keep, task_id)
    keep.clock.advance(61)
    assert keep.do(tasks.promote, now_us=keep.clock.us) == 0
    assert keep.ask(tasks.next_due) is None
    assert release(keep, task_id).state == "ready"


def test_a_task_released_before_its_time_waits_for_it(keep: Keep) -> None:
    task_id = keep.task(state="scheduled", due_at_us=LATER_US)
    hold(keep, task_id)
    assert release(keep, task_id).state == "scheduled"
    assert keep.ask(tasks.next_due) == LATER_US


def test_a_task_that_was_tried_before_waits_for_its_next_attempt_again(keep: Keep, executor: str) -> None:
    claimed = keep.running(executor, on_lost="hold")
    keep.lose(executor)
    patch = model.Patch(due_at_us=LATER_US)
    keep.do(tasks.modify, id=claimed.task_id, patch=patch, now_us=keep.clock.us)
    assert release(keep, claimed.task_id).state == "retrying"
    assert hold(keep, claimed.task_id).state == "held"


def test_a_held_task_that_was_lost_can_be_released(keep: Keep, executor: str) -> None:
    claimed = keep.running(executor, on_lost="hold")
    keep.lose(executor)
    assert release(keep, claimed.task_id).state == "ready"
    (again,) = keep.claim(keep.executor("f"))
    assert (again.task_id, again.number) == (claimed.task_id, 2)


def test_holding_twice_is_harmless(keep: Keep) -> None:
    task_id = keep.task()
    assert hold(keep, task_id) == hold(keep, task_id)
    assert keep.told() == ["submitted", "held"]


def test_a_task_can_be_submitted_held(keep: Keep, executor: str) -> None:
    (submitted,) = keep.submit(keep.draft(hold=True))
    assert submitted.state == "held"
    assert keep.claim(executor) == []
    assert release(keep, submitted.id).state == "ready"


def test_what_runs_or_has_ended_cannot_be_held(keep: Keep, executor: str) -> None:
    running = keep.running(executor).task_id
    assert "cancel it" in refused(keep, hold, running).hint
    assert "retry" in refused(keep, hold, ended(keep, executor)).hint


@pytest.mark.parametrize("state", ["ready", "running", "failed"])
def test_what_is_not_held_cannot_be_released(keep: Keep, executor: str, state: str) -> None:
    make = {
        "ready": keep.task,
        "running": lambda: keep.running(executor).task_id,
        "failed": lambda: ended(keep, executor),
    }
    assert state in refused(keep, release, make[state]()).message


def test_a_retry_is_a_new_task_that_does_the_same(keep: Keep, executor: str) -> None:
    values = {
        "id": "mine", "name": "nightly", "queue": "default", "priority": 3, "payload": b"the command", "grace_us": 7,
        "timeout_us": 8, "on_lost": "hold", "profile": "small", "output_cap_bytes": 99, "max_attempts": 2, "kind": "function",
        "shared": True, "retry_delay_us": 5,
    }  # fmt: skip
    old = keep.get(ended(keep, executor, "cancelled", **values))
    keep.clock.advance(5)
    made = retry(keep, old.id)
    new = keep.get(made.id)
    assert (made.existed, made.state, new.state, new.due_at_us) == (False, "ready", "ready", keep.clock.us)
    assert (new.id, new.retry_of, new.attempt, new.payload) == (str(new.seq), "mine", 0, b"the command")
    assert {name: getattr(new, name) for name in values if name != "id"} == {
        name: value for name, value in values.items() if name != "id"
    }
    assert keep.get(old.id) == old
    assert [one.payload for one in keep.claim(executor, shared=True)] == [b"the command"]


@pytest.mark.parametrize("end", ["succeeded", "failed", "timed_out", "cancelled"])
def test_however_a_task_ended_it_can_be_retried(keep: Keep, executor: str, end: str) -> None:
    assert retry(keep, ended(keep, executor, end)).state == "ready"


def test_a_retry_said_twice_is_one_task_also_when_the_old_one_is_gone(keep: Keep, executor: str) -> None:
    old = ended(keep, executor)
    made = retry(keep, old, "key")
    keep.delete(old)
    again = retry(keep, old, "key")
    assert (again.id, again.existed) == (made.id, True)
    assert keep.counts() == {"ready": 1}


def test_without_a_key_each_retry_is_a_task_of_its_own(keep: Keep, executor: str) -> None:
    old = ended(keep, executor)
    assert retry(keep, old).id != retry(keep, old).id


def test_a_key_of_something_else_makes_no_retry(keep: Keep, executor: str) -> None:
    first, second = ended(keep, executor), ended(keep, executor)
    retry(keep, first, "key")
    with pytest.raises(Refusal) as told:
        retry(keep, second, "key")
    assert told.value.reason is RefusalReason.ID_TAKEN


def test_a_retry_can_be_retried(keep: Keep, executor: str) -> None:
    made = retry(keep, ended(keep, executor))
    (claimed,) = keep.claim(executor)
    keep.finish(executor, claimed)
    assert keep.get(retry(keep, made.id).id).retry_of == made.id


@pytest.mark.parametrize("state", ["ready", "running", "held"])
def test_what_has_not_ended_cannot_be_retried(keep: Keep, executor: str, state: str) -> None:
    task_id = keep.running(executor).task_id if state == "running" else keep.task(hold=state == "held")
    assert state in refused(keep, retry, task_id).message


def test_a_damaged_task_is_not_retried(keep: Keep, executor: str) -> None:
    task_id = ended(keep, executor)
    keep.sql("UPDATE payloads SET sealed = x'00'")
    with pytest.raises(Refusal, match=f"task {task_id} is damaged") as told:
        retry(keep, task_id)
    assert told.value.reason is RefusalReason.STORE_CORRUPT
    assert keep.counts() == {"failed": 1}
    keep.delete(task_id)


def test_what_stands_still_says_since_when_and_for_how_long_before(keep: Keep, executor: str) -> None:
    claimed = keep.running(executor)
    keep.pause(executor, claimed, paused_us=5)
    (attempt,) = keep.attempts(claimed.task_id)
    assert (attempt.state, attempt.paused_at_us, attempt.paused_us) == ("running", keep.clock.us, 5)
    assert keep.get(claimed.task_id).paused_at_us == keep.clock.us
    keep.pause(executor, claimed, on=False, paused_us=9)
    (attempt,) = keep.attempts(claimed.task_id)
    assert (attempt.paused_at_us, attempt.paused_us) == (None, 9)
    assert keep.get(claimed.task_id).paused_at_us is None


def test_standing_still_ends_with_the_attempt(keep: Keep, executor: str) -> None:
    claimed = keep.running(executor)
    keep.pause(executor, claimed)
    keep.finish(executor, claimed, "cancelled", paused_us=77)
    (attempt,) = keep.attempts(claimed.task_id)
    assert (attempt.paused_at_us, attempt.paused_us) == (None, 77)


def test_who_was_lost_stood_still_until_then(keep: Keep, executor: str) -> None:
    claimed = keep.running(executor)
    keep.pause(executor, claimed, paused_us=5)
    keep.clock.advance(2)
    keep.lose(executor)
    (attempt,) = keep.attempts(claimed.task_id)
    assert (attempt.paused_at_us, attempt.paused_us) == (None, 2 * SECOND_US + 5)


def test_a_pause_that_comes_late_or_from_another_changes_nothing(keep: Keep, executor: str) -> None:
    over, runs = keep.running(executor), keep.running(executor)
    keep.task()
    (claimed,) = keep.claim(executor)
    keep.finish(executor, over)
    before = keep.events()
    keep.pause(executor, over)
    keep.pause(executor, claimed)
    keep.pause("somebody", runs)
    keep.do(claims.paused, reports=[])
    assert [keep.attempts(one.task_id)[0].paused_at_us for one in (over, runs, claimed)] == [None] * 3
    assert keep.events() == before
