"""Who is given how much: pure decisions about free places."""

from __future__ import annotations

import heapq
from collections.abc import Mapping

CLAIM_LIMIT = 128
"""Most tasks given out in one transaction."""


def shares(ready: int, free: Mapping[str, int]) -> dict[str, int]:
    """How many of so many ready tasks each executor is given: each next one goes to the freest.

    So a handful of tasks spreads over the executors instead of filling the first.
    """
    heap = [(-places, name) for name, places in free.items() if places > 0]
    heapq.heapify(heap)
    given: dict[str, int] = {}
    for _ in range(min(ready, sum(free.values()))):
        places, name = heap[0]
        given[name] = given.get(name, 0) + 1
        heapq.heapreplace(heap, (places + 1, name))
    return given
