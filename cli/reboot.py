"""Saying once per state folder that nothing will bring the service back after a reboot."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from . import connect, console

if TYPE_CHECKING:
    from argparse import Namespace
    from pathlib import Path

MARKER = ".told-of-reboot"
AT_START = "; it will not survive a logout or reboot, for no service is installed (tsched service install)"
LATER = "nothing will bring the service back after a logout or reboot: tsched service install does (this is said once)"


def at_start(args: Namespace) -> str:
    """What to add to the notice that a supervisor was started; with it everything is said."""
    return AT_START if _is_news(connect.state_dir(args)) else ""


def warn_once(args: Namespace) -> None:
    """Say it, where that is true and was not said before."""
    if connect.may_start(args) and _is_news(connect.state_dir(args)):
        console.say(LATER)


def _is_news(state_dir: Path) -> bool:
    """Whether it is true and was not said before; it counts as said from now on."""
    marker = state_dir / MARKER
    if marker.exists():
        return False
    from . import unit

    if unit.brings_back(state_dir):
        return False
    with suppress(OSError):
        os.close(os.open(marker, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    return True
