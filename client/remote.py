"""The supervisor as a service: reached when it is first needed, by each process for itself."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..proto import api_pb2 as api
from ..proto.errors import Refusal, RefusalReason
from .connection import Connection
from .following import follow_logs, follow_wait
from .ways import Way, as_way


class Remote:
    """A supervisor at the end of a way. Threads share its connection; a process that was forked makes its own."""

    def __init__(self, where: Way | Path) -> None:
        self.way = as_way(where)
        self._connections: dict[int, Connection] = {}

    @property
    def connection(self) -> Connection:
        """This process's. Made without a lock: one that another thread held during a fork would never be free again."""
        here = os.getpid()
        if here not in self._connections:
            if self._connections:
                check_forked()
            self.way.check_there()
            made = Connection(self.way)
            if self._connections.setdefault(here, made) is not made:
                made.close()
        return self._connections[here]

    def close(self) -> None:
        """End this process's connection; the next call makes another."""
        connection = self._connections.pop(os.getpid(), None)
        if connection is not None:
            connection.close()

    def submit(self, specs: Sequence[api.TaskSpec], *, common: api.TaskSpec | None = None) -> list[api.Submitted]:
        """Store all of a request, or nothing. Repeated once when the connection breaks, without making doubles."""
        return self.connection.submit(specs, common=common)

    def get(self, id: str) -> api.Task:  # noqa: A002 - it is called id everywhere
        """One task."""
        return self.connection.get(id)

    def ended(self, ids: Sequence[str], timeout_us: int | None) -> Iterator[api.Task]:
        """Each of these once, as it ends, also over a restart of the supervisor."""
        return follow_wait(self.connection, ids, timeout_us=timeout_us, on_break=_go_on, outcomes=True, results=True)

    def cancel(self, id: str, grace_us: int | None) -> api.Task:  # noqa: A002
        """Ask for a task's end."""
        return self.connection.cancel(id, grace_us=grace_us)

    def logs(self, request: api.LogsRequest) -> Iterator[api.Output]:
        """Output, also over a restart of the supervisor."""
        return follow_logs(self.connection, request, on_break=_go_on)


def check_forked() -> None:
    """Raises Refusal BAD_USAGE where a call of a forked process would never be answered."""
    if os.environ.get("GRPC_ENABLE_FORK_SUPPORT", "1").lower() in {"0", "false", "no"}:
        message = "this process was forked from one that talks to tsched, and gRPC was told not to heed forks"
        hint = "start it anew instead (multiprocessing: spawn), or unset GRPC_ENABLE_FORK_SUPPORT"
        raise Refusal(RefusalReason.BAD_USAGE, message, hint)


def _go_on(_id: str) -> None:
    """A broken connection is taken up again without a word."""
