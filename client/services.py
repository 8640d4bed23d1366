"""What handles and clients need of a service: a supervisor (remote.py), or what tests put in its place."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Protocol

from ..proto import api_pb2 as api


class Service(Protocol):
    """A service that is talked to and waited for. Everything raises Refusal and nothing else."""

    def submit(self, specs: Sequence[api.TaskSpec], *, common: api.TaskSpec | None = None) -> list[api.Submitted]:
        """Store all of a request, or nothing; in its order."""

    def get(self, id: str) -> api.Task:  # noqa: A002 - it is called id everywhere
        """One task, with its attempts and its progress."""

    def ended(self, ids: Sequence[str], timeout_us: int | None) -> Iterator[api.Task]:
        """Each of these once, with its result, as it ends. Raises Refusal WAIT_TIMEOUT."""

    def cancel(self, id: str, grace_us: int | None) -> api.Task:  # noqa: A002
        """Ask for a task's end; the wish is durable."""

    def logs(self, request: api.LogsRequest) -> Iterator[api.Output]:
        """What it wrote, and with `follow` what it will."""


class AsyncService(Protocol):
    """The same for async code."""

    async def submit(self, specs: Sequence[api.TaskSpec], *, common: api.TaskSpec | None = None) -> list[api.Submitted]:
        """Store all of a request, or nothing; in its order."""

    async def get(self, id: str) -> api.Task:  # noqa: A002
        """One task, with its attempts and its progress."""

    def ended(self, ids: Sequence[str], timeout_us: int | None) -> AsyncIterator[api.Task]:
        """Each of these once, with its result, as it ends. Raises Refusal WAIT_TIMEOUT."""

    async def cancel(self, id: str, grace_us: int | None) -> api.Task:  # noqa: A002
        """Ask for a task's end; the wish is durable."""

    def logs(self, request: api.LogsRequest) -> AsyncIterator[api.Output]:
        """What it wrote, and with `follow` what it will."""
