"""P11: damage is noticed and named. Each invariant is broken behind the store's back, and must be found."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from support.keep import Keep, after, chunk, kept
from tsched.proto.errors import Refusal, RefusalReason
from tsched.store import StoreFault, audit, executors, model, output, tasks
from tsched.store.check import INVARIANTS, check

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# what breaks -> (the object named, what is done)
DAMAGE = {
    "check_live_attempt": ("task 2", "DELETE FROM attempts WHERE task = 2"),
    "check_live_task": ("attempt 2", "UPDATE tasks SET attempt_id = NULL, state = 'held' WHERE seq = 2"),
    "check_one_live": (
        "task 2",
        "DROP INDEX attempts_one_live; UPDATE attempts SET task = 2, number = 2, finished_at_us = NULL WHERE id = 1",
    ),
    "check_stopping": ("attempt 2", "UPDATE tasks SET cancel_requested_at_us = 5 WHERE seq = 2"),
    "check_executors": ("attempt 2", "UPDATE executors SET state = 'gone', gone_at_us = 1"),
    "check_task_state": ("task 1", "UPDATE tasks SET finished_at_us = NULL WHERE seq = 1"),
    "check_attempt_state": ("attempt 1", "UPDATE attempts SET finished_at_us = NULL WHERE id = 1"),
    "check_numbers": ("task 1", "UPDATE tasks SET attempt = 7 WHERE seq = 1"),
    "check_success": ("task 1", "DROP TRIGGER attempts_final; UPDATE attempts SET state = 'failed' WHERE id = 1"),
    "check_counts": ("count of ready", "UPDATE task_counts SET tasks = 9 WHERE state = 'ready'"),
    "check_counter": ("counter id", "UPDATE counters SET value = 2"),
    "check_payloads": ("task 3", "DELETE FROM payloads WHERE task = 3"),
    "check_dropped": ("attempt 1", "INSERT INTO dropped VALUES (1)"),
    "check_events": ("task 3", "UPDATE events SET state = 'held' WHERE task = 3"),
    "check_cursor": ("cursor of events", "UPDATE sqlite_sequence SET seq = 1 WHERE name = 'events'"),
    "check_paused": ("attempt 1", "UPDATE attempts SET paused_at_us = 5 WHERE id = 1"),
    "check_waits": ("task 4", "UPDATE tasks SET waits_for = 2 WHERE seq = 4"),
    "check_blocked": ("task 4", "UPDATE dependencies SET parent = 1 WHERE task = 4"),
    "check_vain": ("task 4", "UPDATE dependencies SET met = 0 WHERE task = 4"),
    "check_met": ("task 5", "UPDATE dependencies SET met = 0 WHERE task = 5"),
    "check_waiting": ("count of uid:1", "UPDATE waiting_counts SET tasks = 9"),
    "check_audit": ("audit", "DROP TRIGGER audit_goes_in_order; DELETE FROM audit WHERE id = 2"),
    "check_results": ("task 1", "UPDATE tasks SET kind = 'command' WHERE seq = 1"),
    "check_early": ("task 3", "UPDATE tasks SET due_at_us = due_at_us + 9000000 WHERE seq = 3"),
}
MORE_DAMAGE = {
    "a payload": ("task 3", "UPDATE payloads SET sealed = x'00' WHERE task = 3"),
    "a result": ("task 1", "UPDATE results SET sealed = x'00' WHERE task = 1"),
    "a ring": (
        "task 4",
        (
            "UPDATE dependencies SET task = 3, parent = 4, met = NULL WHERE task = 5;"
            "UPDATE dependencies SET parent = 3 WHERE task = 4;"
            "UPDATE tasks SET state = 'blocked', waits_for = 1 WHERE seq = 3"
        ),
    ),
    "a task skipped for nothing": ("task 3", "UPDATE tasks SET state = 'skipped', finished_at_us = 5 WHERE seq = 3"),
    "a payload of nobody": ("payload 99", "INSERT INTO payloads VALUES (99, 0, x'00')"),
    "a reference": ("attempts 2", "UPDATE attempts SET task = 99 WHERE id = 2"),
    "an index": ("tsched.db", "DROP INDEX tasks_ready"),
    "a trigger": ("tsched.db", "DROP TRIGGER tasks_final"),
    "a table": ("tsched.db", "CREATE TABLE extra (x)"),
    "the length of output": ("attempt 1 of task 1", "UPDATE attempts SET stdout_bytes = 99 WHERE id = 1"),
}
SEALED_DAMAGE = {
    "a task's message": ("task #5", "UPDATE tasks SET message = x'0099' WHERE seq = 5"),
    "an attempt's message": ("attempt #1", "UPDATE attempts SET message = x'0099' WHERE id = 1"),
    "a key of output": ("executor " + "e" * 32, "UPDATE executors SET data_key = x'0099'"),
}
MORE_DAMAGE |= SEALED_DAMAGE
OUTPUT_DAMAGE = {
    "missing output": ("attempt 1 of task 1", "DELETE FROM chunks"),
    "output of nobody": ("attempt 77", "INSERT INTO chunks VALUES (77, 1, 1, 0, 1, x'41', 0)"),
    "the schema": ("output.db", "CREATE TABLE extra (x)"),
}


@pytest.fixture
def keep(tmp_path: Path) -> Iterator[Keep]:
    """Task 1 succeeded with output and a result, 2 runs, 3 is ready, 4 waits for 2, 5 waited for 1 and was cancelled.

    6 is somebody else's, and held; three entries are in the audit.
    """
    keep = Keep(tmp_path)
    executor = keep.executor()
    claimed = keep.running(executor, kind="function")
    keep.do_output(output.append, chunks=[chunk(1, 1, b"text")])
    keep.finish(executor, claimed, stdout_bytes=4, result=b"42")
    keep.running(executor)
    keep.task()
    keep.task(dependencies=after("2"))
    keep.do(tasks.cancel, id=keep.task(dependencies=after("1")), now_us=keep.clock.us)
    keep.do(tasks.submit, drafts=[keep.draft(hold=True)], now_us=keep.clock.us, owner="uid:1")
    for _ in range(3):
        keep.do(audit.record, what="submit", object="6", at_us=keep.clock.us)
    yield keep
    keep.store.close()


def damage(keep: Keep, script: str, name: str = "tsched.db") -> list[model.Finding]:
    """What is found after somebody changed the file."""
    keep.store.close()
    with closing(sqlite3.connect(keep.folder / name, isolation_level=None)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        for statement in script.split(";"):
            connection.execute(statement)
    keep.reopen()
    findings, _ = check(keep.store)
    return findings


def test_a_sound_store_has_no_findings_and_says_what_was_looked_at(keep: Keep) -> None:
    findings, checked = check(keep.store)
    assert findings == []
    assert {invariant.purpose for invariant in INVARIANTS} < set(checked)
    assert "tsched.db: pages and indexes" in checked
    assert "output is as long as its attempts say" in checked


def test_every_invariant_is_broken_below() -> None:
    assert {invariant.name for invariant in INVARIANTS} == set(DAMAGE)


@pytest.mark.parametrize("what", [*DAMAGE, *MORE_DAMAGE])
def test_damage_is_found_and_named(keep: Keep, what: str) -> None:
    named, script = {**DAMAGE, **MORE_DAMAGE}[what]
    findings = damage(keep, script)
    assert [finding for finding in findings if finding.object.endswith(named) and finding.message and finding.hint]


@pytest.mark.parametrize("what", OUTPUT_DAMAGE)
def test_damage_to_output_is_found_and_named(keep: Keep, what: str) -> None:
    named, script = OUTPUT_DAMAGE[what]
    findings = damage(keep, script, "output.db")
    assert [finding for finding in findings if finding.object.endswith(named)]


def test_a_clock_set_back_is_a_notice_and_no_problem(keep: Keep) -> None:
    keep.clock.advance(-100)
    findings, _ = check(keep.store)
    assert [(finding.severity, finding.object) for finding in findings] == [("notice", "task 3")]


@pytest.mark.parametrize("state", ["ready", "claimed", "running", "stopping", "held"])
def test_what_is_told_of_a_task_fits_it_on_its_way(keep: Keep, state: str) -> None:
    executor = keep.executor("f")
    (claimed,) = keep.claim(executor) if state not in ("ready", "held") else (None,)
    if state in ("running", "stopping"):
        keep.start(executor, claimed)
    if state == "stopping":
        keep.do(tasks.cancel, id="3", now_us=1)
    if state == "held":
        keep.do(tasks.hold, id="3", now_us=1)
    assert check(keep.store)[0] == []


def test_output_of_a_lost_attempt_may_be_a_prefix(keep: Keep) -> None:
    keep.do_output(output.append, chunks=[chunk(2, 1, b"half")])
    keep.lose("e" * 32)
    keep.do(executors.gone, id="e" * 32, now_us=1)
    assert check(keep.store)[0] == []


def test_output_waiting_to_be_dropped_is_no_finding(keep: Keep) -> None:
    keep.delete("1")
    assert check(keep.store)[0] == []


def test_all_pages_of_a_long_store_are_looked_at(keep: Keep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tsched.store.check.PAGE", 7)
    executor = keep.executor("f")
    for _ in range(20):
        claimed = keep.running(executor)
        keep.do_output(output.append, chunks=[chunk(claimed.attempt_id, 1, b"text")])
        keep.finish(executor, claimed, stdout_bytes=4)
    keep.sql("UPDATE payloads SET sealed = x'00' WHERE task IN (4, 20)")
    keep.sql("UPDATE attempts SET stdout_bytes = 5 WHERE id IN (1, 22)")
    keep.sql_output("INSERT INTO chunks VALUES (90, 1, 1, 0, 1, x'41', 0)")
    findings, _ = check(keep.store)
    names = {finding.object for finding in findings}
    assert names == {"task 4", "task 20", "attempt 1 of task 1", "attempt 22 of task 25", "attempt 90"}


def test_no_flip_of_bytes_makes_another_command_run(tmp_path: Path) -> None:
    """Wherever 64 bytes are damaged: refused, or found, or every command that can still be read is what it was."""
    with kept(tmp_path) as keep:
        truth = {str(number): b"command %d " % number * 400 for number in range(1, 41)}
        keep.submit(*(keep.draft(payload=payload) for payload in truth.values()))
    path = tmp_path / "tsched.db"
    sound = path.read_bytes()
    seed = random.randrange(2**32)
    print("seed", seed)
    dice = random.Random(seed)
    noticed = 0
    for _ in range(40):
        place = dice.randrange(100, len(sound) - 64)
        path.write_bytes(sound[:place] + dice.randbytes(64) + sound[place + 64 :])
        try:
            keep.reopen()
        except Refusal as refusal:
            noticed += refusal.reason is RefusalReason.STORE_CORRUPT
            continue
        try:
            found = bool(keep.problems())
            noticed += found
            assert found or wrong_commands(keep, truth) == {}
        finally:
            keep.store.close()
    assert noticed > 10, "most of the file is payload, and all of it is under a checksum"


def wrong_commands(keep: Keep, truth: dict[str, bytes]) -> dict[str, bytes]:
    wrong = {}
    for task_id, payload in truth.items():
        try:
            served = keep.ask(tasks.payload, id=task_id)
        except (Refusal, StoreFault, sqlite3.Error):
            continue
        if served != payload:
            wrong[task_id] = served
    return wrong
