"""The parts of the service, each made from what it stands on, in that order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ..proto.clock import Clock
from ..store import Store, model
from ..store.db import Db
from .alarm import WallAlarm
from .api import Tasks
from .background import Background
from .catalogue import Catalogue
from .config import Config
from .desk import Desk
from .ends import announce
from .final_answers import FinalAnswers
from .launch import Launcher
from .link import Link
from .listen import Way
from .news import News
from .notify import Manager
from .owners import Owners
from .places import Places
from .pool import Pool
from .predecessor import Predecessor
from .resealing import Resealer
from .retention import Retention
from .settle import Settler
from .taps import Taps
from .vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What the service finds when it starts."""

    store: Store
    vault: Vault
    clock: Clock
    config: Config
    places: Places
    manager: Manager
    log_dir: Path | None = None
    """Where log files are written."""
    library_dir: Path | None = None
    """The folder of plugins that was asked for."""
    tcp: Way | None = None
    """Where to listen on TCP, too."""
    is_back: bool = False
    """It was here before, and began anew."""
    open_files: int = 0
    """How many descriptors executors may have to begin with; 0: as many as this process."""
    executor_logs: Mapping[str, int] = field(default_factory=dict)
    """The stderr of executors that were here before this program was."""

    @property
    def owners(self) -> Owners:
        """As whom tasks run."""
        system = self.places.paths.system
        return Owners(several_users=system, root_tasks=self.config.system_root_tasks)

    async def answers(self) -> None:
        """Wait until both writers of the store have answered; what they answer is another matter (a full disk is)."""
        asked = [asyncio.wrap_future(ask(_nothing)) for ask in (self.store.write, self.store.write_output)]
        await asyncio.gather(*asked, return_exceptions=True)


def _nothing(_db: Db) -> None:
    """Ask for nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the service is made of."""

    background: Background
    news: News
    catalogue: Catalogue
    desk: Desk
    pool: Pool
    tasks: Tasks
    predecessor: Predecessor
    link: Link
    retention: Retention
    resealer: Resealer


def assemble(world: World, failed: Callable[[BaseException], None]) -> Parts:
    """Make them all; `failed` hears of work that went wrong in the background."""
    background, news, taps, answers = Background(failed), News(), Taps(), FinalAnswers()
    pool = _pool(world, background, lambda end, executor: announce(end, desk, news, executor=executor))
    catalogue = _catalogue(world, background, pool)
    desk = _desk(world, background, catalogue, news=news, taps=taps)
    tasks = _tasks(world, desk, pool, catalogue, news=news, taps=taps, answers=answers)
    return Parts(
        background=background,
        news=news,
        catalogue=catalogue,
        desk=desk,
        pool=pool,
        tasks=tasks,
        predecessor=Predecessor(tasks, answers),
        link=Link(
            store=world.store,
            clock=world.clock,
            desk=desk,
            pool=pool,
            taps=taps,
            news=news,
            catalogue=catalogue,
            background=background,
        ),
        retention=Retention(world.store, world.clock, world.config, answers),
        resealer=Resealer(world.store, world.vault, background),
    )


def _catalogue(world: World, background: Background, pool: Pool) -> Catalogue:
    return Catalogue(
        config=world.config,
        paths=world.places.paths,
        clock=world.clock,
        background=background,
        keeper=pool,
        library_dir=world.library_dir,
    )


def _desk(world: World, background: Background, catalogue: Catalogue, *, news: News, taps: Taps) -> Desk:
    return Desk(
        world.store,
        world.clock,
        taps=taps,
        news=news,
        catalogue=catalogue,
        owners=world.owners,
        make_alarm=partial(WallAlarm, asyncio.get_running_loop()),
        background=background,
    )


def _pool(world: World, background: Background, ended: Callable[[model.Ended, str], None]) -> Pool:
    paths = world.places.paths
    return Pool(
        store=world.store,
        clock=world.clock,
        config=world.config,
        launcher=Launcher(
            world.clock,
            world.config,
            new_data_key=world.vault.new_data_key,
            home=paths.state_dir,
            link_socket=paths.link_socket,
            public_socket=paths.socket,
            several_users=paths.system,
            open_files=world.open_files,
        ),
        settler=Settler(world.store, world.clock, ended),
        background=background,
        executor_logs=world.executor_logs,
    )


def _tasks(
    world: World, desk: Desk, pool: Pool, catalogue: Catalogue, *, news: News, taps: Taps, answers: FinalAnswers
) -> Tasks:
    return Tasks(
        store=world.store,
        clock=world.clock,
        config=world.config,
        desk=desk,
        pool=pool,
        taps=taps,
        news=news,
        answers=answers,
        catalogue=catalogue,
        owners=world.owners,
    )
