"""A real supervisor for a test: on a folder of its own, with the test's functions, gone without a trace afterwards."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from ..proto import managed, presence
from ..proto.clock import SECOND_US, SystemClock
from ..proto.errors import Refusal, RefusalReason
from . import default
from .async_client import AsyncClient
from .client import Client
from .default import Stand
from .failures import TschedError, public_errors
from .remote import Remote
from .tls import StrPath

LOOK_EVERY_S = 0.01
READY_S = 60.0
STOP_S = 30.0
SHOWN_BYTES = 4000
NOT_INHERITED = ("TSCHED_", "XDG_")


class TestService:
    """A supervisor that runs, and clients of it. Calls by `.delay()` go to it."""

    __test__ = False  # no class of tests, for all its name

    def __init__(self, folder: Path, config: str) -> None:
        self.folder = folder
        self.socket = folder / "s"
        self.state_dir = folder / "state"
        self.log_path = folder / "log"
        self.client = Client(self.socket)
        self.async_client = AsyncClient(self.socket)
        (folder / "config.toml").write_text(config)
        self.env = {name: value for name, value in os.environ.items() if _is_inherited(name)} | {
            "XDG_RUNTIME_DIR": str(folder),
            "XDG_DATA_HOME": str(folder),
            "TSCHED_STATE_DIR": str(self.state_dir),
            "TSCHED_SOCKET": str(self.socket),
            "TSCHED_CONFIG": str(folder / "config.toml"),
        }
        """For programs that shall find this service, as the command line."""
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, again after `kill`, and wait until it answers. Raises TschedError with its words."""
        words = [sys.executable, "-P", "-m", "tsched", "up", "--config", str(self.folder / "config.toml")]
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.env,
                cwd=self.folder,
                start_new_session=True,
            )
        self._await_ready(self._process)

    def kill(self) -> None:
        """End the supervisor as a power cut would. What it runs goes on, and is taken up by the next one."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @property
    def pid(self) -> int:
        """The supervisor's process. Raises RuntimeError before it is started."""
        if self._process is None:
            raise RuntimeError("the service is not started")
        return self._process.pid

    def log(self) -> str:
        """What it said."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def stop(self) -> None:
        """End it and everything it has started."""
        if self._process is None:
            return
        left = _below(self._process.pid)
        with suppress(Refusal):
            self._remote.connection.shutdown(drain_us=0)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_S)
        for each in {*left, *_named(self.folder)}:
            with suppress(psutil.Error):
                each.kill()
        self.kill()
        self.client.close()

    @property
    def _remote(self) -> Remote:
        assert isinstance(self.client.service, Remote)  # noqa: S101 - made so above
        return self.client.service

    def _await_ready(self, process: subprocess.Popen[bytes]) -> None:
        clock = SystemClock()
        end_us = clock.mono_us() + int(READY_S * SECOND_US)
        while not presence.accepts(self.socket):
            if process.poll() is not None or clock.mono_us() > end_us:
                self.stop()
                said = self.log()[-SHOWN_BYTES:]
                raise TschedError(RefusalReason.NO_SUPERVISOR, f"the service did not start: {said}")
            time.sleep(LOOK_EVERY_S)
        with public_errors():
            self._remote.connection.await_ready(READY_S)


@contextmanager
def service(
    *, modules: Iterable[str] = (), path: StrPath | None = None, config: str = "", start: bool = True
) -> Iterator[TestService]:
    """A real supervisor within the block, to which `.delay()` goes; with functions of these modules.

    `path`: the folder to import them from, this one by default. `config`: more of a config.toml. Everything that it has
    started is gone afterwards, and so is its folder.
    """
    folder = Path(tempfile.mkdtemp(prefix="ts-"))  # short: a socket's path holds 107 bytes
    try:
        served = TestService(folder, config + _functions(list(modules), path))
        with default.standing_in(Stand(served.client, served.async_client)):
            try:
                if start:
                    served.start()
                yield served
            finally:
                served.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_inherited(name: str) -> bool:
    """Whether a variable leads to nothing of this process's own: a service of the user, a manager of this process."""
    return not name.startswith(NOT_INHERITED) and name not in managed.VARIABLES


def _functions(modules: list[str], path: StrPath | None) -> str:
    if not modules:
        return ""
    where = os.path.abspath(path or ".")
    return f'\n[[functions]]\nname = "tests"\nmodules = {json.dumps(modules)}\npath = {json.dumps(where)}\n'


def _below(pid: int) -> list[psutil.Process]:
    """All descendants of a process, for it may leave some of them behind."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


def _named(folder: Path) -> list[psutil.Process]:
    """All processes whose environment names the folder: executors have sessions of their own."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get("XDG_RUNTIME_DIR") == str(folder):
                found.append(process)
    return found
