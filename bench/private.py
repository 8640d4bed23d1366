"""A service of a benchmark's own, on temporary folders, started and stopped as a user does it."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

PR_SET_CHILD_SUBREAPER = 36
TSCHED = [sys.executable, "-P", "-m", "tsched"]
GONE_S = 10.0
KINDS = ("supervisor", "executors", "runners and commands")


class Private:
    """A running service: its socket, its processes, and its command line."""

    def __init__(self, base: Path, config: str) -> None:
        self.base = base
        self.socket = base / "s"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TSCHED_", "XDG_"))}
        own = {"TSCHED_STATE_DIR": str(base / "state"), "TSCHED_SOCKET": str(self.socket), "XDG_RUNTIME_DIR": str(base)}
        (base / "config.toml").write_text(config)
        self.env = {**kept, **own, "TSCHED_CONFIG": str(base / "config.toml")}
        self.pid = 0
        self.executors: list[int] = []

    def start(self) -> None:
        """`tsched up -d` returns when the service is ready."""
        self.cli("up", "-d")
        status = self.json("status")
        self.pid = status["pid"]
        self.executors = [each["pid"] for each in status["executors"]]

    def stop(self) -> None:
        """`tsched down`; then nothing of it may be left."""
        self.cli("down")
        left = [process for process in self.family() if not _gone(process)]
        if left:
            raise RuntimeError(f"left behind by tsched down: {left}")

    def kill(self) -> None:
        for process in self.family():
            with suppress(psutil.NoSuchProcess):
                process.kill()
            _gone(process)

    def family(self) -> list[psutil.Process]:
        """What lives below this program, which is their reaper, and knows the service's folder; tasks are not asked."""
        return [each for each in psutil.Process().children(recursive=True) if self._is_ours(each)]

    def _is_ours(self, process: psutil.Process) -> bool:
        with suppress(psutil.NoSuchProcess):
            return process.environ().get("XDG_RUNTIME_DIR") == str(self.base)
        return False

    def cli(self, *args: str, **options: Any) -> str:
        """Output of `tsched ARGS`. Raises CalledProcessError."""
        options = {"stdin": subprocess.DEVNULL, **options} if "input" not in options else options
        done = subprocess.run([*TSCHED, *args], env=self.env, stdout=subprocess.PIPE, text=True, check=True, **options)
        return done.stdout

    def json(self, *args: str) -> Any:
        return json.loads(self.cli(*args, "--json"))

    def cpu_s(self) -> dict[str, float]:
        """Processor seconds used so far by each kind of process; a runner that left is counted with its executor's."""
        executors = [psutil.Process(pid) for pid in self.executors]
        runners = [runner for executor in executors for runner in executor.children()]
        below = sum(_waited_s(each) for each in (*executors, *runners)) + sum(map(_own_s, runners))
        own = (_own_s(psutil.Process(self.pid)), sum(map(_own_s, executors)), below)
        return dict(zip(KINDS, own, strict=True))


def _own_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _waited_s(process: psutil.Process) -> float:
    """What those used that it has waited for, and those that they had waited for."""
    times = process.cpu_times()
    return times.children_user + times.children_system


def _gone(process: psutil.Process) -> bool:
    """Whether it ends in time; a zombie that fell to us is waited for."""
    try:
        process.wait(GONE_S)
    except psutil.TimeoutExpired:
        return False
    except psutil.NoSuchProcess:
        pass
    return True


def reap() -> None:
    """Wait for what fell to us and has ended; only where no process of our own is waited for elsewhere."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


@contextmanager
def service(config: str = "") -> Iterator[Private]:
    """A service that ends with the block, all of it."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    base = Path(tempfile.mkdtemp(prefix="ts-"))
    private = Private(base, config)
    try:
        private.start()
        yield private
        private.stop()
    except BaseException:
        log = base / "state" / "supervisor.log"
        print(log.read_text(errors="replace")[-4000:] if log.exists() else "(no log)", file=sys.stderr)
        private.kill()
        raise
    finally:
        shutil.rmtree(base, ignore_errors=True)
