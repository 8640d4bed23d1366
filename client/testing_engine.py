"""What stands in for a service in tests: it keeps tasks in memory and runs functions in this process, one at a time.

Calls come as a service gets them, so arguments and results make their way through what can be sent. Attempts end as
they do in a service: retried, snoozed, cancelled, failed, and what waits for a task that failed is skipped. Commands
are refused, time limits and profiles do not hold, and what crashes the interpreter crashes the test: for that there is
the real one (testing_service.py).
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence

from ..proto import api_pb2 as api
from ..proto.clock import SECOND_US, SystemClock
from ..proto.errors import Refusal, RefusalReason
from ..proto.values import FINAL_TASK_STATES, Condition, EndReason, TaskState
from . import testing_attempts as attempts
from . import testing_calls as calls
from .connection import late
from .requests import only_remote
from .testing_attempts import Prepared, Verdict
from .testing_calls import Kept

ATTEMPTS_LIMIT = 1000
"""Of one task, run at once: one that snoozes for ever would never come to an end."""


class Engine:
    """A service in memory. `at_once`: what is submitted is run before `submit` returns, whenever it is due."""

    def __init__(self, *, at_once: bool) -> None:
        self._at_once = at_once
        self._lock = threading.RLock()
        self._tasks: dict[str, Kept] = {}
        self._open: dict[str, Kept] = {}
        """Those that have not ended."""
        self._children: dict[str, list[Kept]] = {}
        self._by_key: dict[str, str] = {}
        self._ids = itertools.count(1)
        self._travelled_us = 0

    # What a service does.

    def submit(self, specs: Sequence[api.TaskSpec], *, common: api.TaskSpec | None = None) -> list[api.Submitted]:
        """Keep all tasks or none. Raises Refusal NO_SUCH_FUNCTION, BAD_ARGUMENTS, NO_SUCH_TASK, ID_TAKEN."""
        answers = self.keep(specs)
        if self._at_once:
            self.run_all()
        return answers

    def keep(self, specs: Sequence[api.TaskSpec]) -> list[api.Submitted]:
        """`submit` without running anything."""
        with self._lock:
            return self._kept(specs)

    def get(self, id: str) -> api.Task:  # noqa: A002 - it is called id everywhere
        """One task."""
        with self._lock:
            return calls.shown(self._task(id), self.now_us())

    def ended(self, ids: Sequence[str], timeout_us: int | None) -> Iterator[api.Task]:
        """Each of these that has ended. Raises Refusal WAIT_TIMEOUT at once: nothing happens by itself."""
        with self._lock:
            tasks = [self._task(each) for each in dict.fromkeys(ids)]
        shown = [calls.shown(task, self.now_us()) for task in tasks]
        yield from (task for task in shown if task.state in FINAL_TASK_STATES)
        waiting = [f"{task.id} ({task.state})" for task in shown if task.state not in FINAL_TASK_STATES]
        if waiting:
            hint = "run what is due with drain(), let time pass with travel(seconds=...)"
            raise Refusal(RefusalReason.WAIT_TIMEOUT, late(waiting).message, hint)

    def cancel(self, id: str, grace_us: int | None) -> api.Task:  # noqa: A002
        """End a task that waits. Raises Refusal WRONG_STATE for one that runs or has ended."""
        with self._lock:
            task = self._task(id)
            if task.state in FINAL_TASK_STATES or task.state == TaskState.RUNNING:
                raise Refusal(RefusalReason.WRONG_STATE, f"task {id} is {task.state}", "only what waits can be ended")
            self._finish(task, Verdict(TaskState.CANCELLED, EndReason.CANCELLED))
            return calls.shown(task, self.now_us())

    def logs(self, request: api.LogsRequest) -> Iterator[api.Output]:
        """What a task's newest attempt wrote."""
        with self._lock:
            written = list(self._task(request.id).output)
        yield from (output for output in written if request.stream in ("", output.stream))

    # What a test does.

    def drain(self, queue: str | None = None) -> int:
        """Run everything that is due, what that submits included, until nothing is; how many attempts were made."""
        made = 0
        while (attempt := self._begun(queue, self.now_us())) is not None:
            self._conclude(attempt.task, attempts.run(attempt))
            made += 1
        return made

    async def adrain(self, queue: str | None = None) -> int:
        """`drain` for async code: async functions run in its event loop."""
        made = 0
        while (attempt := self._begun(queue, self.now_us())) is not None:
            self._conclude(attempt.task, await attempts.arun(attempt))
            made += 1
        return made

    def travel(self, seconds: float) -> None:
        """Let time pass for this service: what becomes due may be drained then. Raises ValueError for a way back."""
        if seconds < 0:
            raise ValueError(f"time goes forward only, not {seconds} seconds")
        self._travelled_us += round(seconds * SECOND_US)

    def now_us(self) -> int:
        """The time as this service sees it."""
        return SystemClock().now_us() + self._travelled_us

    def submitted(self) -> list[Kept]:
        """All tasks, in the order they came."""
        with self._lock:
            return list(self._tasks.values())

    def run_all(self) -> None:
        """Run everything, whenever it is due: time passes as is needed."""
        while (attempt := self._begun(None, None)) is not None:
            self._conclude(attempt.task, attempts.run(attempt))

    async def arun_all(self) -> None:
        """`run_all` for async code."""
        while (attempt := self._begun(None, None)) is not None:
            self._conclude(attempt.task, await attempts.arun(attempt))

    # Keeping.

    def _kept(self, specs: Sequence[api.TaskSpec]) -> list[api.Submitted]:
        kept: list[Kept] = []
        fresh: dict[str, Kept] = {}
        for spec in specs:
            known = self._known(spec, fresh)
            kept.append(known or self._new(spec, [each.id for each in kept], fresh))
            fresh.setdefault(kept[-1].id, kept[-1])
        added = [task for name, task in fresh.items() if name not in self._tasks]
        self._tasks |= {task.id: task for task in added}
        self._by_key |= {task.spec.key: task.id for task in added if task.spec.key}
        for task in added:
            self._open[task.id] = task
            for name in {name for name, _ in task.parents}:
                self._children.setdefault(name, []).append(task)
        for end in [end for task in added for end in self._looked(task)]:
            self._finish(*end)
        new = {task.id for task in added}
        return [self._answer(task, existed=task.id not in new) for task in kept]

    def _known(self, spec: api.TaskSpec, fresh: dict[str, Kept]) -> Kept | None:
        named = self._by_key.get(spec.key, spec.id)
        known = self._tasks.get(named) or fresh.get(named) if named else None
        if known is not None and calls.content(known.spec) != calls.content(spec):
            raise Refusal(RefusalReason.ID_TAKEN, f"{named} is another task", "choose another id")
        return known

    def _new(self, spec: api.TaskSpec, before: Sequence[str], fresh: dict[str, Kept]) -> Kept:
        if not spec.HasField("call"):
            raise only_remote()
        parents = [(calls.parent_id(each, before), each.condition) for each in spec.after]
        for name, _condition in parents:
            if name not in self._tasks and name not in fresh:
                raise Refusal(
                    RefusalReason.NO_SUCH_TASK, f"there is no task {name}", "it may have been in another test"
                )
        return calls.kept(spec, id=spec.id or str(next(self._ids)), parents=parents, now_us=self.now_us())

    def _answer(self, task: Kept, *, existed: bool) -> api.Submitted:
        return api.Submitted(
            id=task.id, existed=existed, state=calls.state_of(task, self.now_us()), due_at_us=task.due_us
        )

    def _task(self, id: str) -> Kept:  # noqa: A002
        if id not in self._tasks:
            raise Refusal(RefusalReason.NO_SUCH_TASK, f"there is no task {id}", "it may have been in another test")
        return self._tasks[id]

    # Running.

    def _begun(self, queue: str | None, now_us: int | None) -> Prepared | None:
        """The next attempt: due by then, or, where no time is given, the first that becomes due; time passes for it."""
        with self._lock:
            waiting = [task for task in self._open.values() if calls.may_run(task) and queue in (None, task.queue)]
            if now_us is None and waiting:
                now_us = min(task.due_us for task in waiting)
                self._travelled_us += max(0, now_us - self.now_us())
            ready = [task for task in waiting if now_us is not None and task.due_us <= now_us]
            if not ready:
                return None
            task = min(ready, key=lambda each: (-each.priority, each.due_us))
            if len(task.attempts) >= ATTEMPTS_LIMIT:
                raise RuntimeError(f"task {task.id} ({task.spec.call.function}) was tried {ATTEMPTS_LIMIT} times")
            return attempts.begin(task, [self._tasks[name].result for name, _ in task.parents], self.now_us())

    def _conclude(self, task: Kept, verdict: Verdict) -> None:
        with self._lock:
            calls.end_attempt(task, verdict, self.now_us())
            if verdict.again_us is None:
                self._finish(task, verdict)

    def _finish(self, task: Kept, verdict: Verdict) -> None:
        """A task has ended; so have those that its end keeps from ever running, however many wait one for another."""
        ends = deque([(task, verdict)])
        while ends:
            task, verdict = ends.popleft()
            if task.id in self._open:
                calls.end(task, verdict, self.now_us())
                del self._open[task.id]
                ends.extend(end for child in self._children.get(task.id, ()) for end in self._looked(child))

    def _looked(self, task: Kept) -> list[tuple[Kept, Verdict]]:
        """Note whether what a task waits for has happened; the task's end, where it cannot any more."""
        if task.state in FINAL_TASK_STATES:
            return []
        parents = [(self._tasks[name], condition) for name, condition in task.parents]
        task.waits_for = sum(parent.state not in FINAL_TASK_STATES for parent, _ in parents)
        broken = next(((parent, condition) for parent, condition in parents if _failed(parent, condition)), None)
        if broken is not None:
            return [(task, Verdict(TaskState.SKIPPED, EndReason.DEPENDENCY, calls.why_skipped(*broken)))]
        if task.state in (TaskState.BLOCKED, TaskState.READY):
            task.state = TaskState.BLOCKED if task.waits_for else TaskState.READY
        return []


def _failed(parent: Kept, condition: str) -> bool:
    """Whether a parent ended otherwise than its child needs."""
    if parent.state not in FINAL_TASK_STATES or condition == Condition.ANY:
        return False
    return (parent.state == TaskState.SUCCEEDED) != (condition in ("", Condition.OK))


class AsyncEngine:
    """The same engine for async code; async functions run in its event loop."""

    def __init__(self, engine: Engine, *, at_once: bool) -> None:
        self._engine = engine
        self._at_once = at_once

    async def submit(self, specs: Sequence[api.TaskSpec], *, common: api.TaskSpec | None = None) -> list[api.Submitted]:
        """Keep all tasks or none, and run them where that is to be at once."""
        answers = self._engine.keep(specs)
        if self._at_once:
            await self._engine.arun_all()
        return answers

    async def get(self, id: str) -> api.Task:  # noqa: A002
        """One task."""
        return self._engine.get(id)

    async def ended(self, ids: Sequence[str], timeout_us: int | None) -> AsyncIterator[api.Task]:
        """Each of these that has ended."""
        for task in self._engine.ended(ids, timeout_us):
            yield task

    async def cancel(self, id: str, grace_us: int | None) -> api.Task:  # noqa: A002
        """End a task that waits."""
        return self._engine.cancel(id, grace_us)

    async def logs(self, request: api.LogsRequest) -> AsyncIterator[api.Output]:
        """What a task's newest attempt wrote."""
        for output in self._engine.logs(request):
            yield output
