"""After the end of a runner: what it left behind is ended and proven gone; then its work is said to have ended."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Protocol

from ..proto.procs import NONCE_VARIABLE
from . import verdict as verdicts
from .hosts import Host
from .sweep import sweep

if TYPE_CHECKING:
    from .boot import Boot
    from .kinds import Kind
    from .outbox import Outbox
    from .pool import Pool
    from .runners import Runner
    from .verdict import Verdict

STARTS = 3
"""An interpreter that is killed so many times in a row before it is ready cannot be started."""
AGAIN_S = 1.0
"""After so long it is looked again for what a runner left behind, when that could not be."""


class Bereaved(Protocol):
    """Whose runners they are."""

    boot: Boot
    outbox: Outbox
    pool: Pool

    def fill(self) -> None:
        """Give waiting tasks to free runners."""

    def recover(self) -> None:
        """Give back what waits and ask for nothing, for a while."""

    def fail_waiting(self, kind: Kind, verdict: Verdict) -> None:
        """So it is for all that wait for such a host."""

    def unasked(self, home: Host, stream: int, data: bytes) -> None:
        """A host of async calls has written past them."""

    def move_next_in(self, home: Host) -> bool:
        """What a sync host has next, it has come to."""


class Burials:
    """All that are under way."""

    def __init__(self, house: Bereaved) -> None:
        self._house = house
        self._works: set[asyncio.Task[None]] = set()
        self._struck: Counter[Kind] = Counter()
        """How many hosts in a row died before they were ready."""

    def started(self, kind: Kind) -> None:
        """A host of this kind is ready."""
        self._struck.pop(kind, None)

    def soon(self, runner: Runner) -> None:
        """It has been reaped: bury it."""
        work = asyncio.create_task(self._bury(runner))
        self._works.add(work)
        work.add_done_callback(self._works.discard)

    async def _bury(self, runner: Runner) -> None:
        killed = await self._swept(runner)
        if not runner.retired:
            task_id = runner.attempt.given.task_id if runner.attempt else ""
            self._house.outbox.log("warning", "runner_died", runner=str(runner.pid), task=task_id, killed=str(killed))
        if isinstance(runner, Host):
            self._bury_host(runner)
        elif runner.attempt:
            runner.attempt.orphaned(alone=True)
        self._house.fill()

    async def _swept(self, runner: Runner) -> int:
        """How many it had left behind. For want of descriptors nobody can look: then later, for nothing is proven."""
        namespace = runner.up.mount_namespace if runner.up else 0
        while True:
            try:
                return await sweep(self._house.pool.runners, namespace, self._marks(runner))
            except OSError as error:
                self._house.outbox.log("error", "leftovers_not_found", runner=str(runner.pid), error=str(error))
                await asyncio.sleep(AGAIN_S)

    def _bury_host(self, home: Host) -> None:
        """Nothing of it is left: what ran has ended."""
        if home.retired:
            return
        if home.up and not home.ready:
            self._not_started(home)
        elif home.kind.shared:
            home.pipes.drain(partial(self._house.unasked, home))
        calls = list(home.calls.values())
        for call in calls:
            if not home.kind.shared and not call.running:
                self._house.move_next_in(home)
            call.orphaned(alone=len(calls) == 1)
        home.close()

    def _not_started(self, home: Host) -> None:
        """Its interpreter did not start. Where it was killed (for want of memory?) it may the next time."""
        self._struck[home.kind] += 1
        if home.process.returncode == -signal.SIGKILL and self._struck[home.kind] < STARTS:
            self._house.recover()
            return
        said: list[bytes] = []
        home.pipes.drain(lambda _stream, data: said.append(data))
        lines = b"".join(said).decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        self._house.fail_waiting(home.kind, verdicts.not_started(home.kind.source, home.process.returncode, last))

    def _marks(self, runner: Runner) -> list[bytes]:
        """The environment entries that tell what it started from all others."""
        if runner.marks:
            return [f"{NONCE_VARIABLE}={self._house.boot.executor_id}".encode(), *runner.marks]
        return runner.attempt.marks if runner.attempt else []
