"""P16: a store that an earlier version left, with work in it, is brought to this one and goes on."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from support.keep import SECOND_US, START_US, Keep, after, chunk, finish_report, kept
from tsched.store import claims, events, model, opening, output, tasks
from tsched.store.cipher import PlainCipher
from tsched.store.migrate import TSCHED, Schema

if TYPE_CHECKING:
    from pathlib import Path

EXECUTOR = "e" * 32
# Task by task: state, finished, attempt, attempt_id
TASKS = (
    ("succeeded", 9, 1, None),
    ("running", None, 1, 2),
    ("running", None, 1, 3),
    ("ready", None, 0, None),
    ("scheduled", None, 0, None),
    ("held", None, 1, None),
)
# Attempt by attempt: task, state, started, finished, reason
ATTEMPTS = (
    (1, "succeeded", 5, 9, ""),
    (2, "running", 5, None, ""),
    (3, "claimed", None, None, ""),
    (6, "lost", 5, 9, "runner_died"),
)


def earlier_version(folder: Path, version: int) -> None:
    """The files as an earlier schema left them, all events forgotten."""
    migrations = folder / "migrations"
    migrations.mkdir()
    for path in TSCHED.migrations[:version]:
        shutil.copy(path, migrations)
    old = Schema(TSCHED.file_name, TSCHED.application_id, migrations)
    with closing(opening.open_writer(folder / TSCHED.file_name, old)) as connection:
        connection.execute(
            "INSERT INTO executors (id, secret_hash, pid, start_ticks, boot_id, version, started_at_us, state)"
            " VALUES (?, x'00', 1, 1, 'boot', '0', 1, 'present')",
            (EXECUTOR,),
        )
        connection.execute("UPDATE counters SET value = ?", (len(TASKS),))
        for seq, row in enumerate(TASKS, 1):
            plant(connection, seq, row)
        for number, row in enumerate(ATTEMPTS, 1):
            connection.execute(
                "INSERT INTO attempts (id, task, number, executor, state, due_at_us, claimed_at_us, started_at_us,"
                " finished_at_us, reason, pid) VALUES (?, ?, 1, ?, ?, 1, 2, ?, ?, ?, 4)",
                (number, row[0], EXECUTOR, *row[1:]),
            )
        if version > 1:
            connection.execute("DELETE FROM events")
            connection.execute("DELETE FROM sqlite_sequence WHERE name = 'events'")
        connection.execute("COMMIT")
    shutil.rmtree(migrations)


def plant(connection: sqlite3.Connection, seq: int, row: tuple[str, int | None, int, int | None]) -> None:
    state, finished, attempt, live = row
    if not connection.in_transaction:
        connection.execute("BEGIN")
        connection.execute("PRAGMA defer_foreign_keys = ON")
    connection.execute(
        "INSERT INTO tasks (seq, id, content, name, kind, queue, priority, state, created_at_us, due_at_us,"
        " finished_at_us, attempt, attempt_id, max_attempts, grace_us, on_lost, profile, output_cap_bytes)"
        " VALUES (?, ?, x'00', '', 'command', 'default', 0, ?, 1, ?, ?, ?, ?, 1, 0, 'fail', 'default', 0)",
        (seq, str(seq), state, START_US + 1 if state == "scheduled" else 1, finished, attempt, live),
    )
    sealed = PlainCipher().seal(b"command %d" % seq, table="payloads", row=seq, column="sealed")
    connection.execute("INSERT INTO payloads VALUES (?, 0, ?)", (seq, sealed))


@pytest.fixture(params=range(1, TSCHED.version))
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    earlier_version(tmp_path, request.param)
    return tmp_path


def test_all_that_was_there_is_there_and_sound(folder: Path) -> None:
    with kept(folder) as keep:
        assert keep.sql("PRAGMA user_version") == [(TSCHED.version,)]
        rows = {row.seq: row for row in keep.ask(tasks.list_page, states=(), queue=None, before_seq=None, limit=99)}
        assert [rows[seq].state for seq in sorted(rows)] == [state for state, *_ in TASKS]
        assert {seq: row.payload for seq, row in rows.items()} == {seq: b"command %d" % seq for seq in rows}
        assert {attempt.paused_us for seq in rows for attempt in keep.attempts(str(seq))} == {0}
        assert keep.ask(events.bounds) == model.EventBounds(oldest=1, newest=0)


def test_what_ran_goes_on_and_is_told_of_from_now_on(folder: Path) -> None:
    with kept(folder) as keep:
        (running,) = [one for one in keep.ask(claims.live_attempts, executor=EXECUTOR) if one.state == "running"]
        told = {"attempt_id": running.attempt_id, "executor": EXECUTOR, "at_us": keep.clock.us, "paused_us": 0}
        keep.do(claims.paused, reports=[model.PauseReport(on=True, **told)])
        keep.do_output(output.append, chunks=[chunk(running.attempt_id, 1, b"text")])
        report = finish_report(EXECUTOR, a_claim(running), keep.clock.us, stdout_bytes=4)
        keep.do(claims.finished, reports=[report])
        assert keep.told("2") == ["paused", "succeeded"]
        assert keep.do(claims.returned, attempt_ids=[3], executor=EXECUTOR) == ["3"]
        assert {one.task_id for one in keep.claim(EXECUTOR, 9)} == {"3", "4"}


def test_old_tasks_can_be_held_released_retried_and_pruned(folder: Path) -> None:
    with kept(folder) as keep:
        now_us = keep.clock.us
        assert keep.do(tasks.hold, id="5", now_us=now_us).state == "held"
        assert keep.do(tasks.release, id="6", now_us=now_us).state == "ready"
        assert keep.get(keep.do(tasks.retry, id="1", key=None, now_us=now_us).id).payload == b"command 1"
        assert keep.do(tasks.prune, finished_before_us=now_us, keep=0, now_us=now_us) == [1]
        assert keep.told() == ["held", "ready", "submitted", "deleted"]


def test_old_tasks_can_be_waited_for_and_wait(folder: Path) -> None:
    with kept(folder) as keep:
        row = keep.get("4")
        assert (row.shared, row.retry_delay_us, row.waits_for, row.progress) == (False, SECOND_US, 0, None)
        assert keep.task(dependencies=after("1", "4")) == "7"
        patch = model.Patch(dependencies=after("4"))
        assert keep.do(tasks.modify, id="5", patch=patch, now_us=keep.clock.us).state == "blocked"
        (claimed,) = keep.claim(EXECUTOR, 9)
        (ended,) = keep.finish(EXECUTOR, claimed)
        assert {child.task_id: child.state for child in ended.children} == {"5": "scheduled", "7": "ready"}


def test_a_migrated_file_is_what_a_new_one_is(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with kept(folder) as old, kept(tmp_path_factory.mktemp("new")) as new:
        query = "SELECT type, name, sql FROM sqlite_schema ORDER BY type, name"
        assert old.sql(query) == new.sql(query)


def test_what_the_second_version_adds_is_refused_to_the_first_version_s_illegal_rows(folder: Path) -> None:
    keep = Keep(folder)
    for change in ("paused_at_us = 5 WHERE id = 1", "paused_at_us = 5 WHERE id = 3", "paused_us = -1"):
        with pytest.raises(sqlite3.IntegrityError):
            keep.sql(f"UPDATE attempts SET {change}")
    keep.store.close()


def a_claim(live: model.LiveAttempt) -> model.Claimed:
    """As its executor knows it."""
    return model.Claimed(
        attempt_id=live.attempt_id,
        number=1,
        task_id=live.task_id,
        queue="default",
        payload=b"",
        timeout_us=None,
        grace_us=0,
        due_at_us=0,
        scheduled_for_us=None,
        profile="default",
        output_cap_bytes=0,
        kind="command",
        shared=False,
        max_attempts=1,
    )
