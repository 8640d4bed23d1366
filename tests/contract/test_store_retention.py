"""Finished tasks go by age and by number, the oldest first; nothing else goes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from support.keep import Keep, after, chunk, kept
from tsched.store import executors, output, tasks
from tsched.supervisor import config
from tsched.supervisor.final_answers import FinalAnswers
from tsched.supervisor.retention import Retention

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


def finish(keep: Keep, executor: str, many: int = 1) -> list[int]:
    """Tasks that finish one second apart; their attempts."""
    attempt_ids = []
    for _ in range(many):
        keep.clock.advance(1)
        claimed = keep.running(executor)
        keep.finish(executor, claimed)
        attempt_ids.append(claimed.attempt_id)
    return attempt_ids


def prune(keep: Keep, before_us: int = 0, keeping: int = 1000, limit: int = 500) -> list[int]:
    return keep.do(tasks.prune, finished_before_us=before_us, keep=keeping, now_us=keep.clock.us, limit=limit)


def test_what_finished_before_an_instant_goes(keep: Keep, executor: str) -> None:
    old = finish(keep, executor, 3)
    limit_us = keep.clock.us + 1
    young = finish(keep, executor, 2)
    assert prune(keep, limit_us) == old
    assert prune(keep, limit_us) == []
    assert [row for (row,) in keep.sql("SELECT id FROM attempts")] == young


def test_what_is_beyond_the_number_to_keep_goes_oldest_first(keep: Keep, executor: str) -> None:
    attempts = finish(keep, executor, 5)
    assert prune(keep, keeping=2) == attempts[:3]
    assert prune(keep, keeping=2) == []


def test_the_newest_stay_also_where_older_ones_are_needed(keep: Keep, executor: str) -> None:
    finish(keep, executor, 3)
    keep.submit(keep.draft(hold=True, dependencies=after("1", "2", "3")))
    attempts = finish(keep, executor, 3)
    assert prune(keep, keeping=2) == attempts[:1]
    assert prune(keep, keeping=2) == []


def test_a_batch_is_bounded(keep: Keep, executor: str) -> None:
    attempts = finish(keep, executor, 5)
    assert [prune(keep, keeping=0, limit=2) for _ in range(4)] == [attempts[:2], attempts[2:4], attempts[4:], []]


def test_what_waits_or_runs_never_goes(keep: Keep, executor: str) -> None:
    keep.running(executor)
    keep.submit(keep.draft(), keep.draft(state="scheduled"))
    keep.clock.advance(100)
    assert prune(keep, keep.clock.us * 2, keeping=0) == []
    assert keep.counts() == {"ready": 1, "scheduled": 1, "running": 1}


def test_tasks_without_attempts_hide_no_older_work(keep: Keep, executor: str) -> None:
    for _ in range(7):
        keep.do(tasks.cancel, id=keep.task(), now_us=keep.clock.us)
    (attempt_id,) = finish(keep, executor)
    assert prune(keep, keeping=0, limit=2) == [attempt_id]
    assert keep.counts() == {}


def test_the_output_follows(keep: Keep, executor: str) -> None:
    (attempt_id,) = finish(keep, executor)
    keep.do_output(output.append, chunks=[chunk(attempt_id, 1, b"x")])
    prune(keep, keeping=0)
    keep.reopen()
    assert keep.sql_output("SELECT * FROM chunks") == []


def test_space_of_dropped_output_is_given_back(keep: Keep, executor: str) -> None:
    claimed = keep.running(executor)
    data = b"x" * 100_000
    for number in range(30):
        keep.do_output(output.append, chunks=[chunk(claimed.attempt_id, number + 1, data, offset=number * len(data))])
    keep.finish(executor, claimed, stdout_bytes=30 * len(data))
    ((before,),) = keep.sql_output("PRAGMA page_count")
    keep.do_output(output.drop, attempt_ids=[claimed.attempt_id])
    ((after,),) = keep.sql_output("PRAGMA page_count")
    assert after < before / 5
    keep.delete(claimed.task_id)


def test_an_executor_is_forgotten_when_nothing_kept_names_it(keep: Keep, executor: str) -> None:
    finish(keep, executor)
    idle = keep.executor("f")
    for one in (executor, idle):
        keep.do(executors.gone, id=one, now_us=1)
    keep.reopen()
    assert keep.ask(executors.executor, id=idle) is None
    assert keep.ask(executors.executor, id=executor) is not None
    prune(keep, keeping=0)
    keep.reopen()
    assert keep.ask(executors.executor, id=executor) is None


def test_the_service_forgets_tasks_and_events_as_configured(keep: Keep, executor: str) -> None:
    finish(keep, executor, 3)
    wanted = replace(config.load(None), store_keep_events=2, store_keep_finished=1)
    asyncio.run(Retention(keep.store, keep.clock, wanted, FinalAnswers()).prune())
    assert keep.counts() == {"succeeded": 1}
    assert keep.told() == ["deleted", "deleted"]
    keep.clock.advance(wanted.store_keep_for_s + 1)
    asyncio.run(Retention(keep.store, keep.clock, wanted, FinalAnswers()).prune())
    assert keep.told() == ["deleted"]  # the last task has just gone
