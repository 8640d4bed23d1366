"""What an executor and its function hosts tell each other, beside what it and any runner do.

Loaded by the functions' own interpreters as well: only the standard library, and plain values.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Open(NamedTuple):
    """Order, the first to a host: this is the source you run. The socket that calls come through comes along."""

    source: dict[str, Any]
    shared: bool


class Call(NamedTuple):
    """Order: call this function. Hosts of sync functions get it through the socket for calls, one at a time."""

    attempt_id: int
    task_id: str
    number: int
    max_attempts: int
    function: str
    queue: str
    timeout_us: int | None
    args: Any
    """A list of plain values; of a native function the bytes of a ListValue."""
    kwargs: dict[str, Any]


class GoOn(NamedTuple):
    """Order: what the last call wrote has been read."""


class Cancel(NamedTuple):
    """Order to a host of async functions: cancel this call."""

    attempt_id: int


class Ready(NamedTuple):
    """Report, the first of a host: it waits for calls."""


class Loaded(NamedTuple):
    """Report: the source's code is there; what ends the host from now on is a call's doing."""


class Wrote(NamedTuple):
    """Report of a host of async functions: a call has written this."""

    attempt_id: int
    stream: int
    text: str


class Progress(NamedTuple):
    """Report: how far a call is."""

    attempt_id: int
    done: float
    total: float | None
    text: str
    at_us: int


class Ended(NamedTuple):
    """Report, the last of a call: how it ended, and that nothing it started is left.

    `how` is "returned" (then `value` is the result, as proto/plain.py has it in JSON), "cancel", or a word of EndReason
    (of "retry" and "snoozed", `value` is after how many seconds). `stopped`: an order to end came first. `writes`: its
    output is still in the pipes, and the host waits for GoOn. `tired`: this host should be replaced.
    """

    attempt_id: int
    how: str
    value: Any
    message: str
    began_at_us: int
    began_mono_us: int
    at_us: int
    mono_us: int
    cpu_s: float | None
    peak_bytes: int | None
    leftovers: int
    stopped: bool
    writes: bool
    tired: bool


HostOrder = Open | Call | GoOn | Cancel
HostReport = Ready | Loaded | Wrote | Progress | Ended
HOST_TYPES = (Open, Call, GoOn, Cancel, Ready, Loaded, Wrote, Progress, Ended)
