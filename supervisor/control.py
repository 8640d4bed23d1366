"""The service about itself: tsched.v1.Control."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import asdict
from functools import partial
from typing import Any

from .. import __version__
from ..proto import api_pb2, api_pb2_grpc
from ..proto.clock import SECOND_US
from ..store import audit, executors, model, tasks
from ..store.check import check
from ..store.db import Db
from . import listen, system
from .behalf import Behalf
from .callers import Role
from .config import Config
from .functions import findings as source_findings
from .key_desk import KeyDesk
from .parts import Parts, World
from .pool import Member
from .refusals import answered, streamed

Context = Any
Shutdown = Callable[[float], None]
AUDIT_PAGE = 100
AUDIT_LIMIT = 10_000
Reload = Callable[[], Awaitable[None]]


class Control(api_pb2_grpc.ControlServicer):
    """Serves tsched.v1.Control; api.proto says what each method promises."""

    def __init__(
        self, world: World, parts: Parts, *, shutdown: Shutdown, reload: Reload, addr: Callable[[], str]
    ) -> None:
        self._world = world
        self._store = world.store
        self._config = world.config
        self._desk = parts.desk
        self._pool = parts.pool
        self._catalogue = parts.catalogue
        self._keys = KeyDesk(world.store, world.vault, parts.resealer)
        self._shutdown = shutdown
        self._reload = reload
        self._addr = addr
        self._behalf = Behalf(world.store, world.clock)
        self._started_at_us = world.clock.now_us()

    @answered
    async def Status(self, request: api_pb2.StatusRequest, context: Context) -> api_pb2.StatusResponse:  # noqa: N802
        """Tell how the service is."""
        counts = await asyncio.wrap_future(self._store.read(tasks.counts))
        paths = self._world.places.paths
        return api_pb2.StatusResponse(
            version=__version__,
            pid=os.getpid(),
            started_at_us=self._started_at_us,
            state_dir=str(paths.state_dir),
            socket=str(paths.socket),
            tasks=counts,
            executors=[_executor(member, self._config) for member in self._pool.members.values()],
            draining=self._pool.closed,
            next_due_at_us=self._desk.next_due_us,
            managed_by=self._world.manager.name,
            log_dir=str(self._world.log_dir or ""),
            addr=self._addr(),
            encryption=self._keys.encryption,
            several_users=paths.system,
        )

    @answered
    async def Doctor(self, request: api_pb2.DoctorRequest, context: Context) -> api_pb2.DoctorResponse:  # noqa: N802
        """Check the store, the invariants and the marks."""
        findings, checked = await asyncio.to_thread(check, self._store)
        findings += await asyncio.wrap_future(self._store.read(_weak_marks))
        findings += await source_findings(self._catalogue)
        findings += await asyncio.to_thread(self._tcp_findings)
        findings += self._keys.findings()
        findings += await asyncio.to_thread(self._system_findings)
        checked += ["marks", "functions", "listeners", "encryption"]
        return api_pb2.DoctorResponse(findings=[_finding(each) for each in findings], checked=checked)

    @answered
    async def Audit(self, request: api_pb2.AuditRequest, context: Context) -> api_pb2.AuditResponse:  # noqa: N802
        """Tell who changed what."""
        query = partial(
            audit.page,
            limit=min(request.limit or AUDIT_PAGE, AUDIT_LIMIT),
            before=request.before or None,
            since_us=request.since_us if request.HasField("since_us") else None,
            who=request.who or None,
            what=request.what or None,
        )
        rows = await asyncio.wrap_future(self._store.read(query))
        return api_pb2.AuditResponse(entries=[_entry(row) for row in rows])

    def _system_findings(self) -> list[model.Finding]:
        paths, config = self._world.places.paths, self._config
        if not paths.system:
            return []
        return list(system.findings(config.system_group, paths.socket, root_tasks=config.system_root_tasks))

    def _tcp_findings(self) -> list[model.Finding]:
        tcp = self._world.tcp
        runs = self._config.access.tcp_role >= Role.SUBMITTER
        return list(listen.findings(tcp, self._world.clock.now_us(), runs=runs)) if tcp else []

    @answered
    async def Shutdown(self, request: api_pb2.ShutdownRequest, context: Context) -> api_pb2.ShutdownResponse:  # noqa: N802
        """Begin to stop."""
        asked = request.drain_us / SECOND_US if request.HasField("drain_us") else self._config.service_stop_timeout_s
        await self._behalf.note("shutdown", "service")
        asyncio.get_running_loop().call_soon(self._shutdown, max(0.0, asked))
        return api_pb2.ShutdownResponse()

    @answered
    async def Reload(self, request: api_pb2.ReloadRequest, context: Context) -> api_pb2.ReloadResponse:  # noqa: N802
        """Begin anew, if what is on disk would start."""
        await self._reload()
        await self._behalf.note("reload", "service")
        return api_pb2.ReloadResponse()

    @answered
    async def KeyStatus(self, request: api_pb2.KeyStatusRequest, context: Context) -> api_pb2.KeyStatusResponse:  # noqa: N802
        """Tell of the keys."""
        return await self._keys.status()

    @streamed
    async def RotateKey(  # noqa: N802
        self, request: api_pb2.RotateKeyRequest, context: Context
    ) -> AsyncGenerator[api_pb2.KeyProgress, None]:
        """Change the key."""
        noted = False
        async for progress in self._keys.rotate():
            if not noted:
                await self._behalf.note("rotate_key", "service")
                noted = True
            yield progress


def _weak_marks(db: Db) -> list[model.Finding]:
    """Say in plain words where only an environment variable marks what a task started."""
    weak = [
        runner.pid
        for executor in executors.present_executors(db)
        for runner in executors.runners_of(db, executor=executor.id)
        if not runner.mount_namespace
    ]
    if not weak:
        return []
    return [
        model.Finding(
            severity="notice",
            object="runners",
            message="no mount namespace of their own: a process that leaves its session and clears its environment "
            "is found while its executor lives, and not after supervisor and executor were both killed",
            hint="a service of root on Linux 6.11 or later has the stronger mark",
        )
    ]


def _executor(member: Member, config: Config) -> api_pb2.ExecutorStatus:
    session = member.session
    return api_pb2.ExecutorStatus(
        id=member.row.id,
        pid=member.row.pid,
        state=member.state,
        slots=session.slots if session else config.slots_per_executor,
        running=len(session.tasks) if session else 0,
        version=member.row.version.partition("+")[0],
    )


def _entry(row: model.AuditRow) -> api_pb2.AuditEntry:
    return api_pb2.AuditEntry(**asdict(row))


def _finding(found: Any) -> api_pb2.Finding:
    return api_pb2.Finding(severity=found.severity, object=found.object, message=found.message, hint=found.hint or "")
