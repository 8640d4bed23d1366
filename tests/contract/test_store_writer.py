"""Group commit: an answer means durable, one failing command fails alone, and a fault of the disk stops everything."""

from __future__ import annotations

import os
import sqlite3
import threading
from concurrent.futures import wait
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from support.keep import ANSWER_S, Keep, kept
from tsched.proto.errors import Refusal, RefusalReason
from tsched.store import StoreBusy, StoreClosed, StoreFault, tasks
from tsched.store.writer import BATCH_LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from tsched.store.db import Db


@pytest.fixture
def keep(tmp_path: Path) -> Iterator[Keep]:
    with kept(tmp_path) as keep:
        yield keep


@contextmanager
def together(keep: Keep) -> Iterator[list[Future[Any]]]:
    """What is written inside waits until the end of the block, and so falls into one group."""
    gate, held = threading.Event(), threading.Event()

    def hold(_: Db) -> None:
        held.set()
        gate.wait(ANSWER_S)

    holding = keep.store.write(hold)
    held.wait(ANSWER_S)
    futures: list[Future[Any]] = []
    try:
        yield futures
    finally:
        gate.set()
        holding.result(ANSWER_S)
    wait(futures, ANSWER_S)


def submission(keep: Keep, **values: Any) -> Callable[[Db], Any]:
    return partial(tasks.submit, drafts=[keep.draft(**values)], now_us=keep.clock.us)


def commits(keep: Keep, group: Callable[[list[Future[Any]]], None]) -> int:
    """How many transactions a group takes."""
    seen: list[str] = []
    keep.store.tasks_lane.writer._connection.set_trace_callback(seen.append)
    with together(keep) as futures:
        seen.clear()
        group(futures)
    keep.store.tasks_lane.writer._connection.set_trace_callback(None)
    return seen.count("COMMIT") - 1  # less that of what held the gate


def test_commands_that_wait_share_one_commit(keep: Keep) -> None:
    def group(futures: list[Future[Any]]) -> None:
        futures += [keep.store.write(submission(keep)) for _ in range(BATCH_LIMIT)]

    assert commits(keep, group) == 1
    assert keep.counts() == {"ready": BATCH_LIMIT}


def test_a_group_is_bounded(keep: Keep) -> None:
    def group(futures: list[Future[Any]]) -> None:
        futures += [keep.store.write(submission(keep)) for _ in range(BATCH_LIMIT * 2 + 1)]

    assert commits(keep, group) == 3


def test_a_command_is_not_answered_before_it_is_committed(keep: Keep) -> None:
    with closing(sqlite3.connect(keep.folder / "tsched.db")) as other:
        futures = [keep.store.write(submission(keep)) for _ in range(50)]
        for count, future in enumerate(futures, 1):
            future.result(ANSWER_S)
            (seen,) = other.execute("SELECT count(*) FROM tasks").fetchone()
            assert seen >= count


def test_only_the_failing_command_of_a_group_fails(keep: Keep) -> None:
    keep.submit(keep.draft(id="a", content=b"one"))
    with together(keep) as futures:
        futures.append(keep.store.write(submission(keep)))
        futures.append(keep.store.write(submission(keep, id="a", content=b"other")))
        futures.append(keep.store.write(submission(keep)))
        futures.append(keep.store.write(partial(tasks.delete, id="ghost", now_us=1)))
        futures.append(keep.store.write(submission(keep)))
    failed = [future.exception() for future in futures]
    assert [type(error) for error in failed] == [type(None), Refusal, type(None), Refusal, type(None)]
    assert [error.reason for error in failed if error] == [RefusalReason.ID_TAKEN, RefusalReason.NO_SUCH_TASK]
    assert keep.counts() == {"ready": 4}
    assert [future.result()[0].id for future in futures[::2]] == ["2", "3", "4"]


def test_a_group_with_refusals_still_takes_one_commit(keep: Keep) -> None:
    def group(futures: list[Future[Any]]) -> None:
        for _ in range(20):
            futures.append(keep.store.write(submission(keep)))
            futures.append(keep.store.write(partial(tasks.cancel, id="ghost", now_us=1)))

    assert commits(keep, group) == 1
    assert keep.counts() == {"ready": 20}


def test_what_a_failing_command_had_done_is_undone(keep: Keep) -> None:
    def half(db: Db) -> None:
        tasks.submit(db, drafts=[keep.draft()], now_us=1)
        raise ZeroDivisionError

    with together(keep) as futures:
        futures += [keep.store.write(submission(keep)), keep.store.write(half), keep.store.write(submission(keep))]
    assert isinstance(futures[1].exception(), ZeroDivisionError)
    assert keep.counts() == {"ready": 2}
    with pytest.raises(ZeroDivisionError):
        keep.do(half)
    assert keep.counts() == {"ready": 2}


def test_a_command_that_loses_the_whole_transaction_harms_no_other(keep: Keep) -> None:
    def rolls_back(db: Db) -> None:
        db.connection.execute("ROLLBACK")
        raise ZeroDivisionError

    with together(keep) as futures:
        futures += [
            keep.store.write(submission(keep)),
            keep.store.write(rolls_back),
            keep.store.write(submission(keep)),
        ]
    assert [type(future.exception()) for future in futures] == [type(None), ZeroDivisionError, type(None)]
    assert keep.counts() == {"ready": 2}


def test_a_commit_that_fails_for_one_command_fails_for_that_one_only(keep: Keep) -> None:
    def breaks_a_reference(db: Db) -> None:
        db.connection.execute("PRAGMA defer_foreign_keys = ON")
        db.connection.execute("INSERT INTO payloads VALUES (999, 0, x'00')")

    with together(keep) as futures:
        futures += [
            keep.store.write(submission(keep)),
            keep.store.write(breaks_a_reference),
            keep.store.write(submission(keep)),
        ]
    assert [type(future.exception()) for future in futures] == [type(None), sqlite3.IntegrityError, type(None)]
    assert keep.counts() == {"ready": 2}


def test_even_an_exit_in_a_command_does_not_take_the_writer_with_it(keep: Keep) -> None:
    def leaves(_: Db) -> None:
        raise SystemExit

    with pytest.raises(SystemExit):
        keep.do(leaves)
    assert keep.task() == "1"


def test_a_command_withdrawn_before_its_turn_is_not_run(keep: Keep) -> None:
    with together(keep) as futures:
        futures += [keep.store.write(submission(keep)) for _ in range(3)]
        assert futures[1].cancel()
    assert keep.counts() == {"ready": 2}


def test_commands_run_in_the_order_they_came(keep: Keep) -> None:
    seen: list[int] = []
    wait([keep.store.write(lambda _, number=number: seen.append(number)) for number in range(600)], ANSWER_S)
    assert seen == list(range(600))


def test_a_query_sees_one_moment(keep: Keep) -> None:
    keep.task()

    def twice(db: Db) -> tuple[int, int]:
        first = tasks.counts(db)["ready"]
        keep.task()
        return first, tasks.counts(db)["ready"]

    assert keep.ask(twice) == (1, 1)
    assert keep.counts() == {"ready": 2}


def test_a_query_cannot_write(keep: Keep) -> None:
    with pytest.raises(Refusal) as refused:
        keep.ask(tasks.promote, now_us=1)
    assert refused.value.reason is RefusalReason.STORE_READ_ONLY


def test_a_query_that_fails_harms_no_other(keep: Keep) -> None:
    for error in (ZeroDivisionError, SystemExit):

        def fails(_: Db, error: type[BaseException] = error) -> None:
            raise error

        for _ in range(5):
            with pytest.raises(error):
                keep.ask(fails)
    assert keep.counts() == {}


def test_closing_finishes_what_was_submitted(tmp_path: Path) -> None:
    with kept(tmp_path) as keep:
        futures = [keep.store.write(submission(keep)) for _ in range(1000)]
        asked = keep.store.read(tasks.counts)
        keep.store.close()
        assert all(future.done() and future.exception() is None for future in futures)
        assert asked.done()
        assert not list(tmp_path.glob("*-wal"))
        keep.reopen()
        assert keep.counts() == {"ready": 1000}


def test_a_closed_store_refuses_and_closes_again(tmp_path: Path) -> None:
    with kept(tmp_path) as keep:
        closers = [threading.Thread(target=keep.store.close) for _ in range(5)]
        for closer in closers:
            closer.start()
        for closer in closers:
            closer.join(ANSWER_S)
        for future in (keep.store.write(tasks.counts), keep.store.read(tasks.counts), keep.store.write_output(id)):
            assert isinstance(future.exception(ANSWER_S), StoreClosed)
        keep.reopen()


def test_no_submission_is_forgotten_when_a_store_closes_under_it(tmp_path: Path) -> None:
    with kept(tmp_path) as keep:
        futures: list[Future[Any]] = []

        def submit_much() -> None:
            futures.extend(keep.store.write(submission(keep)) for _ in range(300))

        submitters = [threading.Thread(target=submit_much) for _ in range(3)]
        for submitter in submitters:
            submitter.start()
        keep.store.close()
        for submitter in submitters:
            submitter.join(ANSWER_S)
        errors = [future.exception(ANSWER_S) for future in futures]
        assert {type(error) for error in errors} <= {type(None), StoreClosed}
        keep.reopen()
        assert keep.counts().get("ready", 0) == errors.count(None)


def test_a_lock_held_by_another_program_is_told_and_passes(keep: Keep) -> None:
    keep.sql("PRAGMA busy_timeout = 20")
    with closing(sqlite3.connect(keep.folder / "tsched.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy, match=r"tsched\.db is locked"):
            keep.task()
        other.execute("ROLLBACK")
    assert keep.task()


@pytest.mark.parametrize("deed", ["removed", "replaced"])
def test_a_file_taken_away_under_the_store_is_a_fault(tmp_path: Path, deed: str) -> None:
    keep = Keep(tmp_path)
    keep.task()
    faults: list[StoreFault] = []
    keep.store.on_fault(faults.append)
    path = tmp_path / "tsched.db"
    path.rename(tmp_path / "aside.db")
    if deed == "replaced":
        path.write_bytes((tmp_path / "aside.db").read_bytes())
    with pytest.raises(StoreFault, match="is gone" if deed == "removed" else "was replaced"):
        keep.task()
    os.replace(tmp_path / "aside.db", path)
    with pytest.raises(StoreFault):
        keep.task()
    assert len(faults) == 1
    late: list[StoreFault] = []
    keep.store.on_fault(late.append)
    assert late == faults
    keep.store.close()


def test_who_follows_hears_of_each_commit_that_changed_something_after_it_is_durable(keep: Keep) -> None:
    heard: list[int] = []
    stop = keep.store.on_commit(lambda: heard.append(keep.ask(tasks.counts)["ready"]))
    keep.task()
    keep.do(tasks.counts)
    keep.do(tasks.promote, now_us=keep.clock.us)
    keep.task()
    keep.do(tasks.counts)  # by then the commit before was told of
    assert heard == [1, 2]
    stop()
    stop()
    keep.task()
    keep.do(tasks.counts)
    assert heard == [1, 2]


def test_a_group_is_one_commit_to_hear_of(keep: Keep) -> None:
    heard: list[int] = []
    keep.store.on_commit(lambda: heard.append(1))
    with together(keep) as futures:
        futures += [keep.store.write(submission(keep)) for _ in range(9)]
    keep.do(tasks.counts)
    assert heard == [1]


def test_a_follower_that_fails_is_not_called_again_and_harms_nobody(
    keep: Keep, capsys: pytest.CaptureFixture[str]
) -> None:
    heard: list[int] = []

    def fail() -> None:
        heard.append(1)
        raise RuntimeError("the follower is broken")

    keep.store.on_commit(fail)
    for _ in range(3):
        keep.task()
    assert heard == [1]
    assert "the follower is broken" in capsys.readouterr().err
