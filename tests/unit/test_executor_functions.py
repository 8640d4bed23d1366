"""The small parts of function hosts: how a call ended in words, what a host may say, how a call is ended."""

from __future__ import annotations

import math
import os
from typing import Any

import pytest

from tsched.client.flow import Cancel, Retry, Snooze
from tsched.executor import host, verdict
from tsched.executor.found import BadAnswerError, NativeError, SourceError
from tsched.executor.frames import MOST_BYTES, ORDERS, REPORTS, FrameError, Unpacker, pack
from tsched.executor.host_async import Writer
from tsched.executor.host_messages import Call, Ended, Progress, Wrote
from tsched.executor.messages import Up
from tsched.executor.outcome import NoFunctionError, Outcome, in_words, raised, returned
from tsched.executor.sanity import sane
from tsched.executor.stop import Fall
from tsched.proto.plain import SIZE_LIMIT, NotPlainError, from_json

ENDED = Ended(1, "returned", 3, "", 4, 5, 6, 7, 0.1, None, 0, stopped=False, writes=False, tired=False)


class OddError(Exception):
    """One whose text runs code."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


class LeavingError(Exception):
    """One whose text leaves."""

    def __str__(self) -> str:
        raise SystemExit(3)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("text"), "ValueError: text"),
        (KeyError("key"), "KeyError: 'key'"),
        (MemoryError(), "MemoryError"),
        (SystemExit(3), "SystemExit: 3"),
        (ValueError("first\nsecond"), "ValueError: first"),
        (OddError(), f"{OddError.__module__}.OddError: (it cannot say what it is)"),
        (LeavingError(), f"{LeavingError.__module__}.LeavingError: (it cannot say what it is)"),
        (ValueError("\ud800"), "ValueError: ?"),
        (ValueError("x" * 5000), f"ValueError: {'x' * 985}..."),
    ],
)
def test_an_error_is_said_in_one_line(error: BaseException, words: str) -> None:
    assert in_words(error) == words


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (Retry(), Outcome("retry", None, "asked to be tried again")),
        (Retry(1.5), Outcome("retry", 1.5, "asked to be tried again in 1.5 s")),
        (Snooze(2), Outcome("snoozed", 2.0, "asked to be tried again in 2 s")),
        (Cancel("why"), Outcome("cancel", None, "why")),
        (SourceError("gone"), Outcome("source_failed", None, "gone")),
        (NoFunctionError("none"), Outcome("no_such_function", None, "none")),
        (NativeError("its own words"), Outcome("raised", None, "its own words")),
        (BadAnswerError("NULL"), Outcome("bad_result", None, "what it returned cannot be sent: NULL")),
    ],
)
def test_some_errors_say_how_it_goes_on(error: BaseException, outcome: Outcome) -> None:
    assert raised(error) == outcome


def test_a_result_is_made_ready_to_be_sent() -> None:
    assert returned((1, b"\0", math.nan)) == Outcome("returned", [1, {"@bytes": "AA=="}, {"@float": "nan"}])
    assert returned({"a": [None, b"x" * SIZE_LIMIT]}) == Outcome(
        "bad_result", None, "what it returned takes at least 4194311 bytes; 4194304 can be kept"
    )
    assert returned(object()) == Outcome(
        "bad_result", None, "what it returned cannot be sent: a value of type object cannot be sent"
    )


@pytest.mark.parametrize(
    "report",
    [
        ENDED,
        ENDED._replace(how="retry", value=None),
        ENDED._replace(how="snoozed", value=2.5),
        Wrote(1, 2, "\udcff"),
        Progress(1, 2.0, None, "text", 3),
        Progress(1, math.inf, 5, "text", 3),
    ],
)
def test_what_a_host_says_is_taken(report: Any) -> None:
    assert sane(report)


@pytest.mark.parametrize(
    "report",
    [
        ENDED._replace(how="won"),
        ENDED._replace(how=["returned"]),
        ENDED._replace(attempt_id="1"),
        ENDED._replace(at_us=-1),
        ENDED._replace(mono_us=2**70),
        ENDED._replace(cpu_s="much"),
        ENDED._replace(leftovers=True),
        ENDED._replace(leftovers=2**40),
        ENDED._replace(message=None),
        ENDED._replace(message="\ud800"),
        ENDED._replace(message="x" * 2**20),
        ENDED._replace(how="retry", value="soon"),
        ENDED._replace(how="retry", value=math.nan),
        ENDED._replace(how="snoozed", value=-1),
        Wrote(1, 3, "x"),
        Wrote(1, 1, 5),
        ENDED._replace(cpu_s=-1.0),
        ENDED._replace(cpu_s=math.nan),
        ENDED._replace(how="retry", value=10**400),
        Progress(1, math.nan, None, "", 0),
        Progress(1, 1.0, math.nan, "", 0),
        Progress(1, 10**400, None, "", 0),
        Up(1, 1, 1, [2]),
        ENDED._replace(at_us=2**61),
        Progress(1, "x", None, "", 0),
        Progress(1, 1, 2, "", 2**61),
        Progress(1, 1, None, "\ud800", 0),
        Progress(1, 1, None, "x" * 2**20, 0),
        Call(1, "t", 1, 1, "f", "q", None, [], {}),
    ],
)
def test_what_no_host_says_is_not_taken(report: Any) -> None:
    assert not sane(report)


def test_a_map_that_was_written_out_has_names_that_can_be_sent() -> None:
    with pytest.raises(NotPlainError):
        from_json({"@map": {"\ud800": 1}})


@pytest.mark.parametrize(
    "data",
    [b"\0\0\0\1{", b"\0\0\0\x02[1", b'\0\0\0\x08[["X",[]]', (MOST_BYTES + 1).to_bytes(4, "big"), b"\0\0\0\x01\xff"],
)
def test_frames_that_are_none_of_ours_are_refused(data: bytes) -> None:
    with pytest.raises(FrameError):
        Unpacker(REPORTS).feed(data)


def test_orders_are_readable_by_every_python() -> None:
    call = Call(1, "t", 1, 1, "f", "q", None, [1, "ü", b"\0", 2**63, {"a": [None, 1.5]}], {"k": True})
    assert Unpacker(ORDERS).feed(pack(ORDERS, [call])) == [call]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (0, ("exit_code", 0, None, "ended its process with exit code 0 instead of returning")),
        (3, ("exit_code", 3, None, "ended its process with exit code 3 instead of returning")),
        (-11, ("signal", None, 11, "killed by SIGSEGV")),
    ],
)
def test_a_function_that_ends_its_process_has_failed(code: int, expected: tuple[Any, ...]) -> None:
    found = verdict.host_ended(code)
    assert (found.state, (found.reason, found.exit_code, found.signal, found.message)) == ("failed", expected)


class Timer:
    """Of a loop that does not run."""

    def __init__(self, at: float, call: Any) -> None:
        self.at, self.call, self.cancelled = at, call, False

    def when(self) -> float:
        return self.at

    def cancel(self) -> None:
        self.cancelled = True


class Loop:
    """A clock that stands still."""

    def __init__(self) -> None:
        self.timers: list[Timer] = []

    def time(self) -> float:
        return 100.0

    def call_at(self, at: float, call: Any) -> Timer:
        self.timers.append(Timer(at, call))
        return self.timers[-1]


def fall(said: list[str]) -> tuple[Loop, Fall]:
    loop = Loop()
    return loop, Fall(loop, lambda: said.append("ask"), lambda: said.append("kill"))  # type: ignore[arg-type]


def test_a_call_is_asked_to_end_and_killed_after_the_grace() -> None:
    said: list[str] = []
    loop, ending = fall(said)
    ending.descend(5)
    assert (said, loop.timers[-1].at) == (["ask"], 105.0)
    loop.timers[-1].call()
    assert said == ["ask", "kill"]


def test_a_call_is_asked_once_and_the_earlier_end_holds() -> None:
    said: list[str] = []
    loop, ending = fall(said)
    ending.descend(5)
    ending.descend(9)
    ending.descend(1)
    assert (said, [timer.at for timer in loop.timers if not timer.cancelled]) == (["ask"], [101.0])


def test_without_grace_no_call_is_asked() -> None:
    said: list[str] = []
    loop, ending = fall(said)
    ending.descend(0)
    loop.timers[-1].call()
    assert said == ["kill"]


def test_a_host_that_holds_much_more_than_at_first_is_replaced_after_the_call_that_took_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held = [10]
    monkeypatch.setattr(host, "resident_bytes", lambda: held[-1])
    wear = host.Wear()
    assert not wear.worn(10)
    held.append(10 + 2 * host.GROWTH_BYTES)
    assert not wear.worn()
    assert wear.worn(held[-1])


def test_a_call_that_closes_what_all_write_to_closes_it_for_nobody() -> None:
    reading, writing = os.pipe()
    writer = Writer(writing)
    writer.buffer.close()
    writer.close()
    print("still here", file=writer, flush=True)
    writer.buffer.write(b"so is this")
    assert os.read(reading, 100) == b"still here\nso is this"
    os.close(reading)
    os.close(writing)
