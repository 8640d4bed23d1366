"""How an attempt ended, in the words that everybody shares. Decisions only."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from ..proto.values import AttemptState, EndReason


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt shall end because somebody stops it."""

    state: str
    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How an attempt ended."""

    state: str
    reason: str = ""
    message: str = ""
    exit_code: int | None = None
    signal: int | None = None


RUNNER_DIED = Verdict(
    state=AttemptState.LOST,
    reason=EndReason.RUNNER_DIED,
    message="its runner died; everything the task had started was ended",
)


def refused(reason: str, message: str, exit_code: int | None = None) -> Verdict:
    """The program was never started."""
    return Verdict(state=AttemptState.FAILED, reason=reason, message=message, exit_code=exit_code)


def stopped(ending: Ending) -> Verdict:
    """It was stopped, and what its program ended with is not known, or it never ran."""
    return Verdict(state=ending.state, reason=ending.reason, message=ending.message)


def exited(returncode: int, ending: Ending | None) -> Verdict:
    """The program ended with this code, negative for a signal; because of `ending`, if there is one."""
    code = returncode if returncode >= 0 else None
    number = -returncode if returncode < 0 else None
    if ending:
        return Verdict(state=ending.state, reason=ending.reason, message=ending.message, exit_code=code, signal=number)
    if number is not None:
        text = f"killed by {_signal_name(number)}"
        return Verdict(state=AttemptState.FAILED, reason=EndReason.SIGNAL, message=text, signal=number)
    if code:
        text = f"exit code {code}"
        return Verdict(state=AttemptState.FAILED, reason=EndReason.EXIT_CODE, message=text, exit_code=code)
    return Verdict(state=AttemptState.SUCCEEDED, exit_code=0)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
