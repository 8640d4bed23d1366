"""Verbs that change what is there: modify, delete, cancel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..proto import checks
from ..proto.errors import EXIT_OK, Refusal, RefusalReason
from ..proto.values import TaskState
from . import after, connect, console, parser, several, spec, submit

if TYPE_CHECKING:
    from argparse import Namespace
    from datetime import tzinfo

    from ..proto import api_pb2 as api


def _modify_arguments(to: parser.Parser) -> None:
    to.usage = "tsched modify ID [options] [--command LINE | -- ARGV...]"
    parser.add_id(to)
    spec.add_command(to)
    submit.add_due(to)
    to.add_argument("--name", metavar="TEXT", help="free text, to be shown")
    to.add_argument("--priority", metavar="N", type=parser.priority, help="higher goes first")
    to.add_argument("--timeout", metavar="DUR", type=parser.timeout_or_none, help="end an attempt after this; 0: never")
    to.add_argument("--grace", metavar="DUR", type=parser.grace, help="between the polite signal and the hard one")
    to.add_argument("--cwd", metavar="DIR", help="folder to run in")
    after.add_flag(to)
    to.add_argument("--no-after", action="store_true", help="it waits for no other task any more")


def _modify(args: Namespace) -> int:
    from ..proto import api_pb2 as api

    id = parser.the_id(args)  # noqa: A001 - the word of the contract
    zone, due = submit.due_of(args)
    asked = api.ModifyRequest(
        name=None if args.name is None else checks.check_name(args.name),
        command=None if args.command is None and args.argv is None else spec.command(args),
        priority=args.priority,
        timeout_us=args.timeout,
        grace_us=args.grace,
        cwd=None if args.cwd is None else spec.folder(args.cwd, far=connect.is_far(args)),
        after=_after(args),
    )
    for field, value_us in due.items():
        setattr(asked, field, value_us)
    if not asked.ByteSize():
        raise Refusal(RefusalReason.BAD_USAGE, "nothing to change", "see tsched modify --help")
    asked.id = id
    with connect.connect_or_start(args) as client:
        task = client.modify(asked)
    if due:
        _say_due(task, zone)
    _put(task, as_json=args.json)
    return EXIT_OK


def _after(args: Namespace) -> api.Dependencies | None:
    """The tasks to wait for instead of those it has; None where nothing was said. Raises Refusal."""
    from ..proto import api_pb2 as api

    if args.after and args.no_after:
        raise Refusal(RefusalReason.BAD_USAGE, "both --after and --no-after are given", "give one of them")
    if not args.after and not args.no_after:
        return None
    return api.Dependencies(after=after.dependencies(args.after or []))


def _say_due(task: api.Task, zone: tzinfo) -> None:
    if task.state == TaskState.HELD:
        console.say(f"task {task.id} is held: it is not started, whatever its time")
    else:
        submit.say_due(task.id, task.due_at_us, zone)


def _put(task: api.Task, *, as_json: bool) -> None:
    if as_json:
        from ..client import as_json as plain

        console.put_json(plain.task(task))
    else:
        console.put(task.id)


def _delete(args: Namespace) -> int:
    deed = several.Deed(
        do=lambda client, task: client.delete(task), word=lambda task, _: task, plain=lambda task, _: {"deleted": task}
    )
    return several.to_each(args, deed)


def _cancel_arguments(to: parser.Parser) -> None:
    several.add_ids(to)
    to.add_argument("--grace", metavar="DUR", type=parser.grace, help="instead of the task's own; 0: kill now")


def _cancel(args: Namespace) -> int:
    deed = several.Deed(
        do=lambda client, task: client.cancel(task, grace_us=args.grace),
        word=lambda task, _: task,
        plain=several.plain_task,
    )
    return several.to_each(args, deed)


VERBS = {
    "modify": parser.Verb(arguments=_modify_arguments, run=_modify, takes_command=True),
    "delete": parser.Verb(arguments=several.add_ids, run=_delete),
    "cancel": parser.Verb(arguments=_cancel_arguments, run=_cancel),
}
