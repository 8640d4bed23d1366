"""Who is given how much: pure decisions about free places."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from typing import NamedTuple

CLAIM_LIMIT = 256
"""Most tasks given out in one transaction."""


class Lane(NamedTuple):
    """What is given out in an order of its own: the tasks of a queue that take slots, or its shared ones."""

    queue: str
    shared: bool = False


def shares(ready: int, free: Mapping[str, int], idle: Mapping[str, int]) -> dict[str, int]:
    """How many of so many ready tasks each executor is given: each next one goes to where most slots are idle.

    An executor of short tasks asks for more than it has slots, and may ask no less when the next are long; so what it
    asks for is a limit, and says not who would start a task first. Among equals, whoever asks for more gets it.
    """
    heap = [(-idle[name], -places, name) for name, places in free.items() if places > 0]
    heapq.heapify(heap)
    given: dict[str, int] = {}
    for _ in range(min(ready, sum(free.values()))):
        slots, places, name = heap[0]
        given[name] = given.get(name, 0) + 1
        if places == -1:
            heapq.heappop(heap)
        else:
            heapq.heapreplace(heap, (slots + 1, places + 1, name))
    return given
