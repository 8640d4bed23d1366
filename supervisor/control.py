"""The service about itself: tsched.v1.Control."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .. import __version__
from ..proto import api_pb2, api_pb2_grpc
from ..proto.clock import SECOND_US, Clock
from ..store import Store, executors, model, tasks
from ..store.check import check
from ..store.db import Db
from .config import Config
from .desk import Desk
from .pool import Member, Pool
from .refusals import answered

Context = Any
Shutdown = Callable[[float], None]


class Control(api_pb2_grpc.ControlServicer):
    """Serves tsched.v1.Control; api.proto says what each method promises."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        config: Config,
        desk: Desk,
        pool: Pool,
        state_dir: Path,
        socket: Path,
        shutdown: Shutdown,
    ) -> None:
        self._store = store
        self._config = config
        self._desk = desk
        self._pool = pool
        self._state_dir = state_dir
        self._socket = socket
        self._shutdown = shutdown
        self._started_at_us = clock.now_us()

    @answered
    async def Status(self, request: api_pb2.StatusRequest, context: Context) -> api_pb2.StatusResponse:  # noqa: N802
        """Tell how the service is."""
        counts = await asyncio.wrap_future(self._store.read(tasks.counts))
        return api_pb2.StatusResponse(
            version=__version__,
            pid=os.getpid(),
            started_at_us=self._started_at_us,
            state_dir=str(self._state_dir),
            socket=str(self._socket),
            tasks=counts,
            executors=[_executor(member, self._config) for member in self._pool.members.values()],
            draining=self._pool.closed,
            next_due_at_us=self._desk.next_due_us,
        )

    @answered
    async def Doctor(self, request: api_pb2.DoctorRequest, context: Context) -> api_pb2.DoctorResponse:  # noqa: N802
        """Check the store, the invariants and the marks."""
        findings, checked = await asyncio.to_thread(check, self._store)
        findings += await asyncio.wrap_future(self._store.read(_weak_marks))
        return api_pb2.DoctorResponse(findings=[_finding(each) for each in findings], checked=[*checked, "marks"])

    @answered
    async def Shutdown(self, request: api_pb2.ShutdownRequest, context: Context) -> api_pb2.ShutdownResponse:  # noqa: N802
        """Begin to stop."""
        asked = request.drain_us / SECOND_US if request.HasField("drain_us") else self._config.service_stop_timeout_s
        asyncio.get_running_loop().call_soon(self._shutdown, max(0.0, asked))
        return api_pb2.ShutdownResponse()


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


def _finding(found: Any) -> api_pb2.Finding:
    return api_pb2.Finding(severity=found.severity, object=found.object, message=found.message, hint=found.hint or "")
