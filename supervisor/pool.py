"""The executors: started, watched, replaced; after a restart, met again.

An executor's life and its stream are two things: the stream may break and come back, only the process's death (told by
its pidfd) ends its attempts, and only after everything it started is proven gone. This module is the one import
boundary between the planner's side and where work runs.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

from ..proto import procs
from ..proto.clock import Clock
from ..store import Store, executors, model
from . import durable, log
from .background import Background
from .config import Config
from .launch import Launcher, read_stderr
from .session import Session
from .settle import Settler

# An executor that lived shorter than this is not replaced at once: restarting it in a circle helps nobody.
SHORT_LIFE_US = 1_000_000
RESPAWN_DELAY_S = 1.0
SWEEP_S = 10.0


@dataclass(slots=True, kw_only=True)
class Member:
    """One executor process, ours by birth or by adoption."""

    row: model.ExecutorRow
    pidfd: int
    process: subprocess.Popen[bytes] | None = None
    stderr: log.LineReader | None = None
    session: Session | None = None
    leaving: bool = False
    """Takes no new work: of another version or configuration, or told to go."""
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    def release(self) -> None:
        """Watch its process no more. Harmless when repeated."""
        if self.pidfd >= 0:
            asyncio.get_running_loop().remove_reader(self.pidfd)
            os.close(self.pidfd)
            self.pidfd = -1

    @property
    def alive(self) -> bool:
        """Whether its process was not seen to end yet."""
        return self.pidfd >= 0

    @property
    def state(self) -> str:
        """For status: `attached`, `starting` (never seen yet) or `detached`."""
        if self.session is not None:
            return "attached"
        return "starting" if self.process is not None else "detached"


class Pool:
    """Keeps the configured number of executors at work."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        config: Config,
        launcher: Launcher,
        settler: Settler,
        background: Background,
        executor_logs: Mapping[str, int] | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._config = config
        self._launcher = launcher
        self._settler = settler
        self._background = background
        self._executor_logs = dict(executor_logs or {})
        self.closed = False
        # A sweep takes children that it does not know for leftovers: nothing is started meanwhile.
        self._changing = asyncio.Lock()
        self.others: set[int] = set()
        """Children that are no executors and no leftovers either; each is started `undisturbed`."""
        self.members: dict[str, Member] = {}

    async def start(self) -> None:
        """Meet the executors of a former supervisor; then start those that are missing, and settle what others left."""
        rows = await asyncio.wrap_future(self._store.read(executors.present_executors))
        dead = [row for row in rows if not self._meet(row)]
        for row in dead:
            _reap(row.pid)
        while self._executor_logs:
            os.close(self._executor_logs.popitem()[1])
        self._background.spawn(self._fill())
        for row in dead:
            self._background.spawn(self._settler.settle(row, self.strike))

    def close(self) -> None:
        """Start no executor any more."""
        self.closed = True

    def attached(self, session: Session) -> bool:
        """Note an executor's stream; False when there is no such executor (any more)."""
        member = self.members.get(session.executor)
        if member is None or not member.alive:
            return False
        member.session = session
        if member.leaving:
            session.tell(drain=True)
        return True

    def detached(self, session: Session) -> None:
        """Note the end of an executor's stream; its work may go on."""
        member = self.members.get(session.executor)
        if member is not None and member.session is session:
            member.session = None

    def session_of(self, executor: str | None) -> Session | None:
        """The stream of an executor, when it has one now."""
        member = self.members.get(executor or "")
        return member.session if member else None

    def running(self) -> list[str]:
        """The tasks that attached executors have been given and not finished."""
        return [
            task_id for member in self.members.values() if member.session for task_id in member.session.tasks.values()
        ]

    def dismiss(self) -> None:
        """Tell every executor to leave when it is idle."""
        for member in self.members.values():
            member.leaving = True
            if member.session is not None:
                member.session.tell(drain=True)

    def kill(self) -> None:
        """End every executor that is still there, at once."""
        for member in self.members.values():
            if member.alive:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(member.pidfd, signal.SIGKILL)

    async def all_gone(self) -> None:
        """Wait until every executor is gone and its attempts are settled."""
        for member in list(self.members.values()):
            await member.gone.wait()

    @asynccontextmanager
    async def undisturbed(self) -> AsyncIterator[None]:
        """Start a child of another kind in here: outside, a sweep would take it for a leftover."""
        async with self._changing:
            yield

    def take_logs(self) -> dict[str, int]:
        """The descriptors of what executors write to their stderr, for whoever reads it from now on."""
        return self._executor_logs

    def end(self) -> None:
        """Let go of those that are still there; they go on without us."""
        for member in self.members.values():
            member.release()
            if member.stderr is not None and (descriptor := member.stderr.detach()) >= 0:
                self._executor_logs[member.row.id] = descriptor
        self.members.clear()

    def _meet(self, row: model.ExecutorRow) -> bool:
        """Watch a former supervisor's executor; False when it does not live."""
        pidfd = _pidfd_of(row)
        if pidfd is None:
            return False
        descriptor = self._executor_logs.pop(row.id, None)
        stderr = None if descriptor is None else read_stderr(row.id, descriptor)
        self._watch(Member(row=row, pidfd=pidfd, leaving=row.version != self._launcher.build, stderr=stderr))
        log.get(executor=row.id).info("executor_found", pid=row.pid, version=row.version)
        return True

    async def _fill(self) -> None:
        """Start what is missing; where the machine cannot start it now, try until it can."""
        try:
            while await self._spawn():
                pass
        except OSError as error:
            log.get().error("executor_not_started", error=str(error), retry_after_s=RESPAWN_DELAY_S)
            await asyncio.sleep(RESPAWN_DELAY_S)
            self._background.spawn(self._fill())

    @property
    def _complete(self) -> bool:
        present = sum(member.alive and not member.leaving for member in self.members.values())
        return self.closed or present >= self._config.executor_count

    async def _spawn(self) -> bool:
        """Start one executor; False when none is missing. Raises OSError."""
        async with self._changing:
            if self._complete:
                return False
            launched = self._launcher.start()
            pidfd = os.pidfd_open(launched.process.pid)
            self._watch(Member(row=launched.row, pidfd=pidfd, process=launched.process, stderr=launched.stderr))
        try:
            await durable.insist(lambda: self._store.write(partial(executors.register, row=launched.row)))
        except BaseException:
            launched.abandon()
            raise
        launched.introduce()
        return True

    def _watch(self, member: Member) -> None:
        self.members[member.row.id] = member
        asyncio.get_running_loop().add_reader(member.pidfd, self._died, member)

    def _died(self, member: Member) -> None:
        member.release()
        code = member.process.wait() if member.process is not None else _reap(member.row.pid)
        log.get(executor=member.row.id).info("executor_gone", pid=member.row.pid, code=code)
        self._background.spawn(self._bury(member))
        self._background.spawn(self._replace(member))

    async def _bury(self, member: Member) -> None:
        """What it still told us counts; then its tree is ended and its attempts are settled."""
        if member.session is not None:
            await member.session.stored.wait()
        await self._settler.settle(member.row, self.strike)
        self.members.pop(member.row.id, None)
        member.gone.set()

    async def _replace(self, member: Member) -> None:
        if self._clock.now_us() - member.row.started_at_us < SHORT_LIFE_US:
            await asyncio.sleep(RESPAWN_DELAY_S)
        await self._fill()

    async def strike(self, executor: str, namespaces: set[int]) -> list[int]:
        """End what a dead executor, or another such child, left; returns what would not die in this time."""
        async with self._changing:
            ours = self.others | {member.row.pid for member in self.members.values() if member.alive}
            end = partial(procs.end_marked, executor, namespaces, own_children=True, known=ours, timeout_s=SWEEP_S)
            return await asyncio.to_thread(end)


def _reap(pid: int) -> int | None:
    """Take a child's exit code; None for one that is not ours (any more)."""
    with suppress(ChildProcessError):
        ended, status = os.waitpid(pid, os.WNOHANG)
        return os.waitstatus_to_exitcode(status) if ended else None
    return None


def _pidfd_of(row: model.ExecutorRow) -> int | None:
    """A handle on exactly this process; None when it is gone, whoever has its pid now."""
    if row.boot_id != procs.boot_id():
        return None
    try:
        pidfd = os.pidfd_open(row.pid)
    except ProcessLookupError:
        return None
    if procs.start_ticks(row.pid) == row.start_ticks and procs.alive(row.pid):
        return pidfd
    os.close(pidfd)
    return None
