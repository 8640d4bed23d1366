"""The floor of an executor in this process, with real hosts, and a supervisor that says yes to all of it.

The burial of a host waits until a test lets it go on, which no real leftover does so reliably.
"""

from __future__ import annotations

import asyncio
import errno
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support import procs
from tsched.executor import burials
from tsched.executor import floor as floors
from tsched.executor.boot import Boot
from tsched.executor.floor import Floor
from tsched.executor.outbox import Outbox
from tsched.proto.anys import to_any
from tsched.proto.call_pb2 import Argument, Call
from tsched.proto.clock import SystemClock
from tsched.proto.link_pb2 import Assignment, Finished, Paused, Payload, Progress, RunnerUp, Source
from tsched.proto.profiles import Profile
from tsched.proto.sealing import PlainSealer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import pytest

TIMEOUT_S = 20.0


class Said(Outbox):
    """What the floor has to say, and a supervisor that acknowledges every runner at once."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.floor: Floor
        self.finished: dict[int, Finished] = {}
        self.paused: list[Paused] = []
        self.progress: list[Progress] = []
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
        elif isinstance(item, Progress):
            self.progress.append(item)

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


def give(floor: Floor, attempt_id: int, function: str, *args: Any, shared: bool = False) -> None:
    call = Call(function=function, args=[Argument(value=to_any(each)) for each in args])
    payload = Payload(call=call)
    floor.arrive(
        Assignment(
            attempt_id=attempt_id,
            task_id=str(attempt_id),
            queue="q",
            profile="default",
            source="mine",
            payload=payload,
            shared=shared,
        )
    )
