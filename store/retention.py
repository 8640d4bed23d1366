"""Retention: finished tasks go after a while; their output goes next, and is not forgotten in between."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ..proto.values import TaskState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .db import Db

ROUNDS = 20


def prune(db: Db, *, finished_before_us: int, keep: int, limit: int = 500) -> list[int]:
    """Drop the oldest finished tasks: those from before an instant, and those beyond the newest `keep`.

    Returns the attempts whose output is to be dropped, of at most `limit` tasks. Tasks that never had an attempt are
    gone through on the way, so that an empty answer means that there is nothing more to do soon.
    """
    for _ in range(ROUNDS):
        doomed = json.dumps(_doomed(db, finished_before_us, keep, limit))
        attempt_ids = [row["id"] for row in db.all("attempt_ids_of_tasks", seqs=doomed)]
        if not db.run("prune_tasks", seqs=doomed) or attempt_ids:
            return attempt_ids
    return []


def dropped(db: Db, *, limit: int) -> list[int]:
    """Attempts that are gone while their output may still be there."""
    return [row["attempt_id"] for row in db.all("dropped_attempts", limit=limit)]


def output_dropped(db: Db, *, attempt_ids: Sequence[int]) -> None:
    """The output of these attempts is gone too."""
    db.run("forget_dropped", attempt_ids=json.dumps(list(attempt_ids)))


def _doomed(db: Db, finished_before_us: int, keep: int, limit: int) -> list[int]:
    excess = _finished_count(db) - keep
    oldest = db.all("oldest_finished", limit=limit)
    return [
        row["seq"] for place, row in enumerate(oldest) if place < excess or row["finished_at_us"] < finished_before_us
    ]


def _finished_count(db: Db) -> int:
    return sum(row["tasks"] for row in db.all("counts") if TaskState(row["state"]).final)
