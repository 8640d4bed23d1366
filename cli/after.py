"""Tasks that others wait for, as they are typed: ID, ID:ok, ID:fail, ID:any."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..proto import checks
from ..proto.errors import Refusal, RefusalReason
from ..proto.values import Condition
from . import parser

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..proto import api_pb2 as api

NOTES = """--after ID: it starts when that task has succeeded; ID:fail when it ended otherwise, ID:any however it ends;
given several times, all of them. When one cannot come true any more, the task is skipped."""


class Parent(NamedTuple):
    """A task that has to end first, and how."""

    id: str
    condition: Condition


def add_flag(to: parser.Parser) -> None:
    """Which tasks have to end first."""
    to.add_argument(
        "--after",
        metavar="ID[:ok|fail|any]",
        action="append",
        type=parent,
        help="start when that task has succeeded, failed, ended; may be repeated: all of them",
    )


def parent(text: str) -> Parent:
    """What stands behind --after. An id may hold colons itself. Raises Refusal BAD_ID."""
    id, colon, word = text.rpartition(":")  # noqa: A001 - the word of the contract
    if colon and word in tuple(Condition):
        return Parent(checks.check_reference(id), Condition(word))
    return Parent(checks.check_reference(text), Condition.OK)


def dependencies(parents: Sequence[Parent]) -> list[api.Dependency]:
    """As they are sent. Raises Refusal BAD_VALUE for a task that is named twice."""
    from ..proto import api_pb2 as api

    if twice := _twice(each.id for each in parents):
        message = f"--after names task {twice} twice"
        raise Refusal(RefusalReason.BAD_VALUE, message, "name it once; :any stands for both ends")
    return [api.Dependency(task=api.TaskRef(id=each.id), condition=each.condition) for each in parents]


def _twice(ids: Iterable[str]) -> str | None:
    seen: set[str] = set()
    for id in ids:  # noqa: A001 - the word of the contract
        if id in seen:
            return id
        seen.add(id)
    return None
