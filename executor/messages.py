"""What an executor and its runners tell each other. A runner serves one task at a time.

Orders go to the runner, reports come back. `mono_us` is the monotonic clock, which both read alike.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .host_messages import HOST_TYPES, HostOrder, HostReport


class Setup(NamedTuple):
    """Order, the first: become a runner of this profile, as long as this executor lives.

    `host`: then go on as this program, a function host; empty: as what you are. `uid`: as this user; None: as who you
    are.
    """

    executor_pid: int
    profile: dict[str, Any]
    host: list[str]
    uid: int | None = None


class Run(NamedTuple):
    """Order: start this program. stdout, stderr and, when `stdin`, stdin before them come along as descriptors."""

    attempt_id: int
    argv: list[str]
    cwd: str
    env: dict[str, str]
    umask: int
    stdin: bool


class Term(NamedTuple):
    """Order: ask the task's process group to end. Answered by Stopping, unless the task ended before."""

    attempt_id: int


class Kill(NamedTuple):
    """Order: end everything the task started, now. Answered by Stopping, then Exited."""

    attempt_id: int


class Pause(NamedTuple):
    """Order: have everything the task started stand still, or go on. Answered by Paused, unless the task has ended."""

    attempt_id: int
    on: bool


class Up(NamedTuple):
    """Report, the first: the runner is ready. `mount_namespace` is 0 when it has none of its own."""

    pid: int
    start_ticks: int
    mount_namespace: int
    notes: list[str]


class Unfit(NamedTuple):
    """Report instead of Up: it cannot become what it was to be, and ends."""

    message: str


class Started(NamedTuple):
    """Report: the program runs, and did not before `at_us`. Of one that ended at once, Exited alone tells."""

    attempt_id: int
    pid: int
    start_ticks: int
    at_us: int
    mono_us: int


class Refused(NamedTuple):
    """Report: the program could not be started; nothing of it is left."""

    attempt_id: int
    reason: str
    message: str
    exit_code: int | None
    at_us: int


class Stopping(NamedTuple):
    """Report: the order to end the task is being carried out."""

    attempt_id: int


class Paused(NamedTuple):
    """Report: this is how it is, and has been since then. A task that cannot be paused is not `on`.

    `answer`: to an order; else it has changed by itself.
    """

    attempt_id: int
    on: bool
    at_us: int
    mono_us: int
    answer: bool = True


class Beyond(NamedTuple):
    """Report: something that the task started is another user's by now, and not ours to end."""

    attempt_id: int


class Exited(NamedTuple):
    """Report, the last of a task: its program ended at `at_us`, and nothing it started is left.

    `pid` and `began_` are those of Started. `returncode` is negative for a signal. `stopped`: an order to end came
    first. `leftovers`: so many processes outlived the program and were killed. `peak_bytes` is unknown when it is not
    above what the runner itself once used. `tired`: this runner should be replaced.
    """

    attempt_id: int
    pid: int
    began_at_us: int
    began_mono_us: int
    returncode: int
    at_us: int
    mono_us: int
    cpu_s: float
    peak_bytes: int | None
    leftovers: int
    stopped: bool
    tired: bool


Order = Setup | Run | Term | Kill | Pause | HostOrder
Report = Up | Unfit | Started | Refused | Stopping | Paused | Beyond | Exited | HostReport
Message = Order | Report

TYPES: dict[str, Any] = {
    kind.__name__: kind
    for kind in (
        Setup,
        Run,
        Term,
        Kill,
        Pause,
        Up,
        Unfit,
        Started,
        Refused,
        Stopping,
        Paused,
        Beyond,
        Exited,
        *HOST_TYPES,
    )
}
