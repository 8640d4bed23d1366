"""Changing a task that has not started: the request against what is stored, in one transaction."""

from __future__ import annotations

from ..proto import api_pb2, checks, link_pb2
from ..store import model, tasks
from ..store.db import Db
from . import drafts


def modify(db: Db, *, request: api_pb2.ModifyRequest, now_us: int) -> model.TaskRow:
    """Apply a request. Raises Refusal NO_SUCH_TASK, WRONG_STATE, and what the fields can be refused for."""
    payload = link_pb2.Payload.FromString(tasks.payload(db, id=request.id))
    return tasks.modify(db, id=request.id, patch=_patch(request, payload, now_us), now_us=now_us)


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
    if not (request.HasField("command") or request.HasField("cwd")):
        return None
    if request.HasField("command"):
        drafts.set_command(payload, request.command)
    if request.HasField("cwd"):
        checks.check_cwd(request.cwd)
        payload.cwd = request.cwd
    return payload.SerializeToString()
