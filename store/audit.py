"""Who changed what, and who was refused: written with the change, in its transaction, and never changed afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import model

if TYPE_CHECKING:
    import sqlite3

    from .db import Db

DONE = "done"
NEWEST = 2**63 - 1
OLDEST_US = -(2**63)


def record(
    db: Db,
    *,
    what: str,
    object: str,  # noqa: A002 - the word of the contract
    at_us: int,
    who: model.Who | None = None,
    outcome: str = DONE,
) -> None:
    """Note what was done to what; by whom, unless it is said otherwise, on whose behalf the store is asked."""
    who = who or db.who
    db.run(
        "insert_audit",
        at_us=at_us,
        who=who.name,
        role=who.role,
        where=who.where,
        what=what,
        object=object,
        outcome=outcome,
    )


def page(
    db: Db,
    *,
    limit: int,
    before: int | None = None,
    since_us: int | None = None,
    who: str | None = None,
    what: str | None = None,
) -> list[model.AuditRow]:
    """The newest entries before a number, the newest first."""
    found = db.all(
        "audit_before",
        before=NEWEST if before is None else before,
        since_us=OLDEST_US if since_us is None else since_us,
        who=who,
        what=what,
        limit=limit,
    )
    return [_entry(row) for row in found]


def prune(db: Db, *, keep: int, limit: int = 5000) -> int:
    """Forget the oldest entries beyond the last `keep`, at most `limit`. How many."""
    (bounds,) = db.all("audit_bounds")
    if bounds["newest"] is None or bounds["newest"] - keep < bounds["oldest"]:
        return 0
    return db.run("prune_audit", last=min(bounds["newest"] - keep, bounds["oldest"] + limit - 1))


def _entry(row: sqlite3.Row) -> model.AuditRow:
    return model.AuditRow(
        number=row["id"],
        at_us=row["at_us"],
        who=row["who"],
        role=row["role"],
        where=row["where"],
        what=row["what"],
        object=row["object"],
        outcome=row["outcome"],
    )
