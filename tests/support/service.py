"""A real supervisor on a folder of its own, and the command line beside it, as a user has them.

Everything lies under one short folder, because a Unix socket path holds 107 bytes. Executors outlive their supervisor by
design, so a service ends in one of two ways: told so (`down`, after `doctor` found no problem), or by force.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support import procs

if TYPE_CHECKING:
    from collections.abc import Mapping

TSCHED = Path(sys.executable).with_name("tsched")
READY_TIMEOUT_S = 30.0
CLI_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Result:
    """What one call of the command line came to."""

    args: tuple[str, ...]
    code: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        return self.stdout.decode()

    @property
    def word(self) -> str:
        """Its only line."""
        return self.text.strip()

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)

    @property
    def lines(self) -> list[Any]:
        """JSON lines."""
        return [json.loads(line) for line in self.stdout.splitlines()]

    def __str__(self) -> str:
        said = f"{self.stdout.decode(errors='replace')}{self.stderr.decode(errors='replace')}"
        return f"tsched {' '.join(self.args)} -> {self.code}\n{said}"


class Service:
    """Starts on `start`, stops on `stop`, may be killed in between as often as a test likes."""

    def __init__(self, base: Path, config: str = "") -> None:
        self.base = base
        self.program: tuple[str, ...] = (str(TSCHED),)
        self.supervisor: tuple[str, ...] = (sys.executable, "-P", "-m", "tsched.supervisor")
        self.state_dir = base / "state"
        self.socket = base / "s"
        self.log_path = base / "service.log"
        self.home = base / "home"
        self.home.mkdir()
        self.env = {
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "PATH": os.environ["PATH"],
            "PYTHONFAULTHANDLER": "1",
            "XDG_RUNTIME_DIR": str(base),
            "TSCHED_STATE_DIR": str(self.state_dir),
            "TSCHED_SOCKET": str(self.socket),
        }
        if config:
            (base / "config.toml").write_text(config)
            self.env["TSCHED_CONFIG"] = str(base / "config.toml")
        self.damaged = False
        """Set by a test that broke the store on purpose: `doctor` is not asked at the end."""
        self._process: subprocess.Popen[bytes] | None = None
        self._spawned: list[subprocess.Popen[bytes]] = []

    # Its life.

    def start(self) -> None:
        """Starts the supervisor and waits until it is ready; AssertionError with its words when it will not be."""
        assert not self.running, "the supervisor runs already"
        read, write = os.pipe()
        argv = [*self.supervisor, "--ready-fd", str(write)]
        argv += ["--state-dir", str(self.state_dir), "--socket", str(self.socket)]
        argv += ["--config", self.env["TSCHED_CONFIG"]] if "TSCHED_CONFIG" in self.env else []
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.env,
                cwd=self.base,
                pass_fds=[write],
                start_new_session=True,
            )
        os.close(write)
        answer = _first_line(read)
        if answer != b"ready\n":
            # Where it hangs, if it does: its threads' stacks go to its log.
            self.signal(signal.SIGABRT)
            self.wait()
        assert answer == b"ready\n", f"the supervisor answered {answer!r}\n{self.log()}"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process, "never started"
        return self._process.pid

    def kill9(self) -> None:
        """The supervisor dies as in a power cut of its own; executors go on."""
        self.signal(signal.SIGKILL)
        self.wait()

    def signal(self, number: signal.Signals) -> None:
        assert self._process, "never started"
        self._process.send_signal(number)

    def wait(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """The supervisor's exit code, once it has one."""
        assert self._process, "never started"
        return self._process.wait(timeout_s)

    def restart(self) -> None:
        """Kills the supervisor when it runs, and starts the next one on the same folder."""
        if self.running:
            self.kill9()
        self.start()

    def stop(self) -> None:
        """`tsched down`: the supervisor and all its executors end."""
        self.cli("down")
        assert self.wait() == 0, f"the supervisor left with {self.wait()}\n{self.log()}"

    def close(self, *, force: bool = False) -> None:
        """Ends all of it. Without force a doctor looks at the store first, also when the supervisor was dead."""
        for process in self._spawned:
            process.kill()
            process.communicate()
        if force or self.damaged:
            self._kill()
            procs.sweep()
            return
        try:
            if not self.running:
                self.start()
            problems = [finding for finding in self.doctor()["findings"] if finding["severity"] == "problem"]
            assert not problems, f"doctor found {problems}"
            self.stop()
        finally:
            self._kill()

    def _kill(self) -> None:
        if self.running:
            self.kill9()

    # Talking to it.

    def cli(
        self,
        *args: str,
        input: bytes | None = None,  # noqa: A002 - as subprocess.run calls it
        check: bool = True,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout_s: float = CLI_TIMEOUT_S,
    ) -> Result:
        """Runs `tsched ARGS`; with `check` (the default) any exit code but 0 is a failure of the test."""
        done = subprocess.run(
            [*self.program, *args],
            check=False,
            stdin=subprocess.DEVNULL if input is None else None,
            input=input,
            capture_output=True,
            env={**self.env, **(env or {})},
            cwd=cwd or self.base,
            timeout=timeout_s,
        )
        result = Result(args, done.returncode, done.stdout, done.stderr)
        assert not check or result.code == 0, str(result)
        return result

    def spawn(self, *args: str, **options: Any) -> subprocess.Popen[bytes]:
        """Starts `tsched ARGS` with pipes and leaves it running; it is killed at the end of the test."""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(
            [*self.program, *args], env=self.env, cwd=self.base, bufsize=0, **{**pipes, **options}
        )
        self._spawned.append(process)
        return process

    def json(self, *args: str) -> Any:
        """The JSON value of `tsched ARGS --json`."""
        return self.cli(*args, "--json").json

    def task(self, id: str) -> Any:  # noqa: A002 - the word of the command line
        return self.json("show", id)

    def doctor(self) -> Any:
        return self.json("doctor")

    # What it says.

    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def log_lines(self) -> list[Any]:
        """The log, line by line; every line must be JSON."""
        return [json.loads(line) for line in self.log().splitlines()]


def _first_line(fd: int) -> bytes:
    with os.fdopen(fd, "rb") as stream:
        readable, _, _ = select.select([stream], [], [], READY_TIMEOUT_S)
        return stream.readline() if readable else b"(nothing)"
