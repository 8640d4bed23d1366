"""What functions bring: results that others take, further attempts after a while, lanes of their own, progress."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support.keep import SECOND_US, Keep, after, finish_report, kept
from tsched.proto.errors import Refusal, RefusalReason
from tsched.proto.plain import SIZE_LIMIT
from tsched.store import claims, model, tasks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOUR_US = 3600 * SECOND_US


@pytest.fixture
def keep(tmp_path: Path) -> Iterator[Keep]:
    with kept(tmp_path) as keep:
        yield keep


@pytest.fixture
def executor(keep: Keep) -> str:
    return keep.executor()


def returned(keep: Keep, executor: str, result: bytes | None, **values: Any) -> str:
    """A function that has returned something; its id."""
    claimed = keep.running(executor, kind="function", **values)
    keep.finish(executor, claimed, result=result)
    return claimed.task_id


def damaged(keep: Keep, task_id: str) -> None:
    keep.sql("UPDATE results SET sealed = x'00' WHERE task = (SELECT seq FROM tasks WHERE id = ?)", task_id)


def test_a_result_is_there_as_long_as_its_task(keep: Keep, executor: str) -> None:
    task_id = returned(keep, executor, b"42")
    keep.reopen()
    assert keep.ask(tasks.result, id=task_id) == b"42"
    keep.clock.advance(1)
    keep.do(tasks.prune, finished_before_us=keep.clock.us, keep=0, now_us=keep.clock.us)
    with pytest.raises(Refusal) as refused:
        keep.ask(tasks.result, id=task_id)
    assert refused.value.reason is RefusalReason.NO_SUCH_TASK
    assert keep.sql("SELECT * FROM results") == []


def test_nothing_returned_is_another_thing_than_no_result(keep: Keep, executor: str) -> None:
    none, absent = returned(keep, executor, b""), returned(keep, executor, None)
    assert (keep.ask(tasks.result, id=none), keep.ask(tasks.result, id=absent)) == (b"", None)
    assert keep.ask(tasks.results_among, ids=[absent, none, "nobody"]) == {none: b""}


def test_a_result_is_sealed_for_its_task_and_attempt(keep: Keep, executor: str) -> None:
    first, second = returned(keep, executor, b"1"), returned(keep, executor, b"2")
    ((sealed, attempt_id),) = keep.sql("SELECT sealed, attempt_id FROM results WHERE task = 1")
    for change in (("sealed", sealed, 2), ("attempt_id", attempt_id, 2)):
        keep.sql(f"UPDATE results SET {change[0]} = ? WHERE task = ?", *change[1:])
        with pytest.raises(Refusal) as refused:
            keep.ask(tasks.result, id=second)
        assert refused.value.reason is RefusalReason.STORE_CORRUPT
    assert keep.ask(tasks.results_among, ids=[first, second]) == {first: b"1"}
    keep.sql("DELETE FROM results WHERE task = 2")


@pytest.mark.parametrize("end", ["failed", "timed_out", "cancelled", "lost"])
def test_only_success_has_a_result(keep: Keep, executor: str, end: str) -> None:
    claimed = keep.running(executor, kind="function")
    keep.finish(executor, claimed, end, result=b"42")
    assert keep.ask(tasks.result, id=claimed.task_id) is None


def test_a_command_has_no_result(keep: Keep, executor: str) -> None:
    claimed = keep.running(executor)
    keep.finish(executor, claimed, result=b"42")
    assert keep.ask(tasks.result, id=claimed.task_id) is None


def test_of_two_ends_the_first_one_s_result_is_kept(keep: Keep, executor: str) -> None:
    claimed = keep.running(executor, kind="function")
    reports = [finish_report(executor, claimed, 1, result=result) for result in (b"1", b"2")]
    keep.do(claims.finished, reports=reports)
    keep.finish(executor, claimed, result=b"3")
    assert keep.ask(tasks.result, id=claimed.task_id) == b"1"


def test_a_claim_brings_the_results_that_are_wanted_in_their_places(keep: Keep, executor: str) -> None:
    parents = [returned(keep, executor, b"%d" % number) for number in range(3)]
    nothing = returned(keep, executor, None)
    wanted = after(parents[2], parents[0], nothing, wants=True)
    keep.task(kind="function", dependencies=(*wanted[:1], *after(parents[1]), *wanted[1:]))
    keep.task(kind="function", dependencies=after(parents[0]))
    first, second = keep.claim(executor, 2)
    assert first.results == (b"2", None, b"0", None)
    assert second.results == ()


def test_results_count_as_what_a_claim_may_load(keep: Keep, executor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "CLAIM_BYTES", 2000)
    parent = returned(keep, executor, bytes(900))
    for _ in range(5):
        keep.task(kind="function", dependencies=after(parent, wants=True))
    assert [len(keep.claim(executor, 5)) for _ in range(3)] == [3, 2, 0]


def test_more_than_arguments_may_take_is_not_loaded(keep: Keep, executor: str) -> None:
    parents = [returned(keep, executor, bytes(SIZE_LIMIT // 2 + 1)) for _ in range(4)]
    keep.task(kind="function", dependencies=after(*parents, wants=True))
    (claimed,) = keep.claim(executor)
    assert [result is not None for result in claimed.results] == [True, True, False, False]
    assert sum(len(result or b"") for result in claimed.results) > SIZE_LIMIT


def test_a_task_that_takes_a_damaged_result_is_not_run(keep: Keep, executor: str) -> None:
    parent = returned(keep, executor, b"42")
    child = keep.task(kind="function", dependencies=after(parent, wants=True))
    damaged(keep, parent)
    assert keep.claim(executor) == []
    assert (keep.get(child).state, keep.get(child).reason) == ("failed", "corrupt_record")
    keep.sql("DELETE FROM results")


def test_what_is_run_once_more_takes_the_same_results_and_waits_for_nobody(keep: Keep, executor: str) -> None:
    parent, other = returned(keep, executor, b"42"), returned(keep, executor, b"1")
    child = keep.task(kind="function", dependencies=(*after(other), *after(parent, wants=True)))
    (claimed,) = keep.claim(executor)
    keep.finish(executor, claimed, "failed")
    made = keep.do(tasks.retry, id=child, key="k", now_us=keep.clock.us)
    assert made.state == "ready"
    assert keep.do(tasks.retry, id=child, key="k", now_us=keep.clock.us).id == made.id
    with pytest.raises(Refusal, match=f"task {parent} cannot be deleted: task {made.id}"):
        keep.delete(parent)
    (again,) = keep.claim(executor)
    assert again.results == (b"42",)


def test_what_is_run_once_more_waits_for_a_result_that_is_still_to_come(keep: Keep, executor: str) -> None:
    other, parent = returned(keep, executor, b"1"), keep.running(executor, kind="function")
    child = keep.task(kind="function", dependencies=after(other, parent.task_id, wants=True))
    keep.do(tasks.cancel, id=child, now_us=keep.clock.us)
    made = keep.do(tasks.retry, id=child, key=None, now_us=keep.clock.us)
    assert (made.state, keep.get(made.id).state, keep.get(made.id).waits_for) == ("blocked", "blocked", 1)
    (ended,) = keep.finish(executor, parent, result=b"42")
    assert [one.task_id for one in ended.children] == [made.id]
    (again,) = keep.claim(executor)
    assert again.results == (b"1", b"42")


def test_what_is_run_once_more_may_find_a_result_gone(keep: Keep, executor: str) -> None:
    parent = returned(keep, executor, b"42")
    child = returned(keep, executor, b"43", dependencies=after(parent, wants=True))
    keep.delete(parent)
    keep.do(tasks.retry, id=child, key=None, now_us=keep.clock.us)
    (again,) = keep.claim(executor)
    assert again.results == (None,)


@pytest.mark.parametrize("end", ["failed", "timed_out"])
def test_a_failed_attempt_is_followed_by_another_while_one_is_left(keep: Keep, executor: str, end: str) -> None:
    task_id = keep.task(max_attempts=4, retry_delay_us=SECOND_US)
    child = keep.task(dependencies=after(task_id))
    for number, delay_s in enumerate((1, 2, 4), 1):
        (claimed,) = keep.claim(executor)
        assert (claimed.number, claimed.max_attempts) == (number, 4)
        keep.start(executor, claimed)
        (ended,) = keep.finish(executor, claimed, end)
        row = keep.get(task_id)
        assert (ended.state, ended.due_at_us, ended.reason) == (row.state, row.due_at_us, row.reason)
        assert (row.state, row.due_at_us) == ("retrying", keep.clock.us + delay_s * SECOND_US)
        assert row.finished_at_us is None
        assert keep.claim(executor) == []
        keep.clock.advance(delay_s)
        assert keep.do(tasks.promote, now_us=keep.clock.us) == 1
    (claimed,) = keep.claim(executor)
    (ended,) = keep.finish(executor, claimed, end)
    assert (ended.state, [one.task_id for one in ended.children]) == ("failed", [child])
    assert keep.told(task_id)[-4:] == ["ready", "started", "attempt_ended", "failed"]
    retrying = [event for event in keep.events(0, task_id) if event.event == "retrying"]
    assert [(event.attempt, event.reason) for event in retrying] == [(n, row.reason) for n in (1, 2, 3)]


def test_the_delay_is_an_hour_at_most(keep: Keep, executor: str) -> None:
    task_id = keep.task(max_attempts=100, retry_delay_us=HOUR_US // 3)
    delays = []
    for _ in range(40):
        (claimed,) = keep.claim(executor)
        keep.finish(executor, claimed, "failed")
        delays.append(keep.get(task_id).due_at_us - keep.clock.us)
        keep.clock.us = keep.get(task_id).due_at_us
        keep.do(tasks.promote, now_us=keep.clock.us)
    assert delays == [HOUR_US // 3, HOUR_US // 3 * 2, *[HOUR_US] * 38]


def test_a_function_may_say_how_long_it_wants_to_wait(keep: Keep, executor: str) -> None:
    for again_in_us in (0, 2 * HOUR_US):
        claimed = keep.running(executor, max_attempts=2)
        (ended,) = keep.finish(executor, claimed, "failed", reason="retry", again_in_us=again_in_us)
        assert (ended.state, ended.due_at_us) == ("retrying", keep.clock.us + again_in_us)
    last = keep.running(executor, max_attempts=1)
    assert keep.finish(executor, last, "failed", reason="retry", again_in_us=0)[0].state == "failed"


def test_a_snoozed_attempt_does_not_count(keep: Keep, executor: str) -> None:
    task_id = keep.task(max_attempts=2, retry_delay_us=SECOND_US)
    for number in range(1, 4):
        (claimed,) = keep.claim(executor)
        (ended,) = keep.finish(executor, claimed, "failed", reason="snoozed", snoozed=True, again_in_us=5)
        assert (ended.state, keep.get(task_id).max_attempts) == ("retrying", 2 + number)
        keep.clock.us += 5
        keep.do(tasks.promote, now_us=keep.clock.us)
    (claimed,) = keep.claim(executor)
    (ended,) = keep.finish(executor, claimed, "failed")
    assert (ended.state, ended.due_at_us) == ("retrying", keep.clock.us + SECOND_US)
    keep.do(tasks.cancel, id=task_id, now_us=keep.clock.us)
    made = keep.do(tasks.retry, id=task_id, key=None, now_us=keep.clock.us)
    assert keep.get(made.id).max_attempts == 2


def test_a_task_that_is_to_be_cancelled_is_not_tried_again(keep: Keep, executor: str) -> None:
    asked = [{"again_in_us": 5, "reason": "retry"}, {"again_in_us": 5, "snoozed": True, "reason": "snoozed"}]
    for values, state, reason in (({}, "failed", "exit_code"), *((one, "cancelled", "cancelled") for one in asked)):
        claimed = keep.running(executor, max_attempts=5)
        keep.do(tasks.cancel, id=claimed.task_id, now_us=keep.clock.us)
        (ended,) = keep.finish(executor, claimed, "failed", **values)
        assert (ended.state, ended.reason) == (state, reason)
        assert (keep.get(claimed.task_id).state, keep.get(claimed.task_id).reason) == (state, reason)


def test_what_was_cancelled_while_it_snoozed_can_be_run_again(keep: Keep, executor: str) -> None:
    claimed = keep.running(executor, max_attempts=1)
    keep.do(tasks.cancel, id=claimed.task_id, now_us=keep.clock.us)
    keep.finish(executor, claimed, "failed", reason="snoozed", snoozed=True, again_in_us=5)
    made = keep.do(tasks.retry, id=claimed.task_id, key=None, now_us=keep.clock.us)
    assert keep.get(made.id).max_attempts == 1


@pytest.mark.parametrize(("on_lost", "state"), [("fail", "failed"), ("retry", "ready")])
def test_a_lost_attempt_is_no_failed_one(keep: Keep, executor: str, on_lost: str, state: str) -> None:
    keep.running(executor, max_attempts=5 if on_lost == "fail" else 1, on_lost=on_lost)
    assert keep.lose(executor)[0].state == state


def test_what_shares_runners_is_a_lane_of_its_own(keep: Keep, executor: str) -> None:
    alone = keep.task(queue="a")
    together = [keep.task(queue="a", shared=True), keep.task(queue="b", shared=True)]
    assert keep.ask(claims.queues_with_ready) == [("a", False), ("a", True), ("b", True)]
    counts = [keep.ask(claims.ready_count, queue="a", shared=shared, limit=9) for shared in (False, True)]
    assert counts == [1, 1]
    (claimed,) = keep.claim(executor, 9, queue="a", shared=True)
    assert (claimed.task_id, claimed.shared) == (together[0], True)
    assert [one.task_id for one in keep.claim(executor, 9, queue="a")] == [alone]
    keep.start(executor, claimed)
    assert keep.finish(executor, claimed)[0].shared
    assert keep.get(together[0]).shared
    assert keep.ask(claims.queues_with_ready) == [("b", True)]


def progress(keep: Keep, executor: str, claimed: model.Claimed, done: float, **values: Any) -> None:
    values = {"total": 100.0, "text": "rows", "at_us": keep.clock.us, **values}
    report = model.ProgressReport(attempt_id=claimed.attempt_id, executor=executor, done=done, **values)
    keep.do(claims.progressed, reports=[report])


def test_the_progress_of_the_newest_attempt_is_shown(keep: Keep, executor: str) -> None:
    claimed = keep.running(executor, max_attempts=2, retry_delay_us=0)
    assert keep.get(claimed.task_id).progress is None
    progress(keep, executor, claimed, 1, total=None, text="")
    assert keep.get(claimed.task_id).progress == model.Progress(done=1, total=None, text="", at_us=keep.clock.us)
    progress(keep, executor, claimed, 40.5)
    shown = model.Progress(done=40.5, total=100.0, text="rows", at_us=keep.clock.us)
    assert keep.get(claimed.task_id).progress == shown
    keep.finish(executor, claimed, "failed")
    progress(keep, executor, claimed, 99)
    assert keep.get(claimed.task_id).progress == shown
    keep.do(tasks.promote, now_us=keep.clock.us)
    keep.claim(executor)
    assert keep.get(claimed.task_id).progress is None


def test_nobody_else_tells_the_progress_of_an_attempt(keep: Keep, executor: str) -> None:
    claimed = keep.running(executor)
    progress(keep, "somebody", claimed, 5)
    assert keep.get(claimed.task_id).progress is None


def test_a_damaged_text_of_progress_says_so(keep: Keep, executor: str) -> None:
    claimed = keep.running(executor)
    progress(keep, executor, claimed, 5)
    keep.sql("UPDATE progress SET text = x'00'")
    assert "damaged" in keep.get(claimed.task_id).progress.text
    keep.finish(executor, claimed)
    keep.delete(claimed.task_id)
    assert keep.sql("SELECT * FROM progress") == []


def test_the_first_results_are_read_in_order_until_that_is_enough(keep: Keep, executor: str) -> None:
    small, absent, large, last = (returned(keep, executor, result) for result in (b"1", None, b"2" * 100, b"3"))
    ids = [last, small, "nobody", absent, large]
    assert keep.ask(tasks.first_results, ids=ids, limit=1000) == [b"3", b"1", None, None, b"2" * 100]
    assert keep.ask(tasks.first_results, ids=ids, limit=1) == [b"3", b"1"]
    assert keep.ask(tasks.first_results, ids=ids, limit=0) == [b"3"]
