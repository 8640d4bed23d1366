"""What a function may know of the task it runs for, and say about it: `current()`.

Only the standard library, and little of it: a function's own interpreter loads this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple

from .flow import Cancelled

if TYPE_CHECKING:
    from datetime import datetime


class Context(NamedTuple):
    """The attempt that runs here."""

    id: str
    """Of the task."""
    attempt: int
    """Its number, from 1."""
    max_attempts: int
    function: str
    queue: str
    deadline_us: int | None
    """When the attempt's time is over, in microseconds since 1970; None: never."""
    report: Callable[[float, float | None, str], None]
    """Takes done, total and text; the newest one counts."""
    cancelled: Callable[[], bool]
    """Whether the attempt is being ended."""

    @property
    def deadline(self) -> datetime | None:
        """When the attempt's time is over, as an aware instant; None: never."""
        if self.deadline_us is None:
            return None
        from datetime import UTC, datetime, timedelta  # noqa: PLC0415 - few functions ask

        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=self.deadline_us)

    def progress(self, done: float, text: str = "", *, total: float | None = 100.0) -> None:
        """Say how far the work is: `progress(40, "rows")`. What comes too often, or is no number, is passed over."""
        if _is_number(done):
            self.report(float(done), float(total) if total is not None and _is_number(total) else None, text)

    def check(self) -> None:
        """Raise Cancelled when the attempt is being ended; for loops that can be left at a good place only."""
        if self.cancelled():
            raise Cancelled(f"task {self.id} is being ended")


def _is_number(value: float) -> bool:
    return value == value  # noqa: PLR0124 - of all, a NaN alone is unlike itself


_CURRENT: ContextVar[Context] = ContextVar("tsched_task")


def current() -> Context:
    """The task this code runs for. Raises RuntimeError where it runs for none, as in a thread of the function's own."""
    try:
        return _CURRENT.get()
    except LookupError:
        raise RuntimeError("no task runs here: current() is for functions that tsched runs") from None


@contextmanager
def entered(context: Context) -> Iterator[Context]:
    """Let this be the current task within the block, and in what it starts or awaits."""
    token = _CURRENT.set(context)
    try:
        yield context
    finally:
        _CURRENT.reset(token)
