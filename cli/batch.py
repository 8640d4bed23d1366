"""`run --each-line`: one task for each line of a list, submitted at once and waited for together."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from ..proto import checks, endpoint
from ..proto.errors import EXIT_CONFLICT, EXIT_OK, Refusal, RefusalReason
from ..proto.values import TaskState
from . import connect, console, lines, progress, spec, stdin
from .failures import Failures
from .stopper import Stopper

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ..client.connection import Connection
    from ..proto import api_pb2 as api

SLACK_BYTES = 65_536
"""What a message needs beside its tasks."""
TASK_BYTES = 8
"""What a task takes in a message beside its own bytes."""


class Asked(NamedTuple):
    """Tasks, the lines they are for, and what they have in common."""

    common: api.TaskSpec
    tasks: list[api.TaskSpec]
    items: list[str]


def run(args: Namespace) -> int:
    """Do what was asked for each line; the exit code."""
    asked = _asked(args)
    if not asked.items:
        return _nothing(as_json=args.json)
    if asked.common.hold:
        console.say("they are held: tsched release ID lets one go")
    with connect.connect_or_start(args) as client:
        return (_detached if args.detach else _followed)(client, asked, as_json=args.json)


def _nothing(*, as_json: bool) -> int:
    console.say("the list is empty: nothing to do")
    if as_json:
        console.put_json([])
    return EXIT_OK


def _asked(args: Namespace) -> Asked:
    """What was typed, for each line. Raises Refusal."""
    _check_usage(args)
    template = spec.command(args)
    common = spec.surrounded(args)
    if lines.ITEM in common.env:
        raise Refusal(RefusalReason.BAD_ENVIRONMENT, f"{lines.ITEM} is set for each line", "choose another name")
    items = lines.split(stdin.listed(args.each_line))
    return Asked(common=common, tasks=list(_tasks(common, template, items)), items=items)


def _check_usage(args: Namespace) -> None:
    for given, flag in ((args.id, "--id"), (args.stdin, "--stdin")):
        if given is not None:
            message = f"{flag} is for one task, --each-line makes many"
            raise Refusal(RefusalReason.BAD_USAGE, message, f"leave {flag} out")
    if args.each_line == args.command == "-":
        raise Refusal(RefusalReason.BAD_USAGE, "--each-line - and --command - both want stdin", "name a file for one")


def _tasks(common: api.TaskSpec, template: api.Command, items: Iterable[str]) -> Iterator[api.TaskSpec]:
    """A task for each line, under a key of its own. A command that is equal in all of them goes to `common`."""
    from ..client.connection import random_key
    from ..proto import api_pb2 as api

    fill = _filler(common, template)
    key = random_key()
    for number, item in enumerate(items, 1):
        task = api.TaskSpec(key=f"{key}{number:06x}", env={lines.ITEM: item})
        try:
            checks.check_env(task.env)
            fill(task, item)
        except Refusal as refusal:
            raise lines.of_line(number, refusal) from None
        yield task


def _filler(common: api.TaskSpec, template: api.Command) -> Callable[[api.TaskSpec, str], None]:
    """What puts the command for a line into its task."""
    if template.WhichOneof("form") == "argv":
        return partial(_fill_words, tuple(template.argv.args))
    lines.check_shell(template.shell)
    if lines.PLACE in template.shell:
        return partial(_fill_shell, template.shell)
    common.command.CopyFrom(template)
    return _fill_nothing if common.name else _fill_name


def _fill_words(template: Sequence[str], task: api.TaskSpec, item: str) -> None:
    args = lines.words(template, item)
    checks.check_command(None, args)
    task.command.argv.args.extend(args)


def _fill_shell(template: str, task: api.TaskSpec, item: str) -> None:
    line = lines.shell(template, item)
    checks.check_command(line, None)
    task.command.shell = line


def _fill_name(task: api.TaskSpec, item: str) -> None:
    """The line tells tasks apart whose command does not show it."""
    task.name = lines.name_of(item)


def _fill_nothing(_task: api.TaskSpec, _item: str) -> None:
    pass


def packed(common: api.TaskSpec, tasks: Iterable[api.TaskSpec], limit_bytes: int) -> Iterator[list[api.TaskSpec]]:
    """The tasks in as few messages as hold them, each of at most that length and no more tasks than are taken."""
    room = limit_bytes - SLACK_BYTES - common.ByteSize()
    batch: list[api.TaskSpec] = []
    used = 0
    for task in tasks:
        size = task.ByteSize() + TASK_BYTES
        if batch and (used + size > room or len(batch) == checks.TASKS_LIMIT):
            yield batch
            batch, used = [], 0
        batch.append(task)
        used += size
    yield batch


def _submitted(client: Connection, asked: Asked, stopper: Stopper | None = None) -> Iterator[list[api.Submitted]]:
    """Submit all, those of a message together; no more once the user wants an end."""
    count = 0
    for batch in packed(asked.common, asked.tasks, endpoint.MESSAGE_LIMIT):
        if stopper and stopper.asked:
            console.say(f"{len(asked.tasks) - count} lines were not submitted")
            return
        try:
            stored = client.submit(batch, common=asked.common)
        except Refusal:
            if count:
                console.say(f"the tasks of the first {count} lines were submitted, the others were not")
            raise
        count += len(stored)
        yield stored


def _detached(client: Connection, asked: Asked, *, as_json: bool) -> int:
    if as_json:
        from ..client import as_json as plain

        console.put_json([plain.submitted(each) for stored in _submitted(client, asked) for each in stored])
        return EXIT_OK
    for stored in _submitted(client, asked):
        for each in stored:
            console.put(each.id)
    return EXIT_OK


def _followed(client: Connection, asked: Asked, *, as_json: bool) -> int:
    with Stopper(client) as stopper:
        ids: list[str] = []
        for stored in _submitted(client, asked, stopper):
            fresh = [each.id for each in stored]
            stopper.follow(*fresh)
            ids += fresh
        waiting = _Waiting(client, dict(zip(ids, asked.items, strict=False)), stopper, as_json=as_json)
        waiting.wait()
    if as_json:
        from ..client import as_json as plain

        console.put_json_list(plain.task(waiting.kept[each]) for each in ids)
    return EXIT_OK if waiting.succeeded == len(asked.items) else EXIT_CONFLICT


class _Waiting:
    """Waits for tasks and tells of those that do not succeed; keeps them only for JSON."""

    def __init__(self, client: Connection, item_of: dict[str, str], stopper: Stopper, *, as_json: bool) -> None:
        self._client = client
        self._item_of = item_of
        self._stopper = stopper
        self._as_json = as_json
        self._failures = Failures(client)
        self.kept: dict[str, api.Task] = {}
        self.succeeded = 0

    def wait(self) -> None:
        """Until all have ended."""
        from ..client.following import follow_wait

        with progress.bar(len(self._item_of), wanted=not self._as_json) as note:
            ids, outcomes = list(self._item_of), not self._as_json
            for task in follow_wait(
                self._client, ids, timeout_us=None, on_break=console.supervisor_away, outcomes=outcomes
            ):
                self._take(task)
                note(task.state != TaskState.SUCCEEDED)
        if not self._as_json:
            self._failures.sum_up()

    def _take(self, task: api.Task) -> None:
        self._stopper.ended(task.id)
        self.succeeded += task.state == TaskState.SUCCEEDED
        if self._as_json:
            self.kept[task.id] = task
        else:
            self._failures.note(task, self._item_of[task.id], quiet=self._stopper.asked)
