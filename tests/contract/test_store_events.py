"""What happens to a task is told once, in the order it became durable, with the time at which it happened."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from support.keep import SECOND_US, START_US, Keep, finish_report, kept
from tsched.proto.errors import Refusal
from tsched.store import claims, events, executors, model, retention, tasks

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


def ordinary(keep: Keep, executor: str, many: int = 1) -> None:
    for _ in range(many):
        keep.finish(executor, keep.running(executor))


def test_an_ordinary_task_is_told_of_three_times(keep: Keep, executor: str) -> None:
    (submitted,) = keep.submit(keep.draft(id="mine", queue="nightly"))
    keep.clock.advance(1)
    (claimed,) = keep.claim(executor, queue="nightly")
    keep.start(executor, claimed)
    keep.clock.advance(1)
    keep.finish(executor, claimed)
    event = partial(model.EventRow, task=submitted.id, reason="", queue="nightly")
    assert keep.events() == [
        event(cursor=1, at_us=START_US, event="submitted", state="ready", attempt=0),
        event(cursor=2, at_us=START_US + SECOND_US, event="started", state="running", attempt=1),
        event(cursor=3, at_us=START_US + 2 * SECOND_US, event="succeeded", state="succeeded", attempt=1),
    ]


@pytest.mark.parametrize(
    ("end", "state", "reason"),
    [("failed", "failed", "exit_code"), ("timed_out", "failed", "timeout"), ("cancelled", "cancelled", "cancelled")],
)
def test_an_attempt_that_ended_otherwise_is_told_of_before_its_task(
    keep: Keep, executor: str, end: str, state: str, reason: str
) -> None:
    claimed = keep.running(executor)
    keep.clock.advance(1)
    keep.finish(executor, claimed, end)
    told = [(event.event, event.state, event.reason, event.at_us) for event in keep.events(after=2)]
    assert told == [("attempt_ended", end, reason, keep.clock.us), (state, state, reason, keep.clock.us)]


@pytest.mark.parametrize(("on_lost", "state"), [("fail", "failed"), ("retry", "ready"), ("hold", "held")])
def test_what_becomes_of_a_task_whose_attempt_was_lost_is_told(
    keep: Keep, executor: str, on_lost: str, state: str
) -> None:
    keep.running(executor, on_lost=on_lost)
    keep.clock.advance(1)
    keep.lose(executor)
    told = [(event.event, event.state, event.attempt, event.reason, event.at_us) for event in keep.events(after=2)]
    assert told == [
        ("attempt_ended", "lost", 1, "executor_died", keep.clock.us),
        (state, state, 1, "executor_died", keep.clock.us),
    ]


def test_a_claim_that_is_handed_back_is_nobody_s_business(keep: Keep, executor: str) -> None:
    keep.task()
    (claimed,) = keep.claim(executor)
    keep.do(claims.returned, attempt_ids=[claimed.attempt_id], executor=executor)
    assert keep.told() == ["submitted"]


def test_a_start_that_is_heard_of_with_the_end_is_told_of_first(keep: Keep, executor: str) -> None:
    keep.task()
    (claimed,) = keep.claim(executor)
    keep.finish(executor, claimed, "failed")
    assert keep.told() == ["submitted", "started", "attempt_ended", "failed"]


def test_an_attempt_that_never_started_is_not_said_to_have(keep: Keep, executor: str) -> None:
    keep.task()
    (claimed,) = keep.claim(executor)
    keep.finish(executor, claimed, "failed", started_at_us=None, reason="not_found")
    assert keep.told() == ["submitted", "attempt_ended", "failed"]


def test_a_wish_to_cancel_is_told_and_when(keep: Keep, executor: str) -> None:
    claimed = keep.running(executor)
    for _ in range(2):
        keep.clock.advance(1)
        keep.do(tasks.cancel, id=claimed.task_id, now_us=keep.clock.us)
    (stopping,) = keep.events(after=2)
    assert (stopping.event, stopping.state, stopping.attempt) == ("stopping", "running", 1)
    assert stopping.at_us == START_US + SECOND_US


def test_a_waiting_task_is_told_of_as_it_changes(keep: Keep) -> None:
    task_id = keep.task(state="scheduled", due_at_us=keep.clock.us + 5 * SECOND_US)
    changes = (
        partial(tasks.modify, id=task_id, patch=model.Patch(name="new")),
        partial(tasks.hold, id=task_id),
        partial(tasks.hold, id=task_id),
        partial(tasks.release, id=task_id),
        tasks.promote,
        partial(tasks.modify, id=task_id, patch=model.Patch(due_at_us=2 * START_US)),
        partial(tasks.modify, id=task_id, patch=model.Patch(due_at_us=0)),
        partial(tasks.cancel, id=task_id),
        partial(tasks.delete, id=task_id),
    )
    for change in changes:
        keep.clock.advance(2)
        keep.do(change, now_us=keep.clock.us)
    told = [(event.event, event.state, (event.at_us - START_US) // SECOND_US) for event in keep.events()]
    assert told == [
        ("submitted", "scheduled", 0),
        ("modified", "scheduled", 2),
        ("held", "held", 4),
        ("ready", "ready", 8),
        ("modified", "scheduled", 12),
        ("ready", "ready", 14),
        ("modified", "ready", 14),
        ("cancelled", "cancelled", 16),
        ("deleted", "cancelled", 18),
    ]


def test_a_release_to_a_later_time_is_a_change(keep: Keep) -> None:
    task_id = keep.task(hold=True, due_at_us=keep.clock.us + 1)
    keep.do(tasks.release, id=task_id, now_us=keep.clock.us)
    assert [(event.event, event.state) for event in keep.events()] == [("submitted", "held"), ("released", "scheduled")]


def test_standing_still_and_going_on_are_told_with_their_times(keep: Keep, executor: str) -> None:
    claimed = keep.running(executor)
    keep.clock.advance(1)
    keep.pause(executor, claimed)
    keep.pause(executor, claimed)
    keep.clock.advance(3)
    keep.pause(executor, claimed, on=False, paused_us=3 * SECOND_US)
    paused, resumed = keep.events(after=2)
    assert (paused.event, paused.state, paused.at_us) == ("paused", "running", START_US + SECOND_US)
    assert (resumed.event, resumed.state, resumed.at_us) == ("resumed", "running", keep.clock.us)


def test_an_end_while_it_stands_still_is_no_going_on(keep: Keep, executor: str) -> None:
    claimed = keep.running(executor)
    keep.pause(executor, claimed)
    keep.finish(executor, claimed, "cancelled")
    assert keep.told()[2:] == ["paused", "attempt_ended", "cancelled"]


def test_what_is_forgotten_is_told_of_once_more(keep: Keep, executor: str) -> None:
    ordinary(keep, executor)
    keep.clock.advance(9)
    keep.do(tasks.prune, finished_before_us=keep.clock.us, keep=0, now_us=keep.clock.us)
    assert (keep.events()[-1].event, keep.events()[-1].at_us) == ("deleted", keep.clock.us)


def test_a_damaged_task_is_told_of_as_failed(keep: Keep, executor: str) -> None:
    task_id = keep.task()
    keep.sql("UPDATE payloads SET sealed = x'00'")
    assert keep.claim(executor) == []
    assert [(event.event, event.attempt, event.reason) for event in keep.events(after=1)] == [
        ("failed", 0, "corrupt_record")
    ]
    keep.delete(task_id)


def test_a_command_that_fails_tells_nothing(keep: Keep) -> None:
    with pytest.raises(Refusal):
        keep.submit(keep.draft(), keep.draft(id="7"))
    assert keep.events() == []
    assert keep.ask(events.bounds) == model.EventBounds(oldest=1, newest=0)


def test_pages_follow_each_other(keep: Keep) -> None:
    keep.submit(*(keep.draft() for _ in range(7)))
    pages = [[one.cursor for one in keep.ask(events.page, after=after, limit=3)] for after in (0, 3, 6, 7)]
    assert pages == [[1, 2, 3], [4, 5, 6], [7], []]


def test_some_tasks_can_be_followed_alone(keep: Keep, executor: str) -> None:
    keep.submit(*(keep.draft() for _ in range(3)))
    for claimed in keep.claim(executor, 3):
        keep.start(executor, claimed)
    assert [(one.cursor, one.task) for one in keep.events(0, "2", "3")] == [(2, "2"), (3, "3"), (5, "2"), (6, "3")]
    assert [one.cursor for one in keep.ask(events.page, after=2, limit=2, ids=["2"])] == [5]
    assert keep.events(0, "ghost") == []


def test_cursors_go_on_over_a_restart_and_after_all_was_forgotten(keep: Keep) -> None:
    keep.submit(keep.draft(), keep.draft())
    assert keep.ask(events.bounds) == model.EventBounds(oldest=1, newest=2)
    assert keep.do(retention.prune_events, before_us=keep.clock.us + 1, keep=9) == 2
    keep.reopen()
    assert keep.ask(events.bounds) == model.EventBounds(oldest=3, newest=2)
    keep.task()
    assert [event.cursor for event in keep.events()] == [3]


def test_events_beyond_a_number_go_oldest_first_in_bounded_batches(keep: Keep) -> None:
    keep.submit(*(keep.draft() for _ in range(7)))
    prune = partial(keep.do, retention.prune_events, before_us=0, keep=2, limit=3)
    assert [prune() for _ in range(3)] == [3, 2, 0]
    assert [event.cursor for event in keep.events()] == [6, 7]


def test_events_from_before_an_instant_go_and_leave_no_hole(keep: Keep) -> None:
    for step_s in (1, 5, -3, 9):
        keep.clock.advance(step_s)
        keep.task()
    assert keep.do(retention.prune_events, before_us=START_US + 4 * SECOND_US, keep=99) == 1
    assert [event.cursor for event in keep.events()] == [2, 3, 4]


def test_many_ends_in_one_message_are_each_told_of(keep: Keep, executor: str) -> None:
    keep.submit(*(keep.draft() for _ in range(70)))
    claimed = keep.claim(executor, 70)
    keep.start(executor, *claimed)
    keep.do(claims.finished, reports=[finish_report(executor, one, keep.clock.us) for one in reversed(claimed)])
    ended = [event.task for event in keep.events(after=140)]
    assert sorted(map(int, ended)) == list(range(1, 71))
    assert {event.event for event in keep.events(after=140)} == {"succeeded"}


def test_what_an_executor_leaves_behind_is_told_of_each_task(keep: Keep, executor: str) -> None:
    for _ in range(3):
        keep.running(executor)
    keep.lose(executor)
    keep.do(executors.gone, id=executor, now_us=1)
    assert [event.event for event in keep.events(after=6)] == ["attempt_ended"] * 3 + ["failed"] * 3
