"""One runner, as its executor sees it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from typing import TYPE_CHECKING

from ..proto.link_pb2 import RunnerUp

if TYPE_CHECKING:
    from .attempts import Attempt
    from .kinds import Kind
    from .messages import Order, Up
    from .port import Port


class Runner:
    """One runner, as its executor sees it. Raises OSError when no descriptor is left to watch it, and ends it then."""

    def __init__(self, process: subprocess.Popen[bytes], kind: Kind) -> None:
        self.process = process
        self.pid = process.pid
        self.kind = kind
        try:
            self.pidfd = os.pidfd_open(process.pid)
        except OSError:
            process.kill()
            process.wait()
            raise
        self.port: Port
        self.up: Up | None = None
        self.acknowledged = False
        self.attempt: Attempt | None = None
        self.idle_since_s = 0.0
        self.tired = False
        self.paused = False
        """Whether it is meant to stand still itself."""
        self.dead = False
        self.retired = False

    @property
    def idle(self) -> bool:
        """Whether it has nothing to do."""
        return self.acknowledged and self.attempt is None and not self.retired

    @property
    def free(self) -> bool:
        """Whether it can take a task."""
        return self.idle

    @property
    def marks(self) -> list[bytes]:
        """Environment entries that all below it have, beside those of its task."""
        return []

    @property
    def report(self) -> RunnerUp | None:
        """Its mark, once known."""
        if self.up is None:
            return None
        return RunnerUp(pid=self.pid, start_ticks=self.up.start_ticks, mount_namespace=self.up.mount_namespace)

    def send(self, order: Order, descriptors: list[int] | None = None) -> None:
        """Give it an order, if it lives; the descriptors are closed here."""
        if not self.dead:
            self.port.send(order, descriptors)

    def kill(self) -> None:
        """End it, whatever it does."""
        self.signal(signal.SIGKILL)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it lives; its end is heard of through its pidfd only."""
        if not self.dead:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.pidfd, number)

    def retire(self) -> None:
        """Let it end; it is idle."""
        self.retired = True
        self.port.close()
