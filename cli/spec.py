"""From what was typed to what is submitted: a TaskSpec, checked, with the surroundings it was typed in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ..proto import checks
from ..proto.errors import Refusal, RefusalReason
from ..proto.values import OnLost
from . import after, connect, envfile, parser, stdin

if TYPE_CHECKING:
    from argparse import Namespace

    from ..proto import api_pb2 as api


def add_command(to: parser.Parser) -> None:
    """What to run."""
    to.add_argument("--command", metavar="LINE", help="a line for the shell, - to read it from stdin; or: -- ARGV...")


def add_options(to: parser.Parser) -> None:
    """How to run a command."""
    add_common_options(to)
    to.add_argument("--cwd", metavar="DIR", help="folder to run in; this one by default, / on another machine")
    to.add_argument("--env", metavar="K=V", action="append", help="a variable for the task; may be repeated")
    to.add_argument("--env-file", metavar="FILE", action="append", help="variables from a file: NAME=VALUE a line")
    to.add_argument("--stdin", metavar="FILE", help="file to read stdin from, - for this command's own")
    to.add_argument("--umask", metavar="OCTAL", type=parser.umask, help="file mode mask; this process's by default")


def add_common_options(to: parser.Parser) -> None:
    """How to run a command or a function."""
    to.add_argument("--id", metavar="ID", help="an id of your own: submitting the same again gives the same task")
    to.add_argument("--name", metavar="TEXT", help="free text, to be shown")
    to.add_argument("--queue", metavar="NAME", help="the queue to stand in")
    to.add_argument("--priority", metavar="N", type=parser.priority, help="higher goes first; 0 by default")
    to.add_argument("--hold", action="store_true", help="do not start it before: tsched release ID")
    after.add_flag(to)
    to.add_argument("--timeout", metavar="DUR", type=parser.timeout, help="end an attempt after this long")
    to.add_argument("--grace", metavar="DUR", type=parser.grace, help="between the polite signal and the hard one")
    to.add_argument("--retries", metavar="N", type=parser.retries, help="so many more attempts when one fails")
    to.add_argument(
        "--retry-delay", metavar="DUR", type=parser.retry_delay, help="before the second one, then doubling; 1s"
    )
    to.add_argument("--on-lost", choices=[str(word) for word in OnLost], help="when no result can be known")
    to.add_argument("--profile", metavar="NAME", help="set of limits of the configuration")


def build(args: Namespace, *, data: bytes | None) -> api.TaskSpec:
    """The specification, without when it is due. `data`: its standard input. Raises Refusal."""
    asked = surrounded(args)
    asked.command.CopyFrom(command(args))
    asked.id = own_id(args)
    if data is not None:
        asked.stdin = data
    return asked


def own_id(args: Namespace) -> str:
    """The id that was chosen; empty: none. Raises Refusal BAD_ID."""
    return "" if args.id is None else checks.check_id(args.id)


def surrounded(args: Namespace) -> api.TaskSpec:
    """The specification without what it is to do: all that tasks typed at once have in common. Raises Refusal."""
    asked = common(args)
    far = connect.is_far(args)
    asked.cwd = folder(args.cwd, far=far)
    asked.submitter_env.update(surroundings(far=far))
    asked.env.update(_asked_for(args.env_file or [], args.env or []))
    asked.umask = args.umask if args.umask is not None else own_umask()
    return asked


def common(args: Namespace) -> api.TaskSpec:
    """How a command or a function is to be run. Raises Refusal."""
    from ..proto import api_pb2 as api

    return api.TaskSpec(
        name=checks.check_name(args.name or ""),
        queue=checks.check_queue(args.queue) if args.queue is not None else "",
        hold=args.hold,
        priority=args.priority,
        timeout_us=args.timeout,
        grace_us=args.grace,
        retries=args.retries,
        retry_delay_us=args.retry_delay,
        on_lost=args.on_lost or "",
        profile=checks.check_name(args.profile or ""),
        after=after.dependencies(args.after or []),
    )


def command(args: Namespace) -> api.Command:
    """What to run, in the form it was typed. Raises Refusal BAD_COMMAND."""
    from ..proto import api_pb2 as api

    if args.command is not None and args.argv is not None:
        raise Refusal(RefusalReason.BAD_COMMAND, "both --command and -- ARGV are given", "give one of them")
    if args.command is None and args.argv is None:
        raise Refusal(RefusalReason.BAD_COMMAND, "no command is given", "end with -- ARGV..., or use --command LINE")
    if args.command is None:
        checks.check_command(None, args.argv)
        return api.Command(argv=api.Argv(args=args.argv))
    line = _line_from_stdin(args) if args.command == "-" else args.command
    checks.check_command(line, None)
    return api.Command(shell=line)


def _line_from_stdin(args: Namespace) -> str:
    if getattr(args, "stdin", None) == "-":
        raise Refusal(RefusalReason.BAD_USAGE, "--command - and --stdin - both want stdin", "name a file for one")
    try:
        return (stdin.typed("the command") or b"").decode()
    except UnicodeDecodeError:
        hint = "put such bytes into a script"
        raise Refusal(RefusalReason.BAD_COMMAND, "the command on stdin is not valid UTF-8", hint) from None


def folder(given: str | None, *, far: bool = False) -> str:
    """Where to run: the folder given, else this one; it must be there now. Raises Refusal BAD_CWD.

    `far`: on another machine, where this one is not, and only a task can see what is.
    """
    if far:
        return checks.check_cwd(checks.ROOT if given is None else given)
    try:
        path = os.getcwd() if given is None else checks.check_cwd(str(Path(given).absolute()))
    except FileNotFoundError:
        raise Refusal(RefusalReason.BAD_CWD, "this folder is gone", "change to another, or use --cwd") from None
    if not os.path.isdir(path):
        raise Refusal(RefusalReason.BAD_CWD, f"not a folder: {checks.quoted(path, 200)}", "make it first")
    return checks.check_cwd(path)


def _asked_for(files: list[str], pairs: list[str]) -> dict[str, str]:
    """Variables by name; a later file wins over an earlier one, what was typed over all."""
    variables: dict[str, str] = {}
    for path in files:
        variables |= envfile.parse(stdin.file(path) or b"", path)
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            message = f"not a variable: {checks.quoted(pair)}"
            raise Refusal(RefusalReason.BAD_ENVIRONMENT, message, "write NAME=VALUE")
        variables[name] = value
    checks.check_env(variables)
    return variables


def surroundings(*, far: bool = False) -> dict[str, str]:
    """Our environment, which the service's allow-list filters; what the protocol cannot carry is left out.

    `far`: for another machine, where only some of it means the same.
    """
    return {
        name: value
        for name, value in os.environ.items()
        if name not in checks.OWN_VARIABLES
        and (not far or checks.TRAVELS.fullmatch(name))
        and _can_be_sent(name)
        and _can_be_sent(value)
    }


def _can_be_sent(text: str) -> bool:
    try:
        return len(text.encode()) < checks.ARGUMENT_LIMIT
    except UnicodeEncodeError:
        return False


def own_umask() -> int:
    """This process's umask, which can only be read by setting it; no thread of ours makes files meanwhile."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
