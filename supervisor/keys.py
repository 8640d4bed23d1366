"""Where the keys of the store come from: a file of the state folder, systemd's credentials, or a command.

Only the file is made and changed by us. What is somebody else's to keep is read, and never written.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..store import key_file, ring
from ..store.ring import Ring
from .config import Config

CREDENTIAL = "tsched.key"
COMMAND_S = 30.0
COMMAND = "key_command"


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
        done = subprocess.run(  # noqa: S602 - the administrator's own line
            command, shell=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=COMMAND_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise ring.unusable(f"{COMMAND} did not end within {COMMAND_S:g} s", "try it in a shell") from None
    except OSError as error:
        raise ring.unusable(f"{COMMAND} cannot be run: {error.strerror}", "try it in a shell") from None
    if done.returncode:
        raise ring.unusable(f"{COMMAND} failed with code {done.returncode}", "try it in a shell")
    return done.stdout[: key_file.LIMIT_BYTES].decode(errors="replace")
