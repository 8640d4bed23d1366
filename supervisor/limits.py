"""How much one caller may ask at a time and in a second. Counted by name, so that nobody else pays for it."""

from __future__ import annotations

import resource
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ..proto.clock import SECOND_US, Clock
from ..proto.errors import Refusal, RefusalReason

BUCKETS_LIMIT = 10_000
"""So many callers are remembered; full buckets are forgotten first."""
SOCKET_SHARE, TCP_SHARE = 2, 4
"""One in so many descriptors may be a connection of either kind; the rest is for the service's own work."""
HANDSHAKE_MS = 20_000
"""Whoever has not said by then that they speak gRPC is sent away; gRPC itself would wait for two minutes."""
HINT = "[limits] in config.toml says how much one caller may"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What [limits] of config.toml says; 0: no limit."""

    concurrent_calls: int = 0
    queued_tasks: int = 0
    submits_per_s: float = 0.0
    submits_burst: int = 1


@dataclass(slots=True)
class Bucket:
    """What is left of a burst, and since when."""

    left: float
    at_us: int


def connections(share: int) -> list[tuple[str, int]]:
    """The options of a server that lets in no more than its share: without descriptors nothing works."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return [
        ("grpc.max_allowed_incoming_connections", max(1, min(descriptors, 1 << 20) // share)),
        ("grpc.server_handshake_timeout_ms", HANDSHAKE_MS),
    ]


class Load:
    """What callers have underway, and how fast they submit."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._calls: Counter[str] = Counter()
        self._buckets: dict[str, Bucket] = {}

    @contextmanager
    def call(self, name: str) -> Iterator[None]:
        """Count a call while the block runs. Raises Refusal TOO_MANY_CALLS."""
        most = self._limits.concurrent_calls
        if most and self._calls[name] >= most:
            message = f"{name} has {most} calls underway, as many as one caller may"
            raise Refusal(RefusalReason.TOO_MANY_CALLS, message, HINT)
        self._calls[name] += 1
        try:
            yield
        finally:
            self._calls[name] -= 1
            if not self._calls[name]:
                del self._calls[name]

    def submit(self, name: str) -> None:
        """Count a submission. Raises Refusal TOO_FAST."""
        rate = self._limits.submits_per_s
        if not rate:
            return
        bucket = self._filled(name, rate)
        if bucket.left < 1:
            message = f"{name} submits more than {rate:g} times a second"
            raise Refusal(RefusalReason.TOO_FAST, message, f"put more tasks into each request; {HINT}")
        bucket.left -= 1

    def _filled(self, name: str, rate: float) -> Bucket:
        now_us, burst = self._clock.mono_us(), self._limits.submits_burst
        bucket = self._buckets.get(name)
        if bucket is None:
            if len(self._buckets) >= BUCKETS_LIMIT:
                self._buckets.clear()
            bucket = self._buckets[name] = Bucket(burst, now_us)
        bucket.left = min(burst, bucket.left + (now_us - bucket.at_us) / SECOND_US * rate)
        bucket.at_us = now_us
        return bucket
