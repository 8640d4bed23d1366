"""Starting a supervisor: in place of this process, or beside it until it says that it is ready."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from ..proto import managed
from ..proto.errors import Refusal, RefusalReason
from . import console

READY_S = 120.0
"""A supervisor says `ready` within this time, a migration of its store included."""
LOG_NAME = "supervisor.log"
"""What a supervisor in the background writes before its log files are open, and what a crash prints."""
LOG_DIR_NAME = "logs"
SHOWN_LINES = 5
SHOWN_BYTES = 4096
ANSWER_LIMIT = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A supervisor that is ready."""

    pid: int
    state_dir: Path
    socket: Path


def program() -> list[str]:
    """The words that run the supervisor's program."""
    return [sys.executable, "-P", "-m", "tsched.supervisor"]


def configured(config: Path | None) -> list[str]:
    """The words that name a configuration, if one is named."""
    named = os.environ.get("TSCHED_CONFIG")
    if config is None and named:
        config = Path(named).absolute()  # a background supervisor stands elsewhere
    return ["--config", str(config)] if config else []


def command(state_dir: Path, socket: Path, config: Path | None, more: Sequence[str] = ()) -> list[str]:
    """The words that start a supervisor; `more` are its own."""
    return [*program(), "--state-dir", str(state_dir), "--socket", str(socket), *configured(config), *more]


def in_place(state_dir: Path, socket: Path, config: Path | None, more: Sequence[str] = ()) -> NoReturn:
    """Become the supervisor."""
    words = command(state_dir, socket, config, more)
    os.execv(words[0], words)  # noqa: S606 - our own program


def detached(state_dir: Path, socket: Path, config: Path | None = None, more: Sequence[str] = ()) -> Started:
    """Start one in a session of its own and wait until it is ready. Raises what it refuses with."""
    log = _open_log(state_dir)
    read, write = os.pipe()
    words = command(state_dir, socket, config, more)
    try:
        process = subprocess.Popen(
            [*words, "--log-dir", str(state_dir / LOG_DIR_NAME), "--ready-fd", str(write)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env={name: value for name, value in os.environ.items() if name not in managed.VARIABLES},
            pass_fds=[write],
            start_new_session=True,
        )
    finally:
        os.close(write)
        os.close(log)
    try:
        answer = _answer(read)
    finally:
        os.close(read)
    _check_answer(answer, state_dir / LOG_NAME)
    process.returncode = 0  # it is not ours to wait for any more
    return Started(pid=process.pid, state_dir=state_dir, socket=socket)


def _open_log(state_dir: Path) -> int:
    try:
        with contextlib.suppress(FileExistsError):
            os.makedirs(state_dir, mode=0o700)
        return os.open(state_dir / LOG_NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as error:
        message = f"cannot use the state folder: {error.filename}: {error.strerror}"
        raise Refusal(RefusalReason.STATE_DIR_UNUSABLE, message, "choose another with --state-dir") from None


def _answer(read: int) -> bytes:
    """What it says: a line, or nothing when it died; gives up after READY_S."""
    answer = b""
    while b"\n" not in answer and len(answer) < ANSWER_LIMIT:
        readable, _, _ = select.select([read], [], [], READY_S)
        if not readable:
            message = f"the supervisor was not ready within {READY_S:.0f} s"
            raise Refusal(RefusalReason.NO_SUPERVISOR, message, "it may still be at it: tsched status")
        piece = os.read(read, ANSWER_LIMIT)
        if not piece:
            break
        answer += piece
    return answer


def _check_answer(answer: bytes, log: Path) -> None:
    if answer == b"ready\n":
        return
    try:
        error = json.loads(answer)["error"]
        refusal = Refusal(RefusalReason(error["reason"]), error["message"], error.get("hint", ""))
    except (ValueError, KeyError, TypeError):
        for line in _last_lines(log):
            console.say(f"supervisor: {line}")
        message = "the supervisor ended while it started"
        raise Refusal(RefusalReason.INTERNAL, message, f"see {log}") from None
    raise refusal


def _last_lines(log: Path) -> list[str]:
    with contextlib.suppress(OSError), log.open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - SHOWN_BYTES))
        return file.read().decode(errors="replace").splitlines()[-SHOWN_LINES:]
    return []
