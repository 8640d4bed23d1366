"""Gives ready tasks to free executors, and makes scheduled tasks ready when they are due.

Nothing is polled: the desk works when something became ready, a place became free, or the alarm rang.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from ..proto import link_pb2
from ..proto.clock import Clock
from ..proto.errors import Refusal
from ..store import Store, StoreBusy, claims, model, tasks
from ..store.db import Db
from . import durable, log, planner, reports
from .alarm import Alarm
from .background import Background
from .ends import announce, announce_children
from .news import News
from .owners import OWN, Owners
from .planner import Lane
from .session import Session
from .taps import Taps

if TYPE_CHECKING:
    from .catalogue import Catalogue

AlarmMaker = Callable[[Callable[[], None]], Alarm]


@dataclass(slots=True)
class Round:
    """What one transaction gave out, to whom, and what it found damaged; `more`: something ready is left.

    `children`: what became of those that waited for what was damaged.
    """

    given: dict[str, list[model.Claimed]] = field(default_factory=dict)
    corrupt: list[str] = field(default_factory=list)
    children: list[model.Child] = field(default_factory=list)
    more: bool = False


def claim_round(db: Db, *, lane: Lane, free: dict[str, int], idle: dict[str, int], clock: Clock) -> Round:
    """Claim the first ready tasks of a lane for the free places of all executors, for their idle slots first."""
    done = Round()
    limit = min(sum(free.values()), planner.CLAIM_LIMIT)
    ready = claims.ready_count(db, queue=lane.queue, shared=lane.shared, limit=limit)
    now_us = clock.now_us()
    for name, places in planner.shares(ready, free, idle).items():
        corrupt: list[str] = []
        children: list[model.Child] = []
        done.given[name] = claims.claim(
            db,
            executor=name,
            queue=lane.queue,
            shared=lane.shared,
            limit=places,
            now_us=now_us,
            corrupt=corrupt,
            children=children,
        )
        done.corrupt += corrupt
        done.children += children
    done.more = ready == limit or sum(map(len, done.given.values())) < ready
    return done


@dataclass(frozen=True, slots=True)
class Turn:
    """A claim about to be made: the free places it is for are taken until it is over."""

    lane: Lane
    sessions: dict[str, Session]
    free: dict[str, int]
    idle: dict[str, int]
    clock: Clock

    @classmethod
    def take(cls, lane: Lane, sessions: dict[str, Session], clock: Clock) -> Turn:
        """All free places of these executors."""
        free = {name: session.free[lane.shared] for name, session in sessions.items()}
        idle = {name: session.idle(shared=lane.shared) for name, session in sessions.items()}
        for session in sessions.values():
            session.free[lane.shared] = 0
        return cls(lane, sessions, free, idle, clock)

    def claim(self, db: Db) -> Round:
        """Claim in the transaction of somebody who writes."""
        return claim_round(db, lane=self.lane, free=self.free, idle=self.idle, clock=self.clock)

    def give_back(self, done: Round) -> None:
        """Give back the places for which there was nothing. One that is gone is given nothing any more by the store."""
        for name, session in self.sessions.items():
            given = done.given.get(name)
            gone = given is not None and not given and not done.corrupt
            session.free[self.lane.shared] += 0 if gone else self.free[name] - len(given or ())


class Desk:
    """Matches what is ready with who is free."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        taps: Taps,
        news: News,
        catalogue: Catalogue,
        owners: Owners = OWN,
        make_alarm: AlarmMaker,
        background: Background,
    ) -> None:
        self._store = store
        self._clock = clock
        self._taps = taps
        self._news = news
        self._catalogue = catalogue
        self._owners = owners
        self._sessions: dict[str, Session] = {}
        self._lanes: dict[Lane, int] = {}
        """Lanes that may hold ready tasks, and how often each was said to."""
        self._working = False
        self._open = False
        self._background = background
        self.next_due_us: int | None = None
        self._alarm = make_alarm(self.review)

    def open(self) -> None:
        """Begin: look what is due and what is ready, and go on by itself from then on."""
        self._open = True
        self.review()

    def close(self) -> None:
        """Give out nothing any more."""
        self._open = False

    def end(self) -> None:
        """Close, and give the alarm back."""
        self.close()
        self._alarm.close()

    def join(self, session: Session) -> None:
        """Count an executor's free places from now on."""
        self._sessions[session.executor] = session

    def leave(self, session: Session) -> None:
        """Count an executor's free places no more."""
        if self._sessions.get(session.executor) is session:
            del self._sessions[session.executor]

    def ready(self, lane: Lane) -> None:
        """Note that something in this lane became ready."""
        self._lanes[lane] = self._lanes.get(lane, 0) + 1
        self.kick()

    def scheduled(self, due_us: int) -> None:
        """Note that something will be due then."""
        if self.next_due_us is None or due_us < self.next_due_us:
            self._wake_at(due_us)

    def _wake_at(self, due_us: int | None) -> None:
        self.next_due_us = due_us
        if self._open:
            self._alarm.set(due_us)

    def kick(self) -> None:
        """Give out what can be given out."""
        if self._open and not self._working and self._lanes:
            self._working = True
            self._background.spawn(self._work())

    def review(self) -> None:
        """Make ready what is due, and see which lanes hold something ready."""
        if self._open:
            self._background.spawn(self._look())

    async def _look(self) -> None:
        lanes, next_due_us = await durable.insist(lambda: self._store.write(self._make_due_ready))
        self._wake_at(next_due_us)
        for queue, shared in lanes:
            self.ready(Lane(queue, shared))

    def _make_due_ready(self, db: Db) -> tuple[list[tuple[str, bool]], int | None]:
        tasks.promote(db, now_us=self._clock.now_us())
        return claims.queues_with_ready(db), tasks.next_due(db)

    async def _work(self) -> None:
        try:
            while self._open and (lane := self._servable()) is not None:
                await self._serve(lane, self._free(shared=lane.shared))
        except (Refusal, StoreBusy) as failure:
            log.get().error("claim_failed", error=str(failure), retry_after_s=durable.RETRY_AFTER_S)
            asyncio.get_running_loop().call_later(durable.RETRY_AFTER_S, self.kick)
        finally:
            self._working = False

    def _servable(self) -> Lane | None:
        """The first lane for which somebody has a free place."""
        kinds = {shared for shared in (False, True) if self._free(shared=shared)}
        return next((lane for lane in self._lanes if lane.shared in kinds), None) if kinds else None

    def _free(self, *, shared: bool) -> dict[str, Session]:
        """The executors that have a free place, for shared tasks or for others."""
        return {
            name: session
            for name, session in self._sessions.items()
            if session.free[shared] > 0 and not session.closed.is_set()
        }

    def turn(self, lane: Lane) -> Turn | None:
        """Places for tasks of a lane that are about to be stored: with none before them they are claimed as they are.

        So an idle service spares them a transaction. Whoever takes it says `settle` in any case.
        """
        sessions = self._free(shared=lane.shared)
        if not sessions or not self._open or self._lanes:
            return None
        return Turn.take(lane, sessions, self._clock)

    def settle(self, turn: Turn, done: Round | None) -> None:
        """Hand over what a turn has claimed; None: its transaction failed."""
        turn.give_back(done or Round())
        if done is not None:
            self._hand_out(turn, done)
            if done.more:
                self.ready(turn.lane)
        self.kick()  # others may have waited for these places

    async def _serve(self, lane: Lane, sessions: dict[str, Session]) -> None:
        """Give out tasks of one lane; move the lane to the end, or off the list when it ran dry."""
        told = self._lanes[lane]
        more = await self._claim(lane, sessions) or self._lanes[lane] != told
        told = self._lanes.pop(lane)
        if more:
            self._lanes[lane] = told

    async def _claim(self, lane: Lane, sessions: dict[str, Session]) -> bool:
        """Claim for all free places in one transaction, and hand over. Whether something ready is left."""
        turn, done = Turn.take(lane, sessions, self._clock), Round()
        try:
            done = await asyncio.wrap_future(self._store.write(turn.claim))
        finally:
            turn.give_back(done)
        self._hand_out(turn, done)
        return done.more

    def _hand_out(self, turn: Turn, done: Round) -> None:
        for name, rows in done.given.items():
            self._hand_over(turn.sessions[name], turn.lane, rows)
        for task_id in done.corrupt:
            log.get(task=task_id).error("task_is_damaged")
            self._news.ring(task_id)
        announce_children(done.children, self, self._news)

    def _hand_over(self, session: Session, lane: Lane, rows: list[model.Claimed]) -> None:
        """Tell the executor at once: whoever cancels what was claimed for it has its order sent after this."""
        if session.closed.is_set():
            self._background.spawn(self._take_back(session, [row.attempt_id for row in rows]))
            return
        unfit: list[model.FinishReport] = []
        session.assign(self._assignments(session.executor, rows, unfit))
        if unfit:
            session.free[lane.shared] += len(unfit)
            self._background.spawn(self._conclude(session.executor, unfit))

    def _assignments(
        self, executor: str, rows: list[model.Claimed], unfit: list[model.FinishReport]
    ) -> Iterator[link_pb2.Assignment]:
        """What the executor is told of each; those that cannot be run as they are are left."""
        for row in rows:
            try:
                tapped = self._taps.get(row.task_id) is not None
                yield reports.assignment(row, tapped=tapped, catalogue=self._catalogue, owners=self._owners)
            except Refusal as refusal:
                unfit.append(reports.unfit_report(row, executor, refusal, self._clock.now_us()))

    async def _conclude(self, executor: str, unfit: list[model.FinishReport]) -> None:
        """End what nobody was told of. Dies the service before, they are given out again and end then."""
        command = partial(claims.finished, reports=unfit)
        for end in await durable.insist(lambda: self._store.write(command)):
            announce(end, self, self._news, executor=executor)

    async def _take_back(self, session: Session, attempt_ids: list[int]) -> None:
        """Nobody was told of these claims: the stream broke before."""
        children: list[model.Child] = []
        command = partial(claims.returned, attempt_ids=attempt_ids, executor=session.executor, children=children)
        for task_id in await durable.insist(lambda: self._store.write(command)):
            self._news.ring(task_id)
        announce_children(children, self, self._news)
        self.review()
