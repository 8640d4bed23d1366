"""What this library raises: one family, TschedError. Loads nothing heavy."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from contextlib import contextmanager

from ..proto.errors import Refusal, RefusalReason


class TschedError(Exception):
    """Something is not possible.

    `reason` is one word of a closed set (proto/errors.py), `message` one line that names the object, `hint` the remedy,
    or empty.
    """

    def __init__(self, reason: str, message: str, hint: str = "") -> None:
        super().__init__(str(reason), message, hint)
        self.reason = str(reason)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class TimeoutError(TschedError, builtins.TimeoutError):  # noqa: A001 - it is one
    """It did not happen in the time that was given; it still may."""


class TaskFailed(TschedError):  # noqa: N818 - the task did, not we
    """A task ended otherwise than well: there is no result.

    `state`: failed, cancelled or skipped. `reason`: why, one word (proto/values.py EndReason). `message`: of a function
    that raised, what: "ValueError: no such user". `exit_code` and `signal`: of a command, or a process that died.
    """

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        id: str = "",  # noqa: A002 - it is called id everywhere
        state: str = "failed",
        exit_code: int | None = None,
        signal: int | None = None,
    ) -> None:
        super().__init__(reason, message)
        self.id = id
        self.state = state
        self.exit_code = exit_code
        self.signal = signal

    def __str__(self) -> str:
        why = ": ".join(filter(None, (self.reason, self.message)))
        return f"task {self.id} {self.state}" + (f" ({why})" if why else "")

    def __reduce__(self) -> tuple[object, ...]:
        kind, about = type(self), self.__dict__
        return kind, (self.reason, self.message), about


def error_of(refusal: Refusal) -> TschedError:
    """The error that users see."""
    kind = TimeoutError if refusal.reason is RefusalReason.WAIT_TIMEOUT else TschedError
    return kind(refusal.reason, refusal.message, refusal.hint)


@contextmanager
def public_errors() -> Iterator[None]:
    """Refusals of what is done within become errors that users see."""
    try:
        yield
    except Refusal as refusal:
        raise error_of(refusal) from None
