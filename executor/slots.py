"""How much work an executor asks for, and what of it it gives back. Decisions only: no process, no clock, no link.

An executor asks for as many tasks as it has free slots. Where runs are so short that the way to the supervisor and back
would leave slots idle, it asks for more, to hold them ahead of free slots: as many as start within `AHEAD_S` at the
recent pace of their lane. A lane is a queue. When the guess was wrong and tasks wait longer than `PATIENCE_S` for a
slot, they are given back, and the lane has to prove itself quick again. Calls of functions may be placed with the host
that will run them before it comes to them; they wait for a slot all the same.

Calls of async functions take no slot. There may be so many at a time, and for each one less one more is asked for.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import islice, takewhile
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SAMPLES = 32
LEAST_SAMPLES = 4
QUICK_S = 0.05
AHEAD_S = 0.1
MOST_AHEAD = 16
BRISK_S = 0.0005
MOST_BRISK = 128
"""Held ahead of each slot where a run takes less than `BRISK_S`: calls of functions that hardly do anything."""
PATIENCE_S = 0.3


class Lane:
    """How long the tasks of one queue ran lately."""

    def __init__(self) -> None:
        self.present = 0
        self._runs_s: deque[float] = deque(maxlen=SAMPLES)
        self.ahead = 0
        """So many tasks may wait ahead of each slot."""

    def ran(self, run_s: float) -> None:
        """A task of the lane took so long."""
        self._runs_s.append(run_s)
        self.ahead = self._ahead()

    def doubt(self) -> None:
        """Forget its pace."""
        self._runs_s.clear()
        self.ahead = 0

    def _ahead(self) -> int:
        if len(self._runs_s) < LEAST_SAMPLES or (pace_s := median(self._runs_s)) >= QUICK_S:
            return 0
        if pace_s < BRISK_S:
            return MOST_BRISK
        return MOST_AHEAD if pace_s * MOST_AHEAD <= AHEAD_S else int(AHEAD_S / pace_s)


@dataclass(slots=True)
class Waiting:
    """A task that has no slot yet."""

    queue: str
    since_s: float


@dataclass(slots=True)
class Desk:
    """The slots of an executor, the tasks that wait for one, and what the supervisor may still send."""

    slots: int
    draining: bool = False
    paused: bool = False
    running: int = 0
    granted: int = 0
    waiting: dict[int, Waiting] = field(default_factory=dict)
    placed: dict[int, Waiting] = field(default_factory=dict)
    """Those that a host has already, and has not come to."""
    lanes: dict[str, Lane] = field(default_factory=dict)

    last_queue: str = ""
    """Whose task was the last to end."""
    most_shared: int = 0
    shared: int = 0
    shared_granted: int = 0

    @property
    def free(self) -> int:
        """Slots without a task."""
        return max(0, self.slots - self.running)

    @property
    def wanted(self) -> int:
        """So many more tasks should be asked for: none until half of what may be held ahead is used up.

        So where tasks are short, they are asked for in few messages.
        """
        if self.draining or self.paused:
            return 0
        ahead = self._ahead
        room = self.slots + ahead - self.running - len(self.waiting) - len(self.placed) - self.granted
        return room if room > ahead // 2 else 0

    def grant(self) -> int:
        """Ask for what is wanted."""
        wanted = self.wanted
        self.granted += wanted
        return wanted

    @property
    def wanted_shared(self) -> int:
        """So many more async calls should be asked for."""
        if self.draining or self.paused:
            return 0
        return max(0, self.most_shared - self.shared - self.shared_granted)

    def grant_shared(self) -> int:
        """Ask for what is wanted."""
        wanted = self.wanted_shared
        self.shared_granted += wanted
        return wanted

    def arrive_shared(self) -> None:
        """An async call was sent."""
        self.shared_granted = max(0, self.shared_granted - 1)
        self.shared += 1

    def end_shared(self) -> None:
        """One less."""
        self.shared -= 1

    def attach(self) -> None:
        """A new supervisor knows of no earlier request, and has not told us to leave."""
        self.granted = self.shared_granted = 0
        self.draining = False

    def arrive(self, attempt_id: int, queue: str, now_s: float) -> None:
        """A task was sent."""
        self.granted = max(0, self.granted - 1)
        self.waiting[attempt_id] = Waiting(queue, now_s)
        self._lane(queue).present += 1

    def leave(self, attempt_id: int) -> bool:
        """A waiting task goes without having run; False when it does not wait here."""
        task = self.waiting.pop(attempt_id, None)
        if task is not None:
            self._lane(task.queue).present -= 1
        return task is not None

    def start(self, attempt_id: int) -> None:
        """A waiting task gets a slot."""
        del self.waiting[attempt_id]
        self.running += 1

    def place(self, attempt_id: int) -> None:
        """A host has it, and will come to it."""
        self.placed[attempt_id] = self.waiting.pop(attempt_id)

    def come_to(self, attempt_id: int) -> None:
        """Its host has come to it."""
        del self.placed[attempt_id]
        self.running += 1

    def stay(self, attempt_id: int, queue: str, now_s: float) -> None:
        """Its host has not come to it after all."""
        self.running -= 1
        self.placed[attempt_id] = Waiting(queue, now_s)

    def take_back(self, attempt_ids: Iterable[int]) -> None:
        """Their host did not come to these: they wait again, before those that came later."""
        back = {attempt_id: self.placed.pop(attempt_id) for attempt_id in attempt_ids}
        self.waiting = back | self.waiting

    def end(self, queue: str, run_s: float | None) -> None:
        """A slot is free again; `run_s` is unknown when the task did not run to an end of its own."""
        self.running -= 1
        self.last_queue = queue
        lane = self._lane(queue)
        lane.present -= 1
        if run_s is not None:
            lane.ran(run_s)

    def first(self) -> list[int]:
        """The waiting tasks that have a slot, in their order."""
        return list(islice(self.waiting, self.free))

    def next_brisk(self) -> Iterator[int]:
        """The waiting tasks without a slot, as long as each of them belongs to a lane where a run takes no time."""
        return takewhile(lambda each: self._lane(self.waiting[each].queue).ahead == MOST_BRISK, self._queued())

    def give_back(self, now_s: float) -> list[int]:
        """The tasks that have waited too long for a slot. They are gone from here, and their lanes in doubt."""
        late = list(takewhile(lambda each: self._patient_until_s(each) <= now_s, self._queued()))
        for attempt_id in late:
            self._lane(self.waiting[attempt_id].queue).doubt()
            self.leave(attempt_id)
        return late

    def give_back_at_s(self) -> float | None:
        """When to look again for tasks that have waited too long."""
        first = next(self._queued(), None)
        return None if first is None else self._patient_until_s(first)

    def _patient_until_s(self, attempt_id: int) -> float:
        return self.waiting[attempt_id].since_s + PATIENCE_S

    def _queued(self) -> Iterator[int]:
        """Those without a slot, as they came: the first has waited longest."""
        return islice(self.waiting, self.free, None)

    @property
    def _ahead(self) -> int:
        present = [lane.ahead for lane in self.lanes.values() if lane.present]
        return self.slots * min(present, default=self._brisk_before)

    @property
    def _brisk_before(self) -> int:
        """How many to hold ahead where nothing is left: what takes no time has gone before the next message is out."""
        last = self.lanes.get(self.last_queue)
        return MOST_BRISK if last and last.ahead == MOST_BRISK else 0

    def _lane(self, queue: str) -> Lane:
        if queue not in self.lanes:
            self.lanes[queue] = Lane()
        return self.lanes[queue]
