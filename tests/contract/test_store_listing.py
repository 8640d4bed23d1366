"""Pages go by key: none is skipped, none comes twice, and a page costs the same wherever it lies."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from support.keep import SECOND_US, START_US, Keep, kept
from tsched.proto.values import TaskState
from tsched.store import model, tasks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


@pytest.fixture
def keep(tmp_path: Path) -> Iterator[Keep]:
    with kept(tmp_path) as keep:
        yield keep


def page(
    keep: Keep, states: Sequence[str] = (), queue: str | None = None, before: int | None = None, limit: int = 100
) -> list[model.TaskRow]:
    return keep.ask(tasks.list_page, states=states, queue=queue, before_seq=before, limit=limit)


def pages(keep: Keep, limit: int, states: Sequence[str] = (), queue: str | None = None) -> list[int]:
    seqs: list[int] = []
    while rows := page(keep, states, queue, seqs[-1] if seqs else None, limit):
        assert len(rows) <= limit
        seqs += [row.seq for row in rows]
    return seqs


def fill(keep: Keep) -> None:
    """Tasks in five states and two queues, mixed."""
    executor = keep.executor()
    for number in range(30):
        queue = "ab"[number % 2]
        state = "scheduled" if number % 3 == 0 else "ready"
        keep.task(queue=queue, state=state, payload=b"%d" % number)
        if number % 5 == 0:
            for claimed in keep.claim(executor, 2, queue="b"):
                keep.start(executor, claimed)
                if number % 10:
                    keep.finish(executor, claimed, "failed" if number % 3 else "succeeded")
        if number % 7 == 0:
            keep.do(tasks.cancel, id=str(number + 1), now_us=1)


def test_pages_hold_each_task_once_newest_first(keep: Keep) -> None:
    fill(keep)
    everything = keep.sql("SELECT seq, state, queue FROM tasks ORDER BY seq DESC")
    for states in ([], ["ready"], ["failed", "ready", "running"], ["failed", "failed"], list(TaskState)):
        for queue, limit in itertools.product((None, "a", "b", "none"), (1, 2, 7, 100)):
            wanted = [
                seq for seq, state, lane in everything if (not states or state in states) and queue in (None, lane)
            ]
            assert pages(keep, limit, states, queue) == wanted, (states, queue, limit)


def test_a_page_shows_the_commands(keep: Keep) -> None:
    keep.submit(keep.draft(payload=b"one"), keep.draft(payload=b"two"))
    assert [row.payload for row in page(keep)] == [b"two", b"one"]


def test_a_damaged_task_does_not_hide_the_others(keep: Keep) -> None:
    good, bad = keep.task(payload=b"good"), keep.task()
    keep.sql("UPDATE payloads SET sealed = x'00' WHERE task = ?", int(bad))
    assert [(row.id, row.payload) for row in page(keep)] == [(bad, None), (good, b"good")]
    assert keep.get(bad).payload is None
    with pytest.raises(tasks.Refusal, match="is damaged"):
        keep.ask(tasks.payload, id=bad)
    keep.delete(bad)


def test_tasks_that_come_while_pages_are_turned_disturb_nothing(keep: Keep) -> None:
    keep.submit(*(keep.draft() for _ in range(10)))
    first = page(keep, limit=5)
    keep.task()
    keep.delete(str(first[-1].seq - 1))
    second = page(keep, before=first[-1].seq, limit=5)
    assert [row.seq for row in first + second] == [10, 9, 8, 7, 6, 4, 3, 2, 1]


def test_every_state_is_counted_also_the_empty_ones(keep: Keep) -> None:
    assert keep.ask(tasks.counts) == dict.fromkeys([state.value for state in TaskState], 0)
    fill(keep)
    counted = dict(keep.sql("SELECT state, count(*) FROM tasks GROUP BY state"))
    assert keep.counts() == counted


def test_only_what_was_submitted_since_an_instant_is_shown(keep: Keep) -> None:
    for step_s in (0, 5, -3, 9):  # the clock is set back once
        keep.clock.advance(step_s)
        keep.submit(keep.draft(queue="a"), keep.draft(queue="b", state="scheduled"))

    def since(seconds: int, states: Sequence[str] = (), queue: str | None = None) -> list[int]:
        since_us = START_US + seconds * SECOND_US
        rows = keep.ask(tasks.list_page, states=states, queue=queue, before_seq=None, limit=100, since_us=since_us)
        return [row.seq for row in rows]

    assert since(3) == [8, 7, 4, 3]
    assert since(2) == [8, 7, 6, 5, 4, 3]
    assert since(3, queue="b") == [8, 4]
    assert since(3, states=["ready"]) == [7, 3]
    assert since(3, states=["scheduled"], queue="b") == [8, 4]
    assert since(12) == []
