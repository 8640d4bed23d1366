"""Telling the service manager how it goes: the protocol of sd_notify(3), datagrams to the socket NOTIFY_SOCKET names.

Whatever is wrong with that socket is no reason to stop: a manager that hears nothing acts as it was told to.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

from ..proto.clock import SECOND_US, Clock

PATIENCE_S = 1.0
"""So long the manager may take to take a message."""
LONG_WORK_BEAT_S = 5.0
LONG_WORK_GRACE_S = 30.0


class Manager:
    """The service manager, when there is one."""

    def __init__(self, environment: Mapping[str, str], clock: Clock) -> None:
        self._address = _address(environment.get("NOTIFY_SOCKET", ""))
        self._clock = clock
        self.watchdog_s = _watchdog_s(environment)
        """Within so much time it wants to hear that we live; None when it does not watch."""
        # INVOCATION_ID and the like are inherited by all that a terminal's service starts.
        systemd = self._address is not None or environment.get("SYSTEMD_EXEC_PID") == str(os.getpid())
        self.name = "systemd" if systemd else ""

    def ready(self, status: str) -> None:
        """The service serves."""
        self._tell("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """It will be back with READY."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={self._clock.mono_us()}", "STATUS=Reloading")

    def stopping(self, status: str) -> None:
        """The service ends."""
        self._tell("STOPPING=1", f"STATUS={status}")

    def alive(self) -> None:
        """The watchdog may rest."""
        self._tell("WATCHDOG=1", patience_s=0)

    @contextmanager
    def long_work(self) -> Iterator[None]:
        """Ask for patience for as long as something goes on that blocks this process: a migration."""
        if self._address is None:
            yield
            return
        over = threading.Event()
        thread = threading.Thread(target=self._ask_for_patience, args=(over,), name="patience", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _ask_for_patience(self, over: threading.Event) -> None:
        while not over.wait(LONG_WORK_BEAT_S):
            self._tell(f"EXTEND_TIMEOUT_USEC={int(LONG_WORK_GRACE_S * SECOND_US)}", "WATCHDOG=1")

    def _tell(self, *lines: str, patience_s: float = PATIENCE_S) -> None:
        if self._address is None:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to:
            to.settimeout(patience_s)
            to.sendto("\n".join(lines).encode(), self._address)


class Watchdog:
    """Says twice in each period that the service lives, as long as `alive` answers; without a watching manager nothing.

    A service that hangs is not heard of any more, and is started again.
    """

    def __init__(self, manager: Manager, alive: Callable[[], Awaitable[object]]) -> None:
        self._manager = manager
        self._alive = alive

    async def watch(self, pause: Callable[[float], Awaitable[None]]) -> None:
        """Go on for ever; `pause` waits."""
        while self._manager.watchdog_s is not None:
            await self._alive()
            self._manager.alive()
            await pause(self._manager.watchdog_s / 2)


def _address(named: str) -> bytes | None:
    """The address of the socket; None for none, and for what is no address. A leading @ stands for a NUL."""
    address = os.fsencode(named)
    if address[:1] not in (b"/", b"@") or len(address) < 2 or b"\0" in address:  # noqa: PLR2004 - one byte of name
        return None
    return b"\0" + address[1:] if address[:1] == b"@" else address


def _watchdog_s(environment: Mapping[str, str]) -> float | None:
    """The watchdog's period, when it is meant for this process."""
    period = environment.get("WATCHDOG_USEC", "")
    meant = environment.get("WATCHDOG_PID", "") in ("", str(os.getpid()))
    if not meant or not (period.isascii() and period.isdigit()) or not 0 < len(period) < 19:  # noqa: PLR2004 - 64 bits
        return None
    return int(period) / SECOND_US or None
