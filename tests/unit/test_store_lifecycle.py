"""The tables of the life cycle, the statements that carry them out, and the database agree in every cell."""

from __future__ import annotations

import itertools
import re
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from tsched.proto.values import (
    FINAL_ATTEMPT_STATES,
    FINAL_TASK_STATES,
    LOST_LIMIT,
    AttemptState,
    OnLost,
    TaskState,
)
from tsched.store import opening, sql
from tsched.store.lifecycle import ATTEMPT, GONE, NEW, TASK, TaskEvent, event_after
from tsched.store.migrate import TSCHED

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

    from tsched.store.sql import Statement

CHANGING = [statement for statement in sql.load().values() if statement.before or statement.after]
OF_TASKS = [s for s in CHANGING if re.search(r"^(UPDATE|INSERT INTO|DELETE FROM) tasks\b", s.text, re.MULTILINE)]
OF_ATTEMPTS = [s for s in CHANGING if re.search(r"^(UPDATE|INSERT INTO|DELETE FROM) attempts\b", s.text, re.MULTILINE)]
MACHINES = [(TASK, OF_TASKS), (ATTEMPT, OF_ATTEMPTS)]

# What a statement may ask for that is not the point here.
VALUES: dict[str, Any] = {
    "seq": 1,
    "seqs": "[1]",
    "attempt_id": 1,
    "executor": "e",
    "queue": "q",
    "owner": "",
    "limit": 9,
    "first": 1,
    "now_us": 50,
    "due_at_us": 40,
    "started_at_us": 45,
    "finished_at_us": 50,
    "reason": "exit_code",
    "message": None,
    "name": "n",
    "priority": 1,
    "timeout_us": None,
    "grace_us": 0,
    "pid": 5,
    "start_ticks": 6,
    "exit_code": 1,
    "signal": None,
    "cpu_s": 0.5,
    "peak_bytes": 1,
    "stdout_bytes": 0,
    "stderr_bytes": 0,
    "dropped_bytes": 0,
    "leftovers": 0,
    "id": "two",
    "key": None,
    "content": b"",
    "kind": "command",
    "created_at_us": 1,
    "max_attempts": 1,
    "on_lost": "fail",
    "profile": "p",
    "output_cap_bytes": 0,
    "retry_of": None,
    "paused_us": 0,
    "shared": False,
    "retry_delay_us": 1,
    "waits_for": 1,
    "more": 0,
    "parents": "[2]",
}


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(opening.open_writer(tmp_path / "tsched.db", TSCHED)) as opened:
        yield opened


def name_of(value: object) -> str:
    return getattr(value, "name", None) or str(value)


def test_every_statement_that_changes_a_state_says_so() -> None:
    changing = {
        statement.name
        for statement in sql.load().values()
        if re.search(r"SET state = |^DELETE FROM (tasks|attempts)|^INSERT INTO (tasks|attempts)", statement.text)
        and not statement.name.startswith("executor")
    }
    declared = {statement.name for statement in CHANGING}
    assert changing <= declared
    assert all(statement.before and statement.after for statement in CHANGING)


@pytest.mark.parametrize(("table", "statements"), MACHINES, ids=["task", "attempt"])
def test_statements_and_table_name_the_same_moves(table: Any, statements: list[Statement]) -> None:
    allowed = {(str(before), str(after)) for (before, _), after in table.items()}
    for statement in statements:
        reached = {
            (before, after)
            for before, after in itertools.product(statement.before, statement.after)
            if (before, after) in allowed
        }
        assert {before for before, _ in reached} == statement.before, f"{statement.name} starts where nothing is listed"
        assert {after for _, after in reached} == statement.after, f"{statement.name} ends where nothing is listed"
    carried = {move for s in statements for move in itertools.product(s.before, s.after)}
    assert allowed <= carried, f"no statement carries out {allowed - carried}"


@pytest.mark.parametrize("state", TaskState)
@pytest.mark.parametrize("statement", [s for s in OF_TASKS if NEW not in s.before], ids=name_of)
def test_a_task_statement_changes_the_states_it_names_and_no_other(
    connection: sqlite3.Connection, statement: Statement, state: TaskState
) -> None:
    plant(connection, task=state, attempt=AttemptState.CLAIMED)
    if statement.name == "unblock_tasks":
        connection.execute("INSERT INTO dependencies VALUES (1, 0, 2, 'two', 'ok', 0, 1)")
    if statement.name == "stop_unstarted_task":
        connection.execute("UPDATE tasks SET cancel_requested_at_us = 30 WHERE state = 'running'")
    run(connection, statement)
    after = state_of(connection, "tasks")
    if state in statement.before:
        assert after in statement.after
        assert after in {end for (begin, _), end in TASK.items() if begin == state}
    else:
        assert after == state


@pytest.mark.parametrize("state", AttemptState)
@pytest.mark.parametrize(
    ("statement", "target"),
    [(s, target) for s in OF_ATTEMPTS if NEW not in s.before for target in sorted(s.after)],
    ids=name_of,
)
def test_an_attempt_statement_changes_the_states_it_names_and_no_other(
    connection: sqlite3.Connection, statement: Statement, target: str, state: AttemptState
) -> None:
    plant(connection, task=TaskState.HELD, attempt=state)
    run(connection, statement, state=target)
    after = state_of(connection, "attempts")
    assert after == (target if state in statement.before else state)


@pytest.mark.parametrize(
    ("state", "values"),
    [
        ("ready", {"waits_for": 0}),
        ("scheduled", {"waits_for": 0}),
        ("held", {}),
        ("blocked", {}),
        ("skipped", {"finished_at_us": 5, "reason": "dependency"}),
    ],
)
def test_a_new_task_waits_or_was_never_to_run(
    connection: sqlite3.Connection, state: str, values: dict[str, Any]
) -> None:
    run(connection, sql.load()["insert_task"], **{"finished_at_us": None, "reason": None, **values}, state=state)
    assert state_of(connection, "tasks") == state


def test_a_new_attempt_is_claimed(connection: sqlite3.Connection) -> None:
    plant(connection, task=TaskState.READY, attempt=None)
    run(connection, sql.load()["claim_attempts"])
    assert state_of(connection, "attempts") == "claimed"


@pytest.mark.parametrize("after", TaskState)
@pytest.mark.parametrize("before", sorted(FINAL_TASK_STATES))
def test_the_schema_itself_lets_no_finished_task_change(
    connection: sqlite3.Connection, before: TaskState, after: TaskState
) -> None:
    plant(connection, task=before, attempt=None)
    with pytest.raises(connection.IntegrityError):
        connection.execute(
            "UPDATE tasks SET state = ?, finished_at_us = ?", (after, 9 if after in FINAL_TASK_STATES else None)
        )


@pytest.mark.parametrize(
    "change",
    [
        "state = 'asleep'",
        "state = 'succeeded'",
        "finished_at_us = 9",
        "attempt_id = 1",
        "state = 'running'",
        "state = 'running', attempt_id = 1, attempt = 0",
        "cancel_requested_at_us = 9",
        "reason = 'cancelled'",
        "message = x'00'",
        "on_lost = 'shrug'",
        "timeout_us = 0",
        "grace_us = -1",
        "id = 'a/b'",
        "id = ''",
        "scheduled_for_us = 5",
        "due_at_us = 'soon'",
        "state = 'failed', finished_at_us = 9, attempt_id = 1",
        "state = 'blocked'",
        "waits_for = 1",
        "waits_for = -1",
        "state = 'held', waits_for = -1",
        "state = 'scheduled', waits_for = 1",
        "shared = 2",
        "retry_delay_us = -1",
    ],
)
def test_the_schema_refuses_an_illegal_task(connection: sqlite3.Connection, change: str) -> None:
    plant(connection, task=TaskState.READY, attempt=AttemptState.LOST)
    with pytest.raises(connection.IntegrityError):
        connection.execute(f"UPDATE tasks SET {change}")


@pytest.mark.parametrize(
    "change",
    [
        "state = 'asleep'",
        "state = 'lost'",
        "finished_at_us = 9",
        "started_at_us = 9",
        "state = 'running'",
        "state = 'running', started_at_us = 9, pid = NULL",
        "reason = 'signal'",
        "number = 0",
        "stdout_bytes = -1",
        "task = 99",
        "paused_at_us = 9",
        "paused_us = -1",
        "paused_us = NULL",
        "paused_at_us = 9, started_at_us = 5, pid = 5, state = 'failed', finished_at_us = 9",
    ],
)
def test_the_schema_refuses_an_illegal_attempt(connection: sqlite3.Connection, change: str) -> None:
    plant(connection, task=TaskState.RUNNING, attempt=AttemptState.CLAIMED)
    with pytest.raises(connection.IntegrityError):
        connection.execute(f"UPDATE attempts SET {change}")


def test_the_schema_refuses_a_second_live_attempt(connection: sqlite3.Connection) -> None:
    plant(connection, task=TaskState.RUNNING, attempt=AttemptState.CLAIMED)
    with pytest.raises(connection.IntegrityError):
        connection.execute(
            "INSERT INTO attempts (task, number, executor, state, due_at_us, claimed_at_us)"
            " VALUES (1, 2, 'e', 'claimed', 1, 1)"
        )


@pytest.mark.parametrize("cancel_requested", [False, True])
@pytest.mark.parametrize("lost_before", range(LOST_LIMIT + 1))
@pytest.mark.parametrize("on_lost", OnLost)
@pytest.mark.parametrize("end", sorted(FINAL_ATTEMPT_STATES))
def test_what_an_end_means_for_the_task(
    end: AttemptState, on_lost: OnLost, lost_before: int, cancel_requested: bool
) -> None:
    event = event_after(end, on_lost=on_lost, lost_before=lost_before, cancel_requested=cancel_requested)
    assert (TaskState.RUNNING, event) in TASK
    if end is not AttemptState.LOST:
        assert (
            event
            is {
                "succeeded": TaskEvent.SUCCEED,
                "failed": TaskEvent.FAIL,
                "timed_out": TaskEvent.FAIL,
                "cancelled": TaskEvent.STOPPED,
            }[end.value]
        )
    elif cancel_requested:
        assert event is TaskEvent.STOPPED
    else:
        again = TaskEvent.REQUEUE if lost_before < LOST_LIMIT - 1 else TaskEvent.FAIL
        assert event is {OnLost.FAIL: TaskEvent.FAIL, OnLost.HOLD: TaskEvent.HOLD, OnLost.RETRY: again}[on_lost]


@pytest.mark.parametrize("cancel_requested", [False, True])
@pytest.mark.parametrize("asks_again", [False, True])
@pytest.mark.parametrize("may_repeat", [False, True])
@pytest.mark.parametrize("end", sorted(FINAL_ATTEMPT_STATES - {AttemptState.LOST}))
def test_only_what_failed_and_is_not_to_be_cancelled_is_tried_again(
    end: AttemptState, may_repeat: bool, asks_again: bool, cancel_requested: bool
) -> None:
    wishes = {"cancel_requested": cancel_requested, "may_repeat": may_repeat, "asks_again": asks_again}
    event = event_after(end, on_lost=OnLost.RETRY, lost_before=0, **wishes)
    if end in (AttemptState.SUCCEEDED, AttemptState.CANCELLED):
        assert event is {"succeeded": TaskEvent.SUCCEED, "cancelled": TaskEvent.STOPPED}[end.value]
    elif cancel_requested:
        assert event is (TaskEvent.STOPPED if asks_again else TaskEvent.FAIL)
    else:
        assert event is (TaskEvent.RETRY if may_repeat else TaskEvent.FAIL)


@pytest.mark.parametrize("state", sorted(FINAL_TASK_STATES))
def test_nothing_happens_to_a_finished_task_but_its_deletion(state: TaskState) -> None:
    assert {event for (begin, event) in TASK if begin == state} == {TaskEvent.DELETE}


INSERT_ATTEMPT = (
    "INSERT INTO attempts (id, task, number, executor, state, due_at_us, claimed_at_us, started_at_us, finished_at_us,"
    " pid) VALUES (1, 1, 1, 'e', ?, 1, 1, ?, ?, 5)"
)


def plant(connection: sqlite3.Connection, *, task: TaskState, attempt: AttemptState | None) -> None:
    """A task, number 1, in a state, with one attempt, id 1, in another."""
    finished = 9 if task in FINAL_TASK_STATES else None
    columns = {**VALUES, "id": "one", "queue": "q", "state": "held", "finished_at_us": None, "reason": None}
    run(connection, sql.load()["insert_task"], **columns)
    if attempt is not None:
        started = 5 if attempt is AttemptState.RUNNING else None
        connection.execute(INSERT_ATTEMPT, (attempt, started, 9 if attempt in FINAL_ATTEMPT_STATES else None))
    connection.execute(
        "UPDATE tasks SET state = ?, finished_at_us = ?, attempt = ?, attempt_id = ?, waits_for = ?",
        (
            task,
            finished,
            0 if attempt is None and finished is None else 1,
            1 if task is TaskState.RUNNING else None,
            1 if task in (TaskState.BLOCKED, TaskState.HELD) else 0,
        ),
    )


def run(connection: sqlite3.Connection, statement: Statement, **values: Any) -> None:
    wanted = set(re.findall(r":([a-z_]+)", statement.text))
    connection.execute(statement.text, {name: {**VALUES, **values}[name] for name in wanted}).fetchall()


def state_of(connection: sqlite3.Connection, table: str) -> str:
    row = connection.execute(f"SELECT state FROM {table}").fetchone()
    return GONE if row is None else row["state"]
