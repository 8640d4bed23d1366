"""What a table of a workflow file may hold, and how its values are read. Each reader raises Wrong or a Refusal."""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..proto import checks
from ..proto.clock import SystemClock
from ..proto.errors import Refusal
from ..proto.values import OnLost
from . import parser, spec, when, zones

NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")
ONE = ("name", "id", "command", "function", "args", "kwargs", "after", "array")
"""Keys of one task, that not all can have in common."""
COMMAND_ONLY = ("cwd", "env", "umask")

Where = tuple[str, ...]
"""The keys that lead to a value."""


class Wrong(ValueError):  # noqa: N818 - it is the user's
    """What is wrong with a value: the end of a sentence that begins with its key."""


class Mistake(NamedTuple):
    """One thing that is wrong, and where."""

    where: Where
    what: str


@dataclass(slots=True)
class Mistakes:
    """All of them, as they are found."""

    found: list[Mistake] = field(default_factory=list)

    def add(self, where: Where, what: str) -> None:
        """One more."""
        self.found.append(Mistake(where, what))

    @contextmanager
    def at(self, *where: str) -> Iterator[None]:
        """What is refused within is a mistake there, and the rest is looked at all the same."""
        try:
            yield
        except Wrong as wrong:
            self.add(where, str(wrong))
        except Refusal as refusal:
            self.add(where, f"is refused: {refusal.message}" + f" ({refusal.hint})" * bool(refusal.hint))


def text(value: Any) -> str:
    """A string."""
    if not isinstance(value, str):
        raise Wrong("must be a string")
    return value


def table(value: Any) -> dict[str, Any]:
    """A table."""
    if not isinstance(value, dict):
        raise Wrong("must be a table")
    return value


def texts(value: Any) -> list[str]:
    """A list of strings; one stands for a list of one."""
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise Wrong("must be a list of strings")
    return value


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise Wrong("must be a whole number")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Wrong("must be true or false")
    return value


def _length(value: Any) -> str:
    """A length of time as the command line takes it; a number is seconds."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float(checks.AHEAD_LIMIT_US):
        return f"{value:.9f}" if isinstance(value, float) else str(value)
    if not isinstance(value, str):
        raise Wrong('must be a length of time: 90, "1h30m"')
    return value


def _on_lost(value: Any) -> str:
    with suppress(ValueError):
        return OnLost(text(value))
    raise Wrong(f"must be one of {', '.join(OnLost)}")


def variables(value: Any) -> dict[str, str]:
    """Variables by name; a whole number stands for its digits."""
    env = {name: str(each) if type(each) is int else each for name, each in table(value).items()}
    if not all(isinstance(each, str) for each in env.values()):
        raise Wrong("must hold strings")
    checks.check_env(env)
    return env


def _folder(value: Any) -> str:
    return spec.folder(os.path.expanduser(text(value)))


READERS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "queue": ("queue", lambda value: checks.check_queue(text(value))),
    "priority": ("priority", lambda value: checks.check_priority(_whole(value))),
    "timeout": ("timeout_us", lambda value: parser.timeout(_length(value))),
    "grace": ("grace_us", lambda value: parser.grace(_length(value))),
    "retries": ("retries", lambda value: checks.check_range(_whole(value), "retries", *checks.RETRIES_RANGE)),
    "retry_delay": ("retry_delay_us", lambda value: parser.retry_delay(_length(value))),
    "on_lost": ("on_lost", _on_lost),
    "profile": ("profile", lambda value: checks.check_name(text(value))),
    "hold": ("hold", _flag),
    "in": ("delay_us", lambda value: parser.delay(_length(value))),
    "cwd": ("cwd", _folder),
    "umask": ("umask", lambda value: parser.umask(text(value))),
    "env": ("env", variables),
}
"""Key -> the field of a TaskSpec, and what reads it. `at` is read by `instant`."""
COMMON = (*READERS, "at")


def instant(value: Any) -> dict[str, int]:
    """When a task is due, as the field that says it: a time as schedule --at takes it, or one of TOML's own."""
    if isinstance(value, dt.datetime | dt.date | dt.time):
        value = value.isoformat()
    if (delay_us := when.delay_us(text(value))) is not None:
        return {"delay_us": delay_us}
    return {"due_at_us": when.resolve(value, now_us=SystemClock().now_us(), zone=zones.local())}


def fields(values: dict[str, Any], where: Where, mistakes: Mistakes) -> dict[str, Any]:
    """The fields of a TaskSpec that a table sets."""
    read: dict[str, Any] = {}
    if "at" in values and "in" in values:
        mistakes.add((*where, "in"), "and at are both given")
    for key in (each for each in values if each in READERS):
        with mistakes.at(*where, key):
            name, reader = READERS[key]
            read[name] = reader(values[key])
    if "at" in values:
        with mistakes.at(*where, "at"):
            read |= instant(values["at"])
    return read


def unknown(values: dict[str, Any], known: tuple[str, ...], where: Where, mistakes: Mistakes) -> None:
    """Find keys that mean nothing."""
    for key in values:
        if key not in known:
            near = parser.nearest(key, known)
            mistakes.add(
                (*where, key), f"is unknown; {f'is {near} meant?' if near else 'there are ' + ', '.join(known)}"
            )
