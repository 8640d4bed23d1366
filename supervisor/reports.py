"""From stored rows to what executors are told, and from what they report to what is stored. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..proto import link_pb2
from ..proto.errors import Refusal, RefusalReason
from ..proto.values import AttemptState, EndReason
from ..store import model
from .filling import filled
from .views import set_known

if TYPE_CHECKING:
    from .catalogue import Catalogue
    from .owners import Owners


def assignment(claimed: model.Claimed, *, tapped: bool, catalogue: Catalogue, owners: Owners) -> link_pb2.Assignment:
    """What an executor is told of a task that it shall run.

    Raises Refusal BAD_ARGUMENTS when it cannot be called, FORBIDDEN when its owner may run nothing.

    Where nobody has its function any more no source is named, and the executor says so.
    """
    told = link_pb2.Assignment(
        attempt_id=claimed.attempt_id,
        task_id=claimed.task_id,
        number=claimed.number,
        queue=claimed.queue,
        grace_us=claimed.grace_us,
        due_at_us=claimed.due_at_us,
        profile=claimed.profile,
        output_cap_bytes=claimed.output_cap_bytes,
        tapped=tapped,
        shared=claimed.shared,
        max_attempts=claimed.max_attempts,
    )
    told.payload.ParseFromString(claimed.payload)
    if told.payload.HasField("call"):
        _name_source(told, claimed, catalogue)
    uid = owners.uid(claimed.owner)
    set_known(told, timeout_us=claimed.timeout_us, scheduled_for_us=claimed.scheduled_for_us, uid=uid)
    return told


def _name_source(told: link_pb2.Assignment, claimed: model.Claimed, catalogue: Catalogue) -> None:
    """Say where the function is, and put the results of other tasks into its arguments."""
    entry = catalogue.get(told.payload.call.function)
    if entry is None:
        return
    told.source, told.generation = entry.source, entry.generation
    call = told.payload.call
    if (full := filled(call, claimed.results)) is not call:
        entry.check(full)
        call.CopyFrom(full)


def unfit_report(claimed: model.Claimed, executor: str, why: Refusal, now_us: int) -> model.FinishReport:
    """The end of an attempt that no executor was told of: it cannot be called as it was meant to be, or by nobody."""
    is_owner = why.reason is RefusalReason.FORBIDDEN
    return model.FinishReport(
        attempt_id=claimed.attempt_id,
        executor=executor,
        state=AttemptState.FAILED,
        exit_code=None,
        signal=None,
        reason=EndReason.USER_UNUSABLE if is_owner else EndReason.BAD_ARGUMENTS,
        message=why.message,
        started_at_us=None,
        finished_at_us=now_us,
        cpu_s=None,
        peak_bytes=None,
        stdout_bytes=0,
        stderr_bytes=0,
        dropped_bytes=0,
        leftovers=0,
        pid=None,
    )


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


def progress_report(executor: str, told: link_pb2.Progress) -> model.ProgressReport:
    """How far an attempt says that it is, for the store."""
    return model.ProgressReport(
        attempt_id=told.attempt_id,
        executor=executor,
        done=0.0 if math.isnan(told.done) else told.done,  # SQLite would take it for nothing, and refuse all of it
        total=told.total if told.HasField("total") else None,
        text=told.text,
        at_us=told.at_us,
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
        result=known("result"),
        again_in_us=known("again_in_us"),
        snoozed=told.snoozed,
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
        sealed=told.sealed,
    )
