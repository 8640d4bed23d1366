"""Changing a task that has not started: the request against what is stored, in one transaction."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..proto import api_pb2, checks, link_pb2
from ..proto.errors import Refusal, RefusalReason
from ..store import model, tasks
from ..store.db import Db
from . import after, drafts

if TYPE_CHECKING:
    from .entries import Entry


def modify(
    db: Db, *, request: api_pb2.ModifyRequest, entry: Entry | None, now_us: int, children: list[model.Child]
) -> model.TaskRow:
    """Apply a request, whose call is to `entry`, if it has one, which takes it.

    A task that is to wait in vain now is skipped; what that makes of those that wait for it goes to `children`.
    Raises Refusal NO_SUCH_TASK, WRONG_STATE, CYCLE, and what the fields can be refused for.
    """
    row = tasks.get(db, id=request.id)
    payload = link_pb2.Payload.FromString(tasks.payload(db, id=request.id))
    _check_kind(request, row, entry)
    request = _with_results(db, request, payload)
    patch = replace(_patch(request, payload, now_us), dependencies=_dependencies(db, request))
    return tasks.modify(db, id=request.id, patch=patch, now_us=now_us, children=children)


def retry(db: Db, *, id: str, key: str | None, now_us: int) -> model.Submitted:  # noqa: A002 - the word of the contract
    """Make a task anew that has ended.

    Raises Refusal as the store does, and NO_RESULT when it takes the result of a task that is gone.
    """
    made = tasks.retry(db, id=id, key=key, now_us=now_us, renew=_renewed)
    if not made.existed:
        call = link_pb2.Payload.FromString(tasks.payload(db, id=made.id)).call
        parents = tasks.parents_of(db, id=made.id) if after.places(call) else []
        for parent in (parents[place] for place in sorted(after.places(call))):
            if parent.state is None:
                message = f"task {id} takes the result of task {parent.id}, which is gone"
                raise Refusal(RefusalReason.NO_RESULT, message, "submit it anew, with another argument")
    return made


def _renewed(stored: bytes) -> bytes:
    """The payload of a task that waits only for those whose results it takes."""
    payload = link_pb2.Payload.FromString(stored)
    if not payload.HasField("call"):
        return stored
    after.close_ranks(payload.call)
    return payload.SerializeToString()


def _check_kind(request: api_pb2.ModifyRequest, row: model.TaskRow, entry: Entry | None) -> None:
    """A task that runs a command goes on to run one; and what is shared was given places for such at submission."""
    wanted = "function" if request.HasField("call") else "command" if request.HasField("command") else row.kind
    if wanted != row.kind or (request.HasField("call") and request.HasField("command")):
        runs = "runs a command" if row.kind == "command" else "calls a function"
        raise _refused(f"task {request.id} {runs} and cannot be changed to another kind", "submit another one")
    if entry is not None and entry.is_async is not row.shared:
        kinds = ("async", "another") if entry.is_async else ("not async", "an async one")
        raise _refused(
            f"function {entry.name} is {kinds[0]}, and task {request.id} was submitted for {kinds[1]}",
            "submit another task",
        )


def _with_results(db: Db, request: api_pb2.ModifyRequest, payload: link_pb2.Payload) -> api_pb2.ModifyRequest:
    """The request, with the call that takes the same results from the tasks that are to be waited for instead."""
    if not request.HasField("after") or request.HasField("call") or not after.places(payload.call):
        return request
    whole = api_pb2.ModifyRequest()
    whole.CopyFrom(request)
    whole.call.CopyFrom(payload.call)
    after.follow(whole.call, [each.id for each in tasks.parents_of(db, id=request.id)], request.after.after)
    return whole


def _dependencies(db: Db, request: api_pb2.ModifyRequest) -> tuple[model.Dependency, ...] | None:
    """What it shall wait for instead, or wait for as before, and now with the result; None: no change."""
    taken = after.places(request.call) if request.HasField("call") else frozenset()
    if request.HasField("after"):
        call = request.call if request.HasField("call") else None
        checks.check_dependency_count(len(request.after.after))
        return after.dependencies(request.after.after, call, tasks=0)
    if not taken:
        return None
    parents = tasks.parents_of(db, id=request.id)
    after.check_places(taken, len(parents))
    return tuple(
        model.Dependency(task=each.id, condition=each.condition, wants_result=place in taken)
        for place, each in enumerate(parents)
    )


def _patch(request: api_pb2.ModifyRequest, payload: link_pb2.Payload, now_us: int) -> model.Patch:
    due_at_us = drafts.due_of(request, now_us) if request.WhichOneof("due") else None
    return model.Patch(
        name=checks.check_name(request.name) if request.HasField("name") else None,
        priority=checks.check_priority(request.priority) if request.HasField("priority") else None,
        due_at_us=due_at_us,
        state=drafts.waiting_state(due_at_us, now_us) if due_at_us is not None else None,
        timeout_us=_timeout(request),
        grace_us=drafts.grace_of(request),
        payload=_payload(request, payload),
    )


def _timeout(request: api_pb2.ModifyRequest) -> int | None:
    """0 takes the limit away."""
    if not request.HasField("timeout_us"):
        return None
    _, most = checks.TIMEOUT_RANGE_US
    return checks.check_duration_us(request.timeout_us, "timeout", 0, most)


def _payload(request: api_pb2.ModifyRequest, payload: link_pb2.Payload) -> bytes | None:
    if not (request.HasField("command") or request.HasField("call") or request.HasField("cwd")):
        return None
    if request.HasField("call"):
        payload.call.CopyFrom(request.call)
    if request.HasField("command"):
        drafts.set_command(payload, request.command)
    if request.HasField("cwd"):
        checks.check_cwd(request.cwd)
        payload.cwd = request.cwd
    return payload.SerializeToString()


def _refused(message: str, hint: str) -> Refusal:
    return Refusal(RefusalReason.BAD_VALUE, message, hint)
