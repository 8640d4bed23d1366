"""From stored rows to what executors are told, and from what they report to what is stored. Pure."""

from __future__ import annotations

from typing import Any

from ..proto import link_pb2
from ..store import model
from .views import set_known


def assignment(claimed: model.Claimed, *, tapped: bool) -> link_pb2.Assignment:
    """What an executor is told of a task that it shall run."""
    told = link_pb2.Assignment(
        attempt_id=claimed.attempt_id,
        task_id=claimed.task_id,
        number=claimed.number,
        queue=claimed.queue,
        payload=link_pb2.Payload.FromString(claimed.payload),
        grace_us=claimed.grace_us,
        due_at_us=claimed.due_at_us,
        profile=claimed.profile,
        output_cap_bytes=claimed.output_cap_bytes,
        tapped=tapped,
    )
    set_known(told, timeout_us=claimed.timeout_us, scheduled_for_us=claimed.scheduled_for_us)
    return told


def start_report(executor: str, told: link_pb2.Started) -> model.StartReport:
    """What an executor says of a start, for the store."""
    return model.StartReport(
        attempt_id=told.attempt_id,
        executor=executor,
        pid=told.pid,
        start_ticks=told.start_ticks,
        started_at_us=told.started_at_us,
    )


def pause_report(executor: str, told: link_pb2.Paused) -> model.PauseReport:
    """What an executor says of an attempt that stands still or goes on, for the store."""
    return model.PauseReport(
        attempt_id=told.attempt_id, executor=executor, on=told.on, at_us=told.at_us, paused_us=told.paused_us
    )


def finish_report(executor: str, told: link_pb2.Finished) -> model.FinishReport:
    """What an executor says of an end, for the store."""

    def known(name: str) -> Any:
        return getattr(told, name) if told.HasField(name) else None

    return model.FinishReport(
        attempt_id=told.attempt_id,
        executor=executor,
        state=told.state,
        exit_code=known("exit_code"),
        signal=known("signal"),
        reason=told.reason,
        message=told.message,
        started_at_us=known("started_at_us"),
        finished_at_us=told.finished_at_us,
        cpu_s=known("cpu_s"),
        peak_bytes=known("peak_bytes"),
        stdout_bytes=told.stdout_bytes,
        stderr_bytes=told.stderr_bytes,
        dropped_bytes=told.dropped_bytes,
        leftovers=told.leftovers,
        pid=known("pid"),
        paused_us=told.paused_us,
    )


def chunk_row(told: link_pb2.Chunk) -> model.ChunkRow:
    """A piece of output, for the store."""
    return model.ChunkRow(
        attempt_id=told.attempt_id,
        number=told.number,
        stream=told.stream,
        offset=told.offset,
        length=told.length,
        data=told.data,
    )
