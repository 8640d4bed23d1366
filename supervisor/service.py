"""The service as a whole: started in order, stopped in reverse, or left to the next program in the same process."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from .. import __version__
from ..proto import api_pb2_grpc, endpoint, link_pb2_grpc, taskscheduler_pb2_grpc
from ..proto.clock import SECOND_US
from ..proto.errors import Refusal, RefusalReason
from ..proto.values import EndReason
from ..store import StoreFault
from . import folder, front, gate, limits, log, reload, system
from .admins import Admins
from .behalf import Behalf
from .control import Control
from .door import Door, MakeServer, of_grpc
from .front import Front, Guests
from .functions import Functions
from .notify import Watchdog
from .parts import World, assemble
from .places import Place
from .readable import Readable
from .reload import Handover
from .tcp import TcpDoor
from .turned_away import TurnedAway

# A tree that was killed is gone within this; an executor that is idle has left within this.
SETTLE_S = 3.0
# Calls that are being answered may take so long when the service stops, or begins anew.
ANSWER_S = 0.2
# An executor's stream has no end: it is cut, but not so abruptly that gRPC calls it an error.
CUT_S = 0.05


class Service:
    """One running supervisor."""

    def __init__(self, world: World) -> None:
        self._loop = asyncio.get_running_loop()
        self._world = world
        self._parts = assemble(world, self._failed)
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined]  # it is there; its types are not
        self._control = Control(world, self._parts, shutdown=self.down, reload=self.reload, addr=self._addr)
        self._functions = Functions(self._parts.catalogue, Behalf(world.store, world.clock))
        self._services = self._public_services()
        places, background = world.places, self._parts.background
        self._load = limits.Load(world.config.limits, world.clock)
        self._turned_away = TurnedAway(world.store, world.clock)
        self._inner = Door(places.inner, of_grpc(self._inner_server), background) if places.inner else None
        self._public = Door(places.public, self._maker(), background)
        self._private = Door(places.link, of_grpc(self._private_server), background)
        self._tcp = TcpDoor(world.tcp, self._tcp_server, background) if world.tcp else None
        self._others: list[Door] = []
        self.fault: BaseException | None = None
        """What ended the service, when the disk let it down, or a bug."""
        world.store.on_fault(self._hear_fault)
        self._stopping: asyncio.Task[None] | None = None
        self._ends_tasks = False
        self._ordered: tuple[float, bool] | None = None
        self._serving = False
        self._reloading = False
        self._drained = asyncio.Event()
        self._stopped = asyncio.Event()

    def _maker(self) -> MakeServer:
        """Who listens at the public socket: gRPC, or, for several users, the acceptor in front of it."""
        world = self._world
        if world.places.inner is None:
            return of_grpc(partial(self._public_server, gate.own_socket(), limits.SOCKET_SHARE))
        inner, config = world.places.inner.path, world.config
        guests = Guests(config.limits_connections, system.most_connections(), world.clock)
        front.clear(inner)
        return lambda path: Front(path, inner, guests, partial(system.access, config.system_group))

    def _public_services(self) -> dict[str, tuple[Callable[..., None], object]]:
        """What users are served, by name: how each is added to a server, and who serves it."""
        return {
            "tsched.v1.Tasks": (api_pb2_grpc.add_TasksServicer_to_server, self._parts.tasks),
            "tsched.v1.Functions": (api_pb2_grpc.add_FunctionsServicer_to_server, self._functions),
            "tsched.v1.Control": (api_pb2_grpc.add_ControlServicer_to_server, self._control),
            "taskscheduler.TaskScheduler": (
                taskscheduler_pb2_grpc.add_TaskSchedulerServicer_to_server,
                self._parts.predecessor,
            ),
        }

    def _inner_server(self) -> grpc.aio.Server:
        """Behind the acceptor, in its folder."""
        is_admin = Admins(self._world.config.access_admins, self._world.clock)
        who = gate.behind_acceptor(str(self._world.places.paths.runtime_dir), is_admin)
        return self._public_server(who, limits.SOCKET_SHARE)

    def _tcp_server(self) -> grpc.aio.Server:
        tcp, config = self._world.tcp, self._world.config
        under_tls = tcp is not None and tcp.certificates is not None
        asks = tcp is not None and tcp.listen.tls is not None and tcp.listen.tls.ca_cert is not None
        who = gate.over_mtls(config.access) if asks else gate.over_tcp(config.access)
        age_s = config.service_tls_connection_age_s if under_tls else None
        return self._public_server(who, limits.TCP_SHARE, endpoint.tcp_server_options(age_s))

    def _public_server(
        self, who: gate.Who, share: int, known: endpoint.Options = endpoint.SERVER_OPTIONS
    ) -> grpc.aio.Server:
        guard = gate.Gate(who, self._load, self._turned_away)
        options = [*known, *limits.connections(share)]
        server = grpc.aio.server(options=options, interceptors=(guard, Readable()))
        for add, servicer in self._services.values():
            add(servicer, server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        reflection.enable_server_reflection((*self._services, reflection.SERVICE_NAME), server)
        return server

    def _private_server(self) -> grpc.aio.Server:
        server = grpc.aio.server(options=endpoint.SERVER_OPTIONS)
        link_pb2_grpc.add_LinkServicer_to_server(self._parts.link, server)
        return server

    def _hear_fault(self, fault: StoreFault) -> None:
        """Carry the news from the writer's thread to the loop."""
        self._loop.call_soon_threadsafe(self._failed, fault)

    def _failed(self, fault: BaseException) -> None:
        """Stop at once: only a restart tells what holds. Executors keep what they have."""
        log.get().critical("service_failed", error=str(fault))
        self.fault = fault
        self._stopped.set()

    async def start(self) -> None:
        """Serve: executors first, then users. Raises Refusal SOCKET_UNUSABLE before anything is started."""
        parts, paths = self._parts, self._world.places.paths
        if self._tcp is not None and not self._world.is_back:
            self._tcp.check()
        await parts.pool.start()
        parts.catalogue.start()
        await self._private.open()
        await self._open_former_links()
        parts.desk.open()
        if self._inner is not None:
            await self._inner.open()
        await self._public.open()
        await self._open_tcp()
        parts.retention.start()
        parts.background.spawn(parts.resealer.resume())
        for name in ("", *self._services):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        self._log_access()
        log.get().info("serving", socket=str(paths.socket), state_dir=str(paths.state_dir), addr=self._addr())
        watchdog = Watchdog(self._world.manager, self._world.answers)
        parts.background.spawn(watchdog.watch(asyncio.sleep))
        self._world.manager.ready(f"Version {__version__}, serving on {paths.socket}")
        self._serving = True
        self._obey()

    def _log_access(self) -> None:
        """Say who may connect to a service of several users."""
        if self._inner is not None:
            group = self._world.config.system_group
            mode = system.access(group).mode
            log.get().info("several_users", group=group, mode=f"{mode:04o}", only_root=mode == system.ONLY_ROOT)

    async def _open_tcp(self) -> None:
        if self._tcp is not None and self._world.is_back:
            await self._tcp.open_again()
        elif self._tcp is not None:
            await self._tcp.open()

    def _addr(self) -> str:
        """Where it listens on TCP; empty: nowhere."""
        return self._tcp.address if self._tcp is not None else ""

    async def _open_former_links(self) -> None:
        """Be found by executors that were told of another socket, by a supervisor of another environment."""
        places = self._world.places
        wanted = places.former_links if self._parts.pool.members else ()
        places.tell(wanted)
        for path in wanted:
            try:
                place = Place(
                    path=path,
                    lock=folder.prepare_socket(path),
                    prepare=partial(os.makedirs, path.parent, exist_ok=True),
                )
                self._others.append(door := Door(place, of_grpc(self._private_server), self._parts.background))
                await door.open()
            except (OSError, Refusal) as error:
                log.get(socket=str(path)).warning("former_link_unusable", error=str(error))

    async def _close_doors(self, cut_s: float) -> None:
        doors = [self._private, *self._others, *([self._inner] if self._inner is not None else [])]
        public: list[Door | TcpDoor] = [self._public, *([self._tcp] if self._tcp is not None else [])]
        await asyncio.gather(*(door.close(ANSWER_S) for door in public), *(door.close(cut_s) for door in doors))
        for door in self._others:
            door.forget()

    async def stopped(self) -> None:
        """Wait until the service has stopped, or is ready to leave to the next program."""
        await self._stopped.wait()

    @property
    def handover(self) -> Handover | None:
        """What the next program in this process is to get; None when the service has ended."""
        if not self._reloading or self.fault is not None:
            return None
        return Handover(executor_logs=self._parts.pool.take_logs(), stop=self._ordered, version=__version__)

    def terminate(self) -> None:
        """Stop as SIGTERM asks: running tasks get the drain, then go on in their executors."""
        self.stop(self._world.config.service_stop_timeout_s, end_tasks=False)

    def interrupt(self) -> None:
        """Stop as SIGINT asks: as `down` does, with the drain of the configuration."""
        self.down(self._world.config.service_stop_timeout_s)

    def down(self, drain_s: float) -> None:
        """Stop as `down` asks: running tasks get the drain, then they are ended, and everything leaves."""
        self.stop(drain_s, end_tasks=True)

    def stop(self, drain_s: float, *, end_tasks: bool) -> None:
        """Begin to stop. A second time is harmless: the earlier end of the drain holds, and a `down` counts.

        What is asked before the service serves, or while it begins anew, is done once it serves.
        """
        former = self._ordered or (drain_s, end_tasks)
        self._ordered = (min(former[0], drain_s), former[1] or end_tasks)
        if self._serving:
            self._obey()

    def _obey(self) -> None:
        """Stop, if that was asked for."""
        if self._ordered is None:
            return
        drain_s, end_tasks = self._ordered
        log.get().info("stopping", drain_s=drain_s, end_tasks=end_tasks)
        self._ends_tasks |= end_tasks
        self._loop.call_later(drain_s, self._drained.set)
        if self._stopping is None:
            self._world.manager.stopping("Stopping")
            self._stopping = self._parts.background.spawn(self._wind_down())

    async def _wind_down(self) -> None:
        parts = self._parts
        parts.tasks.draining = True
        await self._health.enter_graceful_shutdown()
        parts.retention.stop()
        await parts.resealer.stop()
        parts.desk.end()
        parts.pool.close()
        parts.pool.dismiss()
        await _first_of(parts.pool.all_gone(), self._drained.wait())
        if self._ends_tasks:
            await self._end_tasks()
        await parts.catalogue.close()
        parts.pool.end()
        parts.news.ring_all()
        await self._close_doors(ANSWER_S)
        self._stopped.set()

    async def _end_tasks(self) -> None:
        """Cancel what still runs, give its trees their grace, and end the executors for certain."""
        pool = self._parts.pool
        graces = await asyncio.gather(*map(self._end_task, pool.running()))
        if graces:
            await _within(max(graces) + SETTLE_S, pool.all_gone())
        pool.kill()
        await _within(SETTLE_S, pool.all_gone())

    async def _end_task(self, task_id: str) -> float:
        with suppress(Refusal):  # it ended meanwhile
            cancelled = await self._parts.tasks.cancel(task_id, None, EndReason.SHUTDOWN)
            return cancelled.grace_us / SECOND_US
        return 0.0

    def reload_soon(self) -> None:
        """Reload as SIGHUP asks; what keeps us from it is logged."""
        self._parts.background.spawn(self._reload_or_log())

    async def _reload_or_log(self) -> None:
        try:
            await self.reload()
        except Refusal as refusal:
            log.get().error("reload_refused", reason=refusal.reason, error=refusal.message)

    async def reload(self) -> None:
        """See whether the program on disk would start, and then leave to it. Raises Refusal, and goes on as before."""
        async with self._parts.pool.undisturbed():  # what ends leftovers takes children it does not know for some
            await reload.preflight()
        if self._ordered is not None:
            raise Refusal(RefusalReason.DRAINING, "the service is stopping", "start it again afterwards")
        if not self._reloading and self._serving:
            self._reloading, self._serving = True, False
            # The caller is answered first.
            self._loop.call_soon(lambda: self._parts.background.spawn(self._step_aside()))

    async def _step_aside(self) -> None:
        """Let go of everything but what runs. Callers come back, executors reconnect."""
        log.get().info("reloading")
        self._world.manager.reloading()
        self._parts.retention.stop()
        await self._parts.resealer.stop()
        self._parts.desk.end()
        self._parts.pool.close()
        # What an executor has said and was not told to be stored, it says again.
        await self._close_doors(CUT_S)
        await self._parts.catalogue.close()
        self._parts.pool.end()
        self._stopped.set()


async def _first_of(*waits: Coroutine[Any, Any, object]) -> None:
    works = [asyncio.ensure_future(wait) for wait in waits]
    await asyncio.wait(works, return_when=asyncio.FIRST_COMPLETED)
    for work in works:
        work.cancel()


async def _within(limit_s: float, wait: object) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(wait, limit_s)  # type: ignore[arg-type]
