"""Whatever happens in whatever order: the store and a plain model of it agree, and every invariant holds (P2, P4, P5).

The model is what the words say: a task is ready, running, ended; a claim takes the first; the first end counts; a lost
attempt does what its task asked for. The store is a real one, on disk, reopened now and then. Who only hears the
events knows the same states.
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

from support.keep import Keep, chunk, finish_report, start_report
from tsched.proto.errors import Refusal, RefusalReason
from tsched.proto.values import LOST_LIMIT
from tsched.store import claims, events, executors, model, output, retention, tasks

QUEUES = ("a", "b")
FINAL = ("succeeded", "failed", "cancelled")
ENDS = {"succeeded": "succeeded", "failed": "failed", "timed_out": "failed", "cancelled": "cancelled"}


@dataclass
class Task:
    """What should be true of a task."""

    seq: int
    id: str
    queue: str
    priority: int
    due_at_us: int
    state: str
    on_lost: str
    payload: bytes
    draft: model.Draft
    retry_of: str | None = None
    attempts: list[str] = field(default_factory=list)
    live: Attempt | None = None
    cancel: bool = False
    reason: str = ""
    finished_at_us: int | None = None

    def end(self, state: str, reason: str, now_us: int) -> None:
        self.state, self.reason, self.live = state, reason, None
        self.finished_at_us = now_us if state in FINAL else None


@dataclass
class Attempt:
    """What should be true of a live attempt."""

    claimed: model.Claimed
    executor: str
    started: bool = False
    paused: bool = False


@dataclass
class Heard:
    """What who follows the events knows of a task."""

    state: str
    attempt: int = 0
    paused: bool = False


def some_task(machine: StoreMachine) -> bool:
    return bool(machine.tasks)


def some_live(machine: StoreMachine) -> bool:
    return any(task.live for task in machine.tasks.values())


class StoreMachine(RuleBasedStateMachine):
    """Drives the store and the model side by side."""

    @initialize()
    def open(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="store-model-"))
        self.keep = Keep(self.folder)
        self.tasks: dict[str, Task] = {}
        self.ended: list[tuple[str, model.Claimed]] = []
        self.names = 0
        self.numbers = 0
        self.cursor = 0
        self.heard: dict[str, Heard] = {}
        self.executors = [self.new_executor(), self.new_executor()]
        for on_lost in ("retry", "hold"):
            self.submit(many=2, queue="a", priority=0, delay_us=0, on_lost=on_lost, named=False)
        self.claim(0, "a", 3)

    def teardown(self) -> None:
        if hasattr(self, "keep"):
            self.keep.store.close()
            shutil.rmtree(self.folder)

    def new_executor(self) -> str:
        self.names += 1
        return self.keep.executor(f"executor-{self.names}")

    @property
    def now_us(self) -> int:
        return self.keep.clock.us

    def pick(self, data: st.DataObject) -> Task:
        """Some task."""
        return self.tasks[data.draw(st.sampled_from(list(self.tasks)))]

    def pick_live(self, data: st.DataObject) -> tuple[Task, Attempt]:
        """Some task that is running, and its attempt."""
        task, live = data.draw(st.sampled_from([(task, task.live) for task in self.tasks.values() if task.live]))
        return task, live

    def refused(self, task: Task, command: Any, **values: Any) -> None:
        with pytest.raises(Refusal) as refused:
            self.keep.do(command, id=task.id, **values)
        assert refused.value.reason is RefusalReason.WRONG_STATE

    @rule(
        many=st.integers(1, 3),
        queue=st.sampled_from(QUEUES),
        priority=st.integers(-1, 1),
        delay_us=st.sampled_from([0, 0, 5, 50]),
        on_lost=st.sampled_from(["fail", "retry", "hold"]),
        named=st.booleans(),
        held=st.booleans(),
    )
    def submit(
        self, *, many: int, queue: str, priority: int, delay_us: int, on_lost: str, named: bool, held: bool = False
    ) -> None:
        drafts = [
            self.keep.draft(
                queue=queue,
                priority=priority,
                due_at_us=self.now_us + delay_us,
                state="scheduled" if delay_us else "ready",
                on_lost=on_lost,
                hold=held,
            )
            for _ in range(many)
        ]
        if named:
            self.names += 1
            drafts[0] = self.keep.draft(id=f"task-{self.names}", queue=queue, due_at_us=self.now_us, content=b"named")
        for draft, answer in zip(drafts, self.keep.submit(*drafts), strict=True):
            self.numbers += 1
            assert (answer.existed, answer.seq) == (False, self.numbers)
            assert answer.id == (draft.id or str(self.numbers))
            self.tasks[answer.id] = Task(
                seq=answer.seq,
                id=answer.id,
                queue=draft.queue,
                priority=draft.priority,
                due_at_us=draft.due_at_us,
                state="held" if draft.hold else draft.state,
                on_lost=draft.on_lost,
                payload=draft.payload,
                draft=draft,
            )

    @precondition(some_task)
    @rule(data=st.data())
    def submit_again(self, data: st.DataObject) -> None:
        task = self.pick(data)
        if task.retry_of is None:
            (answer,) = self.keep.submit(task.draft)
        else:
            answer = self.keep.do(tasks.retry, id=task.retry_of, key=task.draft.key, now_us=self.now_us)
        assert (answer.existed, answer.id, answer.state) == (True, task.id, task.state)

    @precondition(some_task)
    @rule(data=st.data())
    def submit_something_else_under_an_id(self, data: st.DataObject) -> None:
        task = self.pick(data)
        draft = self.keep.draft(id=task.id if task.draft.id else None, key=task.draft.key, content=b"else")
        with pytest.raises(Refusal) as refused:
            self.keep.submit(self.keep.draft(), draft)
        assert refused.value.reason is RefusalReason.ID_TAKEN

    @rule(step_us=st.sampled_from([1, 5, 60]))
    def let_time_pass(self, step_us: int) -> None:
        self.keep.clock.us += step_us
        due = [
            task
            for task in self.tasks.values()
            if task.state in ("scheduled", "retrying") and task.due_at_us <= self.now_us
        ]
        assert self.keep.do(tasks.promote, now_us=self.now_us) == len(due)
        for task in due:
            task.state = "ready"

    @rule(which=st.integers(0, 1), queue=st.sampled_from(QUEUES), limit=st.integers(1, 5))
    def claim(self, which: int, queue: str, limit: int) -> None:
        executor = self.executors[which]
        ready = [task for task in self.tasks.values() if task.state == "ready" and task.queue == queue]
        first = sorted(ready, key=lambda task: (-task.priority, task.due_at_us, task.seq))[:limit]
        claimed = self.keep.claim(executor, limit, queue=queue)
        assert [(one.task_id, one.payload, one.number) for one in claimed] == [
            (task.id, task.payload, len(task.attempts) + 1) for task in first
        ]
        for task, one in zip(first, claimed, strict=True):
            task.state, task.live = "running", Attempt(one, executor)

    @precondition(some_live)
    @rule(data=st.data())
    def start(self, data: st.DataObject) -> None:
        _, live = self.pick_live(data)
        self.keep.do(claims.started, reports=[start_report(live.executor, live.claimed, self.now_us)])
        live.started = True

    @precondition(some_live)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        task, live = self.pick_live(data)
        returned = self.keep.do(claims.returned, attempt_ids=[live.claimed.attempt_id], executor=live.executor)
        assert returned == ([] if live.started else [task.id])
        if not live.started:
            self.ended.append((live.executor, live.claimed))
            task.live = None
            task.state = "cancelled" if task.cancel else "ready"
            task.reason = "cancelled" if task.cancel else task.reason

    @precondition(some_live)
    @rule(data=st.data(), end=st.sampled_from([*ENDS, "lost", "lost"]), by_another=st.booleans())
    def finish(self, data: st.DataObject, end: str, by_another: bool) -> None:
        task, live = self.pick_live(data)
        if by_another:
            assert self.keep.finish("somebody", live.claimed, end) == []
        self.keep.do_output(output.append, chunks=[chunk(live.claimed.attempt_id, 1, b"text")])
        (ended,) = self.keep.finish(live.executor, live.claimed, end, stdout_bytes=4)
        self.note_end(task, end, "runner_died" if end == "lost" else None)
        assert (ended.task_id, ended.state) == (task.id, task.state)

    def note_end(self, task: Task, end: str, lost_reason: str | None) -> None:
        """What an end means."""
        assert task.live
        self.ended.append((task.live.executor, task.live.claimed))
        task.attempts.append(end)
        if end != "lost":
            task.end(
                ENDS[end], {"failed": "exit_code", "timed_out": "timeout", "cancelled": "cancelled"}.get(end, ""), 1
            )
        elif task.cancel:
            task.end("cancelled", "cancelled", 1)
        elif task.on_lost == "hold":
            task.end("held", lost_reason or "", 1)
        elif task.on_lost == "retry" and task.attempts.count("lost") < LOST_LIMIT:
            task.end("ready", lost_reason or "", 1)
            task.due_at_us = self.now_us
        else:
            task.end("failed", lost_reason or "", 1)

    @precondition(lambda self: self.ended)
    @rule(data=st.data(), end=st.sampled_from([*ENDS, "lost"]))
    def hear_from_an_attempt_that_is_over(self, data: st.DataObject, end: str) -> None:
        executor, claimed = data.draw(st.sampled_from(self.ended))
        self.keep.start(executor, claimed)
        assert self.keep.do(claims.finished, reports=[finish_report(executor, claimed, self.now_us, end)]) == []
        assert self.keep.do(claims.returned, attempt_ids=[claimed.attempt_id], executor=executor) == []

    @precondition(some_live)
    @rule(which=st.integers(0, 1))
    def lose(self, which: int) -> None:
        executor = self.executors[which]
        held = [task for task in self.tasks.values() if task.live and task.live.executor == executor]
        lost = self.keep.lose(executor)
        assert {ended.task_id for ended in lost} == {task.id for task in held}
        for task in held:
            self.note_end(task, "lost", "executor_died")
        self.keep.do(executors.gone, id=executor, now_us=self.now_us)
        assert [self.keep.claim(executor, 9, queue=queue) for queue in QUEUES] == [[], []]
        self.executors[which] = self.new_executor()

    @precondition(some_live)
    @rule(data=st.data())
    def cancel_what_runs(self, data: st.DataObject) -> None:
        task, live = self.pick_live(data)
        cancelled = self.keep.do(tasks.cancel, id=task.id, now_us=self.now_us)
        assert (cancelled.attempt_id, cancelled.executor) == (live.claimed.attempt_id, live.executor)
        task.cancel = True

    @precondition(some_task)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        task = self.pick(data)
        if task.state in FINAL:
            self.refused(task, tasks.cancel, now_us=self.now_us)
            return
        self.keep.do(tasks.cancel, id=task.id, now_us=self.now_us)
        if task.live:
            task.cancel = True
        else:
            task.end("cancelled", "cancelled", self.now_us)

    @precondition(some_task)
    @rule(
        data=st.data(), delay_us=st.sampled_from([None, 0, 9]), priority=st.sampled_from([None, 2]), new=st.booleans()
    )
    def modify(self, data: st.DataObject, delay_us: int | None, priority: int | None, new: bool) -> None:
        task = self.pick(data)
        patch = model.Patch(
            due_at_us=None if delay_us is None else self.now_us + delay_us,
            priority=priority,
            payload=b"new" if new else None,
        )
        if task.state in (*FINAL, "running"):
            self.refused(task, tasks.modify, patch=patch, now_us=self.now_us)
            return
        self.keep.do(tasks.modify, id=task.id, patch=patch, now_us=self.now_us)
        task.priority = task.priority if priority is None else priority
        task.payload = b"new" if new else task.payload
        if patch.due_at_us is not None:
            task.due_at_us = patch.due_at_us
            if not delay_us and task.state != "held":
                task.state = "ready"
            elif task.state in ("scheduled", "ready"):
                task.state = "scheduled"

    @precondition(some_task)
    @rule(data=st.data())
    def hold(self, data: st.DataObject) -> None:
        task = self.pick(data)
        if task.state in (*FINAL, "running"):
            self.refused(task, tasks.hold, now_us=self.now_us)
            return
        assert self.keep.do(tasks.hold, id=task.id, now_us=self.now_us).state == "held"
        task.state = "held"

    @precondition(lambda self: some_task(self) and any(task.state == "held" for task in self.tasks.values()))
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        task = self.pick(data)
        if task.state != "held":
            self.refused(task, tasks.release, now_us=self.now_us)
            return
        later = "retrying" if task.attempts else "scheduled"
        task.state = "ready" if task.due_at_us <= self.now_us else later
        assert self.keep.do(tasks.release, id=task.id, now_us=self.now_us).state == task.state

    @precondition(lambda self: some_task(self) and any(task.state in FINAL for task in self.tasks.values()))
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        task = self.pick(data)
        stand_in = self.keep.draft()
        if task.state not in FINAL:
            self.refused(task, tasks.retry, key=stand_in.key, now_us=self.now_us)
            return
        answer = self.keep.do(tasks.retry, id=task.id, key=stand_in.key, now_us=self.now_us)
        self.numbers += 1
        assert (answer.existed, answer.id) == (False, str(self.numbers))
        self.tasks[answer.id] = Task(
            seq=answer.seq,
            id=answer.id,
            queue=task.queue,
            priority=task.priority,
            due_at_us=self.now_us,
            state="ready",
            on_lost=task.on_lost,
            payload=task.payload,
            draft=stand_in,
            retry_of=task.id,
        )

    @precondition(some_live)
    @rule(data=st.data(), on=st.booleans())
    def pause(self, data: st.DataObject, on: bool) -> None:
        _, live = self.pick_live(data)
        self.keep.pause("somebody", live.claimed, on=not on)
        self.keep.pause(live.executor, live.claimed, on=on)
        live.paused = on and live.started

    @precondition(some_task)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        task = self.pick(data)
        if task.state == "running":
            self.refused(task, tasks.delete, now_us=self.now_us)
            return
        deleted = self.keep.delete(task.id)
        assert len(deleted.attempt_ids) == len(task.attempts)
        del self.tasks[task.id]

    @rule(keep=st.integers(0, 9))
    def prune(self, keep: int) -> None:
        self.keep.do(tasks.prune, finished_before_us=0, keep=keep, now_us=self.now_us)
        kept = {row.id for row in self.page(*FINAL)}
        finished = {task.id for task in self.tasks.values() if task.state in FINAL}
        assert kept <= finished
        assert len(kept) == min(keep, len(finished))
        for gone in finished - kept:
            del self.tasks[gone]

    @rule(keep=st.integers(0, 9))
    def forget_events(self, keep: int) -> None:
        before = self.keep.ask(events.bounds)
        gone = self.keep.do(retention.prune_events, before_us=0, keep=keep)
        assert gone == max(0, before.newest - before.oldest + 1 - keep)

    @rule()
    def reopen(self) -> None:
        self.keep.reopen()

    def page(self, *states: str) -> list[model.TaskRow]:
        return self.keep.ask(tasks.list_page, states=states, queue=None, before_seq=None, limit=1000)

    @invariant()
    def every_task_is_what_the_model_says(self) -> None:
        if not hasattr(self, "keep"):
            return
        rows = {row.id: row for row in self.page()}
        assert set(rows) == set(self.tasks)
        for task in self.tasks.values():
            row = rows[task.id]
            assert (row.state, row.priority, row.due_at_us) == (task.state, task.priority, task.due_at_us)
            assert (row.payload, row.reason) == (task.payload, "" if task.live else task.reason)
            assert row.attempt == len(task.attempts) + bool(task.live)
            assert row.attempt_id == (task.live.claimed.attempt_id if task.live else None)
            assert row.retry_of == task.retry_of
            assert (row.paused_at_us is not None) == bool(task.live and task.live.paused)

    @invariant()
    def who_hears_the_events_knows_the_same(self) -> None:
        if not hasattr(self, "keep"):
            return
        for event in self.keep.events(after=self.cursor):
            assert event.cursor > self.cursor
            assert event.at_us <= self.now_us
            self.cursor = event.cursor
            self.hear(event)
        assert self.keep.ask(events.bounds).newest == self.cursor
        assert set(self.heard) == set(self.tasks)
        for task in self.tasks.values():
            heard = self.heard[task.id]
            told = task.live is None or task.live.started or task.cancel
            assert heard.state == (task.state if told else "ready")
            assert heard.paused == bool(task.live and task.live.paused)
            assert heard.attempt == len(task.attempts) + bool(task.live and (task.live.started or task.cancel))

    def hear(self, event: model.EventRow) -> None:
        """What an event tells."""
        if event.event == "deleted":
            del self.heard[event.task]
        elif event.event == "submitted":
            assert event.task not in self.heard
            self.heard[event.task] = Heard(event.state)
        elif event.event == "attempt_ended":
            self.heard[event.task].paused = False
            assert event.reason
        else:
            assert event.state == event.event or event.event in (
                "started",
                "stopping",
                "modified",
                "released",
                "paused",
                "resumed",
            )
            paused = {"paused": True, "resumed": False}.get(event.event, self.heard[event.task].paused)
            self.heard[event.task] = Heard(event.state, event.attempt, paused and event.state == "running")

    @invariant()
    def the_store_is_sound(self) -> None:
        if hasattr(self, "keep"):
            assert self.keep.problems() == []


StoreMachine.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    print_blob=True,
)
TestStoreModel = StoreMachine.TestCase
pytestmark = pytest.mark.timeout(600)  # a failure is made small before it is shown
