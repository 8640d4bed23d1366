"""Who is offered how much: pure decisions about free places."""

from __future__ import annotations

from collections.abc import Mapping

CLAIM_LIMIT = 64
"""Most tasks given out in one statement."""


def offers(credits_by_executor: Mapping[str, int]) -> list[tuple[str, int]]:
    """How many tasks to claim for each executor now: the freest first, at most half of its places (rounded up).

    Half, so that a handful of ready tasks spreads over the executors instead of filling the first; whoever asks goes on
    until nothing is ready or no place is free, so all places are reached in a few rounds.
    """
    free = sorted(credits_by_executor.items(), key=lambda item: (-item[1], item[0]))
    return [(executor, min((places + 1) // 2, CLAIM_LIMIT)) for executor, places in free if places > 0]
