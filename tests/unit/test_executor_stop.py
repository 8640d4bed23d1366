"""The ladder by which a task is ended, and what is said over a link, in time that only the test moves."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tsched.executor.home import Home
from tsched.executor.messages import Kill, Term
from tsched.executor.outbox import Outbox
from tsched.executor.runtime import RunTime
from tsched.executor.stop import ANSWER_S, KILL_S, Ladder
from tsched.proto.link_pb2 import Finished, Started

if TYPE_CHECKING:
    from pathlib import Path


class Loop:
    """Timers, run when the test says so."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.timers: list[Timer] = []

    def time(self) -> float:
        return self.now_s

    def call_at(self, at_s: float, callback: Any) -> Timer:
        self.timers.append(Timer(at_s, callback))
        return self.timers[-1]

    def call_later(self, delay_s: float, callback: Any) -> Timer:
        return self.call_at(self.now_s + delay_s, callback)

    def advance(self, by_s: float) -> None:
        until_s = self.now_s + by_s
        while due := sorted((t for t in self.timers if t.at_s <= until_s), key=Timer.when):
            self.timers.remove(due[0])
            self.now_s = due[0].at_s
            if not due[0].cancelled:
                due[0].callback()
        self.now_s = until_s


class Timer:
    def __init__(self, at_s: float, callback: Any) -> None:
        self.at_s = at_s
        self.callback = callback
        self.cancelled = False

    def when(self) -> float:
        return self.at_s

    def cancel(self) -> None:
        self.cancelled = True


class Runner:
    """Writes down what is done to it."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def send(self, order: Any, descriptors: Any = None) -> None:
        self.seen.append(type(order))

    def kill(self) -> None:
        self.seen.append("killed")


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def runner() -> Runner:
    return Runner()


@pytest.fixture
def ladder(loop: Loop, runner: Runner) -> Ladder:
    return Ladder(loop, runner, 1)  # type: ignore[arg-type]


def test_first_asked_then_killed_then_its_runner(loop: Loop, runner: Runner, ladder: Ladder) -> None:
    ladder.descend(5)
    ladder.answered()
    assert runner.seen == [Term]
    loop.advance(4.9)
    assert runner.seen == [Term]
    loop.advance(0.2)
    assert runner.seen == [Term, Kill]
    loop.advance(ANSWER_S)
    assert runner.seen == [Term, Kill, "killed"]


def test_a_runner_that_is_at_it_gets_a_while(loop: Loop, runner: Runner, ladder: Ladder) -> None:
    ladder.descend(0)
    ladder.answered()
    loop.advance(ANSWER_S + 1)
    assert runner.seen == [Kill]
    loop.advance(KILL_S)
    assert runner.seen == [Kill, "killed"]


def test_a_runner_that_does_not_answer_for_long_is_not_asked_again(loop: Loop, runner: Runner, ladder: Ladder) -> None:
    ladder.descend(5)
    loop.advance(6)
    assert runner.seen == [Term, "killed"]


def test_a_runner_gets_its_time_to_answer_when_the_grace_is_short(loop: Loop, runner: Runner, ladder: Ladder) -> None:
    ladder.descend(0.1)
    loop.advance(0.1)
    assert runner.seen == [Term, Kill]


def test_without_grace_nobody_is_asked(runner: Runner, ladder: Ladder) -> None:
    ladder.descend(0)
    assert runner.seen == [Kill]


def test_asked_twice_the_earlier_end_holds(loop: Loop, runner: Runner, ladder: Ladder) -> None:
    ladder.descend(5)
    ladder.descend(50)
    ladder.descend(1)
    ladder.answered()
    loop.advance(1.1)
    assert runner.seen == [Term, Kill]
    ladder.descend(0)
    assert runner.seen == [Term, Kill]


def test_a_task_that_has_ended_is_left_alone(loop: Loop, runner: Runner, ladder: Ladder) -> None:
    ladder.descend(5)
    ladder.cancel()
    loop.advance(60)
    assert runner.seen == [Term]


@pytest.fixture
def lost() -> list[float]:
    return []


@pytest.fixture
def home(loop: Loop, tmp_path: Path, lost: list[float]) -> Home:
    return Home(loop, str(tmp_path / "home"), 60, lambda: lost.append(loop.now_s))  # type: ignore[arg-type]


def test_a_home_that_stays_away_is_lost_once(loop: Loop, home: Home, lost: list[float]) -> None:
    home.watch()
    loop.advance(119)
    assert (lost, home.lost) == ([], False)
    loop.advance(1000)
    assert (lost, home.lost) == ([220.0], True)


def test_a_home_that_comes_back_is_none_that_is_lost(loop: Loop, home: Home, lost: list[float], tmp_path: Path) -> None:
    home.watch()
    loop.advance(61)
    (tmp_path / "home").mkdir()
    loop.advance(600)
    (tmp_path / "home").rmdir()
    loop.advance(60)
    (tmp_path / "home").mkdir()
    loop.advance(600)
    assert lost == []


def test_who_has_a_supervisor_needs_no_home(loop: Loop, home: Home, lost: list[float]) -> None:
    home.watch()
    loop.advance(61)
    home.trust()
    loop.advance(600)
    home.watch()
    loop.advance(61)
    assert lost == [], "it has been gone for one look since"


def test_a_home_that_cannot_be_looked_at_is_not_gone(loop: Loop, lost: list[float]) -> None:
    home = Home(loop, "/" + "x" * 300, 60, lambda: lost.append(loop.now_s))  # type: ignore[arg-type]
    home.watch()
    loop.advance(600)
    assert lost == []


def test_what_is_put_together_is_sent_together_and_in_order() -> None:
    async def scenario() -> None:
        outbox = Outbox(asyncio.get_running_loop())
        outbox.attach()
        for number in (1, 2):
            outbox.put(Started(attempt_id=number))
            outbox.put(Finished(attempt_id=number))
        outbox.give_back(3)
        outbox.log("info", "something", field="x")
        message = await outbox.take()
        assert message
        assert [started.attempt_id for started in message.started] == [1, 2]
        assert [finished.attempt_id for finished in message.finished] == [1, 2]
        assert list(message.returned) == [3]
        assert message.logs[0].fields == {"field": "x"}

    asyncio.run(scenario())


def test_nothing_is_said_to_a_supervisor_that_has_not_welcomed_us() -> None:
    async def scenario() -> None:
        outbox = Outbox(asyncio.get_running_loop())
        outbox.prepare = lambda: (7, 0)
        outbox.attach()
        outbox.detach()
        outbox.put(Started(attempt_id=1))
        outbox.log("info", "kept")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(outbox.take(), 0.05)
        outbox.attach()
        message = await outbox.take()
        assert message
        assert (message.claim, len(message.started), message.logs[0].event) == (7, 0, "kept")

    asyncio.run(scenario())


def test_a_closed_outbox_says_its_last_and_then_nothing() -> None:
    async def scenario() -> None:
        outbox = Outbox(asyncio.get_running_loop())
        outbox.attach()
        outbox.keep(4)
        outbox.close()
        message = await outbox.take()
        assert message
        assert list(message.kept) == [4]
        assert await outbox.take() is None

    asyncio.run(scenario())


def test_a_time_limit_counts_only_while_the_task_runs(loop: Loop) -> None:
    rung: list[float] = []
    time = RunTime(loop, 5_000_000, lambda: rung.append(loop.now_s))  # type: ignore[arg-type]
    time.count_from(100_000_000)
    loop.advance(3)
    time.pause(103_000_000)
    loop.advance(60)
    time.pause(150_000_000)
    time.go_on(163_000_000)
    loop.advance(1.9)
    assert not rung
    loop.advance(0.2)
    assert rung == [165.0]
    time.end(166_000_000)
    assert time.paused_us == 60_000_000


def test_the_pause_of_a_task_that_ends_while_it_stands_still_counts(loop: Loop) -> None:
    time = RunTime(loop, None, lambda: None)  # type: ignore[arg-type]
    time.count_from(100_000_000)
    time.go_on(101_000_000)
    time.pause(102_000_000)
    time.end(110_000_000)
    assert time.paused_us == 8_000_000


def test_a_time_limit_that_is_over_rings_no_more(loop: Loop) -> None:
    rung: list[float] = []
    time = RunTime(loop, 5_000_000, lambda: rung.append(loop.now_s))  # type: ignore[arg-type]
    time.count_from(100_000_000)
    time.end(101_000_000)
    loop.advance(60)
    assert not rung
