"""The verb that submits tasks which wait for each other, from one file, all of them or none: submit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..proto import checks
from ..proto.errors import EXIT_OK, EXIT_USAGE, Refusal, RefusalReason
from . import connect, console, parser, spec, stdin, table, toml_lines, views

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from ..client.as_json import Json
    from ..proto import api_pb2 as api
    from .workflow_keys import Mistake
    from .workflow_task import Task

FILE_LIMIT = 4 * 1024 * 1024
PARENTS_SHOWN = 4
NOTES = """FILE is TOML. [tasks.NAME] has a command (a line for the shell, or a list of words), or a function with args
and kwargs, in which { result_of = "NAME" } is what another task returned. after = ["NAME", "NAME:fail", "NAME:any",
"id:ID"] are tasks that have to end first. array = 10, or a list, makes NAME.0, NAME.1 and so on, with {item} and
{index} in its words, and TSCHED_ITEM for commands; who names NAME means all of them. Further keys, which [defaults]
may have for all: queue, priority, timeout, grace, retries, retry_delay, on_lost, profile, hold, at, in, and for
commands cwd, env, umask. All tasks are submitted or none; what is wrong with the file is told at once, with its lines.
Prints each name with the id that it was given."""


def _arguments(to: parser.Parser) -> None:
    to.epilog = NOTES
    to.add_argument("file", metavar="FILE", help="the tasks, as TOML; - for stdin")
    to.add_argument("--dry-run", action="store_true", help="show what would be submitted")


def _submit(args: Namespace) -> int:
    from .workflow_keys import Mistakes
    from .workflow_plan import plan

    text = _text(args.file)
    mistakes = Mistakes()
    tasks = plan(_values(text, args.file), mistakes)
    if mistakes.found:
        return _refused(mistakes.found, text, args)
    if args.dry_run:
        _put_plan(tasks, as_json=args.json)
        return EXIT_OK
    far = connect.is_far(args)
    _settle(tasks, far=far)
    with connect.connect_or_start(args) as client:
        submitted = client.submit([each.spec for each in tasks], common=_common(far=far))
    _put(tasks, submitted, as_json=args.json)
    return EXIT_OK


def _common(*, far: bool) -> api.TaskSpec:
    """The variables that the service's allow-list lets through to all."""
    from ..proto import api_pb2 as api

    return api.TaskSpec(submitter_env=spec.surroundings(far=far))


def _settle(tasks: Sequence[Task], *, far: bool) -> None:
    """Have commands run where and as those of run do; a function has no place."""
    cwd, umask = spec.folder(None, far=far), spec.own_umask()
    for asked in (each.spec for each in tasks if each.spec.HasField("command")):
        asked.cwd = asked.cwd or cwd
        asked.umask = asked.umask if asked.HasField("umask") else umask


def _text(path: str) -> str:
    data = stdin.typed("the tasks", _check_size) if path == "-" else stdin.file(path, _check_size)
    try:
        return (data or b"").decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = (data or b"").count(b"\n", 0, error.start) + 1
        raise Refusal(RefusalReason.BAD_USAGE, f"{_shown(path)}: line {line} is not UTF-8", "TOML is UTF-8") from None


def _check_size(data: bytearray) -> None:
    if len(data) > FILE_LIMIT:
        raise Refusal(RefusalReason.TOO_LARGE, f"the file is longer than {FILE_LIMIT} bytes", "use arrays, or split it")


def _shown(path: str) -> str:
    return "stdin" if path == "-" else checks.quoted(path, 200).strip("'")


def _values(text: str, path: str) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text)
    except RecursionError:
        why = "it is nested too deeply"
    except ValueError as error:  # of tomllib, or of a number with more digits than Python reads
        why = str(error)
    raise Refusal(RefusalReason.BAD_USAGE, f"{_shown(path)}: {why}", "see tsched submit --help")


def _refused(found: Sequence[Mistake], text: str, args: Namespace) -> int:
    """Tell all that is wrong, in the order of the file."""
    lines = toml_lines.of_keys(text)
    told = sorted({(toml_lines.line_of(lines, each.where), ".".join(each.where), each.what) for each in found})
    if args.json:
        line, key, what = told[0]
        error = Refusal(RefusalReason.BAD_USAGE, f"{_shown(args.file)}: line {line}: {key} {what}")
        mistakes = [{"line": line, "key": key, "message": what} for line, key, what in told]
        console.put_json({"error": console.error_of(error), "mistakes": mistakes})
    else:
        for line, key, what in told:
            console.say(f"{_shown(args.file)}: line {line}: {key} {what}")
    return EXIT_USAGE


def _put_plan(tasks: Sequence[Task], *, as_json: bool) -> None:
    from ..client import doing

    shown = [_task(tasks, each) for each in tasks]
    if as_json:
        console.put_json([_json(each, task) for each, task in zip(tasks, shown, strict=True)])
        return
    rows = [[each.name, _after(task), doing.work(task)] for each, task in zip(tasks, shown, strict=True)]
    console.put(table.render(("NAME", "AFTER", "COMMAND"), rows, console.columns()))


def _task(tasks: Sequence[Task], planned: Task) -> api.Task:
    """The task as it would be shown, names in place of ids."""
    from ..proto import api_pb2 as api

    shown = api.Task(name=planned.spec.name)
    if planned.spec.HasField("call"):
        shown.call.CopyFrom(planned.spec.call)
    else:
        shown.command.CopyFrom(planned.spec.command)
    for key, parent in planned.parents.items():
        named = f"id:{key}" if isinstance(key, str) else tasks[key].name
        shown.after.add(id=named, condition=parent.condition)
    return shown


def _after(task: api.Task) -> str:
    named = [views.condition(each.id, each.condition) for each in task.after]
    more = len(named) - PARENTS_SHOWN
    return ", ".join(named[:PARENTS_SHOWN] + [f"{more} more"] * (more > 0))


def _json(planned: Task, task: api.Task) -> Json:
    """What would be submitted; what the file does not say is left out."""
    from ..client import as_json, doing

    asked = planned.spec
    said: Json = {"task": planned.name, **doing.doing(task)}
    said["after"] = [{"task": each.id, "condition": each.condition} for each in task.after]
    said |= {
        key: getattr(asked, key) for key in ("id", "name", "queue", "on_lost", "profile", "cwd") if getattr(asked, key)
    }
    said |= {key: getattr(asked, key) for key in ("priority", "retries") if asked.HasField(key)}
    for key in ("timeout", "grace", "retry_delay", "delay"):
        if asked.HasField(f"{key}_us"):
            said[f"{key}_s"] = as_json.seconds(getattr(asked, f"{key}_us"))
    if asked.HasField("due_at_us"):
        said["due_at"] = as_json.instant(asked.due_at_us)
    return said | {"hold": asked.hold, "env": dict(sorted(asked.env.items()))}


def _put(tasks: Sequence[Task], submitted: Sequence[api.Submitted], *, as_json: bool) -> None:
    from ..client import as_json as plain

    pairs = list(zip(tasks, submitted, strict=True))
    if as_json:
        console.put_json([{"task": task.name, **plain.submitted(each)} for task, each in pairs])
        return
    rows = [[task.name, each.id, each.state] for task, each in pairs]
    console.put(table.render(("NAME", "ID", "STATE"), rows, console.columns()))


VERBS = {"submit": parser.Verb(arguments=_arguments, run=_submit)}
