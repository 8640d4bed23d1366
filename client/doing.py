"""What a task does, a command or a call of a function: on one line for people, and as plain values for `--json`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from google.protobuf.any_pb2 import Any as AnyMessage

    from ..proto import api_pb2 as api
    from ..proto.call_pb2 import Argument, Call


def doing(task: api.Task) -> dict[str, Any]:
    """What it runs: a command or a function."""
    if task.HasField("call"):
        args = [_argument(each, task.after) for each in task.call.args]
        kwargs = {name: _argument(each, task.after) for name, each in sorted(task.call.kwargs.items())}
        return {"command": None, "argv": None, "function": task.call.function, "args": args, "kwargs": kwargs}
    argv = list(task.command.argv.args) if task.command.WhichOneof("form") == "argv" else None
    return {"command": command_line(task.command), "argv": argv, "function": None, "args": None, "kwargs": None}


def work(shown: api.Task) -> str:
    """What a task does, as one line: a command as a shell would take it, a function as it would be called."""
    return call_line(shown.call, shown.after) if shown.HasField("call") else command_line(shown.command)


def command_line(command: api.Command) -> str:
    """The command as one line that a shell would take."""
    return command.shell if command.WhichOneof("form") != "argv" else shlex.join(command.argv.args)


def call_line(call: Call, after: Sequence[api.Parent] = ()) -> str:
    """`math::add(1, "b", scale=2)`, values as JSON; a result of another task as @result:ID."""
    args = [_argument_line(each, after) for each in call.args]
    kwargs = [f"{name}={_argument_line(each, after)}" for name, each in sorted(call.kwargs.items())]
    return f"{call.function}({', '.join(args + kwargs)})"


def value(packed: AnyMessage) -> Any:
    """A value that a function takes or returned, as proto/plain.py writes it; {"@unknown": TYPE} of a later version."""
    from ..proto import anys, plain  # noqa: PLC0415 - only functions have values

    try:
        return plain.to_json(anys.from_any(packed))
    except plain.NotPlainError:
        return {"@unknown": packed.type_url}


def _argument_line(argument: Argument, after: Sequence[api.Parent]) -> str:
    value = _argument(argument, after)
    match argument.WhichOneof("kind"):
        case "result_of":
            return _results_line("@result", [value["@result_of"]])
        case "results_of":
            return _results_line("@results", value["@results_of"])
    import json  # noqa: PLC0415 - only calls need it

    return json.dumps(value, ensure_ascii=False)


def _results_line(word: str, parents: Sequence[str | None]) -> str:
    """Whose results; only the word where that is not told, as in lists."""
    names = [each for each in parents if each is not None]
    return f"{word}:{','.join(names)}" if names else word


def _argument(argument: Argument, after: Sequence[api.Parent]) -> Any:
    """A value; {"@result_of": ID} for one that is still to come, None where it is not told whose that is."""
    match argument.WhichOneof("kind"):
        case "result_of":
            return {"@result_of": _parent(argument.result_of, after)}
        case "results_of":
            return {"@results_of": [_parent(each, after) for each in argument.results_of.after]}
    return value(argument.value)


def _parent(place: int, after: Sequence[api.Parent]) -> str | None:
    return after[place].id if place < len(after) else None
