"""What may be said about one call or command, and how that is written on the wire. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from ..proto import api_pb2 as api
from ..proto.clock import SECOND_US
from ..proto.values import Condition
from .flow import seconds_of

if TYPE_CHECKING:
    from .planning import Promise

Seconds = float | timedelta
Ended = Literal["ok", "fail", "any"]


class CallOptions(TypedDict, total=False):
    """About one call; what is not said is as the function's author chose, else as the service is configured."""

    id: str
    """An id of your own: submitting the same again gives the same task; something else under it is refused."""
    key: str
    """Of this submission: repeating it with its key gives the same task, whatever became of that."""
    name: str
    """Free text, to be shown."""
    queue: str
    priority: int
    """Higher goes first."""
    delay: Seconds
    """Not before this long after the service has it."""
    at: datetime
    """Not before this instant; without a time zone it is local time."""
    after: Iterable[str | Promise[Any] | tuple[str | Promise[Any], Ended]] | str | Promise[Any]
    """A task (handle, or id) or several that have to end well before; (task, "fail" | "any"): otherwise, or anyhow."""
    hold: bool
    """It waits until it is released."""
    timeout: Seconds
    """Of one attempt, from its start."""
    grace: Seconds
    """Between the polite end of an attempt and the hard one."""
    retries: int
    """Further attempts after one that failed or timed out."""
    retry_delay: Seconds
    """Before the second attempt; doubles with each further one, to at most an hour."""
    on_lost: Literal["fail", "retry", "hold"]
    """What becomes of it when no result can be known, because its executor died."""
    profile: str
    """Set of limits of the configuration."""


NAMES = frozenset(CallOptions.__annotations__)
_CONDITIONS = tuple(Condition)
ONE_TASK_ONLY = frozenset({"id", "key"})
_AS_THEY_ARE = ("id", "key", "name", "queue", "priority", "hold", "retries", "on_lost", "profile")
_LENGTHS = {"timeout": "timeout_us", "grace": "grace_us", "retry_delay": "retry_delay_us", "delay": "delay_us"}


def checked(options: CallOptions) -> CallOptions:
    """The options, to be used for any number of calls: what `after` names can be gone through again.

    Raises TypeError for what is no option, or for two that contradict each other.
    """
    unknown = sorted(set(options) - NAMES)
    if unknown:
        raise TypeError(f"no such option: {unknown[0]!r}; there are {', '.join(sorted(NAMES))}")
    if "delay" in options and "at" in options:
        raise TypeError("a task is due by delay or by at, not by both")
    return {**options, "after": _named(options["after"])} if options.get("after") is not None else options


def described(options: CallOptions) -> api.TaskSpec:
    """The options but `after`, which may name tasks of the same request. Raises TypeError, ValueError."""
    given: Mapping[str, Any] = {name: value for name, value in options.items() if value is not None}
    spec = api.TaskSpec()
    for name in (each for each in _AS_THEY_ARE if each in given):
        _set(spec, name, given[name])
    for name, field in _LENGTHS.items():
        if name in given:
            setattr(spec, field, microseconds(given[name]))
    if "at" in given:
        spec.due_at_us = instant_us(given["at"])
    return spec


def parents(options: CallOptions) -> list[tuple[str | Promise[Any], str]]:
    """What `after` names, with how each has to end. Raises ValueError."""
    return [_parent(one) for one in _named(options.get("after"))]


def _set(spec: api.TaskSpec, name: str, value: Any) -> None:
    """Raises TypeError, ValueError, with the option's name."""
    try:
        setattr(spec, name, value)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name} cannot be {value!r}: {error}") from None


def _named(after: Any) -> tuple[Any, ...]:
    """What `after` names, one by one; it may be one task, or one with how that has to end."""
    if after is None:
        return ()
    if _is_pair(after) or isinstance(after, str) or not isinstance(after, Iterable):
        return (after,)
    return tuple(after)


def _parent(named: Any) -> tuple[Any, str]:
    if not isinstance(named, tuple):
        return named, Condition.OK
    if not _is_pair(named):
        raise ValueError(f'not a task and "ok", "fail" or "any": {named!r}')
    return named[0], str(named[1])


def _is_pair(named: Any) -> bool:
    """Whether it is a task with how that has to end."""
    return isinstance(named, tuple) and len(named) == 2 and named[1] in _CONDITIONS  # noqa: PLR2004 - a pair


def microseconds(length: Seconds) -> int:
    """A length of time on the wire. Raises ValueError for what is none."""
    return round(seconds_of(length) * SECOND_US)


def limit_us(length: Seconds | None) -> int | None:
    """A length of time on the wire, None where there is none."""
    return None if length is None else microseconds(length)


def instant_us(at: datetime) -> int:
    """An instant on the wire; without a time zone it is local time."""
    return round(at.timestamp() * SECOND_US)
