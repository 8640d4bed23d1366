"""The store on behalf of whoever calls: they see what is theirs, and what they change is noted, with the change.

Outside of any call it is asked by the service itself, which sees everything and is not noted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import TypeVar

from ..proto.clock import Clock
from ..proto.errors import Refusal
from ..store import Store, StoreBusy, StoreFault, audit, model
from ..store.db import Db
from . import callers, log
from .callers import Caller

T = TypeVar("T")
SUBMIT = "submit"


class Behalf:
    """Reads and writes as the store does; each in the name of the call that asks for it."""

    def __init__(self, store: Store, clock: Clock, queued_limit: int = 0) -> None:
        self._store = self.whole = store
        self._clock = clock
        self._queued_limit = queued_limit
        self.read_output = store.read_output
        self.write_output = store.write_output
        self.on_commit = store.on_commit

    def read(self, query: Callable[[Db], T]) -> Future[T]:
        """Ask tsched.db."""
        caller = callers.CURRENT.get()
        if caller is None or caller.is_free:
            return self._store.read(query)
        who = self._who(caller)
        return self._store.read(lambda db: query(db.on_behalf(who)))

    def write(self, command: Callable[[Db], T], what: str, object_of: Callable[[T], str]) -> Future[T]:
        """Change tsched.db, and note with it what was done to what, if it was anything."""
        caller = callers.CURRENT.get()
        if caller is None:
            return self._store.write(command)
        who = self._who(caller)
        noted: list[str] = []

        def run(db: Db) -> T:
            db = db.on_behalf(who)
            answer = command(db)
            noted[:] = [object_of(answer)]
            if noted[0]:
                audit.record(db, what=what, object=noted[0], at_us=self._clock.now_us())
            return answer

        written = self._store.write(run)
        if log.tells_steps() or what != SUBMIT or not caller.is_own:
            tell = partial(_tell, caller, what, noted)
            loop = asyncio.get_running_loop()
            written.add_done_callback(lambda done: None if done.exception() else loop.call_soon_threadsafe(tell))
        return written

    async def note(self, what: str, about: str) -> None:
        """Note what was done elsewhere than in the store. A store that takes nothing keeps nobody from anything."""
        try:
            await asyncio.wrap_future(self.write(_nothing, what, lambda _: about))
        except (Refusal, StoreBusy, StoreFault) as failure:
            log.get(what=what, object=about).error("audit_failed", error=str(failure))

    def _who(self, caller: Caller) -> model.Who:
        return model.Who(
            name=caller.name,
            role=caller.role.word,
            where=caller.where,
            owner=caller.owner,
            sees_all=caller.is_free,
            queued_limit=0 if caller.is_free else self._queued_limit,
        )


def _nothing(_db: Db) -> None:
    """Change nothing but what is noted of it."""


def _tell(caller: Caller, what: str, noted: list[str]) -> None:
    """Say it in the log: the service's own user's submissions, which may be a thousand a second, as a step only."""
    if noted and noted[0]:
        put = log.get().debug if what == SUBMIT and caller.is_own else log.get().info
        put("audit", who=caller.name, role=caller.role.word, where=caller.where, what=what, object=noted[0])
