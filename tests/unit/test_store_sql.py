"""Statements are found by name, and each one is good SQL for its database."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tsched.store import opening, sql
from tsched.store.cipher import PlainCipher
from tsched.store.db import Db
from tsched.store.migrate import OUTPUT, TSCHED
from tsched.store.sql import VALUES, parse

if TYPE_CHECKING:
    from pathlib import Path

TEXT = """-- Tasks: what this file is about.
-- It goes on.

-- wake: somebody
-- from: ready held
-- to: running
UPDATE tasks
-- a comment
SET state = 'running'

-- look: around
SELECT 1
"""


def test_a_block_has_a_name_a_purpose_and_the_states_it_joins() -> None:
    wake, look = sql.parse(TEXT)
    assert (wake.name, wake.purpose) == ("wake", "somebody")
    assert (wake.before, wake.after) == ({"ready", "held"}, {"running"})
    assert wake.text == "UPDATE tasks\nSET state = 'running'"
    assert (look.before, look.after, look.text) == (frozenset(), frozenset(), "SELECT 1")


def test_a_name_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    for name in ("a.sql", "b.sql"):
        (tmp_path / name).write_text(TEXT)
    with pytest.raises(ValueError, match="wake is there twice"):
        sql.load(tmp_path)


def test_a_name_without_a_statement_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text("-- wake: somebody\n-- from: ready\n")
    with pytest.raises(ValueError, match="wake has no SQL"):
        sql.load(tmp_path)


def test_every_statement_compiles_for_one_of_the_databases(tmp_path: Path) -> None:
    with (
        closing(opening.open_writer(tmp_path / "tsched.db", TSCHED)) as tasks,
        closing(opening.open_writer(tmp_path / "output.db", OUTPUT)) as output,
    ):
        for statement in sql.load().values():
            database = output if "chunks" in statement.text else tasks
            names = re.findall(r":([a-z_]+)", statement.text)
            database.execute(f"EXPLAIN {statement.text}", dict.fromkeys(names, 1)).fetchall()


def test_no_statement_pages_by_offset() -> None:
    assert not [s.name for s in sql.load().values() if re.search(r"\bOFFSET\b", s.text)]


def test_every_statement_is_used() -> None:
    code = "".join(path.read_text() for path in sql.FOLDER.parent.glob("*.py"))
    unused = {name for name in sql.load() if f'"{name}"' not in code and not name.startswith("check_")}
    assert not unused


def test_a_statement_that_takes_rows_takes_as_many_as_there_are() -> None:
    (one,) = parse(
        "-- give: some\nWITH told (a, b) AS (VALUES (:a, :b))\nUPDATE t SET b = told.b FROM told WHERE a = 1"
    )
    assert one.takes_rows
    text, names = one.of_rows(3)
    assert text == "WITH told (a, b) AS (VALUES (?, ?), (?, ?), (?, ?))\nUPDATE t SET b = told.b FROM told WHERE a = 1"
    assert names == ["a", "b"]


def test_all_values_of_a_statement_that_takes_rows_are_in_its_row() -> None:
    for statement in sql.load().values():
        if statement.takes_rows:
            assert ":" not in VALUES.split(statement.text)[2], statement.name


@pytest.mark.parametrize("many", [0, 1, 3, 4, 5, 63, 64, 65, 150])
def test_however_many_rows_there_are_each_is_written_once(many: int) -> None:
    (one,) = parse("-- give: some\nINSERT INTO t (a, b) VALUES (:a, :b)")
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE t (a, b)")
        db = Db(connection, PlainCipher(), {"give": one})
        rows = [{"a": number, "b": -number} for number in range(many)]
        assert db.many("give", rows) == many
        assert connection.execute("SELECT a, b FROM t ORDER BY a").fetchall() == [(n, -n) for n in range(many)]
