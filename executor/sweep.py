"""After a runner's death: everything it left behind is ended, and proven gone.

What the task had started has fallen to this process, the next subreaper; what got away even from that carries the mark
of its runner (a mount namespace) or of its attempt (its environment).
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from ..proto import procs

if TYPE_CHECKING:
    from collections.abc import Collection

LOOK_AGAIN_S = 1.0


async def sweep(known: Collection[int], namespace: int, entries: Collection[bytes]) -> int:
    """Kill and look again until nobody is left; returns how many were killed. `known` are our own living children."""
    killed: set[int] = set()
    while found := [*procs.strays(known), *procs.find_where([namespace], entries)]:
        struck = procs.strike(found)
        killed |= struck
        await _exits(struck)
    return len(killed)


async def _exits(pids: Collection[int]) -> None:
    """Wait until the first few of them have exited, but not for ever: one may be stuck in the kernel."""
    loop = asyncio.get_running_loop()
    pidfds = procs.open_pidfds(pids)
    waiting = {pidfd: loop.create_future() for pidfd in pidfds}
    for pidfd, future in waiting.items():
        loop.add_reader(pidfd, _exited, loop, pidfd, future)
    if waiting:
        await asyncio.wait(waiting.values(), timeout=LOOK_AGAIN_S)
    for pidfd in pidfds:
        loop.remove_reader(pidfd)
        os.close(pidfd)


def _exited(loop: asyncio.AbstractEventLoop, pidfd: int, future: asyncio.Future[None]) -> None:
    loop.remove_reader(pidfd)
    if not future.done():
        future.set_result(None)
