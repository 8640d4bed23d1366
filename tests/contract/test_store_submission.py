"""P1, P2: what was answered is there; repeating it, answered or not, gives the same task."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.keep import Keep, kept
from tsched.proto.errors import Refusal, RefusalReason
from tsched.store import tasks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def keep(tmp_path: Path) -> Iterator[Keep]:
    with kept(tmp_path) as keep:
        yield keep


def test_a_submitted_task_reads_as_it_was_asked_for(keep: Keep) -> None:
    draft = keep.draft(
        id="backup",
        name="nightly",
        queue="slow",
        priority=-3,
        state="scheduled",
        due_at_us=keep.clock.us + 5,
        payload=b"\x00\xff",
        timeout_us=60,
        grace_us=0,
        on_lost="retry",
        profile="low",
        output_cap_bytes=10,
        max_attempts=2,
    )
    keep.submit(draft)
    row = keep.get("backup")
    for name in ("id", "name", "kind", "queue", "priority", "state", "due_at_us", "payload", "timeout_us", "grace_us"):
        assert getattr(row, name) == getattr(draft, name), name
    for name in ("on_lost", "profile", "output_cap_bytes", "max_attempts"):
        assert getattr(row, name) == getattr(draft, name), name
    assert (row.created_at_us, row.attempt, row.reason, row.message) == (keep.clock.us, 0, "", "")
    assert (row.started_at_us, row.finished_at_us, row.attempt_id, row.lateness_us) == (None, None, None, None)
    assert keep.ask(tasks.payload, id="backup") == b"\x00\xff"


def test_generated_ids_are_numbers_that_are_never_used_again(keep: Keep) -> None:
    first = keep.task()
    assert first.isdigit()
    keep.delete(first)
    keep.reopen()
    assert int(keep.task()) > int(first)


def test_an_answered_submission_is_there_after_a_restart(keep: Keep) -> None:
    task_id = keep.task()
    keep.reopen()
    assert keep.get(task_id).state == "ready"


def test_repeating_a_key_gives_the_same_task(keep: Keep) -> None:
    draft = keep.draft()
    (first,) = keep.submit(draft)
    (again,) = keep.submit(draft)
    assert (first.existed, again.existed) == (False, True)
    assert (again.id, again.seq, again.state) == (first.id, first.seq, "ready")
    assert keep.counts() == {"ready": 1}


def test_repeating_an_id_with_the_same_content_gives_the_same_task(keep: Keep) -> None:
    (first,) = keep.submit(keep.draft(id="a", content=b"same"))
    (again,) = keep.submit(keep.draft(id="a", content=b"same"))
    assert again.existed
    assert again.seq == first.seq


def test_a_repeated_submission_is_known_when_its_task_has_run(keep: Keep) -> None:
    draft = keep.draft(id="a")
    keep.submit(draft)
    executor = keep.executor()
    (claimed,) = keep.claim(executor)
    keep.finish(executor, claimed)
    (again,) = keep.submit(draft)
    assert (again.existed, again.state) == (True, "succeeded")


def test_a_repeated_submission_is_known_after_the_task_was_modified(keep: Keep) -> None:
    draft = keep.draft(id="a")
    keep.submit(draft)
    keep.do(tasks.modify, id="a", patch=tasks.model.Patch(payload=b"else", priority=9), now_us=keep.clock.us)
    (again,) = keep.submit(draft)
    assert again.existed
    assert keep.get("a").payload == b"else"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"id": "a", "content": b"one"}, {"id": "a", "content": b"other"}),
        ({"key": "k", "content": b"one"}, {"key": "k", "content": b"other"}),
        ({"key": "k", "content": b"one"}, {"key": "k", "id": "named", "content": b"one"}),
        ({"key": "k", "id": "a", "content": b"one"}, {"key": "k", "id": "b", "content": b"one"}),
    ],
    ids=["same id, other content", "same key, other content", "same key, now with an id", "same key, other id"],
)
def test_an_id_or_key_stands_for_one_thing_only(
    keep: Keep, first: dict[str, object], second: dict[str, object]
) -> None:
    keep.submit(keep.draft(**first))
    with pytest.raises(Refusal) as refused:
        keep.submit(keep.draft(**second))
    assert refused.value.reason is RefusalReason.ID_TAKEN
    assert keep.counts() == {"ready": 1}


def test_a_repeated_key_without_the_id_gives_the_task_with_its_id(keep: Keep) -> None:
    keep.submit(keep.draft(key="k", id="a", content=b"one"))
    (again,) = keep.submit(keep.draft(key="k", content=b"one"))
    assert (again.id, again.existed) == ("a", True)


def test_a_batch_is_stored_whole_or_not_at_all(keep: Keep) -> None:
    keep.submit(keep.draft(id="a", content=b"one"))
    with pytest.raises(Refusal, match="a is there"):
        keep.submit(keep.draft(), keep.draft(), keep.draft(id="a", content=b"other"), keep.draft())
    assert keep.counts() == {"ready": 1}


def test_a_refused_batch_burns_no_number(keep: Keep) -> None:
    first = int(keep.task())
    with pytest.raises(Refusal):
        keep.submit(keep.draft(key="k", content=b"1"), keep.draft(key="k", content=b"2"))
    assert int(keep.task()) == first + 1


def test_a_batch_may_repeat_itself_and_what_is_there(keep: Keep) -> None:
    there, new = keep.draft(id="there"), keep.draft()
    keep.submit(there)
    answers = keep.submit(new, there, new, keep.draft(id="there", content=there.content), keep.draft())
    assert [answer.existed for answer in answers] == [False, True, True, True, False]
    assert answers[0].id == answers[2].id
    assert {answers[1].id, answers[3].id} == {"there"}
    assert keep.counts() == {"ready": 3}


def test_a_batch_is_answered_and_numbered_in_its_order(keep: Keep) -> None:
    answers = keep.submit(*(keep.draft(name=str(number)) for number in range(300)))
    assert [answer.seq for answer in answers] == sorted(answer.seq for answer in answers)
    assert [keep.get(answer.id).name for answer in answers[:3]] == ["0", "1", "2"]


def test_an_id_is_free_again_after_its_task_was_deleted(keep: Keep) -> None:
    keep.submit(keep.draft(id="a", content=b"one"))
    keep.delete("a")
    (answer,) = keep.submit(keep.draft(id="a", content=b"other"))
    assert not answer.existed


def test_a_key_is_free_again_after_its_task_was_deleted(keep: Keep) -> None:
    draft = keep.draft()
    keep.submit(draft)
    keep.delete("1")
    (answer,) = keep.submit(draft)
    assert (answer.id, answer.existed) == ("2", False)


def test_an_id_of_digits_is_refused_for_it_may_come_up(keep: Keep) -> None:
    with pytest.raises(Refusal) as refused:
        keep.submit(keep.draft(id="17"))
    assert refused.value.reason is RefusalReason.BAD_ID


def test_nothing_submitted_is_nothing_stored(keep: Keep) -> None:
    assert keep.submit() == []


@pytest.mark.parametrize(
    "name", ["get", "attempts_of", "payload", "delete", "cancel", "modify", "hold", "release", "retry"]
)
def test_a_task_that_is_not_there_is_refused_by_name(keep: Keep, name: str) -> None:
    values = {
        "modify": {"now_us": 1, "patch": tasks.model.Patch()},
        "retry": {"now_us": 1, "key": None},
        **{changing: {"now_us": 1} for changing in ("cancel", "delete", "hold", "release")},
    }.get(name, {})
    with pytest.raises(Refusal, match="no task ghost") as refused:
        keep.do(getattr(tasks, name), id="ghost", **values)
    assert refused.value.reason is RefusalReason.NO_SUCH_TASK
