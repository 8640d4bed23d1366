"""How an attempt ended, in the words that everybody shares. Decisions only."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from ..proto.values import AttemptState, EndReason

EXIT_CUT_OFF = 71
"""What a function host exits with when a call closed the descriptors that lead to the executor."""


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
    result: bytes | None = None
    """What a function returned, as a google.protobuf.Any."""
    again_in_us: int | None = None
    """It shall be tried again after so long; None: it did not say."""
    snoozed: bool = False
    """And this attempt does not count."""


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


def called(how: str, message: str, result: bytes | None, again_in_us: int | None) -> Verdict:
    """A function ended in this way: "returned", "cancel", or a word of EndReason."""
    if how == "returned":
        return Verdict(state=AttemptState.SUCCEEDED, result=result)
    if how == "cancel":
        return Verdict(state=AttemptState.CANCELLED, reason=EndReason.CANCELLED, message=message)
    snoozed = how == EndReason.SNOOZED
    return Verdict(state=AttemptState.FAILED, reason=how, message=message, again_in_us=again_in_us, snoozed=snoozed)


def host_ended(returncode: int) -> Verdict:
    """A function ended the process it ran in."""
    if returncode < 0:
        return exited(returncode, None)
    if returncode == EXIT_CUT_OFF:
        text = "it closed descriptors that are not its own, so that nobody learned what it returned"
    else:
        text = f"ended its process with exit code {returncode} instead of returning"
    return Verdict(state=AttemptState.FAILED, reason=EndReason.EXIT_CODE, message=text, exit_code=returncode)


def bad_arguments(problem: str) -> Verdict:
    """What it is called with cannot be passed on."""
    return refused(EndReason.BAD_ARGUMENTS, f"its arguments cannot be passed on: {problem}")


def not_started(source: str, returncode: int, said: str) -> Verdict:
    """The interpreter of the source ended before it could load anything."""
    how = f"was {exited(returncode, None).message}" if returncode < 0 else f"ended with exit code {returncode}"
    text = f"the interpreter for {source} {how}" + (f": {said[-500:]}" if said else "")
    return refused(EndReason.SOURCE_FAILED, text)


def not_loaded(source: str, returncode: int) -> Verdict:
    """The process ended while the code was being loaded."""
    how = f"was {exited(returncode, None).message}" if returncode < 0 else f"ended with exit code {returncode}"
    text = f"the process that loads the code of {source} {how}"
    return Verdict(state=AttemptState.FAILED, reason=EndReason.SOURCE_FAILED, message=text)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
