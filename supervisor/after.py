"""What a task waits for: from what a request says to what is stored. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..proto import api_pb2, call_pb2, checks
from ..proto.errors import Refusal, RefusalReason
from ..proto.values import Condition
from ..store import model


def dependencies(
    after: Sequence[api_pb2.Dependency], call: call_pb2.Call | None, *, tasks: int
) -> tuple[model.Dependency, ...]:
    """The dependencies of one task, whose call may take results of them, in a request of so many tasks.

    Raises Refusal BAD_ID, BAD_VALUE, or BAD_ARGUMENTS for a result of what it does not wait for.
    """
    taken = places(call) if call is not None else frozenset()
    check_places(taken, len(after))
    return tuple(
        model.Dependency(
            task=_task(each.task, tasks), condition=_condition(each.condition), wants_result=place in taken
        )
        for place, each in enumerate(after)
    )


def places(call: call_pb2.Call) -> frozenset[int]:
    """Which of the tasks that it waits for a call takes results of, by their places."""
    taken: set[int] = set()
    for each in (*call.args, *call.kwargs.values()):
        kind = each.WhichOneof("kind")
        if kind == "result_of":
            taken.add(each.result_of)
        elif kind == "results_of":
            taken.update(each.results_of.after)
    return frozenset(taken)


def close_ranks(call: call_pb2.Call) -> None:
    """Let a call name the tasks whose results it takes as if it waited for no others."""
    _renumber(call, {place: number for number, place in enumerate(sorted(places(call)))})


def follow(call: call_pb2.Call, parents: Sequence[str], named: Sequence[api_pb2.Dependency]) -> None:
    """Let a call take the same results from where their tasks are among those that are to be waited for instead.

    Raises Refusal BAD_VALUE for a result of what is not among them.
    """
    places_of = {each.task.id: place for place, each in enumerate(named)}
    taken = {place: parents[place] for place in sorted(places(call))}
    gone = next((parent for parent in taken.values() if parent not in places_of), None)
    if gone is not None:
        message = f"the result of task {gone} is an argument, so it has to be waited for"
        raise Refusal(RefusalReason.BAD_VALUE, message, f"name {gone} too, or submit the call anew")
    _renumber(call, {place: places_of[parent] for place, parent in taken.items()})


def _renumber(call: call_pb2.Call, places_now: Mapping[int, int]) -> None:
    for each in (*call.args, *call.kwargs.values()):
        kind = each.WhichOneof("kind")
        if kind == "result_of":
            each.result_of = places_now[each.result_of]
        elif kind == "results_of":
            each.results_of.after[:] = [places_now[place] for place in each.results_of.after]


def check_places(taken: frozenset[int], count: int) -> None:
    """Raises Refusal BAD_ARGUMENTS unless all of them are among so many."""
    if taken and max(taken) >= count:
        message = f"an argument is the result of number {max(taken)} of the tasks waited for, which are {count}"
        raise Refusal(RefusalReason.BAD_ARGUMENTS, message, "they are counted from 0, in the order of `after`")


def _task(named: api_pb2.TaskRef, tasks: int) -> str | int:
    which = named.WhichOneof("task")
    if which == "id":
        return checks.check_reference(named.id)
    if which is None:
        raise Refusal(RefusalReason.BAD_VALUE, "a dependency names no task", "give an id, or a place in this request")
    if named.index >= tasks:
        message = f"a dependency names task number {named.index} of a request that has {tasks}"
        raise Refusal(RefusalReason.BAD_VALUE, message, "they are counted from 0")
    return named.index


def _condition(word: str) -> str:
    try:
        return Condition(word or Condition.OK)
    except ValueError:
        there = ", ".join(Condition)
        raise Refusal(RefusalReason.BAD_VALUE, f"no such condition: {checks.quoted(word)}", f"use {there}") from None
