"""What is not looked for costs nothing: hot statements walk their own index, in order, and no further than they must.

Cost is counted in steps of SQLite's virtual machine, which are the same on every machine and at every load.
"""

from __future__ import annotations

import re
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from support.keep import START_US, after, draft, finish_report, kept, start_report
from support.scene import Scene
from tsched.store import claims, opening, output, sql, tasks
from tsched.store.migrate import OUTPUT, TSCHED

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

FEW, MANY, VERY_MANY = 1_000, 100_000, 1_000_000
BATCH = 32
# What a recursion has found is gone through once; what is counted, as far as it is taken.
FOUND = ("SCAN doomed", "SCAN below", "SCAN finished", "SCAN (subquery-4)")
# statement -> the index it must walk
PLANS = {
    "first_ready": "SEARCH t USING INDEX tasks_ready (shared=? AND queue=?)",
    "waited_for": "SEARCH dependencies USING INDEX dependencies_of (parent=?)",
    "doomed": "SEARCH d USING INDEX dependencies_of (parent=?)",
    "settle_dependencies": "SEARCH dependencies USING INDEX dependencies_of (parent=?)",
    "child_in_need": "SEARCH d USING INDEX dependencies_of (parent=?)",
    "edges_below": "SEARCH d USING INDEX dependencies_of (parent=?)",
    "parents_of": "SEARCH d USING PRIMARY KEY (task=?)",
    "results_for": "SEARCH d USING PRIMARY KEY (task=?)",
    "results_of": "SEARCH t USING INDEX sqlite_autoindex_tasks_1 (id=?)",
    "retry_task": "SEARCH tasks USING INTEGER PRIMARY KEY (rowid=?)",
    "skip_task": "SEARCH tasks USING INTEGER PRIMARY KEY (rowid=?)",
    "note_progress": "SEARCH attempts USING INTEGER PRIMARY KEY (rowid=?)",
    "claim_attempts": "SEARCH t USING INTEGER PRIMARY KEY (rowid=?)",
    "promote_due": "SEARCH tasks USING INDEX tasks_future (due_at_us<?)",
    "next_due": "SCAN tasks USING INDEX tasks_future",
    "oldest_finished": "SEARCH tasks USING INDEX tasks_finished (finished_at_us>?)",
    "page_of_all": "SEARCH tasks USING INTEGER PRIMARY KEY (rowid<?)",
    "page_of_queue": "SEARCH tasks USING INDEX tasks_by_queue (queue=? AND rowid<?)",
    "page_of_state": "SEARCH tasks USING INDEX tasks_by_state (state=? AND rowid<?)",
    "page_of_state_in_queue": "SEARCH tasks USING INDEX tasks_by_state (state=? AND rowid<?)",
    "page_of_owner": "SEARCH tasks USING INDEX tasks_by_owner (owner=? AND rowid<?)",
    "waiting_of": "SEARCH waiting_counts USING PRIMARY KEY (owner=?)",
    "audit_before": "SEARCH audit USING INTEGER PRIMARY KEY (rowid<?)",
    "prune_audit": "SEARCH audit USING INTEGER PRIMARY KEY (rowid<?)",
    "events_of_owner": "SEARCH events USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
    "seq_of": "SEARCH tasks USING INDEX sqlite_autoindex_tasks_1 (id=?)",
    "states_of": "SEARCH tasks USING INDEX sqlite_autoindex_tasks_1 (id=?)",
    "claim_tasks": "SEARCH attempts USING INTEGER PRIMARY KEY (rowid>?)",
    "live_of_executor": "SEARCH a USING INDEX attempts_live (executor=?)",
    "live_among": "SEARCH a USING INTEGER PRIMARY KEY (rowid=?)",
    "records_by_key": "SEARCH tasks USING INDEX tasks_key (key=?)",
    "records_by_id": "SEARCH tasks USING INDEX sqlite_autoindex_tasks_1 (id=?)",
    "tasks_by_seq": "SEARCH t USING INTEGER PRIMARY KEY (rowid=?)",
    "attempts_of_task": "SEARCH attempts USING INDEX sqlite_autoindex_attempts_1 (task=?)",
    "end_attempt": "SEARCH attempts USING INTEGER PRIMARY KEY (rowid=?)",
    "start_claimed": "SEARCH attempts USING INTEGER PRIMARY KEY (rowid=?)",
    "succeed_task": "SEARCH tasks USING INTEGER PRIMARY KEY (rowid=?)",
    "events_after": "SEARCH events USING INTEGER PRIMARY KEY (rowid>?)",
    "events_of_after": "SEARCH events USING INTEGER PRIMARY KEY (rowid>?)",
    "oldest_events": "SCAN events",
    "prune_events": "SEARCH events USING INTEGER PRIMARY KEY (rowid<?)",
    "chunks_after": "SEARCH chunks USING INDEX sqlite_autoindex_chunks_1 (attempt_id=? AND number>?)",
    "lengths_backwards": "SEARCH chunks USING INDEX sqlite_autoindex_chunks_1 (attempt_id=?)",
    "drop_chunks": "SEARCH chunks USING INDEX sqlite_autoindex_chunks_1 (attempt_id=?)",
}


@pytest.mark.parametrize("name", PLANS)
def test_a_hot_statement_walks_its_own_index_and_sorts_nothing(tmp_path: Path, name: str) -> None:
    text = sql.load()[name].text
    schema = OUTPUT if "chunks" in text else TSCHED
    with closing(opening.open_writer(tmp_path / schema.file_name, schema)) as connection:
        lines = plan(connection, text)
    assert PLANS[name] in lines
    assert not [
        line
        for line in lines
        if "TEMP B-TREE" in line or (line.startswith("SCAN") and line not in (PLANS[name], *FOUND))
    ]


def test_what_asks_for_ready_queues_takes_one_step_per_queue(tmp_path: Path) -> None:
    with closing(opening.open_writer(tmp_path / "tsched.db", TSCHED)) as connection:
        lines = plan(connection, sql.load()["queues_with_ready"].text)
    assert [line for line in lines if "tasks" in line] == [
        "SEARCH tasks USING INDEX tasks_ready (shared=?)",
        "SEARCH tasks USING INDEX tasks_ready (shared=? AND queue>?)",
    ]
    assert not [line for line in lines if "TEMP B-TREE" in line]


def plan(connection: sqlite3.Connection, text: str) -> list[str]:
    """The steps of a statement, but not how the small set it is given is walked; versions differ on what is covering."""
    names = re.findall(r":([a-z_]+)", text)
    rows = connection.execute(f"EXPLAIN QUERY PLAN {text}", dict.fromkeys(names, 1))
    given = re.compile("json_each|given|told|CONSTANT ROW")
    return [row["detail"].replace("COVERING ", "") for row in rows if not given.search(row["detail"])]


@contextmanager
def scene(folder: Path, many: int, **values: Any) -> Iterator[Scene]:
    folder.mkdir()
    made = Scene(folder)
    with closing(made.db.connection):
        made.register("e")
        made.fill(many, **values)
        yield made


def cycle(scene: Scene) -> dict[str, int]:
    """The steps of a task's whole way, a batch at a time."""
    taken = {"claim": scene.steps(claims.claim, executor="e", queue="default", limit=BATCH, now_us=START_US)}
    claimed = scene.result
    assert len(claimed) == BATCH
    taken["start"] = scene.steps(claims.started, reports=[start_report("e", one, START_US) for one in claimed])
    taken["finish"] = scene.steps(claims.finished, reports=[finish_report("e", one, START_US) for one in claimed])
    taken["submit"] = scene.steps(
        tasks.submit,
        drafts=[draft(-n, START_US, key=f"new {claimed[0].attempt_id} {n}") for n in range(BATCH)],
        now_us=1,
    )
    taken["counts"] = scene.steps(tasks.counts)
    taken["queues"] = scene.steps(claims.queues_with_ready)
    taken["promote"] = scene.steps(tasks.promote, now_us=START_US)
    taken["next due"] = scene.steps(tasks.next_due)
    taken["page"] = scene.steps(tasks.list_page, states=[], queue=None, before_seq=None, limit=100)
    taken["page of states"] = scene.steps(
        tasks.list_page, states=["running", "ready"], queue=None, before_seq=FEW, limit=100
    )
    taken["prune"] = scene.steps(tasks.prune, finished_before_us=0, keep=10**9, now_us=START_US)
    return taken


def worst_ratio(tmp_path: Path, many: int) -> None:
    """Run the same things on a small and on a large store, twice each, and compare."""
    with scene(tmp_path / "few", FEW) as few, scene(tmp_path / "many", many) as large:
        cycle(few), cycle(large)
        small, big = cycle(few), cycle(large)
    print({name: (small[name], big[name]) for name in small})
    for name, taken in big.items():
        assert taken <= small[name] * 1.5, name


def test_nothing_hot_costs_more_with_a_hundred_thousand_waiting_than_with_a_thousand(tmp_path: Path) -> None:
    worst_ratio(tmp_path, MANY)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_nothing_hot_costs_more_with_a_million_waiting_than_with_a_thousand(tmp_path: Path) -> None:
    worst_ratio(tmp_path, VERY_MANY)


def test_a_claim_walks_past_neither_later_nor_finished_tasks(tmp_path: Path) -> None:
    with scene(tmp_path / "few", FEW) as few, scene(tmp_path / "many", FEW) as many:
        # waiting for their time, before all others in priority; and done
        many.fill(10_000, state="scheduled", priority=9, key=None)
        many.db.connection.execute(
            "UPDATE tasks SET state = 'cancelled', finished_at_us = 1 WHERE state = 'scheduled' AND seq % 2 = 0"
        )
        small, big = cycle(few), cycle(many)
    assert big["claim"] <= small["claim"] * 1.05


def test_tasks_that_wait_for_others_cost_those_nothing_that_nobody_waits_for(tmp_path: Path) -> None:
    with scene(tmp_path / "few", FEW) as few, scene(tmp_path / "many", FEW) as many:
        waiting = [draft(-n, START_US, dependencies=after("1", str(2 + n % 900))) for n in range(1, 10_001)]
        many.steps(tasks.submit, drafts=waiting, now_us=START_US)
        for each in (few, many):
            each.db.connection.execute("UPDATE tasks SET priority = -1 WHERE seq <= 901")
        cycle(few), cycle(many)
        small, big = cycle(few), cycle(many)
    for name, taken in big.items():
        assert taken <= small[name] * 1.05, name


def test_a_claim_rewrites_no_payload(tmp_path: Path) -> None:
    with kept(tmp_path) as keep:
        executor = keep.executor()
        size = 1_000_000
        for _ in range(4):
            keep.task(payload=bytes(size))
        keep.reopen()
        for claimed in keep.claim(executor, 4):
            keep.start(executor, claimed)
            keep.finish(executor, claimed)
        assert (tmp_path / "tsched.db-wal").stat().st_size < size / 2


def test_a_deep_page_costs_what_the_first_one_costs(tmp_path: Path) -> None:
    with scene(tmp_path / "x", 20_000) as large:
        page = partial(large.steps, tasks.list_page, states=[], queue=None, limit=50)
        assert page(before_seq=100) <= page(before_seq=None) * 1.05


def test_the_end_of_a_long_output_costs_what_its_beginning_costs(tmp_path: Path) -> None:
    made = Scene(tmp_path, OUTPUT)
    with closing(made.db.connection):
        rows = [
            output.model.ChunkRow(attempt_id=1, number=n, stream=1, offset=n, length=1, data=b"x")
            for n in range(1, 20_001)
        ]
        made.steps(output.append, chunks=rows)
        first = made.steps(output.read_chunks, attempt_id=1, after=0, limit=50)
        last = made.steps(output.read_chunks, attempt_id=1, after=19_900, limit=50)
        tail = made.steps(output.tail_start, attempt_id=1, stream=None, bytes=50)
    assert last <= first * 1.05
    assert tail <= first * 2
