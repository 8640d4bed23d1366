"""Those who were refused: noted and logged, but not one by one where somebody keeps trying."""

from __future__ import annotations

from collections import Counter
from functools import partial

from ..proto.clock import SECOND_US, Clock
from ..proto.errors import Refusal
from ..store import Store, audit, model
from . import log
from .callers import Caller

EVERY_US = 60 * SECOND_US
KEYS_LIMIT = 1_000
NOBODY = "nobody"


class TurnedAway:
    """Notes the first of each caller and method, and a minute later the next, with how many there were between."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._noted_us: dict[tuple[str, str], int] = {}
        self._since: Counter[tuple[str, str]] = Counter()

    def __call__(self, caller: Caller | None, method: str, refusal: Refusal) -> None:
        """One was refused; nobody knows who they are where there is no caller."""
        name, now_us = caller.name if caller else NOBODY, self._clock.mono_us()
        key = name, method
        if now_us - self._noted_us.get(key, now_us - EVERY_US) < EVERY_US:
            self._since[key] += 1
            return
        if len(self._noted_us) >= KEYS_LIMIT:
            self._noted_us.clear()
            self._since.clear()
        self._noted_us[key] = now_us
        more = self._since.pop(key, 0)
        outcome = f"{refusal.reason} ({more} more before)" if more else str(refusal.reason)
        who = model.Who(
            name=name, role=caller.role.word if caller else "", where=caller.where if caller else "", owner=""
        )
        verb = method.rpartition("/")[2]
        record = partial(audit.record, what=verb, object="", at_us=self._clock.now_us(), who=who, outcome=outcome)
        self._store.write(record)  # where it takes nothing, the log tells
        log.get().warning("audit", who=who.name, role=who.role, where=who.where, what=verb, object="", outcome=outcome)
