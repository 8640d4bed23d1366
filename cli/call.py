"""The verb that calls a registered function: call."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ..proto.errors import EXIT_TSCHED_FAILED, Refusal, RefusalReason
from ..proto.values import Condition, TaskState
from . import after, connect, console, exits, parser, pour, spec, submit, values

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Sequence

    from ..client.connection import Connection
    from ..client.following import Event
    from ..proto import api_pb2 as api
    from ..proto.call_pb2 import Argument

NOTES = """An argument that is JSON is taken as JSON: 5, -1.5, true, null, "5", [1, 2], {"a": 1}; bytes are
{"@bytes": BASE64}. Any other word is a string: hello, 007, nan. One that begins with [, { or a double quote and is no
JSON is refused. --raw takes every word as a string. @result:ID is what that task returned; it is waited for. Words
that begin with - go behind --. stdout gets the result, as JSON, and nothing else: what the function writes goes to
stderr. The exit code is 0, or 1 when it did not succeed. Ctrl-C is as for run. With --at or --in it is not waited for:
its id is printed."""


def _arguments(to: parser.Parser) -> None:
    to.usage = "tsched call FUNCTION [options] [ARG...] [-- ARG...]"
    to.epilog = f"{NOTES} {after.NOTES} {submit.WHEN_NOTES}"
    to.add_argument("function", metavar="FUNCTION", help="its name, as tsched functions shows it: add, PLUGIN::NAME")
    to.add_argument("args", metavar="ARG", nargs="*", default=[], help="what it is given: JSON, or a plain word")
    to.add_argument("--kw", metavar="K=V", action="append", help="an argument by name; may be repeated")
    to.add_argument("--raw", action="store_true", help="take every argument as a string, as it stands")
    to.add_argument("-d", "--detach", action="store_true", help="do not wait for it; print its id")
    submit.add_due(to)
    spec.add_common_options(to)


def _call(args: Namespace) -> int:
    asked = spec.common(args)
    asked.id = spec.own_id(args)
    _set_call(asked, args)
    zone, due = submit.due_of(args)
    if due:
        return submit.for_a_time(args, asked, due, zone)
    with connect.connect_or_start(args) as client:
        return (submit.detached if args.detach else _followed)(client, asked, as_json=args.json)


def _set_call(asked: api.TaskSpec, args: Namespace) -> None:
    """Put in what is called. Raises Refusal BAD_ARGUMENTS."""
    asked.call.function = _function(args.function)
    place = _Places(asked, [each.id for each in args.after or []])
    for word in [*args.args, *(args.argv or [])]:
        asked.call.args.append(_argument(values.argument(word, raw=args.raw), place))
    for pair in args.kw or []:
        name, value = values.keyword(pair, raw=args.raw)
        if name in asked.call.kwargs:
            raise Refusal(RefusalReason.BAD_ARGUMENTS, f"--kw {name} is given twice", "give it once")
        asked.call.kwargs[name].CopyFrom(_argument(value, place))


def _function(name: str) -> str:
    if not name or not name.isprintable():
        raise Refusal(RefusalReason.BAD_USAGE, "not a function's name", "tsched functions lists them")
    return name


class _Places:
    """Where a task stands among those that are waited for; one that does not yet is added, it has to succeed."""

    def __init__(self, asked: api.TaskSpec, ids: Sequence[str]) -> None:
        self._asked = asked
        self._of = {id: place for place, id in enumerate(ids)}  # noqa: A001 - the word of the contract

    def __call__(self, id: str) -> int:  # noqa: A002 - the word of the contract
        if id not in self._of:
            self._of[id] = len(self._asked.after)
            self._asked.after.add(condition=Condition.OK).task.id = id
        return self._of[id]


def _argument(value: object, place: Callable[[str], int]) -> Argument:
    from ..proto import anys
    from ..proto.call_pb2 import Argument

    if isinstance(value, values.ResultOf):
        return Argument(result_of=place(value.id))
    return Argument(value=anys.to_any(value))


def _followed(client: Connection, asked: api.TaskSpec, *, as_json: bool) -> int:
    return submit.followed(client, asked, partial(_show, client, as_json=as_json))


def _show(client: Connection, event: Event, follow: Callable[[str], None], *, as_json: bool) -> int:
    """Show what happened; the exit code as far as it is known."""
    from ..proto import api_pb2 as api

    if isinstance(event, api.Submitted):
        follow(event.id)
    if isinstance(event, api.Task):
        event = _with_result(client, event)
    if as_json:
        submit.put_event(event)
    match event:
        case api.Submitted() if event.state == TaskState.HELD and not as_json:
            submit.say_held(event.id)
        case api.Output() if not as_json:
            pour.pour(event, to=pour.DESCRIPTORS["err"])
        case api.Task():
            _put_end(event, as_json=as_json)
            return exits.code(event)
    return EXIT_TSCHED_FAILED


def _with_result(client: Connection, task: api.Task) -> api.Task:
    """The task, asked for once more where it came without what it returned: it had been submitted before."""
    if task.state != TaskState.SUCCEEDED or task.HasField("result"):
        return task
    return client.get(task.id, result=True)


def _put_end(task: api.Task, *, as_json: bool) -> None:
    if as_json:
        return
    if task.HasField("result"):
        put_result(task)
    if notice := exits.notice(task):
        console.say(notice)


def put_result(task: api.Task) -> None:
    """What a function returned, as JSON."""
    from ..client.doing import value

    console.put_json(value(task.result))


VERBS = {"call": parser.Verb(arguments=_arguments, run=_call, takes_command=True, mixed=True)}
