"""How a call of a function ended, in the words its executor knows. In the function's own interpreter."""

from __future__ import annotations

import contextlib
import sys
import traceback
from typing import TYPE_CHECKING, Any, NamedTuple

from ..client.flow import Cancel, Cancelled, Retry, Snooze
from ..proto.plain import SIZE_LIMIT, NotPlainError, least_bytes, plain, to_json
from ..proto.values import EndReason
from .found import BadAnswerError, NativeError, SourceError, shortened

if TYPE_CHECKING:
    from types import TracebackType

RETURNED = "returned"
CANCEL = "cancel"
MESSAGE_CHARACTERS = 1000


class Outcome(NamedTuple):
    """The first fields of Ended."""

    how: str
    value: Any = None
    message: str = ""


class NoFunctionError(Exception):
    """The source has no function of this name."""


def returned(value: object) -> Outcome:
    """It returned this."""
    if value is None:
        return _NONE
    try:
        result = plain(value)
        if (size := least_bytes(result)) > SIZE_LIMIT:  # no frame holds any size
            text = f"what it returned takes at least {size} bytes; {SIZE_LIMIT} can be kept"
            return Outcome(EndReason.BAD_RESULT, None, text)
        return Outcome(RETURNED, to_json(result))
    except NotPlainError as error:
        return Outcome(EndReason.BAD_RESULT, None, f"what it returned cannot be sent: {_cut(str(error))}")
    except RecursionError:
        return Outcome(EndReason.BAD_RESULT, None, "what it returned cannot be sent: it contains itself")
    except BaseException as error:  # noqa: BLE001 - a mapping or a subclass of its own runs code as well
        return raised(error)


_NONE = Outcome(RETURNED)


def raised(error: BaseException) -> Outcome:  # noqa: PLR0911 - one line for each kind
    """It raised this; the traceback goes to its stderr."""
    if isinstance(error, Retry):
        return Outcome(EndReason.RETRY, error.in_, _cut(str(error)))
    if isinstance(error, Snooze):
        return Outcome(EndReason.SNOOZED, error.seconds, _cut(str(error)))
    if isinstance(error, Cancel):
        return Outcome(CANCEL, None, _cut(error.why))
    if isinstance(error, SourceError):
        return Outcome(EndReason.SOURCE_FAILED, None, _cut(str(error)))
    if isinstance(error, NoFunctionError):
        return Outcome(EndReason.NO_SUCH_FUNCTION, None, _cut(str(error)))
    if isinstance(error, BadAnswerError):
        return Outcome(EndReason.BAD_RESULT, None, f"what it returned cannot be sent: {_cut(str(error))}")
    if isinstance(error, NativeError):
        return Outcome(EndReason.RAISED, None, _cut(str(error)))
    if not isinstance(error, Cancelled):
        show(error)
    return Outcome(EndReason.RAISED, None, in_words(error))


def in_words(error: BaseException) -> str:
    """The error in one line: `ValueError: text`."""
    kind = type(error)
    known = kind.__module__ in {"builtins", "__main__"}
    name = kind.__qualname__ if known else f"{kind.__module__}.{kind.__qualname__}"
    try:
        text = " ".join(str(error).splitlines()[:1]).strip()
    except BaseException:  # noqa: BLE001 - its __str__ is the function's own code
        text = "(it cannot say what it is)"
    return _cut(f"{name}: {text}" if text else name)


def show(error: BaseException) -> None:
    """Print the traceback, from where the function's own code begins."""
    own = _without_ours(error.__traceback__)
    with contextlib.suppress(BaseException):
        traceback.print_exception(type(error), error, own, file=sys.stderr)


def _without_ours(frames: TracebackType | None) -> TracebackType | None:
    while frames is not None and frames.tb_frame.f_globals.get("__package__") == __package__:
        frames = frames.tb_next
    return frames


def _cut(text: str) -> str:
    return shortened(text, MESSAGE_CHARACTERS)
