"""The floor of an executor in this process, with real hosts: what happens between a host's death and its burial.

The burial waits until the test lets it go on, which no real leftover does so reliably.
"""

from __future__ import annotations

import asyncio
import math
import os
import signal
from typing import TYPE_CHECKING

import pytest

from support import procs
from support.floors import Said, give, open_floor
from tsched.executor import burials, hosts
from tsched.executor import floor as floors
from tsched.executor.host_messages import Ended, Progress, Ready
from tsched.executor.messages import Message, Up
from tsched.proto.link_pb2 import Pause, Source, Stop

if TYPE_CHECKING:
    from pathlib import Path

    from tsched.executor.floor import Floor
    from tsched.executor.hosts import Host

BRISK_CALLS = 8


async def one_busy_host_with_some_behind(floor: Floor, said: Said, tmp_path: Path) -> Host:
    """A lane that runs quick calls; then 100 runs until it is killed, and 101 and 102 lie behind it in its host."""
    for number in range(BRISK_CALLS):
        give(floor, number, "echo", number)
    floor.fill()
    await said.ended(*range(BRISK_CALLS))
    give(floor, 100, "slow_talk", str(tmp_path / "never"))
    give(floor, 101, "echo")
    give(floor, 102, "echo")
    floor.fill()
    (home,) = floor.pool.hosts()
    assert list(home.calls) == [100, 101, 102]
    return home


def test_what_a_dead_host_had_not_come_to_may_be_called_off_before_its_burial(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def run() -> None:
        async with open_floor(monkeypatch) as (floor, said):
            home = await one_busy_host_with_some_behind(floor, said, tmp_path)
            await asyncio.sleep(0)
            os.kill(home.pid, signal.SIGKILL)
            await said.until(lambda: home.dead)
            floor.recall(101)
            floor.stop(Stop(attempt_id=102, state="cancelled", reason="cancelled", grace_us=0))
            assert said.returned == [101]
            assert said.finished[102].state == "cancelled"
            said.hold_burials.set()
            await said.until(lambda: 100 in said.finished or 100 in floor.desk.waiting)

    asyncio.run(run())


def test_a_call_that_its_host_has_not_come_to_does_not_stand_still_and_nor_does_the_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def run() -> None:
        async with open_floor(monkeypatch) as (floor, said):
            give(floor, 1, "echo", 1)
            floor.fill()
            await said.ended(1)
            (home,) = floor.pool.hosts()
            os.kill(home.pid, signal.SIGSTOP)  # so that it does not come to it
            await said.until(lambda: procs.look(home.pid).state == "T")  # type: ignore[union-attr]  # it lives
            give(floor, 2, "echo", 2)
            floor.fill()
            floor.pause(Pause(attempt_id=2, on=True))
            os.kill(home.pid, signal.SIGCONT)
            assert [each.on for each in said.paused] == [False]
            assert not home.paused
            floor.fill()
            await said.ended(2)

    asyncio.run(run())


def test_an_interpreter_that_is_killed_before_it_is_ready_is_started_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def run() -> None:
        async with open_floor(monkeypatch) as (floor, said):
            said.hold_burials.set()
            monkeypatch.setattr(floors, "RECOVER_S", 0.01)
            give(floor, 1, "echo", 1)
            floor.fill()
            (home,) = floor.pool.hosts()
            await said.until(lambda: home.up)
            os.kill(home.pid, signal.SIGKILL)
            await said.until(lambda: 1 in said.returned)
            await said.until(lambda: not floor.desk.paused)
            give(floor, 1, "echo", 1)
            floor.fill()
            await said.ended(1)
            assert said.finished[1].state == "succeeded"

    asyncio.run(run())


def test_one_that_is_killed_each_time_is_no_source(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with open_floor(monkeypatch) as (floor, said):
            said.hold_burials.set()
            monkeypatch.setattr(floors, "RECOVER_S", 0.0)
            for _ in range(burials.STARTS):
                give(floor, 1, "echo", 1)
                floor.fill()
                await said.until(lambda: any(not home.ready and home.up for home in floor.pool.hosts()))
                (home,) = floor.pool.hosts()
                os.kill(home.pid, signal.SIGKILL)
                await said.until(lambda: home.dead and not floor._burials._works and not floor.desk.paused)  # noqa: B023
            assert said.finished[1].reason == "source_failed"
            assert "was killed by SIGKILL" in said.finished[1].message

    asyncio.run(run())


def test_an_interpreter_that_does_not_get_ready_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stuck = tmp_path / "python"
    stuck.write_text("#!/bin/sh\nexec sleep 1000\n")
    stuck.chmod(0o755)

    async def run() -> None:
        async with open_floor(monkeypatch) as (floor, said):
            said.hold_burials.set()
            monkeypatch.setattr(burials, "STARTS", 1)
            monkeypatch.setattr(hosts, "START_S", 0.2)
            floor.know([Source(name="mine", generation=1, kind="functions", python=str(stuck), modules=["victims"])])
            give(floor, 1, "echo", 1)
            floor.fill()
            await said.ended(1)
            assert said.finished[1].reason == "source_failed"

    asyncio.run(run())


def test_what_ran_is_not_forgotten_when_nobody_could_look_for_leftovers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def run() -> None:
        async with open_floor(monkeypatch) as (floor, said):
            monkeypatch.setattr(burials, "AGAIN_S", 0.01)
            said.hold_burials.set()
            said.no_descriptors = True
            give(floor, 1, "slow_talk", str(tmp_path / "never"))
            floor.fill()
            await said.until(lambda: any(home.loaded for home in floor.pool.hosts()))
            (home,) = floor.pool.hosts()
            os.kill(home.pid, signal.SIGKILL)
            await said.ended(1)
            assert (said.finished[1].reason, said.finished[1].signal) == ("signal", signal.SIGKILL)
            assert not said.no_descriptors

    asyncio.run(run())


@pytest.mark.parametrize("lie", [Up(1, 1, 1, [2]), Ready(), Progress(2, math.nan, None, "", 0)])
def test_a_host_that_says_what_none_says_is_ended(monkeypatch: pytest.MonkeyPatch, lie: Message) -> None:
    async def run() -> None:
        async with open_floor(monkeypatch) as (floor, said):
            said.hold_burials.set()
            give(floor, 1, "echo", 1)
            floor.fill()
            await said.ended(1)
            (home,) = floor.pool.hosts()
            home.port._hear(lie)
            await said.until(lambda: home.dead)
            assert not said.progress

    asyncio.run(run())


def test_a_call_that_is_said_to_have_ended_before_its_host_came_to_it_is_not_taken_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever runs before it in the same process may say so."""

    async def run() -> None:
        async with open_floor(monkeypatch) as (floor, said):
            said.hold_burials.set()
            give(floor, 1, "echo", 1)
            floor.fill()
            await said.ended(1)
            (home,) = floor.pool.hosts()
            os.kill(home.pid, signal.SIGSTOP)  # so that it does not come to it
            give(floor, 2, "echo", 2)
            floor.fill()
            home.port._hear(Ended(2, "returned", None, "", 0, 0, 0, 0, 0.0, 0, 0, False, False, False))
            assert 2 in said.finished
            assert home.take_back() == []
            os.kill(home.pid, signal.SIGKILL)
            await said.until(lambda: home.dead)

    asyncio.run(run())
