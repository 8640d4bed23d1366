"""The systemd unit that keeps the service up: its text, and where it lies. Pure but for looking at files."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ..proto.errors import Refusal, RefusalReason

NAME = "tsched.service"
MARK = "# Written by `tsched service install`."
SAFE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+,:=@")
STOP_SLACK_S = 15
"""What a stop may take beyond the drain: trees are ended, executors leave."""

TEXT = """{mark}
[Unit]
Description=tsched, a durable task scheduler ({state_dir})
# It tries again for ever: an unattended machine has nobody to start it.
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={start}
# Begins anew in the same process, with the program and the configuration on disk; running tasks go on.
ExecReload={reload}
{environment}UMask=0077
WorkingDirectory=/
Restart=on-failure
RestartSec=2
TimeoutStartSec=120
# The drain of running tasks (service.stop_timeout_s), and some.
TimeoutStopSec={stop_s}
# A service that hangs is killed and started again.
WatchdogSec=30
# Tasks and their executors outlive the service: a stop or a restart ends neither, nor does one task that runs out of
# memory end the others.
KillMode=process
OOMPolicy=continue
Delegate=yes
TasksMax=infinity
# No PrivateTmp, ProtectSystem, NoNewPrivileges and the like on purpose: every task would live under them too.

[Install]
WantedBy={target}
"""


OWN_FOLDERS = """RuntimeDirectory=tsched
RuntimeDirectoryMode=0700
RuntimeDirectoryPreserve=yes
Environment=XDG_RUNTIME_DIR=%t/tsched
"""
"""A folder that no session takes away when it ends; a user's manager names one itself."""
SHARED_FOLDERS = """RuntimeDirectory=tsched
RuntimeDirectoryMode=0755
RuntimeDirectoryPreserve=yes
StateDirectory=tsched
StateDirectoryMode=0700
"""
"""Of a service of several users: they come to the socket in the first, and to nothing in the second."""


class Unit(NamedTuple):
    """A unit and its place."""

    path: Path
    text: str
    user: bool

    @property
    def systemctl(self) -> list[str]:
        """The words that reach the manager of it."""
        return ["systemctl", "--user"] if self.user else ["systemctl"]

    @property
    def enabled(self) -> bool:
        """Whether something wants it at boot or at login."""
        return any(self.path.parent.glob(f"*.wants/{NAME}"))

    def written(self) -> str | None:
        """What stands there now."""
        try:
            return self.path.read_text("utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no text"
            raise Refusal(RefusalReason.INTERNAL, f"cannot read {self.path}: {reason}") from None


def folder(*, user: bool) -> Path:
    """Where units of that kind lie."""
    if not user:
        return Path("/etc/systemd/system")
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "systemd" / "user"


def build(
    *, user: bool, state_dir: Path, more: Sequence[str], config: Sequence[str], stop_s: float, system: bool = False
) -> Unit:
    """The unit for a state folder; `more` are the words that say where it listens, `config` what it reads.

    `system`: of the service of several users. A machine has one unit of root's: that, or root's own service.
    """
    words = [sys.executable, "-P", "-m", "tsched"]
    where = [*["--system"] * system, "--state-dir", str(state_dir), *more]
    text = TEXT.format(
        mark=MARK,
        state_dir=str(state_dir).replace("%", "%%") if str(state_dir).isprintable() else "elsewhere",
        start=line([*words, "up", *where, *config]),
        reload=line([*words, "config", "reload", *where]),
        environment=_folders(user=user, system=system),
        stop_s=round(stop_s) + STOP_SLACK_S,
        target="default.target" if user else "multi-user.target",
    )
    return Unit(folder(user=user) / NAME, text, user)


def _folders(*, user: bool, system: bool) -> str:
    if system:
        return SHARED_FOLDERS
    return "" if user else OWN_FOLDERS


def line(words: Sequence[str]) -> str:
    """A command as systemd reads it: a program and its arguments."""
    program, *arguments = words
    # In the program's name a $ is nothing special, but braces would be.
    if "${" in program:
        raise Refusal(RefusalReason.BAD_VALUE, f"systemd cannot start {program}", "use another path for Python")
    return " ".join([quoted(program), *(quoted(word).replace("$", "$$") for word in arguments)])


def quoted(word: str) -> str:
    """One word, as it is, whatever is in it."""
    if word and set(word) <= SAFE:
        return word
    return f'"{shown(word)}"'


def shown(text: str) -> str:
    """Text with what systemd would take for an escape or a specifier escaped."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return "".join(
        char if char.isprintable() else "".join(f"\\x{byte:02x}" for byte in char.encode()) for char in escaped
    )


def brings_back(state_dir: Path) -> bool:
    """Whether some unit that is wanted at boot or at login names this state folder, or none at all."""
    wanted = f"--state-dir {quoted(str(state_dir)).replace('$', '$$')}"
    return any(wanted in text for text in _enabled())


def _enabled() -> list[str]:
    """The texts of all units of ours that are wanted."""
    texts = []
    for place in (folder(user=False), folder(user=True), Path("/etc/systemd/user")):
        for link in place.glob("*.wants/tsched*.service"):
            with suppress(OSError, UnicodeDecodeError):
                texts.append((place / link.name).read_text("utf-8"))
    return texts
