"""The verb that waits: wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..proto import checks
from ..proto.errors import EXIT_CONFLICT, EXIT_OK, Refusal, RefusalReason
from ..proto.values import TaskState
from . import connect, console, exits, parser, progress
from .failures import Failures

if TYPE_CHECKING:
    from argparse import Namespace

    from ..proto import api_pb2 as api


def _wait_arguments(to: parser.Parser) -> None:
    to.add_argument("ids", nargs="*", metavar="ID", help="the tasks")
    to.add_argument("--id", dest="id_flags", metavar="ID", action="append", help="the same as ID; may be repeated")
    to.add_argument("--timeout", metavar="DUR", type=parser.limit, help="give up after this long, with exit code 124")


def _wait(args: Namespace) -> int:
    ids = list(dict.fromkeys(map(checks.check_reference, [*args.ids, *(args.id_flags or [])])))
    if not ids:
        raise Refusal(RefusalReason.BAD_USAGE, "which tasks?", "give at least one ID")
    codes = _waited(args, ids)
    if len(ids) == 1:
        return codes[0]
    return EXIT_CONFLICT if any(codes) else EXIT_OK


def _waited(args: Namespace, ids: list[str]) -> list[int]:
    """Their exit codes as they end, each shown."""
    with connect.connect_or_start(args) as client:
        from ..client.following import follow_wait

        failures, codes = Failures(client), []
        alone = len(ids) == 1
        with (
            progress.bar(len(ids), wanted=not args.json) as note,
            progress.of_task(wanted=alone and not args.json) as tell,
        ):
            # Of one alone all is asked for: whether it is a function decides about the exit code.
            outcomes = not (args.json or alone)
            for task in follow_wait(
                client,
                ids,
                timeout_us=args.timeout,
                on_break=console.supervisor_away,
                outcomes=outcomes,
                results=args.json,
                on_progress=tell,
            ):
                _put_ended(task, as_json=args.json)
                if not args.json:
                    failures.note(task)
                codes.append(exits.code(task))
                note(task.state != TaskState.SUCCEEDED)
        if not args.json:
            failures.sum_up()
    return codes


def _put_ended(task: api.Task, *, as_json: bool) -> None:
    if as_json:
        from ..client import as_json as plain

        console.put_json(plain.task(task))
    else:
        why = exits.result(task)
        console.put(f"{task.id} {task.state} {why if why != task.state else ''}".rstrip())


VERBS = {
    "wait": parser.Verb(arguments=_wait_arguments, run=_wait),
}
