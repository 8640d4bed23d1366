"""The tasks that a task waits for: found by id or index, held against cycles, and what they make of it at first."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ..proto.errors import Refusal, RefusalReason
from . import model
from .children import met, why_skipped

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .db import Db


SHOWN = 12
"""So many tasks of a cycle are named at most."""


class Task(Protocol):
    """A task as far as others wait for it."""

    @property
    def seq(self) -> int:
        """Its number."""

    @property
    def id(self) -> str:
        """Its name."""


class Place(NamedTuple):
    """A task that is there."""

    seq: int
    id: str
    state: str


class Wait(NamedTuple):
    """A task to wait for, found."""

    seq: int
    id: str
    condition: str
    wants_result: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """All that a task waits for, and what that makes of it: `message` says why it will never run, where it will not."""

    waits: tuple[Wait, ...]
    met: tuple[bool | None, ...]
    message: str = ""

    @property
    def open(self) -> int:
        """How many have not ended."""
        return self.met.count(None)

    def rows(self, seq: int) -> list[dict[str, Any]]:
        """As they are stored."""
        return [
            {
                "task": seq,
                "position": position,
                "parent": wait.seq,
                "parent_id": wait.id,
                "condition": wait.condition,
                "wants_result": wait.wants_result,
                "met": ended,
            }
            for position, (wait, ended) in enumerate(zip(self.waits, self.met, strict=True))
        ]


def find(name: str, dependencies: Sequence[model.Dependency], look: Callable[[str | int], Task]) -> tuple[Wait, ...]:
    """The tasks that one named so is to wait for. Raises Refusal BAD_VALUE for a double, and what `look` raises."""
    waits = []
    for dependency in dependencies:
        parent = look(dependency.task)
        waits.append(Wait(parent.seq, parent.id, dependency.condition, dependency.wants_result))
    for wait, times in Counter(wait.seq for wait in waits).items():
        if times > 1:
            twice = next(each.id for each in waits if each.seq == wait)
            raise Refusal(RefusalReason.BAD_VALUE, f"{name} waits for task {twice} twice", "name it once")
    return tuple(waits)


def weigh(waits: tuple[Wait, ...], states: Mapping[int, str]) -> Waits:
    """What tasks in these states make of one that waits for them."""
    ends = tuple(met(wait.condition, states[wait.seq]) for wait in waits)
    if False not in ends:
        return Waits(waits=waits, met=ends)
    vain = waits[ends.index(False)]
    return Waits(waits=waits, met=ends, message=why_skipped(vain.id, vain.condition, states[vain.seq]))


def in_order(waits: Mapping[int, tuple[Wait, ...]], name: Callable[[int], str]) -> list[int]:
    """New tasks, each after those among them that it waits for. Raises Refusal CYCLE."""
    among = {seq: [wait.seq for wait in of if wait.seq in waits] for seq, of in waits.items()}
    try:
        return list(TopologicalSorter(among).static_order())
    except CycleError as error:
        raise _cycle([name(seq) for seq in error.args[1]]) from None


def check_no_cycle(db: Db, *, seq: int, id: str, waits: Sequence[Wait]) -> None:  # noqa: A002 - the word of the contract
    """Refuse (CYCLE) that a task waits for itself, or for one that waits for it."""
    wanted = {wait.seq for wait in waits}
    if seq in wanted:
        raise _cycle([id, id])
    came_from: dict[int, int] = {}
    ids = {seq: id}
    for row in db.all("edges_below", seq=seq):
        came_from.setdefault(row["task"], row["parent"])
        ids[row["task"]] = row["child"]
        if row["task"] in wanted:
            raise _cycle([id, *(ids[each] for each in _way(came_from, seq, row["task"])), id])


def of(db: Db, *, seq: int) -> list[model.ParentRow]:
    """What a task waits for, or waited for, in the order it was asked for."""
    return [
        model.ParentRow(id=row["parent_id"], condition=row["condition"], state=row["state"], met=row["met"] == 1)
        for row in db.all("parents_of", seq=seq)
    ]


def places(db: Db, ids: Sequence[str]) -> dict[str, Place]:
    """Where the tasks with these ids are. Raises Refusal NO_SUCH_TASK."""
    rows = db.all("states_of", ids=json.dumps(ids), owner=db.only)
    found = {row["id"]: Place(row["seq"], row["id"], row["state"]) for row in rows}
    for missing in (each for each in ids if each not in found):
        raise no_such_parent(missing)
    return found


def no_such_parent(task_id: str) -> Refusal:
    """The refusal of a dependency on nothing."""
    return Refusal(
        RefusalReason.NO_SUCH_TASK, f"there is no task {task_id} to wait for", "`tsched list` shows what there is"
    )


def _way(came_from: Mapping[int, int], start: int, end: int) -> list[int]:
    """From the one after `start` to `end`, each waiting for the one before it."""
    way = [end]
    while (before := came_from[way[-1]]) != start:
        way.append(before)
    return way[::-1]


def _cycle(names: Sequence[str]) -> Refusal:
    shown = " -> ".join(names if len(names) <= SHOWN else [*names[: SHOWN - 1], "...", names[-1]])
    return Refusal(RefusalReason.CYCLE, f"these tasks would wait for each other: {shown}", "leave one of them out")
