"""Verbs that submit: run, schedule."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ..proto.clock import SystemClock
from ..proto.errors import EXIT_OK, EXIT_TSCHED_FAILED, Refusal, RefusalReason
from ..proto.values import EndReason, TaskState
from . import after, connect, console, exits, parser, pour, spec, stdin, when, zones

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable
    from datetime import tzinfo

    from ..client.connection import Connection
    from ..client.following import Event
    from ..proto import api_pb2 as api

RUN_NOTES = """The exit code is the command's own, 128+n for a signal, 1 for an end without one. The first Ctrl-C asks
the task to stop, the second kills it, the third leaves it alone. What is piped or redirected to stdin goes to the
task; an idle pipe that nobody writes to does not (--stdin - waits for it, < /dev/null gives none)."""
EACH_LINE_NOTES = """With --each-line, {} stands for the line: in ARGV as it is, in any word; where no word has it, the
line is the last word. In --command LINE it stands for the line as one quoted word. The line is in $TSCHED_ITEM too. A
line is all that stands before a newline, as for xargs -d '\\n': empty ones count, a carriage return stays. The tasks
read /dev/null; what they write is kept, not printed: tsched logs ID. The exit code is 0 when all of them succeeded,
otherwise 1. The first Ctrl-C asks all to stop, the second kills them, the third leaves them alone."""
WHEN_NOTES = """WHEN is an RFC 3339 time, 2026-11-22 14:30, 14:30, tomorrow 9:00, monday 8am, 24 dec 18:00,
now + 2 hours, in 10 minutes or @1795351104. DUR is 90, 90s, 1h30m, 0.2s, 250ms or 2d."""


def _run_arguments(to: parser.Parser) -> None:
    to.usage = "tsched run [options] (--command LINE | -- ARGV...)"
    to.epilog = f"{RUN_NOTES} {EACH_LINE_NOTES} {after.NOTES}"
    to.add_argument("-d", "--detach", action="store_true", help="do not follow it; print its id")
    to.add_argument("--each-line", metavar="FILE", help="a task for each line of a file, - for stdin: see below")
    spec.add_command(to)
    spec.add_options(to)


def _run(args: Namespace) -> int:
    if args.each_line is not None:
        from . import batch

        return batch.run(args)
    asked = spec.build(args, data=_stdin_of_run(args))
    with connect.connect_or_start(args) as client:
        return (detached if args.detach else _followed)(client, asked, as_json=args.json)


def detached(client: Connection, asked: api.TaskSpec, *, as_json: bool) -> int:
    """Submit it and print its id."""
    [submitted] = client.submit([asked])
    if submitted.state == TaskState.HELD:
        say_held(submitted.id)
    _put_submitted(submitted, as_json=as_json)
    return EXIT_OK


def _stdin_of_run(args: Namespace) -> bytes | None:
    if args.stdin is not None:
        return stdin.named(args.stdin)
    return None if args.command == "-" else stdin.inherited()


def _put_submitted(submitted: api.Submitted, *, as_json: bool) -> None:
    if as_json:
        from ..client import as_json as plain

        console.put_json(plain.submitted(submitted))
    else:
        console.put(submitted.id)


def _followed(client: Connection, asked: api.TaskSpec, *, as_json: bool) -> int:
    """Pass on all it writes; the exit code is the command's own."""
    return followed(client, asked, partial(_show, as_json=as_json))


def followed(client: Connection, asked: api.TaskSpec, show: Callable[[Event, Callable[[str], None]], int]) -> int:
    """Submit it and show what happens; the exit code is what `show` said last. Ctrl-C is meant for the task."""
    from ..client.following import follow_run
    from .stopper import Stopper

    code = EXIT_TSCHED_FAILED
    with Stopper(client) as stopper:
        try:
            for event in follow_run(client, asked, on_break=console.supervisor_away):
                code = show(event, stopper.follow)
        except BrokenPipeError:
            stopper.end("nobody reads its output any more")
            raise
        except OSError as error:
            console.say(f"cannot write its output: {error.strerror}; {stopper.what} goes on, its output is kept")
    return code


def _show(event: Event, follow: Callable[[str], None], *, as_json: bool) -> int:
    """Show what happened; the exit code as far as it is known."""
    from ..proto import api_pb2 as api

    if isinstance(event, api.Submitted):
        follow(event.id)  # first of all: a stdout that takes nothing must not hide which task it is
    if as_json:
        put_event(event)
    match event:
        case api.Submitted() if event.state == TaskState.HELD and not as_json:
            say_held(event.id)
        case api.Output() if not as_json:
            pour.pour(event)
        case api.Task():
            _say_end(event, as_json=as_json)
            return exits.code(event)
    return EXIT_TSCHED_FAILED


def put_event(event: Event) -> None:
    """Something that happened, as a JSON line."""
    from ..client import as_json
    from ..proto import api_pb2 as api

    match event:
        case api.Submitted():
            console.put_json({"submitted": as_json.submitted(event)})
        case api.Output():
            console.put_json({"output": as_json.output(event)})
        case api.Task():
            console.put_json({"ended": as_json.task(event)})


def _say_end(task: api.Task, *, as_json: bool) -> None:
    notice = exits.notice(task)
    if notice and not as_json:
        console.say(notice + _shell_hint(task))


def _shell_hint(task: api.Task) -> str:
    """What to type instead of a program's name that looks like a line for the shell."""
    words = task.command.argv.args
    if task.reason != EndReason.NOT_FOUND or not parser.shell_line(words):
        return ""
    return f" (a line for the shell? tsched run --command {parser.quoted_for_shell(words[0])})"


def _schedule_arguments(to: parser.Parser) -> None:
    to.usage = "tsched schedule [options] (- | --command LINE | -- ARGV...)"
    to.epilog = (
        f"A lone - reads the command from stdin, as at does: its lines are one shell script. {WHEN_NOTES} {after.NOTES}"
    )
    spec.add_command(to)
    add_due(to)
    spec.add_options(to)


def add_due(to: parser.Parser) -> None:
    """When a task is due."""
    to.add_argument("--at", metavar="WHEN", help="an instant: 14:30, tomorrow 9:00, 2026-11-22 14:30, now + 2 hours")
    to.add_argument("--in", dest="delay_us", metavar="DUR", type=parser.delay, help="a length of time from now: 1h30m")
    to.add_argument("--tz", metavar="ZONE", help="the zone of --at, as Europe/Berlin; this place's by default")


def _schedule(args: Namespace) -> int:
    zone, due = due_of(args)
    asked = spec.build(args, data=None if args.stdin is None else stdin.named(args.stdin))
    return for_a_time(args, asked, due, zone)


def for_a_time(args: Namespace, asked: api.TaskSpec, due: dict[str, int], zone: tzinfo) -> int:
    """Submit it for when it is due, tell the instant that was understood, and print its id."""
    for field, value_us in due.items():
        setattr(asked, field, value_us)
    with connect.connect_or_start(args, lasting=True) as client:
        submitted = client.submit([asked])[0]
    held = submitted.state == TaskState.HELD
    if held:
        say_held(submitted.id)
    if due or not held:
        say_due(submitted.id, submitted.due_at_us, zone)
    _put_submitted(submitted, as_json=args.json)
    return EXIT_OK


def due_of(args: Namespace) -> tuple[tzinfo, dict[str, int]]:
    """The zone to show times in, and the field that says when a task is due, none when at once. Raises Refusal."""
    if args.at is not None and args.delay_us is not None:
        raise Refusal(RefusalReason.BAD_USAGE, "both --at and --in are given", "give one of them")
    zone = zones.named(args.tz) if args.tz is not None else zones.local() if args.at else zones.local_or_utc()
    if args.at is not None:
        if (delay_us := when.delay_us(args.at)) is not None:
            return zone, {"delay_us": delay_us}
        return zone, {"due_at_us": when.resolve(args.at, now_us=SystemClock().now_us(), zone=zone)}
    return zone, {} if args.delay_us is None else {"delay_us": args.delay_us}


def say_due(id: str, due_at_us: int, zone: tzinfo) -> None:  # noqa: A002 - the word of the contract
    """Tell the instant that was understood."""
    console.say(f"task {id} is due {when.echo(due_at_us, now_us=SystemClock().now_us(), zone=zone)}")


def say_held(id: str) -> None:  # noqa: A002 - the word of the contract
    """Tell what lets a held task go."""
    console.say(f"task {id} is held: tsched release {id} lets it go")


VERBS = {
    "run": parser.Verb(arguments=_run_arguments, run=_run, takes_command=True),
    "schedule": parser.Verb(arguments=_schedule_arguments, run=_schedule, takes_command=True, takes_dash=True),
}
