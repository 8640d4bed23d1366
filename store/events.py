"""What happened to tasks, in the order it became durable. Triggers write it (migration 0002); here it is read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from . import model

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from .db import Db


WALK = 50_000
"""So many events of others are walked past at a time."""


def page(db: Db, *, after: int, limit: int, ids: Sequence[str] = ()) -> list[model.EventRow]:
    """At most `limit` events that follow cursor `after`, of all tasks or of those with the given ids.

    Who does not see all is told of their own tasks, and looked for are the next WALK cursors only.
    """
    if db.only is not None:
        asked = json.dumps(list(ids)) if ids else None
        found = db.all("events_of_owner", after=after, until=after + WALK, owner=db.only, ids=asked, limit=limit)
    elif ids:
        found = db.all("events_of_after", after=after, limit=limit, ids=json.dumps(list(ids)))
    else:
        found = db.all("events_after", after=after, limit=limit)
    return [_event(row) for row in found]


def bounds(db: Db) -> model.EventBounds:
    """Which cursors there are; `newest` is right also when all events have been forgotten."""
    (row,) = db.all("event_bounds")
    oldest = row["newest"] + 1 if row["oldest"] is None else row["oldest"]
    return model.EventBounds(oldest=oldest, newest=row["newest"])


def _event(row: sqlite3.Row) -> model.EventRow:
    return model.EventRow(
        cursor=row["id"],
        at_us=row["at_us"],
        task=row["task_id"],
        event=row["event"],
        state=row["state"],
        attempt=row["attempt"],
        reason=row["reason"],
        queue=row["queue"],
    )
