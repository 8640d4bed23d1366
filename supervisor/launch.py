"""Starting one executor: a process that learns who it is through a pipe, once its row is durable."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import secrets
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import __version__
from ..proto import procs
from ..proto.clock import Clock
from ..store import model
from . import log
from .config import Config


@dataclass(frozen=True, slots=True, kw_only=True)
class Launched:
    """A process that waits to be told who it is."""

    row: model.ExecutorRow
    process: subprocess.Popen[bytes]
    boot: dict[str, Any]
    boot_writing: int
    stderr: log.LineReader

    def introduce(self) -> None:
        """Tell it. What it does from here on, a later supervisor can find out."""
        with os.fdopen(self.boot_writing, "w") as boot:
            json.dump(self.boot, boot)
        log.get(executor=self.row.id).info("executor_started", pid=self.row.pid)

    def abandon(self) -> None:
        """Leave it untold: it ends by itself."""
        os.close(self.boot_writing)


class Launcher:
    """Starts executors of this version and configuration."""

    def __init__(
        self,
        clock: Clock,
        config: Config,
        *,
        new_data_key: Callable[[], bytes | None],
        home: Path,
        link_socket: Path,
        public_socket: Path,
        several_users: bool = False,
        open_files: int = 0,
    ) -> None:
        """`new_data_key` makes what an executor seals its output under; None: it seals nothing."""
        self._clock = clock
        self._open_files = open_files
        self._new_data_key = new_data_key
        self._boot: dict[str, Any] = {
            "home": str(home),
            "link": str(link_socket),
            "socket": str(public_socket),
            "slots": config.slots_per_executor,
            "shell": config.tasks_shell,
            "runner_idle_s": config.executors_runner_idle_s,
            "async_calls": config.executors_async_calls,
            "spool_bytes": config.executors_spool_bytes,
            "profiles": [profile.as_dict() for profile in config.profiles.values()],
            "several_users": several_users,
            "version": __version__,
        }
        told = json.dumps({**self._boot, "encryption": config.store_encryption}, sort_keys=True).encode()
        self.build = f"{__version__}+{hashlib.sha256(told).hexdigest()[:12]}"
        """Tells executors apart: one that was told otherwise finishes its work and makes room."""

    def start(self) -> Launched:
        """Start a process. Raises OSError where the machine cannot now; nothing is left behind then."""
        executor, secret, data_key = secrets.token_hex(16), secrets.token_hex(32), self._new_data_key()
        boot_reading, boot_writing = os.pipe()
        with ExitStack() as unused:
            unused.callback(os.close, boot_writing)
            process, stderr = _start_process(executor, boot_reading)
            self._limit(process.pid)
            unused.pop_all()
        return Launched(
            row=self._row(executor, secret, data_key, process.pid),
            process=process,
            boot={**self._boot, "executor_id": executor, "secret": secret, "data_key": (data_key or b"").hex()},
            boot_writing=boot_writing,
            stderr=stderr,
        )

    def _limit(self, pid: int) -> None:
        """Take back what only this process needs, before it starts anything: tasks inherit it."""
        if self._open_files:
            _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (self._open_files, hard))

    def _row(self, executor: str, secret: str, data_key: bytes | None, pid: int) -> model.ExecutorRow:
        return model.ExecutorRow(
            id=executor,
            secret_hash=hashlib.sha256(secret.encode()).digest(),
            pid=pid,
            start_ticks=procs.start_ticks(pid) or 0,
            boot_id=procs.boot_id(),
            version=self.build,
            started_at_us=self._clock.now_us(),
            state="present",
            data_key=data_key,
        )


def read_stderr(executor: str, descriptor: int) -> log.LineReader:
    """Have what an executor writes to its stderr in our log."""
    return log.LineReader(descriptor, lambda line: log.get(executor=executor).warning("executor_stderr", text=line))


def _start_process(executor: str, boot_reading: int) -> tuple[subprocess.Popen[bytes], log.LineReader]:
    """Start it with its stderr in our log; the descriptor it reads who it is from is closed here in any case."""
    with ExitStack() as unused:
        unused.callback(os.close, boot_reading)
        log_reading, log_writing = os.pipe()
        unused.callback(os.close, log_writing)
        stderr = read_stderr(executor, log_reading)
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tsched.executor", "--boot-fd", str(boot_reading)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log_writing,
            pass_fds=(boot_reading,),
            env=_environment(),
            start_new_session=True,
        )
        return process, stderr


def _environment() -> dict[str, str]:
    """What an executor needs of ours: nothing that could change how Python or the loader works."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "XDG_RUNTIME_DIR")
    return {name: os.environ[name] for name in kept if name in os.environ}
