"""Whatever graphs are submitted, and whatever ends in whatever order: each task does what a plain model says of it.

The model knows no counters and no sets: after each step it goes through all tasks, again and again, until nothing
changes any more. A task that waits always has somebody to wait for, and what is left over at the end is nothing.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from support.keep import Keep, after
from tsched.proto.errors import Refusal, RefusalReason
from tsched.proto.values import LOST_LIMIT
from tsched.store import claims, graph, model, tasks

FINAL = ("succeeded", "failed", "cancelled", "skipped")
WAITING = ("scheduled", "blocked", "ready", "retrying", "held")
CONDITIONS = ("ok", "ok", "fail", "any")
DELAY_US = 10


@dataclass
class Task:
    """What should be true of a task."""

    id: str
    state: str
    due_at_us: int
    max_attempts: int
    parents: list[tuple[str, str]]
    on_lost: str = "fail"
    attempts: int = 0
    failures: int = 0
    losses: int = 0
    asked: bool = False
    """Its cancel, while it runs."""
    result: bytes | None = None
    wants: list[str] = field(default_factory=list)
    live: model.Claimed | None = None


def any_in(*states: str) -> Any:
    return precondition(lambda machine: any(task.state in states for task in machine.tasks.values()))


class GraphMachine(RuleBasedStateMachine):
    """Drives the store and the model side by side."""

    @initialize()
    def open(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="graph-model-"))
        self.keep = Keep(self.folder)
        self.executor = self.keep.executor()
        self.tasks: dict[str, Task] = {}
        self.ends: dict[str, str] = {}
        """How each task ended that ever was, also those that are gone."""

    def teardown(self) -> None:
        if hasattr(self, "keep"):
            self.run_all_to_the_end()
            self.keep.store.close()
            shutil.rmtree(self.folder)

    @property
    def now_us(self) -> int:
        return self.keep.clock.us

    def pick(self, data: st.DataObject, *states: str) -> Task:
        return self.tasks[data.draw(st.sampled_from([each for each in self.tasks if self.tasks[each].state in states]))]

    # the model

    def met(self, parent: str, condition: str) -> bool | None:
        end = self.ends.get(parent)
        if end is None:
            return None
        return {"ok": end == "succeeded", "fail": end != "succeeded", "any": True}[condition]

    def end(self, task: Task, state: str) -> None:
        task.state, self.ends[task.id] = state, state

    def settle(self) -> None:
        """Let everything happen that follows."""
        while sum(self.settled(task) for task in self.tasks.values()):
            pass

    def settled(self, task: Task) -> bool:
        """Whether something followed for this one."""
        ends = [self.met(*parent) for parent in task.parents]
        if task.state in ("blocked", "held") and False in ends:
            self.end(task, "skipped")
            return True
        if task.state == "blocked" and None not in ends:
            task.due_at_us = max(task.due_at_us, self.now_us)
            task.state = self.waiting_state(task)
            return True
        return False

    def waiting_state(self, task: Task) -> str:
        if task.due_at_us <= self.now_us:
            return "ready"
        return "retrying" if task.attempts else "scheduled"

    def waits(self, task: Task) -> int:
        return sum(self.met(*parent) is None for parent in task.parents)

    def would_wait_for(self, parent: str, child: str) -> bool:
        """Whether `parent` waits, over others or not, for `child`."""
        above = [parent]
        for each in (one for one in above if one not in self.ends):
            above += [one for one, _ in self.tasks[each].parents if one in self.tasks and one not in self.ends]
        return child in above

    # what happens

    @rule(data=st.data(), many=st.integers(1, 6))
    def submit(self, data: st.DataObject, many: int) -> None:
        """A graph whose tasks wait for earlier ones of it, and for some that are there."""
        drafts, parents = [], []
        for index in range(many):
            known = [*range(index), *list(self.tasks)[-6:]]
            chosen = data.draw(st.lists(st.sampled_from(known), max_size=3, unique=True)) if known else []
            conditions = [data.draw(st.sampled_from(CONDITIONS)) for _ in chosen]
            parents.append(list(zip(chosen, conditions, strict=True)))
            delay_us = data.draw(st.sampled_from([0, 0, 0, 25]))
            drafts.append(
                self.keep.draft(
                    kind="function",
                    state="scheduled" if delay_us else "ready",
                    due_at_us=self.now_us + delay_us,
                    hold=data.draw(st.integers(0, 5)) == 0,
                    max_attempts=data.draw(st.integers(1, 3)),
                    on_lost=data.draw(st.sampled_from(["fail", "retry", "hold"])),
                    retry_delay_us=DELAY_US,
                    dependencies=tuple(
                        each
                        for one, condition in parents[-1]
                        for each in after(one, condition=condition, wants=condition == "ok")
                    ),
                )
            )
        answers = self.keep.submit(*drafts)
        for draft, answer, of in zip(drafts, answers, parents, strict=True):
            named = [(answers[one].id if isinstance(one, int) else one, condition) for one, condition in of]
            task = Task(answer.id, draft.state, draft.due_at_us, draft.max_attempts, named)
            task.wants = [parent if condition == "ok" else "" for parent, condition in named]
            task.state = "held" if draft.hold else draft.state
            task.on_lost = draft.on_lost
            self.tasks[answer.id] = task
        for answer in answers:
            task = self.tasks[answer.id]
            if task.state != "held" and self.waits(task):
                task.state = "blocked"
        self.skip_from_the_first([self.tasks[answer.id] for answer in answers])
        assert [answer.state for answer in answers] == [self.tasks[answer.id].state for answer in answers]

    def skip_from_the_first(self, fresh: list[Task]) -> None:
        for task in fresh:  # parents come before their children
            ends = [self.met(*parent) for parent in task.parents]
            if False in ends:
                self.end(task, "skipped")
            elif task.state == "blocked" and None not in ends:
                task.state = self.waiting_state(task)

    @rule(step_us=st.sampled_from([1, 10, 60]))
    def let_time_pass(self, step_us: int) -> None:
        self.keep.clock.us += step_us
        due = [t for t in self.tasks.values() if t.state in ("scheduled", "retrying") and t.due_at_us <= self.now_us]
        assert self.keep.do(tasks.promote, now_us=self.now_us) == len(due)
        for task in due:
            task.state = "ready"

    @any_in("ready")
    @rule(limit=st.integers(1, 6))
    def claim(self, limit: int) -> None:
        ready = sorted((t for t in self.tasks.values() if t.state == "ready"), key=lambda t: (t.due_at_us, int(t.id)))
        claimed = self.keep.claim(self.executor, limit)
        assert [one.task_id for one in claimed] == [task.id for task in ready[:limit]]
        for one in claimed:
            task = self.tasks[one.task_id]
            task.state, task.live = "running", one
            task.attempts += 1
            assert one.results == (self.wanted(task) if any(task.wants) else ())

    def wanted(self, task: Task) -> tuple[bytes | None, ...]:
        places = [self.tasks[parent].result if parent in self.tasks else None for parent in task.wants]
        return tuple(places)

    @any_in("running")
    @rule(
        data=st.data(), how=st.sampled_from(["succeeded", "succeeded", "failed", "timed_out", "cancelled", "snoozed"])
    )
    def finish(self, data: st.DataObject, how: str) -> None:
        self.finish_one(self.pick(data, "running"), how)

    def finish_one(self, task: Task, how: str) -> None:
        assert task.live
        result = b"result of " + task.id.encode()
        values: dict[str, Any] = {"snoozed": True, "reason": "snoozed"} if how == "snoozed" else {"result": result}
        (ended,) = self.keep.finish(self.executor, task.live, "failed" if how == "snoozed" else how, **values)
        before = self.states()
        task.live = None
        if how == "succeeded":
            task.result = result
            self.end(task, "succeeded")
        elif how == "cancelled":
            self.end(task, "cancelled")
        elif task.asked:
            self.end(task, "cancelled" if how == "snoozed" else "failed")
        elif how != "snoozed" and task.attempts >= task.max_attempts:
            self.end(task, "failed")
        else:
            task.state, task.due_at_us = "retrying", self.now_us + (DELAY_US << task.failures)
            task.max_attempts += how == "snoozed"
            task.failures += how != "snoozed"
        assert (ended.state, ended.due_at_us) == (task.state, task.due_at_us)
        before[task.id] = task.state
        self.compare_children(before, ended.children)

    @any_in("running")
    @rule(data=st.data())
    def ask_for_the_end(self, data: st.DataObject) -> None:
        """A cancel of one that runs changes nothing yet."""
        task = self.pick(data, "running")
        assert self.keep.do(tasks.cancel, id=task.id, now_us=self.now_us).children == ()
        task.asked = True

    @any_in("running")
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        """An attempt that never started is ready again, or cancelled."""
        task, told = self.pick(data, "running"), list[model.Child]()
        assert task.live
        ids = [task.live.attempt_id]
        assert self.keep.do(claims.returned, attempt_ids=ids, executor=self.executor, children=told) == [task.id]
        before = self.states()
        task.live, task.attempts = None, task.attempts - 1
        if task.asked:
            self.end(task, "cancelled")
        else:
            task.state = "ready"
        before[task.id] = task.state
        self.compare_children(before, told)

    @any_in("running")
    @rule()
    def lose(self) -> None:
        """All that runs is lost at once; what that makes of those that wait is told once."""
        lost = self.keep.lose(self.executor)
        before = self.states()
        for task in [task for task in self.tasks.values() if task.state == "running"]:
            task.live, task.losses = None, task.losses + 1
            self.be_lost(task)
            before[task.id] = task.state
        assert {each.task_id: each.state for each in lost} == {each.task_id: before[each.task_id] for each in lost}
        self.compare_children(before, [child for each in lost for child in each.children])

    def be_lost(self, task: Task) -> None:
        if task.asked:
            self.end(task, "cancelled")
        elif task.on_lost == "hold":
            task.state = "held"
        elif task.on_lost == "retry" and task.losses < LOST_LIMIT:
            task.state, task.due_at_us = "ready", self.now_us
        else:
            self.end(task, "failed")

    def states(self) -> dict[str, str]:
        return {task.id: task.state for task in self.tasks.values()}

    def compare_children(self, before: dict[str, str], told: Any) -> None:
        """Those are told of whose state changed, and no others."""
        self.settle()
        changed = {task_id: state for task_id, state in self.states().items() if before.get(task_id) != state}
        assert {child.task_id: child.state for child in told} == changed
        assert len(told) == len(changed)
        assert all(child.due_at_us == self.tasks[child.task_id].due_at_us for child in told)

    @any_in(*WAITING)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        task = self.pick(data, *WAITING)
        cancelled = self.keep.do(tasks.cancel, id=task.id, now_us=self.now_us)
        before = self.states()
        self.end(task, "cancelled")
        before[task.id] = "cancelled"
        self.compare_children(before, cancelled.children)

    @any_in(*WAITING)
    @rule(data=st.data())
    def hold(self, data: st.DataObject) -> None:
        task = self.pick(data, *WAITING)
        self.keep.do(tasks.hold, id=task.id, now_us=self.now_us)
        task.state = "held"

    @any_in("held")
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        task = self.pick(data, "held")
        task.state = "blocked" if self.waits(task) else self.waiting_state(task)
        assert self.keep.do(tasks.release, id=task.id, now_us=self.now_us).state == task.state

    @any_in("blocked", "scheduled", "ready", "held")
    @rule(data=st.data())
    def modify(self, data: st.DataObject) -> None:
        task = self.pick(data, "blocked", "scheduled", "ready", "held")
        chosen = data.draw(st.lists(st.sampled_from(list(self.tasks)), max_size=3, unique=True))
        parents = [(one, data.draw(st.sampled_from(CONDITIONS))) for one in chosen]
        told: list[model.Child] = []
        values: dict[str, Any] = {
            "id": task.id,
            "patch": model.Patch(dependencies=tuple(d for one, c in parents for d in after(one, condition=c))),
            "now_us": self.now_us,
            "children": told,
        }
        if any(self.would_wait_for(parent, task.id) for parent in chosen):
            with pytest.raises(Refusal) as refused:
                self.keep.do(tasks.modify, **values)
            assert refused.value.reason is RefusalReason.CYCLE
            return
        row = self.keep.do(tasks.modify, **values)
        task.parents, task.wants = parents, []
        if task.state in ("scheduled", "ready") and any(self.met(*parent) is not True for parent in parents):
            task.state = "blocked"
        before = self.states()
        self.settle()
        assert row.state == task.state
        before[task.id] = task.state
        self.compare_children(before, told)

    @any_in(*FINAL)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        old = self.pick(data, *FINAL)
        answer = self.keep.do(tasks.retry, id=old.id, key=None, now_us=self.now_us)
        row = self.keep.get(answer.id)
        there = [parent for parent in old.parents if parent[0] in self.tasks]
        awaited = [parent for parent in there if parent[0] in old.wants and self.met(*parent) is None]
        assert row.max_attempts >= 1
        task = Task(answer.id, "blocked" if awaited else "ready", self.now_us, row.max_attempts, awaited, row.on_lost)
        task.wants = [parent for parent in old.wants if parent]
        self.tasks[answer.id] = task
        assert answer.state == task.state

    def needed(self, task: Task) -> bool:
        """Whether one that has not ended waits, or waited, for it, or takes its result."""
        return any(
            task.id in (*(parent for parent, _ in other.parents), *other.wants)
            for other in self.tasks.values()
            if other.state not in FINAL
        )

    @any_in(*WAITING, *FINAL)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        task = self.pick(data, *WAITING, *FINAL)
        if self.needed(task):
            with pytest.raises(Refusal) as refused:
                self.keep.delete(task.id)
            assert refused.value.reason is RefusalReason.WRONG_STATE
        else:
            self.keep.delete(task.id)
            del self.tasks[task.id]

    @rule()
    def prune(self) -> None:
        self.keep.do(tasks.prune, finished_before_us=self.now_us + 1, keep=0, now_us=self.now_us)
        for task in [task for task in self.tasks.values() if task.state in FINAL and not self.needed(task)]:
            del self.tasks[task.id]

    @rule()
    def reopen(self) -> None:
        self.keep.reopen()

    # what must be true

    def page(self) -> list[model.TaskRow]:
        return self.keep.ask(tasks.list_page, states=(), queue=None, before_seq=None, limit=1000)

    @invariant()
    def every_task_is_what_the_model_says(self) -> None:
        if not hasattr(self, "keep"):
            return
        rows = {row.id: row for row in self.page()}
        assert {row.id: row.state for row in rows.values()} == self.states()
        for task in self.tasks.values():
            assert (rows[task.id].due_at_us, rows[task.id].attempt) == (task.due_at_us, task.attempts)
            if task.state not in FINAL:
                assert rows[task.id].waits_for == self.waits(task)
            if task.state == "blocked":
                parents = self.keep.ask(tasks.parents_of, id=task.id)
                assert [row for row in parents if not row.met and row.state not in FINAL]
            assert (rows[task.id].reason == "dependency") == (task.state == "skipped")
        found = self.keep.ask(tasks.results_among, ids=list(self.tasks))
        assert found == {task.id: task.result for task in self.tasks.values() if task.result is not None}

    @invariant()
    def a_graph_shows_what_is_there(self) -> None:
        if hasattr(self, "keep") and self.tasks:
            shown = self.keep.ask(graph.connected, ids=[next(iter(self.tasks))], limit=1000)
            assert {name for edge in shown.edges for name in (edge.parent, edge.child)} <= {t.id for t in shown.tasks}
            assert {task.id for task in shown.tasks} <= set(self.tasks)

    @invariant()
    def the_store_is_sound(self) -> None:
        if hasattr(self, "keep"):
            assert self.keep.problems() == []

    def run_all_to_the_end(self) -> None:
        """Release and run what is left: nothing may be left over."""
        for task in [task for task in self.tasks.values() if task.state == "held"]:
            self.keep.do(tasks.release, id=task.id, now_us=self.now_us)
        for _ in range(len(self.tasks) + 1):
            self.keep.clock.us += 10**9
            self.keep.do(tasks.promote, now_us=self.now_us)
            for task in self.tasks.values():
                if task.live:
                    self.keep.finish(self.executor, task.live)
                    task.live = None
            for one in self.keep.claim(self.executor, 1000):
                self.keep.finish(self.executor, one)
        assert set(self.keep.counts()) <= set(FINAL)


GraphMachine.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    print_blob=True,
)
TestStoreGraphModel = GraphMachine.TestCase
pytestmark = pytest.mark.timeout(600)  # a failure is made small before it is shown
