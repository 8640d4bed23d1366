"""A profile, applied to the process that everything else will inherit it from.

What the machine or the privileges do not allow is left as it is and named: a limit that is lower than wanted already is
no reason not to run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil

from ..proto.profiles import LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..proto.profiles import Profile

_IO_CLASSES = {
    "idle": psutil.IOPRIO_CLASS_IDLE,
    "best_effort": psutil.IOPRIO_CLASS_BE,
    "realtime": psutil.IOPRIO_CLASS_RT,
}


def apply(profile: Profile) -> list[str]:
    """Take on niceness, io class, affinity and limits of the profile; returns what could not be had."""
    me = psutil.Process()
    steps: list[tuple[str, Callable[[], None]]] = [
        ("nice", lambda: _nice(me, profile.nice)),
        ("io_class", lambda: _io(me, profile)),
        ("cpu_affinity", lambda: _affinity(me, profile.cpu_affinity)),
        *((name, lambda name=name, value=value: _limit(me, name, value)) for name, value in profile.limits.items()),
    ]
    return [note for name, step in steps if (note := _attempt(name, step))]


def _attempt(name: str, step: Callable[[], None]) -> str:
    try:
        step()
    except (psutil.Error, OSError, ValueError) as error:
        return f"{name}: {error}"
    return ""


def _nice(me: psutil.Process, wanted: int) -> None:
    current = me.nice()
    if wanted > current:
        me.nice(wanted)


def _io(me: psutil.Process, profile: Profile) -> None:
    if profile.io_class == "none":
        return
    io_class = _IO_CLASSES[profile.io_class]
    me.ionice(io_class, None if profile.io_class == "idle" else profile.io_level)


def _affinity(me: psutil.Process, wanted: tuple[int, ...]) -> None:
    if not wanted:
        return
    allowed = sorted(set(wanted) & set(me.cpu_affinity()))
    if not allowed:
        raise ValueError(f"none of the processors {list(wanted)} may be used")
    me.cpu_affinity(allowed)


def _limit(me: psutil.Process, name: str, wanted: int) -> None:
    resource = getattr(psutil, LIMITS[name])
    hard = me.rlimit(resource)[1]
    value = wanted if hard == psutil.RLIM_INFINITY else min(wanted, hard)
    me.rlimit(resource, (value, value))
