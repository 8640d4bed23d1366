"""The service as a whole: its parts wired in order, and stopped in reverse."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from ..proto import api_pb2_grpc, endpoint, link_pb2_grpc
from ..proto.clock import SECOND_US, Clock
from ..proto.errors import Refusal
from ..proto.sealing import PlainSealer
from ..proto.values import EndReason
from ..store import Store, StoreFault, model
from . import log
from .alarm import WallAlarm
from .api import Tasks
from .background import Background
from .config import Config
from .control import Control
from .desk import Desk
from .ends import announce
from .launch import Launcher
from .link import Link
from .news import News
from .pool import Pool
from .retention import Retention
from .settle import Settler
from .taps import Taps

SERVICES = ("tsched.v1.Tasks", "tsched.v1.Control")
# A tree that was killed is gone within this; an executor that is idle has left within this.
SETTLE_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Where the service lives."""

    state_dir: Path
    socket: Path
    link_socket: Path


class Service:
    """One running supervisor."""

    def __init__(self, store: Store, clock: Clock, config: Config, paths: Paths) -> None:
        self._loop = asyncio.get_running_loop()
        self._config = config
        self._paths = paths
        self._news = News()
        taps = Taps()
        background = self._background = Background(self._failed)
        self._desk = Desk(
            store,
            clock,
            taps=taps,
            news=self._news,
            make_alarm=partial(WallAlarm, self._loop),
            background=background,
        )
        self._pool = Pool(
            store=store,
            clock=clock,
            config=config,
            launcher=Launcher(clock, config, link_socket=paths.link_socket, public_socket=paths.socket),
            settler=Settler(store, clock, self._attempt_ended),
            background=background,
        )
        self._tasks = Tasks(
            store=store,
            sealer=PlainSealer(),
            clock=clock,
            config=config,
            desk=self._desk,
            pool=self._pool,
            taps=taps,
            news=self._news,
        )
        control = Control(
            store=store,
            clock=clock,
            config=config,
            desk=self._desk,
            pool=self._pool,
            state_dir=paths.state_dir,
            socket=paths.socket,
            shutdown=self.down,
        )
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined]  # it is there; its types are not
        self._public = _public_server(paths.socket, self._tasks, control, self._health)
        self._private = _server(paths.link_socket)
        link = Link(
            store=store,
            clock=clock,
            desk=self._desk,
            pool=self._pool,
            taps=taps,
            news=self._news,
            background=background,
        )
        link_pb2_grpc.add_LinkServicer_to_server(link, self._private)
        self._retention = Retention(store, clock, config)
        self.fault: BaseException | None = None
        """What ended the service, when the disk let it down, or a bug."""
        store.on_fault(self._hear_fault)
        self._stopping: asyncio.Task[None] | None = None
        self._ends_tasks = False
        self._drained = asyncio.Event()
        self._stopped = asyncio.Event()

    def _attempt_ended(self, end: model.Ended) -> None:
        announce(end, self._desk, self._news)

    def _hear_fault(self, fault: StoreFault) -> None:
        """Carry the news from the writer's thread to the loop."""
        self._loop.call_soon_threadsafe(self._failed, fault)

    def _failed(self, fault: BaseException) -> None:
        """Stop at once: only a restart tells what holds. Executors keep what they have."""
        log.get().critical("service_failed", error=str(fault))
        self.fault = fault
        self._stopped.set()

    async def start(self) -> None:
        """Serve: executors first, then users."""
        await self._pool.start()
        await self._private.start()
        self._desk.open()
        await self._public.start()
        self._retention.start()
        for name in ("", *SERVICES):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        log.get().info("serving", socket=str(self._paths.socket), state_dir=str(self._paths.state_dir))

    async def stopped(self) -> None:
        """Wait until the service has stopped."""
        await self._stopped.wait()

    def terminate(self) -> None:
        """Stop as SIGTERM asks: running tasks get the drain, then go on in their executors."""
        self._stop(self._config.service_stop_timeout_s, end_tasks=False)

    def down(self, drain_s: float) -> None:
        """Stop as `down` asks: running tasks get the drain, then they are ended, and everything leaves."""
        self._stop(drain_s, end_tasks=True)

    def _stop(self, drain_s: float, *, end_tasks: bool) -> None:
        """Begin to stop. A second time is harmless: the earlier end of the drain holds, and a `down` counts."""
        log.get().info("stopping", drain_s=drain_s, end_tasks=end_tasks)
        self._ends_tasks |= end_tasks
        self._loop.call_later(drain_s, self._drained.set)
        if self._stopping is None:
            self._stopping = self._background.spawn(self._wind_down())

    async def _wind_down(self) -> None:
        self._tasks.draining = True
        await self._health.enter_graceful_shutdown()
        self._retention.stop()
        self._desk.end()
        self._pool.close()
        self._pool.dismiss()
        await _first_of(self._pool.all_gone(), self._drained.wait())
        if self._ends_tasks:
            await self._end_tasks()
        self._pool.end()
        self._news.ring_all()
        await self._public.stop(grace=0.2)
        await self._private.stop(grace=0.2)
        self._stopped.set()

    async def _end_tasks(self) -> None:
        """Cancel what still runs, give its trees their grace, and end the executors for certain."""
        graces = [await self._end_task(task_id) for task_id in self._pool.running()]
        if graces:
            await _within(max(graces) + SETTLE_S, self._pool.all_gone())
        self._pool.kill()
        await _within(SETTLE_S, self._pool.all_gone())

    async def _end_task(self, task_id: str) -> float:
        with suppress(Refusal):  # it ended meanwhile
            cancelled = await self._tasks.cancel(task_id, None, EndReason.SHUTDOWN)
            return cancelled.grace_us / SECOND_US
        return 0.0


def _public_server(socket: Path, tasks: Tasks, control: Control, healths: Any) -> grpc.aio.Server:
    server = _server(socket)
    api_pb2_grpc.add_TasksServicer_to_server(tasks, server)
    api_pb2_grpc.add_ControlServicer_to_server(control, server)
    health_pb2_grpc.add_HealthServicer_to_server(healths, server)
    reflection.enable_server_reflection((*SERVICES, reflection.SERVICE_NAME), server)
    return server


def _server(socket: Path) -> grpc.aio.Server:
    server = grpc.aio.server(options=endpoint.SERVER_OPTIONS)
    server.add_insecure_port(endpoint.target(socket))
    return server


async def _first_of(*waits: Coroutine[Any, Any, object]) -> None:
    works = [asyncio.ensure_future(wait) for wait in waits]
    await asyncio.wait(works, return_when=asyncio.FIRST_COMPLETED)
    for work in works:
        work.cancel()


async def _within(limit_s: float, wait: object) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(wait, limit_s)  # type: ignore[arg-type]
