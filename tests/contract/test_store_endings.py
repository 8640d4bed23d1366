"""The first end counts; what a loss means was chosen with the task (P5); a cancel that was asked for is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.keep import Keep, finish_report, kept
from tsched.proto.values import LOST_LIMIT
from tsched.store import claims, tasks

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


@pytest.mark.parametrize(
    ("end", "task_state"),
    [("succeeded", "succeeded"), ("failed", "failed"), ("timed_out", "failed"), ("cancelled", "cancelled")],
)
def test_an_end_ends_the_task(keep: Keep, executor: str, end: str, task_state: str) -> None:
    claimed = keep.running(executor)
    keep.clock.advance(2)
    (ended,) = keep.finish(
        executor, claimed, end, exit_code=None, signal=9, cpu_s=1.5, peak_bytes=7, dropped_bytes=0, leftovers=2
    )
    assert (ended.attempt_id, ended.task_id, ended.state) == (claimed.attempt_id, claimed.task_id, task_state)
    row = keep.get(claimed.task_id)
    for name in ("state", "attempt", "queue", "due_at_us", "reason", "exit_code", "signal"):
        assert getattr(ended, name) == getattr(row, name)
    assert (row.state, row.signal, row.exit_code, row.finished_at_us) == (task_state, 9, None, keep.clock.us)
    assert (row.attempt, row.attempt_id, row.message) == (1, None, "" if end == "succeeded" else f"it is {end}")
    (attempt,) = keep.attempts(claimed.task_id)
    assert (attempt.state, attempt.reason) == (end, row.reason)
    assert (attempt.cpu_s, attempt.peak_bytes, attempt.leftovers, attempt.truncated) == (1.5, 7, 2, False)


def test_an_attempt_that_never_started_can_fail(keep: Keep, executor: str) -> None:
    task_id = keep.task()
    (claimed,) = keep.claim(executor)
    keep.finish(executor, claimed, "failed", exit_code=127, reason="not_found", started_at_us=None, pid=None)
    row = keep.get(task_id)
    assert (row.state, row.exit_code, row.reason, row.started_at_us, row.lateness_us) == (
        "failed",
        127,
        "not_found",
        None,
        None,
    )


def test_an_end_may_bring_the_start_with_it(keep: Keep, executor: str) -> None:
    task_id = keep.task()
    (claimed,) = keep.claim(executor)
    keep.finish(executor, claimed, started_at_us=keep.clock.us + 5, pid=77)
    (attempt,) = keep.attempts(task_id)
    assert (attempt.started_at_us, attempt.pid) == (keep.clock.us + 5, 77)


def test_the_first_end_counts(keep: Keep, executor: str) -> None:
    claimed = keep.running(executor)
    keep.finish(executor, claimed, "succeeded")
    assert keep.finish(executor, claimed, "failed") == []
    assert keep.get(claimed.task_id).state == "succeeded"


def test_of_two_ends_in_one_batch_the_first_counts(keep: Keep, executor: str) -> None:
    claimed = keep.running(executor)
    reports = [finish_report(executor, claimed, 1, end) for end in ("failed", "succeeded")]
    assert [ended.state for ended in keep.do(claims.finished, reports=reports)] == ["failed"]


def test_ends_are_answered_in_the_order_of_their_reports(keep: Keep, executor: str) -> None:
    attempts = [keep.running(executor) for _ in range(5)]
    ends = ["failed", "succeeded", "cancelled", "timed_out", "succeeded"]
    reports = [finish_report(executor, one, 1, end) for one, end in zip(attempts, ends, strict=True)][::-1]
    ended = keep.do(claims.finished, reports=reports)
    assert [one.attempt_id for one in ended] == [one.attempt_id for one in attempts][::-1]
    assert [one.state for one in ended] == ["succeeded", "failed", "cancelled", "succeeded", "failed"]


def test_an_end_told_by_another_executor_is_passed_over(keep: Keep, executor: str) -> None:
    claimed = keep.running(executor)
    assert keep.do(claims.finished, reports=[finish_report("f" * 32, claimed, 1)]) == []
    assert keep.get(claimed.task_id).state == "running"


def test_a_result_that_was_there_before_the_stop_wins(keep: Keep, executor: str) -> None:
    claimed = keep.running(executor)
    keep.do(tasks.cancel, id=claimed.task_id, now_us=keep.clock.us)
    keep.finish(executor, claimed, "succeeded")
    row = keep.get(claimed.task_id)
    assert (row.state, row.reason, row.cancel_requested_at_us) == ("succeeded", "", keep.clock.us)


def test_an_attempt_ended_on_request_ends_its_task_cancelled(keep: Keep, executor: str) -> None:
    claimed = keep.running(executor)
    keep.do(tasks.cancel, id=claimed.task_id, now_us=1)
    keep.finish(executor, claimed, "cancelled", exit_code=None, signal=15)
    row = keep.get(claimed.task_id)
    assert (row.state, row.reason, row.signal) == ("cancelled", "cancelled", 15)


def test_a_task_ended_by_a_shutdown_says_so(keep: Keep, executor: str) -> None:
    claimed = keep.running(executor)
    keep.finish(executor, claimed, "cancelled", reason="shutdown")
    assert (keep.get(claimed.task_id).state, keep.get(claimed.task_id).reason) == ("cancelled", "shutdown")


def test_a_lost_attempt_fails_a_task_that_wants_no_retry(keep: Keep, executor: str) -> None:
    claimed = keep.running(executor, on_lost="fail")
    (ended,) = keep.lose(executor)
    assert (ended.state, ended.reason) == ("failed", "executor_died")
    assert keep.get(claimed.task_id).message == "it died"
    (attempt,) = keep.attempts(claimed.task_id)
    assert (attempt.state, attempt.truncated) == ("lost", True)


def test_a_lost_attempt_holds_a_task_for_a_person(keep: Keep, executor: str) -> None:
    claimed = keep.running(executor, on_lost="hold")
    (ended,) = keep.lose(executor)
    assert (ended.state, ended.reason) == ("held", "executor_died")
    assert keep.get(claimed.task_id).finished_at_us is None
    assert keep.claim(keep.executor("f")) == []
    keep.do(tasks.cancel, id=claimed.task_id, now_us=keep.clock.us)
    assert keep.get(claimed.task_id).reason == "cancelled"


def test_lost_attempts_are_repeated_up_to_their_limit(keep: Keep) -> None:
    task_id = keep.task(on_lost="retry")
    for number in range(1, LOST_LIMIT + 1):
        keep.clock.advance(10)
        executor = keep.executor(chr(ord("a") + number))
        (claimed,) = keep.claim(executor)
        assert claimed.number == number
        keep.start(executor, claimed)
        (ended,) = keep.finish(executor, claimed, "lost")
        assert (ended.state, ended.due_at_us) == (
            "ready" if number < LOST_LIMIT else "failed",
            keep.get(task_id).due_at_us,
        )
    row = keep.get(task_id)
    assert (row.state, row.attempt, row.reason) == ("failed", LOST_LIMIT, "runner_died")
    assert [attempt.state for attempt in keep.attempts(task_id)] == ["lost"] * LOST_LIMIT


def test_a_task_is_due_again_from_when_it_was_lost(keep: Keep, executor: str) -> None:
    claimed = keep.running(executor, on_lost="retry")
    keep.clock.advance(100)
    keep.finish(executor, claimed, "lost")
    keep.clock.advance(1)
    (again,) = keep.claim(executor)
    keep.start(executor, again)
    first, second = keep.attempts(claimed.task_id)
    assert (first.lateness_us, second.lateness_us) == (0, 1_000_000)


def test_a_task_that_is_to_be_cancelled_is_not_repeated_when_it_is_lost(keep: Keep, executor: str) -> None:
    for on_lost in ("retry", "hold", "fail"):
        claimed = keep.running(executor, on_lost=on_lost)
        keep.do(tasks.cancel, id=claimed.task_id, now_us=keep.clock.us)
    for ended in keep.lose(executor):
        assert (ended.state, ended.reason, keep.get(ended.task_id).message) == ("cancelled", "cancelled", "")
        assert keep.attempts(ended.task_id)[0].reason == "executor_died"
    assert keep.counts() == {"cancelled": 3}


def test_everything_a_dead_executor_held_is_lost_and_nothing_else(keep: Keep, executor: str) -> None:
    held = [keep.running(executor) for _ in range(3)]
    keep.task()
    (claimed,) = keep.claim(executor)
    finished = keep.running(executor)
    keep.finish(executor, finished)
    other = keep.running(keep.executor("f"))
    lost = keep.lose(executor)
    assert [ended.attempt_id for ended in lost] == [*(one.attempt_id for one in held), claimed.attempt_id]
    assert keep.lose(executor) == []
    assert keep.get(other.task_id).state == "running"
    assert keep.get(finished.task_id).state == "succeeded"


def test_a_message_that_was_damaged_is_not_shown_as_truth(keep: Keep, executor: str) -> None:
    claimed = keep.running(executor)
    keep.finish(executor, claimed, "failed")
    keep.sql("UPDATE attempts SET message = x'0102'")
    assert "damaged" in keep.get(claimed.task_id).message
    assert "damaged" in keep.attempts(claimed.task_id)[0].message
    assert [each.object for each in keep.problems()] == [f"attempt #{claimed.attempt_id}"]
    keep.sql("UPDATE attempts SET message = NULL")


def test_no_ends_are_no_changes(keep: Keep) -> None:
    assert keep.do(claims.finished, reports=[]) == []
    assert keep.lose("nobody") == []
