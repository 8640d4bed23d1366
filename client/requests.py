"""What clients of both kinds ask for: requests made of calls and commands, in pieces that fit.

Pure, but for what a command takes over from this process: its folder, its environment, its file mode mask.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..proto import api_pb2 as api
from ..proto import endpoint
from ..proto.api_pb2 import TaskRef
from ..proto.checks import ARGUMENT_LIMIT, OWN_VARIABLES, ROOT, TASKS_LIMIT, TRAVELS
from ..proto.errors import Refusal, RefusalReason
from . import options as say
from .failures import public_errors
from .options import CallOptions
from .planning import Plan, Promise, Shape, flat
from .registry import Task
from .workflows import Node

PAGE = 1000
"""Tasks that are fetched at once for a list."""
BYTES_LIMIT = endpoint.MESSAGE_LIMIT // 2
"""Of one request of many; leaves room for what is added to each task."""


def name_of(function: Task[..., Any] | str) -> str:
    """The name by which the service knows it. Raises TypeError for a function that is no task."""
    if isinstance(function, str):
        return function
    if isinstance(function, Task):
        return function.name
    raise TypeError(f"submit takes a task or its name, not {function!r}: decorate it with @task")


def call(
    function: Task[..., Any] | str, args: Sequence[Any], kwargs: Mapping[str, Any] | None, options: CallOptions
) -> Plan:
    """A request with one call, last in it. Raises TschedError, TypeError, ValueError."""
    options = say.checked(options)
    plan = Plan()
    with public_errors():
        plan.call(name_of(function), args, kwargs or {}, options)
    return plan


def workflow(node: Node[Any]) -> tuple[Plan, Shape]:
    """A request with a whole workflow, and whose results count. Raises TschedError, TypeError, ValueError."""
    plan = Plan()
    with public_errors():
        return plan, node.into(plan)


def calls(
    function: Task[..., Any] | str, tuples: Iterable[Iterable[Any]], options: CallOptions
) -> Iterator[tuple[list[api.TaskSpec], list[int]]]:
    """Requests with a call for each tuple of arguments, and the places of those calls in them.

    Raises TypeError for options that only one task can have, and for what is no tuple of arguments.
    """
    options = say.checked(options)
    for option in say.ONE_TASK_ONLY & set(options):
        raise TypeError(f"{option} names one task, and map makes several")
    batch, places, size = Plan(), list[int](), 0
    for args in tuples:
        one = call(function, _arguments(args), None, options)
        added = sum(spec.ByteSize() for spec in one.specs)
        if places and (len(batch.specs) + len(one.specs) > TASKS_LIMIT or size + added > BYTES_LIMIT):
            yield batch.specs, places
            batch, places, size = Plan(), [], 0
        batch.join(one)
        places.append(len(batch.specs) - 1)
        size += added
    if places:
        yield batch.specs, places


def _arguments(of_one: Any) -> tuple[Any, ...]:
    """Of one call. A string, too, can be gone through; nobody means its letters."""
    if isinstance(of_one, str | bytes) or not isinstance(of_one, Iterable):
        raise TypeError(f"map takes a tuple of arguments for each call, not {of_one!r}; write ({of_one!r},)")
    return tuple(of_one)


def ids(tasks: Iterable[Promise[Any] | str]) -> list[str]:
    """Of tasks that were submitted. Raises TypeError for those that were not."""
    return ids_of([TaskRef(id=each) if isinstance(each, str) else _submitted(each) for each in tasks])


def shape(handles: Iterable[Promise[Any]]) -> list[Shape]:
    """What a list of what was submitted comes to. Raises TypeError for what was not."""
    return [_submitted(each) for each in handles]


def ids_of(shape: Shape) -> list[str]:
    """Of all that is in it."""
    return [reference.id for reference in flat(shape)]


def _submitted(promise: Promise[Any]) -> Shape:
    if isinstance(promise, Node) or not isinstance(promise, Promise):
        raise TypeError(f"only what was submitted can be waited for, not {promise!r}")
    return promise.into(Plan())


def events(after: int | None, *, follow: bool, ids: Iterable[str]) -> api.EventsRequest:
    """How events are asked for; `after` None: from now on."""
    return api.EventsRequest(after=after or 0, only_new=after is None, follow=follow, ids=ids)


def only_remote() -> Refusal:
    """What it means that something is asked for which only a running service can do."""
    message = "there is no service: tsched.testing runs functions in this process"
    return Refusal(RefusalReason.NO_SUPERVISOR, message, "use the fixture tsched_service")


def command(
    words: str | Sequence[str],
    options: CallOptions,
    *,
    cwd: str | os.PathLike[str] | None,
    env: Mapping[str, str] | None,
    stdin: bytes | str | None,
    far: bool = False,
) -> Plan:
    """A request with a command, which runs as if it was typed where this process is.

    `far`: on another machine, where this folder is not, and only some of this environment means the same.

    Raises TschedError, TypeError, ValueError.
    """
    options = say.checked(options)
    folder = os.fspath(cwd or ROOT) if far else os.path.abspath(cwd or ".")
    spec = api.TaskSpec(cwd=folder, env=env, submitter_env=_own_environment(far=far), umask=_own_umask())
    if isinstance(words, str):
        spec.command.shell = words
    else:
        spec.command.argv.args.extend(words)
    if stdin is not None:
        spec.stdin = stdin.encode() if isinstance(stdin, str) else stdin
    plan = Plan()
    with public_errors():
        plan.command(spec, options)
    return plan


def _own_environment(*, far: bool) -> dict[str, str]:
    """Our environment, which the service's allow-list filters; what the protocol cannot carry is left out."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in OWN_VARIABLES
        and (not far or TRAVELS.fullmatch(name))
        and _can_be_sent(name)
        and _can_be_sent(value)
    }


def _can_be_sent(text: str) -> bool:
    try:
        return len(text.encode()) < ARGUMENT_LIMIT
    except UnicodeEncodeError:
        return False


def _own_umask() -> int:
    """As the kernel tells it: asking for it by setting it would harm other threads."""
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1], 8) for line in lines if line.startswith("Umask:"))
