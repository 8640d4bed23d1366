"""From stored rows to what users see. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..proto import api_pb2, link_pb2
from ..proto.clock import SECOND_US
from ..store import model
from . import callers

LABEL_LIMIT = 40


def outcome(row: model.TaskRow) -> api_pb2.Task:
    """What became of a task, without what was submitted."""
    shown = api_pb2.Task(
        id=row.id,
        name=row.name,
        state=row.state,
        attempt=row.attempt,
        reason=row.reason or "",
        message=row.message or "",
        owner=callers.shown(row.owner),
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
        retry_delay_us=row.retry_delay_us,
        waits_for=row.waits_for,
    )
    if payload.HasField("call"):
        shown.call.CopyFrom(payload.call)
    elif row.kind == "command":
        shown.command.CopyFrom(command(payload))
    if row.progress is not None:
        shown.progress.CopyFrom(progress(row.progress))
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


def detailed(
    row: model.TaskRow, attempts: Iterable[model.AttemptRow], parents: Iterable[model.ParentRow] = ()
) -> api_pb2.Task:
    """A task with its attempts, the tasks it waits for, and the names of its variables."""
    shown = task(row)
    shown.attempts.extend(attempt(each) for each in attempts)
    shown.after.extend(parent(each) for each in parents)
    shown.env_names.extend(sorted(link_pb2.Payload.FromString(row.payload or b"").env))
    return shown


def with_result(shown: api_pb2.Task, result: bytes | None) -> api_pb2.Task:
    """The same task with what it returned; None: it returned nothing, which is not none."""
    if result is not None:
        shown.result.SetInParent()
        shown.result.MergeFromString(result)
    return shown


def parent(row: model.ParentRow) -> api_pb2.Parent:
    """A task that another waits for."""
    return api_pb2.Parent(id=row.id, condition=row.condition, state=row.state or "", met=row.met)


def progress(told: model.Progress) -> api_pb2.Progress:
    """How far an attempt says that it is."""
    return api_pb2.Progress(done=told.done, total=told.total, text=told.text, at_us=told.at_us)


def told_progress(task_id: str, number: int, told: link_pb2.Progress) -> api_pb2.TaskProgress:
    """The same, as an executor has just told it."""
    said = api_pb2.Progress(done=told.done, text=told.text, at_us=told.at_us)
    if told.HasField("total"):
        said.total = told.total
    return api_pb2.TaskProgress(id=task_id, attempt=number, progress=said)


def work(stored: bytes) -> str:
    """What a task runs, on one short line."""
    payload = link_pb2.Payload.FromString(stored)
    words = payload.call.function or payload.shell or " ".join(payload.args)
    line = " ".join(words[: LABEL_LIMIT * 2].split())
    return line if len(line) <= LABEL_LIMIT else f"{line[: LABEL_LIMIT - 3]}..."


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
