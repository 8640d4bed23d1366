"""P4: a task has at most one live attempt, and what an older attempt says counts no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.keep import Keep, finish_report, kept, start_report
from tsched.store import claims, executors, model, tasks

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


def test_a_claim_hands_over_all_that_is_needed_to_run(keep: Keep, executor: str) -> None:
    task_id = keep.task(payload=b"run this", timeout_us=7, grace_us=8, profile="low", output_cap_bytes=9, queue="slow")
    (claimed,) = keep.claim(executor, queue="slow")
    assert claimed == model.Claimed(
        attempt_id=claimed.attempt_id,
        number=1,
        task_id=task_id,
        queue="slow",
        payload=b"run this",
        timeout_us=7,
        grace_us=8,
        due_at_us=keep.clock.us,
        scheduled_for_us=None,
        profile="low",
        output_cap_bytes=9,
        kind="command",
        shared=False,
        max_attempts=1,
    )
    row = keep.get(task_id)
    assert (row.state, row.attempt, row.attempt_id) == ("running", 1, claimed.attempt_id)
    assert [attempt.state for attempt in keep.attempts(task_id)] == ["claimed"]


def test_a_claimed_task_is_given_to_nobody_else(keep: Keep, executor: str) -> None:
    keep.task()
    assert len(keep.claim(executor, 5)) == 1
    assert keep.claim(executor, 5) == []
    assert keep.claim(keep.executor("f"), 5) == []


def test_the_highest_priority_goes_first_then_the_earliest_due_then_the_first_submitted(
    keep: Keep, executor: str
) -> None:
    now_us = keep.clock.us
    keep.submit(
        keep.draft(name="f", priority=-1, due_at_us=now_us - 9),
        keep.draft(name="d", due_at_us=now_us - 1),
        keep.draft(name="e", due_at_us=now_us - 1),
        keep.draft(name="c", due_at_us=now_us - 5),
        keep.draft(name="b", priority=2, due_at_us=now_us),
        keep.draft(name="a", priority=2, due_at_us=now_us - 1),
    )
    names = [keep.get(claimed.task_id).name for limit in (4, 9) for claimed in keep.claim(executor, limit)]
    assert names == ["a", "b", "c", "d", "e", "f"]


def test_a_claim_takes_from_its_queue_only_and_no_more_than_asked(keep: Keep, executor: str) -> None:
    keep.submit(*(keep.draft(queue=queue) for queue in "xyxyx"))
    assert [claimed.queue for claimed in keep.claim(executor, 2, queue="x")] == ["x", "x"]
    assert keep.counts() == {"ready": 3, "running": 2}
    assert keep.claim(executor, 0, queue="y") == []


def test_only_what_is_ready_is_given(keep: Keep, executor: str) -> None:
    keep.task(state="scheduled", due_at_us=keep.clock.us + 1)
    assert keep.claim(executor) == []


def test_queues_with_something_to_give_are_named_in_order(keep: Keep, executor: str) -> None:
    assert keep.ask(claims.queues_with_ready) == []
    keep.submit(*(keep.draft(queue=queue) for queue in ("b", "a", "c", "a")))
    keep.task(queue="later", state="scheduled")
    keep.claim(executor, queue="b")
    assert keep.ask(claims.queues_with_ready) == [("a", False), ("c", False)]


@pytest.mark.parametrize("state", ["gone", "unknown"])
def test_an_executor_that_is_not_there_is_given_nothing(keep: Keep, executor: str, state: str) -> None:
    keep.task()
    if state == "gone":
        keep.do(executors.gone, id=executor, now_us=1)
    assert keep.claim(executor if state == "gone" else "nobody") == []
    assert keep.counts() == {"ready": 1}


def test_a_task_whose_payload_is_damaged_fails_and_the_next_one_is_given(keep: Keep, executor: str) -> None:
    first, second, third = (keep.task() for _ in range(3))
    keep.sql("UPDATE payloads SET sealed = x'00ff' WHERE task = ?", int(first))
    keep.sql("DELETE FROM payloads WHERE task = ?", int(second))
    assert [claimed.task_id for claimed in keep.claim(executor)] == [third]
    for task_id in (first, second):
        row = keep.get(task_id)
        assert (row.state, row.reason, row.attempt, row.payload) == ("failed", "corrupt_record", 0, None)
        assert "not run" in row.message
        assert keep.attempts(task_id) == []
        keep.delete(task_id)


def test_the_tasks_that_were_damaged_are_named_to_who_asks(keep: Keep, executor: str) -> None:
    ids = [keep.task() for _ in range(5)]
    keep.sql("UPDATE payloads SET sealed = x'00' WHERE task <> 3")
    named = ["what an earlier run of the command left"]
    values = {"executor": executor, "queue": "default", "limit": 2, "now_us": keep.clock.us, "corrupt": named}
    assert [claimed.task_id for claimed in keep.do(claims.claim, **values)] == [ids[2]]
    assert sorted(named) == sorted(set(ids) - {ids[2]})
    for task_id in named:
        keep.delete(task_id)


def test_damaged_payloads_alone_are_gone_through_to_the_end(keep: Keep, executor: str) -> None:
    keep.submit(*(keep.draft() for _ in range(7)))
    keep.sql("UPDATE payloads SET sealed = x'00'")
    assert keep.claim(executor, 2) == []
    assert keep.counts() == {"failed": 7}
    for task_id in range(1, 8):
        keep.delete(str(task_id))


def test_a_claim_loads_only_so_much_and_at_least_one(
    keep: Keep, executor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tsched.store.claims.CLAIM_BYTES", 100)
    keep.submit(*(keep.draft(payload=bytes(size)) for size in (500, 40, 50, 20, 1, 1)))
    assert [[len(one.payload) for one in keep.claim(executor, 9)] for _ in range(4)] == [
        [500],
        [40, 50, 20],
        [1, 1],
        [],
    ]


def test_what_is_damaged_takes_no_room(keep: Keep, executor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tsched.store.claims.CLAIM_BYTES", 100)
    keep.submit(*(keep.draft(payload=bytes(60)) for _ in range(4)))
    keep.sql("UPDATE payloads SET sealed = x'00' WHERE task IN (1, 3)")
    assert [one.task_id for one in keep.claim(executor, 2)] == ["2", "4"]
    for task_id in ("1", "3"):
        keep.delete(task_id)


def test_a_payload_sealed_for_another_task_is_not_run(keep: Keep, executor: str) -> None:
    mine, other = keep.task(payload=b"mine"), keep.task(payload=b"other")
    keep.sql(
        "UPDATE payloads SET sealed = (SELECT sealed FROM payloads WHERE task = ?) WHERE task = ?",
        int(other),
        int(mine),
    )
    assert [claimed.payload for claimed in keep.claim(executor, 2)] == [b"other"]
    keep.delete(mine)


def test_a_started_attempt_is_running_with_its_pid_and_lateness(keep: Keep, executor: str) -> None:
    task_id = keep.task()
    keep.clock.advance(0.5)
    (claimed,) = keep.claim(executor)
    keep.clock.advance(0.25)
    keep.start(executor, claimed)
    (attempt,) = keep.attempts(task_id)
    assert (attempt.state, attempt.pid, attempt.started_at_us) == ("running", 4000, keep.clock.us)
    assert attempt.lateness_us == keep.get(task_id).lateness_us == 750_000
    assert keep.get(task_id).started_at_us == keep.clock.us


def test_a_start_is_noted_once(keep: Keep, executor: str) -> None:
    claimed = keep.running(executor)
    started_at_us = keep.clock.us
    keep.clock.advance(1)
    keep.start(executor, claimed)
    assert keep.attempts(claimed.task_id)[0].started_at_us == started_at_us


def test_a_start_of_an_unknown_ended_or_foreign_attempt_changes_nothing(keep: Keep, executor: str) -> None:
    ended = keep.running(executor)
    keep.finish(executor, ended)
    keep.task()
    (foreign,) = keep.claim(executor)
    before = keep.sql("SELECT * FROM attempts")
    keep.do(
        claims.started,
        reports=[
            start_report(executor, ended, 1),
            start_report("f" * 32, foreign, 1),
            model.StartReport(attempt_id=999, executor=executor, pid=1, start_ticks=1, started_at_us=1),
        ],
    )
    assert keep.sql("SELECT * FROM attempts") == before


def test_a_returned_claim_is_ready_again_and_burns_no_number(keep: Keep, executor: str) -> None:
    task_id = keep.task()
    (claimed,) = keep.claim(executor)
    assert keep.do(claims.returned, attempt_ids=[claimed.attempt_id], executor=executor) == [task_id]
    row = keep.get(task_id)
    assert (row.state, row.attempt, row.attempt_id) == ("ready", 0, None)
    assert keep.attempts(task_id) == []
    (again,) = keep.claim(executor)
    assert again.number == 1
    assert again.attempt_id > claimed.attempt_id


def test_a_returned_claim_keeps_its_place_in_the_queue(keep: Keep, executor: str) -> None:
    first = keep.task()
    keep.task()
    (claimed,) = keep.claim(executor)
    keep.do(claims.returned, attempt_ids=[claimed.attempt_id], executor=executor)
    assert [claimed.task_id for claimed in keep.claim(executor)] == [first]


def test_a_returned_second_claim_shows_the_first_attempt_again(keep: Keep, executor: str) -> None:
    task_id = keep.task(on_lost="retry")
    keep.claim(executor)
    keep.lose(executor)
    other = keep.executor("f")
    (claimed,) = keep.claim(other)
    assert claimed.number == 2
    keep.do(claims.returned, attempt_ids=[claimed.attempt_id], executor=other)
    row = keep.get(task_id)
    assert (row.attempt, row.reason) == (1, "executor_died")


def test_a_claim_returned_after_a_cancel_ends_its_task_cancelled(keep: Keep, executor: str) -> None:
    task_id = keep.task()
    (claimed,) = keep.claim(executor)
    asked_at_us = keep.clock.us
    keep.do(tasks.cancel, id=task_id, now_us=asked_at_us)
    keep.clock.advance(1)
    assert keep.do(claims.returned, attempt_ids=[claimed.attempt_id], executor=executor) == [task_id]
    row = keep.get(task_id)
    assert (row.state, row.reason, row.finished_at_us, row.attempt) == ("cancelled", "cancelled", asked_at_us, 0)
    assert keep.attempts(task_id) == []


def test_what_has_started_ended_or_is_foreign_cannot_be_returned(keep: Keep, executor: str) -> None:
    started, ended = keep.running(executor), keep.running(executor)
    keep.finish(executor, ended)
    keep.task()
    (foreign,) = keep.claim(executor)
    stopping = keep.running(executor)
    keep.do(tasks.cancel, id=stopping.task_id, now_us=1)
    ids = [started.attempt_id, ended.attempt_id, stopping.attempt_id, 999]
    assert keep.do(claims.returned, attempt_ids=ids, executor=executor) == []
    assert keep.do(claims.returned, attempt_ids=[foreign.attempt_id], executor="f" * 32) == []
    assert keep.counts() == {"running": 3, "succeeded": 1}


def test_an_executor_is_told_what_it_holds(keep: Keep, executor: str) -> None:
    stopping, running = keep.running(executor, grace_us=1), keep.running(executor, grace_us=2)
    keep.running(keep.executor("f"))
    keep.do(tasks.cancel, id=stopping.task_id, now_us=1)
    keep.task(grace_us=3)
    (claimed,) = keep.claim(executor)
    keep.finish(executor, keep.running(executor))
    live = keep.ask(claims.live_attempts, executor=executor)
    assert [(one.attempt_id, one.task_id, one.state, one.grace_us, one.cancel) for one in live] == [
        (stopping.attempt_id, stopping.task_id, "stopping", 1, True),
        (running.attempt_id, running.task_id, "running", 2, False),
        (claimed.attempt_id, claimed.task_id, "claimed", 3, False),
    ]


def test_attempt_ids_never_come_back_not_even_those_output_alone_remembers(keep: Keep, executor: str) -> None:
    # as after a restored copy of tsched.db: its counter is behind, output.db has chunks of attempts it never made
    keep.sql_output("INSERT INTO chunks VALUES (500, 1, 1, 0, 1, x'41', 0)")
    keep.reopen()
    assert keep.running(executor).attempt_id > 500
    keep.reopen()
    last = keep.running(executor).attempt_id
    keep.sql("DELETE FROM tasks WHERE state <> 'running'")
    assert keep.running(executor).attempt_id == last + 1


def test_a_late_result_of_an_older_attempt_is_passed_over(keep: Keep, executor: str) -> None:
    task_id = keep.task(on_lost="retry")
    (first,) = keep.claim(executor)
    keep.lose(executor)
    other = keep.executor("f")
    (second,) = keep.claim(other)
    assert keep.do(claims.finished, reports=[finish_report(executor, first, 1)]) == []
    assert keep.get(task_id).state == "running"
    (ended,) = keep.finish(other, second)
    assert (ended.task_id, ended.state) == (task_id, "succeeded")
