"""From stored rows to what users see. Pure."""

from __future__ import annotations

from typing import Any

from ..proto import api_pb2, link_pb2
from ..proto.clock import SECOND_US
from ..store import model


def outcome(row: model.TaskRow) -> api_pb2.Task:
    """What became of a task, without what was submitted."""
    shown = api_pb2.Task(
        id=row.id,
        name=row.name,
        state=row.state,
        attempt=row.attempt,
        reason=row.reason or "",
        message=row.message or "",
    )
    set_known(
        shown,
        started_at_us=row.started_at_us,
        finished_at_us=row.finished_at_us,
        exit_code=row.exit_code,
        signal=row.signal,
    )
    return shown


def task(row: model.TaskRow) -> api_pb2.Task:
    """A task as users see it, without its attempts."""
    payload = link_pb2.Payload.FromString(row.payload or b"")
    shown = api_pb2.Task(
        command=command(payload),
        queue=row.queue,
        priority=row.priority,
        created_at_us=row.created_at_us,
        due_at_us=row.due_at_us,
        max_attempts=row.max_attempts,
        schedule=row.schedule or "",
        retry_of=row.retry_of or "",
        cwd=payload.cwd,
        grace_us=row.grace_us,
        on_lost=row.on_lost,
        profile=row.profile,
        cancel_requested=row.cancel_requested_at_us is not None,
    )
    set_known(
        shown,
        lateness_s=_seconds(row.lateness_us),
        scheduled_for_us=row.scheduled_for_us,
        timeout_us=row.timeout_us,
        umask=payload.umask if payload.HasField("umask") else None,
        paused_at_us=row.paused_at_us,
    )
    shown.MergeFrom(outcome(row))
    return shown


def detailed(row: model.TaskRow, attempts: list[model.AttemptRow]) -> api_pb2.Task:
    """A task with its attempts and the names of its variables."""
    shown = task(row)
    shown.attempts.extend(attempt(each) for each in attempts)
    shown.env_names.extend(sorted(link_pb2.Payload.FromString(row.payload or b"").env))
    return shown


def command(payload: link_pb2.Payload) -> api_pb2.Command:
    """The command of a payload, in the form it was given."""
    if payload.shell:
        return api_pb2.Command(shell=payload.shell)
    return api_pb2.Command(argv=api_pb2.Argv(args=payload.args))


def attempt(row: model.AttemptRow) -> api_pb2.Attempt:
    """One try as users see it."""
    shown = api_pb2.Attempt(
        number=row.number,
        state=row.state,
        executor=row.executor,
        claimed_at_us=row.claimed_at_us,
        reason=row.reason or "",
        message=row.message or "",
        stdout_bytes=row.stdout_bytes,
        stderr_bytes=row.stderr_bytes,
        dropped_bytes=row.dropped_bytes,
        leftovers=row.leftovers,
        truncated=row.truncated,
        paused_us=row.paused_us,
    )
    set_known(
        shown,
        started_at_us=row.started_at_us,
        finished_at_us=row.finished_at_us,
        pid=row.pid,
        exit_code=row.exit_code,
        signal=row.signal,
        cpu_s=row.cpu_s,
        peak_bytes=row.peak_bytes,
        lateness_s=_seconds(row.lateness_us),
        paused_at_us=row.paused_at_us,
    )
    return shown


def submitted(row: model.Submitted) -> api_pb2.Submitted:
    """The answer to a submission."""
    return api_pb2.Submitted(id=row.id, existed=row.existed, state=row.state, due_at_us=row.due_at_us)


def set_known(message: Any, **values: Any) -> None:
    """Set those fields of a message whose value is known."""
    for name, value in values.items():
        if value is not None:
            setattr(message, name, value)


def _seconds(lateness_us: int | None) -> float | None:
    return None if lateness_us is None else lateness_us / SECOND_US
