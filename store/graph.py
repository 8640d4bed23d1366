"""Tasks that hang together: who waits, or waited, for whom."""

from __future__ import annotations

import json
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from . import model, rows

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from .db import Db


def connected(db: Db, *, ids: Sequence[str], limit: int) -> model.Graph:
    """At most `limit` tasks that hang together with the given ones, over any number of others, the nearest to them.

    Raises Refusal NO_SUCH_TASK.
    """
    for task_id in ids:
        rows.seq_and_state(db, task_id)
    found = [row["seq"] for row in db.all("connected", ids=json.dumps(ids), limit=limit + 1)]
    waits = db.all("edges_among", seqs=json.dumps(found[:limit]))
    there = rows.tasks(db, _in_order(found[:limit], waits), with_payload=False)
    tasks = {task.seq: task for task in there if db.sees(task.owner)}
    edges = [
        model.GraphEdge(
            parent=tasks[row["parent"]].id,
            child=tasks[row["task"]].id,
            condition=row["condition"],
            met=row["met"] == 1,
        )
        for row in waits
        if row["parent"] in tasks and row["task"] in tasks
    ]
    return model.Graph(tasks=list(tasks.values()), edges=edges, truncated=len(found) > limit)


def _in_order(seqs: Sequence[int], waits: Sequence[sqlite3.Row]) -> list[int]:
    """Parents before their children, else as they were submitted.

    Where a task that ended early still names one that came to wait for it later, there is no such order.
    """
    order: TopologicalSorter[int] = TopologicalSorter(dict.fromkeys(sorted(seqs), ()))
    for row in waits:
        order.add(row["task"], row["parent"])
    try:
        return list(order.static_order())
    except CycleError:
        return sorted(seqs)
