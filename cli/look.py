"""Verbs that look: list, show, logs."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from ..proto import checks
from ..proto.clock import SystemClock
from ..proto.errors import EXIT_OK, Refusal, RefusalReason
from ..proto.values import TaskState
from . import colour, connect, console, parser, pour, views, zones

if TYPE_CHECKING:
    from argparse import Namespace

    from ..proto import api_pb2 as api

LIST_LIMIT = 100
PAGE_LIMIT = 1000
SINCE_NOTES = """WHEN is a length of time back (2h, 3 days ago), a day, which means its begin (today, monday, 22 nov,
2026-11-22), or a time as for schedule --at, the last such one (14:30, yesterday 9:00). STATE is one of {states}, or
several with commas between.""".format(states=", ".join(TaskState))


def _list_arguments(to: parser.Parser) -> None:
    to.epilog = SINCE_NOTES
    to.add_argument("--state", metavar="STATE", action="append", help="only tasks in this state; may be repeated")
    to.add_argument("--queue", metavar="NAME", help="only tasks of this queue")
    to.add_argument("--since", metavar="WHEN", help="only tasks submitted then or later: 2h, today, monday 8am")
    to.add_argument("--limit", metavar="N", type=parser.count, default=LIST_LIMIT, help="at most so many; 0: all")
    colour.add_flag(to)


def _list(args: Namespace) -> int:
    states = [_state(word) for words in args.state or [] for word in words.split(",")]
    queue = checks.check_name(args.queue or "")
    since_us = None if args.since is None else _since_us(args.since)
    with connect.connect_or_start(args) as client:
        page_size = min(PAGE_LIMIT, args.limit + 1) if args.limit else PAGE_LIMIT
        found = client.tasks(states=states, queue=queue, since_us=since_us, page_size=page_size)
        tasks = list(islice(found, args.limit or None))
        more = next(found, None) is not None
    _put_list(tasks, args)
    if more:
        console.say(f"there are more than {args.limit}; --limit 0 shows all")
    return EXIT_OK


def _since_us(text: str) -> int:
    from . import when

    return when.resolve_past(text, now_us=SystemClock().now_us(), zone=zones.local())


def _state(word: str) -> TaskState:
    try:
        return TaskState(word)
    except ValueError:
        near = parser.nearest(word, TaskState)
        hint = f"did you mean {near}?" if near else f"use {', '.join(TaskState)}"
        raise Refusal(RefusalReason.BAD_VALUE, f"no such state: {checks.quoted(word)}", hint) from None


def _put_list(tasks: list[api.Task], args: Namespace) -> None:
    if args.json:
        from ..client import as_json as plain

        console.put_json([plain.task(task) for task in tasks])
    elif tasks:
        now_us, paint = SystemClock().now_us(), colour.painter(args)
        console.put(views.tasks(tasks, now_us=now_us, columns=console.columns(), paint=paint))
    else:
        console.say("no tasks")


def _show_arguments(to: parser.Parser) -> None:
    parser.add_id(to)
    colour.add_flag(to)


def _show(args: Namespace) -> int:
    id = parser.the_id(args)  # noqa: A001 - the word of the contract
    with connect.connect_or_start(args) as client:
        task = client.get(id, result=True)
    if args.json:
        from ..client import as_json

        console.put_json(as_json.detailed(task))
    else:
        console.put(views.task(task, paint=colour.painter(args)))
    return EXIT_OK


def _logs_arguments(to: parser.Parser) -> None:
    parser.add_id(to)
    to.add_argument("-f", "--follow", action="store_true", help="go on until the task has ended")
    to.add_argument("--tail", metavar="N", type=parser.count, help="only the last N lines")
    to.add_argument("--stream", choices=["out", "err"], help="only this one")
    to.add_argument(
        "--attempt", metavar="N", type=parser.count, default=0, help="of this attempt; the newest by default"
    )


def _logs(args: Namespace) -> int:
    id = parser.the_id(args)  # noqa: A001 - the word of the contract
    with connect.connect_or_start(args) as client:
        from ..client.following import follow_logs
        from ..proto import api_pb2 as api

        request = api.LogsRequest(
            id=id, follow=args.follow, stream=args.stream or "", attempt=args.attempt, tail_lines=args.tail
        )
        for output in follow_logs(client, request, on_break=console.supervisor_away):
            _put_output(output, as_json=args.json, alone=args.stream is not None)
    return EXIT_OK


def _put_output(output: api.Output, *, as_json: bool, alone: bool) -> None:
    if as_json:
        from ..client import as_json as plain

        console.put_json(plain.output(output))
    else:
        pour.pour(output, alone=alone)


VERBS = {
    "list": parser.Verb(arguments=_list_arguments, run=_list),
    "show": parser.Verb(arguments=_show_arguments, run=_show),
    "logs": parser.Verb(arguments=_logs_arguments, run=_logs),
}
