"""Retention: finished tasks and events go after a while. Output goes after its task, and is not forgotten between."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING

from ..proto.values import TaskState
from . import events

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .db import Db

ROUNDS = 20


def prune(db: Db, *, finished_before_us: int, keep: int, now_us: int, limit: int = 500) -> list[int]:
    """Drop the oldest finished tasks: those from before an instant, and those beyond the newest `keep`.

    Returns the attempts whose output is to be dropped, of at most `limit` tasks. Tasks that never had an attempt are
    gone through on the way, so that an empty answer means that there is nothing more to do soon.
    """
    for _ in range(ROUNDS):
        doomed = json.dumps(_doomed(db, finished_before_us, keep, limit))
        attempt_ids = [row["id"] for row in db.all("attempt_ids_of_tasks", seqs=doomed)]
        db.run("date_tasks", seqs=doomed, now_us=now_us)
        if not db.run("prune_tasks", seqs=doomed) or attempt_ids:
            return attempt_ids
    return []


def prune_events(db: Db, *, before_us: int, keep: int, limit: int = 5000) -> int:
    """Forget the oldest events, at most `limit`: those from before an instant, and those beyond the last `keep`.

    How many. They go in their order, so that what is kept has no holes: one that is young keeps all that follow it.
    """
    beyond = events.bounds(db).newest - keep
    oldest = db.all("oldest_events", limit=limit)
    doomed = list(itertools.takewhile(lambda row: row["id"] <= beyond or row["at_us"] < before_us, oldest))
    return db.run("prune_events", last=doomed[-1]["id"]) if doomed else 0


def dropped(db: Db, *, limit: int) -> list[int]:
    """Attempts that are gone while their output may still be there."""
    return [row["attempt_id"] for row in db.all("dropped_attempts", limit=limit)]


def output_dropped(db: Db, *, attempt_ids: Sequence[int]) -> None:
    """The output of these attempts is gone too."""
    db.run("forget_dropped", attempt_ids=json.dumps(list(attempt_ids)))


def _doomed(db: Db, finished_before_us: int, keep: int, limit: int) -> list[int]:
    excess = _finished_count(db) - keep
    oldest = db.all("oldest_finished", limit=limit)
    return [row["seq"] for row in oldest if row["place"] < excess or row["finished_at_us"] < finished_before_us]


def _finished_count(db: Db) -> int:
    return sum(row["tasks"] for row in db.all("counts") if TaskState(row["state"]).final)
