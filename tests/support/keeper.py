"""A catalogue in this process, with nobody around it but who looks after its children, as the pool does."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tsched.proto import procs
from tsched.proto.clock import SystemClock
from tsched.supervisor import config
from tsched.supervisor.background import Background
from tsched.supervisor.catalogue import Catalogue
from tsched.supervisor.inspection import Inspector
from tsched.supervisor.places import Paths

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class Keeper:
    """As the pool is to inspections; the test's own children are none of its business."""

    def __init__(self) -> None:
        self.others: set[int] = set()
        self._changing = asyncio.Lock()

    @asynccontextmanager
    async def undisturbed(self) -> AsyncIterator[None]:
        async with self._changing:
            yield

    async def strike(self, executor: str, namespaces: set[int]) -> list[int]:
        async with self._changing:
            return await asyncio.to_thread(
                procs.end_marked, executor, namespaces, own_children=True, known=set(self.others), timeout_s=10.0
            )


def catalogue(base: Path, *, text: str = "", library: Path | None = None, time_s: float = 30.0) -> Catalogue:
    """A catalogue with its state below `base` and this configuration; not started."""
    (base / "config.toml").write_text(text)
    keeper = Keeper()
    return Catalogue(
        config=config.load(base / "config.toml"),
        paths=Paths(state_dir=base, socket=base / "s", link_socket=base / "l", runtime_dir=base),
        clock=SystemClock(),
        background=Background(lambda _: None),
        keeper=keeper,
        library_dir=library,
        inspector=Inspector(keeper, base, time_s=time_s),
    )
