"""Where the keys of the store come from: a file of the state folder, systemd's credentials, or a command.

Only the file is made and changed by us. What is somebody else's to keep is read, and never written.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..proto.clock import SECOND_US, SystemClock
from ..store import key_file, ring
from ..store.ring import Ring
from .config import Config

CREDENTIAL = "tsched.key"
COMMAND_S = 30.0
COMMAND = "key_command"
TRY = "try it in a shell"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where keys come from. `folder`: the state folder, where they are a file of ours; None elsewhere."""

    origin: str
    folder: Path | None = None
    file: Path | None = None
    command: str = ""

    def read(self) -> Ring | None:
        """The keys that are there; None for none. Raises Refusal KEY_UNUSABLE."""
        if self.command:
            return ring.parse(_output_of(self.command), self.origin)
        return key_file.load(self.file) if self.file else None


def source(config: Config, environ: Mapping[str, str], state_dir: Path) -> Source:
    """The one that counts: what was configured, before what systemd hands over, before the state folder's own."""
    if config.store_key_command:
        return Source(origin=COMMAND, command=config.store_key_command)
    credential = Path(environ.get("CREDENTIALS_DIRECTORY", "/nonexistent")) / CREDENTIAL
    if os.path.lexists(credential):
        return Source(origin=str(credential), file=credential)
    return Source(origin=str(state_dir / key_file.NAME), folder=state_dir, file=state_dir / key_file.NAME)


def _output_of(command: str) -> str:
    """What a command prints. What it says on stderr may be a secret, too, and is told to nobody."""
    try:
        process = subprocess.Popen(  # noqa: S602 - the administrator's own line
            command,
            shell=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise ring.unusable(f"{COMMAND} cannot be run: {error.strerror}", TRY) from None
    with process:
        try:
            printed, code = _heard(process, SystemClock().mono_us() + round(COMMAND_S * SECOND_US))
        finally:
            with suppress(ProcessLookupError):  # whatever it left, too
                os.killpg(process.pid, signal.SIGKILL)
    if code:
        raise ring.unusable(f"{COMMAND} failed with code {code}", TRY)
    return printed.decode(errors="replace")


def _heard(process: subprocess.Popen[bytes], end_us: int) -> tuple[bytes, int]:
    """What it prints until it ends, and its code. Raises Refusal KEY_UNUSABLE for what takes too long, or too much."""
    assert process.stdout  # noqa: S101
    printed = b""
    try:
        while piece := _piece(process.stdout.fileno(), end_us):
            printed += piece
            if len(printed) > key_file.LIMIT_BYTES:
                raise ring.unusable(f"{COMMAND} prints more than {key_file.LIMIT_BYTES} bytes", TRY)
        return printed, process.wait(_left_s(end_us))
    except subprocess.TimeoutExpired:
        raise ring.unusable(f"{COMMAND} did not end within {COMMAND_S:g} s", TRY) from None


def _piece(descriptor: int, end_us: int) -> bytes:
    """Something that is there to be read; nothing at the end. Raises TimeoutExpired."""
    ready, _, _ = select.select([descriptor], [], [], _left_s(end_us))
    if not ready:
        raise subprocess.TimeoutExpired(COMMAND, COMMAND_S)
    return os.read(descriptor, key_file.LIMIT_BYTES)


def _left_s(end_us: int) -> float:
    return max(0.0, end_us - SystemClock().mono_us()) / SECOND_US
