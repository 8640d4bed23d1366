"""Executors: the processes that carry attempts, and the marks by which all they started can be found."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from . import data_keys, model

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from .db import Db


def register(db: Db, *, row: model.ExecutorRow) -> None:
    """Note an executor before it is started."""
    db.run("insert_executor", **{**asdict(row), "data_key": data_keys.seal(db, row.id, row.data_key)})


def executor(db: Db, *, id: str) -> model.ExecutorRow | None:  # noqa: A002 - the word of the contract
    """An executor, present or gone."""
    row = db.one("executor_by_id", id=id)
    return None if row is None else _executor(row)


def present_executors(db: Db) -> list[model.ExecutorRow]:
    """Those not proven gone, the oldest first."""
    return [_executor(row) for row in db.all("present_executors")]


def runner_up(db: Db, *, executor: str, runners: Sequence[model.RunnerRow], now_us: int) -> None:
    """Note the marks of runners, before they take their first task. Repeating it is harmless."""
    db.many("insert_runner", [{**asdict(runner), "executor": executor, "now_us": now_us} for runner in runners])


def runners_of(db: Db, *, executor: str) -> list[model.RunnerRow]:
    """All marks an executor ever stored."""
    return [
        model.RunnerRow(pid=row["pid"], start_ticks=row["start_ticks"], mount_namespace=row["mount_namespace"])
        for row in db.all("runners_of_executor", executor=executor)
    ]


def gone(db: Db, *, id: str, now_us: int) -> None:  # noqa: A002
    """Note that an executor and all it started are proven gone. Its attempts are to be lost first."""
    db.run("executor_gone", id=id, now_us=now_us)
    db.run("drop_runners", executor=id)


def forget_gone(db: Db) -> None:
    """Forget executors that are gone and that no kept attempt names."""
    db.run("forget_gone_executors")


def _executor(row: sqlite3.Row) -> model.ExecutorRow:
    return model.ExecutorRow(
        id=row["id"],
        secret_hash=row["secret_hash"],
        pid=row["pid"],
        start_ticks=row["start_ticks"],
        boot_id=row["boot_id"],
        version=row["version"],
        started_at_us=row["started_at_us"],
        state=row["state"],
    )
