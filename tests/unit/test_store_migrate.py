"""Migrations are numbered, applied all or none, and only to databases that are ours and not from the future."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tsched.proto.errors import Refusal, RefusalReason
from tsched.store import opening
from tsched.store.migrate import OUTPUT, TSCHED, Schema, examine, migrate, statements

FIRST = "CREATE TABLE a (x INTEGER) STRICT;\nINSERT INTO a VALUES (1);\n"
SECOND = """-- a trigger has semicolons inside
CREATE TRIGGER t AFTER INSERT ON a BEGIN
    UPDATE a SET x = x + 1;
    SELECT 1;
END;
ALTER TABLE a ADD COLUMN y INTEGER;
"""


def schema(folder: Path, *scripts: str) -> Schema:
    folder.mkdir(exist_ok=True)
    for number, script in enumerate(scripts, 1):
        (folder / f"{number:04}_step.sql").write_text(script)
    return Schema("x.db", 0x12345678, folder)


def raw(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None)


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [*connection.iterdump(), *(str(connection.execute(f"PRAGMA {p}").fetchone()) for p in ("user_version",))]


def test_a_script_is_split_into_its_statements() -> None:
    split = list(statements(FIRST + SECOND + "-- nothing follows\n"))
    assert [text.split()[0] for text in split] == ["CREATE", "INSERT", "--", "ALTER"]
    assert "END;" in split[2]


def test_all_pending_migrations_are_applied(tmp_path: Path) -> None:
    wanted = schema(tmp_path / "m", FIRST, SECOND)
    with closing(raw(tmp_path / "x.db")) as connection:
        migrate(connection, tmp_path / "x.db", wanted)
        assert examine(connection, tmp_path / "x.db", wanted) == 2
        assert connection.execute("SELECT x, y FROM a").fetchall() == [(1, None)]


def test_a_database_of_an_earlier_version_gets_what_is_new(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with closing(raw(path)) as connection:
        migrate(connection, path, schema(tmp_path / "old", FIRST))
        connection.execute("INSERT INTO a VALUES (5)")
        migrate(connection, path, schema(tmp_path / "new", FIRST, SECOND))
        assert connection.execute("SELECT x, y FROM a").fetchall() == [(1, None), (5, None)]


@pytest.mark.parametrize("broken", ["CREATE TABLE b (x INTEGER);\nCREATE TABLE a (x INTEGER);\n", "NONSENSE;\n"])
def test_when_one_migration_fails_none_is_applied(tmp_path: Path, broken: str) -> None:
    path = tmp_path / "x.db"
    with closing(raw(path)) as connection:
        migrate(connection, path, schema(tmp_path / "m", FIRST))
        before = dump(path)
        with pytest.raises(sqlite3.OperationalError):
            migrate(connection, path, schema(tmp_path / "m", FIRST, SECOND, broken))
    assert dump(path) == before


def test_a_migrated_database_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    wanted = schema(tmp_path / "m", FIRST)
    with closing(raw(path)) as connection:
        migrate(connection, path, wanted)
        before = path.read_bytes()
        migrate(connection, path, wanted)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("preparation", "reason", "told"),
    [
        ("PRAGMA user_version = 9; PRAGMA application_id = 305419896", RefusalReason.STORE_NEWER, "version 9"),
        ("CREATE TABLE theirs (x)", RefusalReason.STORE_CORRUPT, "another program"),
        ("PRAGMA application_id = 7", RefusalReason.STORE_CORRUPT, "another program"),
        ("PRAGMA user_version = 1", RefusalReason.STORE_CORRUPT, "another program"),
    ],
)
def test_what_is_not_ours_to_change_is_refused_unchanged(
    tmp_path: Path, preparation: str, reason: RefusalReason, told: str
) -> None:
    path = tmp_path / "x.db"
    with closing(raw(path)) as connection:
        for statement in preparation.split(";"):
            connection.execute(statement)
        before = path.read_bytes()
        with pytest.raises(Refusal, match=told) as refused:
            migrate(connection, path, schema(tmp_path / "m", FIRST))
    assert refused.value.reason is reason
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "names", [["0002_a.sql"], ["0001_a.sql", "0003_b.sql"], ["0001_a.sql", "0001_b.sql"], ["one.sql"]]
)
def test_a_gap_in_the_numbers_is_noticed(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_text("SELECT 1;")
    with pytest.raises(ValueError, match="without a gap"):
        _ = Schema("x.db", 1, tmp_path).migrations


@pytest.mark.parametrize("ours", [TSCHED, OUTPUT], ids=lambda ours: ours.file_name)
def test_every_table_of_ours_is_strict(tmp_path: Path, ours: Schema) -> None:
    with closing(opening.open_writer(tmp_path / ours.file_name, ours)) as connection:
        loose = connection.execute(
            "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND NOT strict"
            " AND name NOT LIKE 'sqlite_%'"
        ).fetchall()
    assert not loose
