"""What a function raises to say how it goes on: tried again, tried again at no cost, or given up.

Only the standard library, and little of it: a function's own interpreter loads this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import timedelta

LONGEST_S = 100 * 366 * 86_400.0
"""No attempt is put off for longer."""


class Retry(Exception):  # noqa: N818 - it says what shall happen
    """This attempt failed; try again after `in_` seconds, or, without a number, when the task's retries say.

    It counts: after the last of the task's retries the task has failed.
    """

    def __init__(self, in_: float | timedelta | None = None) -> None:
        """Raises ValueError for a number that is no length of time."""
        self.in_: float | None = None if in_ is None else seconds_of(in_)
        super().__init__("asked to be tried again" + ("" if self.in_ is None else f" in {self.in_:g} s"))


class Snooze(Exception):  # noqa: N818 - it says what shall happen
    """Not now: try again after so many seconds. This attempt does not count among the task's retries."""

    def __init__(self, seconds: float | timedelta) -> None:
        """Raises ValueError for a number that is no length of time."""
        self.seconds = seconds_of(seconds)
        super().__init__(f"asked to be tried again in {self.seconds:g} s")


class Cancel(Exception):  # noqa: N818 - it says what shall happen
    """There is no point in going on: the task is cancelled, not tried again, and `why` is its message."""

    def __init__(self, why: str = "") -> None:
        self.why = why
        super().__init__(why)


class Cancelled(BaseException):  # it is no error, and `except Exception` shall not hold it up
    """The task that this function runs for is being ended: clean up, and let this pass."""


def seconds_of(length: float | timedelta) -> float:
    """A length of time, a number of seconds or a timedelta, in seconds. Raises ValueError for what is none."""
    total = getattr(length, "total_seconds", None)
    value = float(total() if total else length)  # type: ignore[arg-type]  # what float() cannot take is refused by it
    if not 0 <= value <= LONGEST_S:  # NaN is not, either
        raise ValueError(f"not a length of time in seconds: {length!r}")
    return value
