"""The floor of an executor in this process, with real hosts: what happens between a host's death and its burial.

The burial waits until the test lets it go on, which no real leftover does so reliably.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support import procs
from tsched.executor import burials, hosts
from tsched.executor import floor as floors
from tsched.executor.boot import Boot
from tsched.executor.floor import Floor
from tsched.executor.hosts import Host
from tsched.executor.outbox import Outbox
from tsched.proto.anys import to_any
from tsched.proto.call_pb2 import Argument, Call
from tsched.proto.clock import SystemClock
from tsched.proto.link_pb2 import Assignment, Finished, Pause, Paused, Payload, RunnerUp, Source, Stop
from tsched.proto.profiles import Profile
from tsched.proto.sealing import PlainSealer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

TIMEOUT_S = 20.0
BRISK_CALLS = 8


class Said(Outbox):
    """What the floor has to say, and a supervisor that acknowledges every runner at once."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.floor: Floor
        self.finished: dict[int, Finished] = {}
        self.paused: list[Paused] = []
        self.returned: list[int] = []
        self.no_descriptors = False
        self.hold_burials = asyncio.Event()

    def put(self, item: Any) -> None:
        if isinstance(item, RunnerUp):
            asyncio.get_running_loop().call_soon(self.floor.pool.acknowledge, [item.pid])
            asyncio.get_running_loop().call_soon(self.floor.fill)
        elif isinstance(item, Finished):
            self.finished[item.attempt_id] = item
        elif isinstance(item, Paused):
            self.paused.append(item)

    def give_back(self, attempt_id: int) -> None:
        self.returned.append(attempt_id)

    async def until(self, holds: Callable[[], Any]) -> None:
        async with asyncio.timeout(TIMEOUT_S):
            while not holds():  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.001)

    async def ended(self, *attempt_ids: int) -> None:
        await self.until(lambda: all(each in self.finished for each in attempt_ids))


@asynccontextmanager
async def open_floor(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Floor, Said]]:
    said = Said(asyncio.get_running_loop())

    async def sweep(*_: object) -> int:
        await said.hold_burials.wait()
        if said.no_descriptors:
            said.no_descriptors = False
            raise OSError(errno.EMFILE, "Too many open files")
        return 0

    monkeypatch.setattr(burials, "sweep", sweep)
    monkeypatch.setattr(floors, "QUICK_S", TIMEOUT_S)  # what lies behind a call stays there
    boot = Boot(
        executor_id="floor",
        secret="",
        link="",
        socket="",
        slots=1,
        shell="/bin/sh",
        runner_idle_s=TIMEOUT_S,
        profiles={"default": Profile()},
        version="0",
    )
    floor = said.floor = Floor(boot=boot, clock=SystemClock(), sealer=PlainSealer(), outbox=said, emptied=lambda: None)
    folder = str(Path(procs.__file__).parent)
    mine = Source(name="mine", generation=1, kind="functions", python=sys.executable, path=folder, modules=["victims"])
    floor.know([mine])
    try:
        yield floor, said
    finally:
        said.hold_burials.set()
        floor.drain()
        floor.pool.close()


def give(floor: Floor, attempt_id: int, function: str, *args: Any) -> None:
    call = Call(function=function, args=[Argument(value=to_any(each)) for each in args])
    payload = Payload(call=call)
    floor.arrive(
        Assignment(
            attempt_id=attempt_id, task_id=str(attempt_id), queue="q", profile="default", source="mine", payload=payload
        )
    )


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
