"""Messages as the plain values that `--json` prints: instants RFC 3339 UTC, lengths of time in seconds."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ..proto.clock import SECOND_US
from .doing import doing, value

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from ..proto import api_pb2 as api

Json = dict[str, Any]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instant(at_us: int | None) -> str | None:
    """An instant with microseconds and Z: `2026-11-22T14:30:00.000000Z`."""
    if at_us is None:
        return None
    return (_EPOCH + timedelta(microseconds=at_us)).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def seconds(length_us: int | None) -> float | None:
    """A length of time."""
    return None if length_us is None else length_us / SECOND_US


def known(message: Message, field: str) -> Any:
    """The value of an optional field, None where it has none."""
    return getattr(message, field) if message.HasField(field) else None


def task(task: api.Task) -> Json:
    """A task. `argv` is null where the command is a line for the shell; one that calls a function has no command."""
    return {
        "id": task.id,
        "name": task.name,
        "state": task.state,
        **doing(task),
        "queue": task.queue,
        "priority": task.priority,
        "created_at": instant(task.created_at_us),
        "due_at": instant(task.due_at_us),
        "started_at": instant(known(task, "started_at_us")),
        "finished_at": instant(known(task, "finished_at_us")),
        "attempt": task.attempt,
        "max_attempts": task.max_attempts,
        "exit_code": known(task, "exit_code"),
        "signal": known(task, "signal"),
        "reason": task.reason,
        "message": task.message,
        "lateness_s": known(task, "lateness_s"),
        "scheduled_for": instant(known(task, "scheduled_for_us")),
        "schedule": task.schedule or None,
        "retry_of": task.retry_of or None,
        "cwd": task.cwd,
        "timeout_s": seconds(known(task, "timeout_us")),
        "grace_s": seconds(task.grace_us),
        "on_lost": task.on_lost,
        "profile": task.profile,
        "umask": f"{task.umask:03o}" if task.HasField("umask") else None,
        "cancel_requested": task.cancel_requested,
        "paused_at": instant(known(task, "paused_at_us")),
        "retries": max(0, task.max_attempts - 1),
        "retry_delay_s": seconds(known(task, "retry_delay_us")),
        "waits_for": task.waits_for,
        "owner": task.owner or None,
        "progress": progress(task.progress) if task.HasField("progress") else None,
        **({"result": value(task.result)} if task.HasField("result") else {}),
    }


def audit(entry: api.AuditEntry) -> Json:
    """Something that was done, or refused."""
    return {
        "number": entry.number,
        "at": instant(entry.at_us),
        "who": entry.who,
        "role": entry.role or None,
        "where": entry.where or None,
        "what": entry.what,
        "object": entry.object or None,
        "outcome": entry.outcome,
    }


def progress(progress: api.Progress) -> Json:
    """How far a function says that it is; `total` is null where nobody knows."""
    return {
        "done": _finite(progress.done),
        "total": _finite(progress.total) if progress.HasField("total") else None,
        "text": progress.text,
        "at": instant(progress.at_us),
    }


def _finite(number: float) -> float | None:
    """JSON has no word for the others."""
    return number if math.isfinite(number) else None


def detailed(shown: api.Task) -> Json:
    """A task with the tasks it waits or waited for, its attempts and the names of its variables."""
    return task(shown) | {
        "after": [parent(each) for each in shown.after],
        "attempts": [attempt(each) for each in shown.attempts],
        "env_names": list(shown.env_names),
    }


def parent(parent: api.Parent) -> Json:
    """One of the tasks that a task waits for; `state` is null when it is gone."""
    return {"id": parent.id, "condition": parent.condition, "state": parent.state or None, "met": parent.met}


def causes(answer: api.WhyResponse) -> Json:
    """What a task waits for, or why it ended as it did."""
    listed = [
        {
            "kind": each.kind,
            "message": each.message,
            "task": each.task or None,
            "until": instant(known(each, "until_us")),
        }
        for each in answer.causes
    ]
    return {"id": answer.task.id, "state": answer.task.state, "causes": listed}


def graph(answer: api.GraphResponse) -> Json:
    """Tasks that hang together, parents before their children, and how they do."""
    return {
        "nodes": [{"id": each.id, "label": each.label, "state": each.state} for each in answer.nodes],
        "edges": [
            {"parent": each.parent, "child": each.child, "condition": each.condition, "met": each.met}
            for each in answer.edges
        ],
        "truncated": answer.truncated,
    }


def attempt(attempt: api.Attempt) -> Json:
    """One try of a task."""
    return {
        "number": attempt.number,
        "state": attempt.state,
        "executor": attempt.executor,
        "claimed_at": instant(attempt.claimed_at_us),
        "started_at": instant(known(attempt, "started_at_us")),
        "finished_at": instant(known(attempt, "finished_at_us")),
        "pid": known(attempt, "pid"),
        "exit_code": known(attempt, "exit_code"),
        "signal": known(attempt, "signal"),
        "reason": attempt.reason,
        "message": attempt.message,
        "cpu_s": known(attempt, "cpu_s"),
        "peak_bytes": known(attempt, "peak_bytes"),
        "lateness_s": known(attempt, "lateness_s"),
        "stdout_bytes": attempt.stdout_bytes,
        "stderr_bytes": attempt.stderr_bytes,
        "dropped_bytes": attempt.dropped_bytes,
        "leftovers": attempt.leftovers,
        "truncated": attempt.truncated,
        "paused_at": instant(known(attempt, "paused_at_us")),
        "paused_s": seconds(attempt.paused_us),
    }


def submitted(submitted: api.Submitted) -> Json:
    """The answer to a submission."""
    return {
        "id": submitted.id,
        "existed": submitted.existed,
        "state": submitted.state,
        "due_at": instant(submitted.due_at_us),
    }


def retried(submitted_again: api.Submitted, id: str) -> Json:  # noqa: A002 - the word of the contract
    """The answer to the retry of a task."""
    return submitted(submitted_again) | {"retry_of": id}


def event(event: api.Event) -> Json:
    """Something that happened to a task. `attempt` is 0 before the first."""
    return {
        "cursor": event.cursor,
        "at": instant(event.at_us),
        "task": event.task,
        "event": event.event,
        "state": event.state,
        "attempt": event.attempt,
        "reason": event.reason,
        "queue": event.queue,
    }


def output(output: api.Output) -> Json:
    """A piece of output: `text` where it is UTF-8, else `base64`."""
    return {
        "stream": output.stream,
        "offset": output.offset,
        **_data(output.data),
        "gap_bytes": output.gap_bytes,
        "truncated": output.truncated,
    }


def result(ended: api.Task, kept: Mapping[str, bytes], *, gap_bytes: int, truncated: bool) -> Json:
    """An ended task with what it wrote; `stdout_base64` beside `stdout` where that is not UTF-8, stderr likewise."""
    streams: Json = {}
    for name, data in kept.items():
        streams[name] = data.decode(errors="replace")
        streams |= {f"{name}_{form}": text for form, text in _data(data).items() if form != "text"}
    return task(ended) | streams | {"gap_bytes": gap_bytes, "truncated": truncated}


def _data(data: bytes) -> Json:
    try:
        return {"text": data.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def status(status: api.StatusResponse) -> Json:
    """The service and what it has to do."""
    return {
        "version": status.version,
        "pid": status.pid,
        "started_at": instant(status.started_at_us),
        "state_dir": status.state_dir,
        "socket": status.socket,
        "tasks": dict(sorted(status.tasks.items())),
        "next_due_at": instant(known(status, "next_due_at_us")),
        "draining": status.draining,
        "managed_by": status.managed_by or None,
        "encryption": status.encryption or None,
        "log_dir": status.log_dir or None,
        "addr": status.addr or None,
        "several_users": status.several_users,
        "executors": [executor(each) for each in status.executors],
    }


def executor(executor: api.ExecutorStatus) -> Json:
    """One process that runs tasks."""
    return {
        "id": executor.id,
        "pid": executor.pid,
        "state": executor.state,
        "slots": executor.slots,
        "running": executor.running,
        "version": executor.version,
    }


def diagnosis(answer: api.DoctorResponse) -> Json:
    """What the doctor found, and what it looked at."""
    return {
        "findings": [
            {"severity": each.severity, "object": each.object, "message": each.message, "hint": each.hint}
            for each in answer.findings
        ],
        "checked": list(answer.checked),
    }
