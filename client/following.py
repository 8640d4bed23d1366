"""Following tasks to their end although the supervisor may be killed and started again meanwhile.

Tasks outlive their supervisor, so a broken stream says nothing about the task. What was seen is counted per stream;
after a reconnect the kept output is read from its begin and what was seen is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from ..proto import api_pb2 as api
from ..proto.clock import SECOND_US, Clock, SystemClock
from ..proto.errors import Refusal, RefusalReason
from .connection import Connection, late
from .errors import broken

Event = api.Submitted | api.Output | api.Task
OnBreak = Callable[[str], None]
"""Is told of a lost connection, with the id of the task where one is known."""


def tell(client: Connection, on_break: OnBreak, id: str = "") -> None:  # noqa: A002 - the word of the contract
    """Tell of a lost connection, unless there can be another at once: on TCP each has an age."""
    if not client.way.is_open():
        on_break(id)


PATIENCE_S = 60.0
"""How long a supervisor may be away before its followers give up."""


@dataclass(slots=True)
class Progress:
    """How far a task was followed: its newest attempt, and how much of each stream of that."""

    id: str = ""
    ended: bool = False
    attempt: int = 1
    offsets: dict[str, int] = field(default_factory=lambda: {"out": 0, "err": 0})
    begins: dict[str, int] = field(default_factory=lambda: {"out": 0, "err": 0})
    """What lies before this in that attempt was not asked for."""

    def note(self, output: api.Output) -> None:
        """Count what came live. A stream that begins anew belongs to the next attempt."""
        if output.data and output.offset < self.offsets[output.stream]:
            self.begin(self.attempt + 1)
        self.offsets[output.stream] = max(self.offsets[output.stream], output.offset + len(output.data))

    def begin(self, attempt: int) -> None:
        """Count from zero when it is another attempt, else not from before where it was asked for."""
        if attempt != self.attempt:
            self.attempt = attempt
            self.offsets = {"out": 0, "err": 0}
            self.begins = {"out": 0, "err": 0}
        self.offsets = {stream: max(offset, self.begins[stream]) for stream, offset in self.offsets.items()}

    def unseen(self, output: api.Output) -> api.Output | None:
        """What of a repeated piece is new, counted; None when nothing is."""
        if output.truncated and not output.data:
            return output
        known = self.offsets[output.stream] - output.offset
        fresh = output.data[max(0, known) :]
        if not fresh:
            return None
        self.offsets[output.stream] = output.offset + len(output.data)
        begin = output.offset + max(0, known)
        return api.Output(
            stream=output.stream, offset=begin, data=fresh, gap_bytes=max(0, -known), truncated=output.truncated
        )


def follow_run(client: Connection, spec: api.TaskSpec, *, on_break: OnBreak) -> Iterator[Event]:
    """Submit a task and give everything it writes, then the ended task."""
    spec, progress = client.keyed(spec), Progress()
    while not progress.ended:
        try:
            yield from _resumed(client, progress) if progress.id else _live(client, spec, progress)
        except Refusal as refusal:
            if not broken(refusal):
                raise
            tell(client, on_break, progress.id)
            client.await_ready(PATIENCE_S)


def _live(client: Connection, spec: api.TaskSpec, progress: Progress) -> Iterator[Event]:
    for event in client.run(spec):
        match event.WhichOneof("event"):
            case "submitted":
                progress.id = event.submitted.id
                if event.submitted.existed:
                    progress.attempt = max(1, client.get(progress.id).attempt)
                yield event.submitted
            case "output":
                progress.note(event.output)
                yield event.output
            case "ended":
                progress.ended = True
                yield event.ended
    if not progress.id:
        raise Refusal(RefusalReason.INTERNAL, "the supervisor ended a run without a word", "its log may say more")


def _resumed(client: Connection, progress: Progress) -> Iterator[Event]:
    progress.begin(max(1, client.get(progress.id).attempt))
    for output in client.logs(api.LogsRequest(id=progress.id, follow=True)):
        fresh = progress.unseen(output)
        if fresh is not None:
            yield fresh
    for task in client.wait([progress.id], results=True):
        progress.ended = True
        yield task


def follow_logs(client: Connection, request: api.LogsRequest, *, on_break: OnBreak) -> Iterator[api.Output]:
    """Output as asked for; with `follow`, also over a restart of the supervisor."""
    progress, resumed = _begun(client, request) if request.follow else Progress(id=request.id), False
    while True:
        try:
            yield from _resumed_logs(client, request, progress) if resumed else _live_logs(client, request, progress)
        except Refusal as refusal:
            if not (broken(refusal) and request.follow):
                raise
            tell(client, on_break, request.id)
            client.await_ready(PATIENCE_S)
            resumed = True
        else:
            return


def _begun(client: Connection, request: api.LogsRequest) -> Progress:
    """Which attempt is followed; of one whose end only is asked for, how far it has come: not all of it is shown."""
    progress = Progress(id=request.id, attempt=request.attempt or max(1, client.get(request.id).attempt))
    if request.HasField("tail_lines") or request.HasField("tail_bytes"):
        for stream in progress.begins:
            for last in client.logs(api.LogsRequest(id=request.id, stream=stream, tail_bytes=1)):
                progress.begins[stream] = last.offset + len(last.data)
    return progress


def _live_logs(client: Connection, request: api.LogsRequest, progress: Progress) -> Iterator[api.Output]:
    for output in client.logs(request):
        progress.note(output)
        yield output


def _resumed_logs(client: Connection, request: api.LogsRequest, progress: Progress) -> Iterator[api.Output]:
    for event in _resumed(client, progress):
        if isinstance(event, api.Output) and request.stream in ("", event.stream):
            yield event


def follow_wait(
    client: Connection,
    ids: Sequence[str],
    *,
    timeout_us: int | None,
    on_break: OnBreak,
    outcomes: bool = False,
    results: bool = False,
    on_progress: Callable[[api.TaskProgress], None] | None = None,
    clock: Clock | None = None,
) -> Iterator[api.Task]:
    """Each of the tasks once, as it ends, or only its outcome, also over a restart of the supervisor.

    `results`: with what they returned. `on_progress` is told how far those are that run.

    Raises Refusal WAIT_TIMEOUT.
    """
    left = Left(timeout_us, clock or SystemClock())
    waiting = dict.fromkeys(ids)
    while waiting:
        try:
            for task in client.wait(
                waiting, timeout_us=left.us(), outcomes=outcomes, results=results, on_progress=on_progress
            ):
                waiting.pop(task.id, None)
                yield task
        except Refusal as refusal:
            if refusal.reason is RefusalReason.WAIT_TIMEOUT:
                raise late(waiting) from None
            if not broken(refusal):
                raise
            tell(client, on_break)
            _await_return(client, left.us(), waiting)
        else:
            return


class Left:
    """What is left of a time limit."""

    def __init__(self, limit_us: int | None, clock: Clock) -> None:
        self._clock = clock
        self._end_us = None if limit_us is None else clock.mono_us() + limit_us

    def us(self) -> int | None:
        """In microseconds, never below zero; None: it has no end."""
        return None if self._end_us is None else max(0, self._end_us - self._clock.mono_us())


def _await_return(client: Connection, left_us: int | None, ids: Iterable[str]) -> None:
    if left_us is None or left_us > PATIENCE_S * SECOND_US:
        client.await_ready(PATIENCE_S)
        return
    try:
        client.await_ready(left_us / SECOND_US)
    except Refusal:
        raise late(ids) from None
