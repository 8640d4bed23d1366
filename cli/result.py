"""The verb that gives what came of a finished command or function as if it had just run here: result."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..proto.errors import Refusal, RefusalReason
from ..proto.values import TaskState
from . import call, connect, console, exits, parser, pour

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable

    from ..proto import api_pb2 as api


NOTES = """Of a command: its stdout; the exit code is the command's own, 128+n for a signal, 1 for an end without one.
Of a function: what it returned, as JSON; the exit code is 0, or 1 when it did not succeed. With --json: the task with
stdout and stderr as text, stdout_base64 and stderr_base64 beside them where they are not UTF-8, and gap_bytes, which
were not kept of both; what a function returned is result."""


@dataclass(slots=True)
class _Kept:
    """What has been read of a task's output so far."""

    data: dict[str, bytearray] = field(default_factory=lambda: {"out": bytearray(), "err": bytearray()})
    length: dict[str, int] = field(default_factory=lambda: {"out": 0, "err": 0})
    truncated: bool = False

    def note(self, output: api.Output, *, with_data: bool) -> None:
        self.length[output.stream] += len(output.data)
        self.truncated |= output.truncated
        if with_data:
            self.data[output.stream] += output.data


def _arguments(to: parser.Parser) -> None:
    parser.add_id(to)
    to.epilog = NOTES


def _result(args: Namespace) -> int:
    id = parser.the_id(args)  # noqa: A001 - the word of the contract
    with connect.connect_or_start(args) as client:
        from ..proto import api_pb2 as api

        task = _ended(client.get(id, result=True))
        if task.HasField("call") and not args.json:
            return _returned(task)
        request = api.LogsRequest(id=id, attempt=task.attempt, stream="" if args.json else "out")
        outputs = client.logs(request) if task.attempts else iter(())
        _put_json(task, outputs) if args.json else _put(task, outputs)
    return exits.code(task)


def _returned(task: api.Task) -> int:
    """What a function gave back. Raises Refusal NO_RESULT when it is not kept."""
    if task.HasField("result"):
        call.put_result(task)
    elif task.state == TaskState.SUCCEEDED:
        raise Refusal(
            RefusalReason.NO_RESULT, f"the result of task {task.id} is not kept", "tsched retry makes it anew"
        )
    if notice := exits.notice(task):
        console.say(notice)
    return exits.code(task)


def _ended(task: api.Task) -> api.Task:
    if not TaskState(task.state).final:
        message = f"task {task.id} has no result yet: it is {task.state}"
        raise Refusal(RefusalReason.WRONG_STATE, message, f"tsched wait {task.id}")
    return task


def _put(task: api.Task, outputs: Iterable[api.Output]) -> None:
    kept, told = _Kept(), 0
    for output in outputs:
        kept.note(output, with_data=False)
        told += output.gap_bytes
        pour.pour(output, alone=True)
    if missing := _missing(task, kept, "out") - told:
        console.say(_lack(task, missing, nothing=not kept.length["out"]))
    if notice := exits.notice(task):
        console.say(notice)


def _put_json(task: api.Task, outputs: Iterable[api.Output]) -> None:
    from ..client import as_json

    kept = _Kept()
    for output in outputs:
        kept.note(output, with_data=True)
    texts = {pour.NAMES[stream]: bytes(data) for stream, data in kept.data.items()}
    gap_bytes = sum(_missing(task, kept, stream) for stream in kept.length)
    console.put_json(as_json.result(task, texts, gap_bytes=gap_bytes, truncated=kept.truncated))


def _missing(task: api.Task, kept: _Kept, stream: str) -> int:
    """How many bytes its last attempt wrote to a stream that are not kept."""
    written = [each.stdout_bytes if stream == "out" else each.stderr_bytes for each in task.attempts[-1:]]
    return max(0, sum(written) - kept.length[stream])


def _lack(task: api.Task, missing: int, *, nothing: bool) -> str:
    if nothing:
        return f"task {task.id} wrote {missing} bytes to stdout, of which none are kept"
    return f"the last {missing} bytes of stdout were not kept (output cap)"


VERBS = {"result": parser.Verb(arguments=_arguments, run=_result)}
