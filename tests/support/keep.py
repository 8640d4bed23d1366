"""A real store in a temporary folder, with the words a test uses: submit, claim, start, finish."""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from tsched.proto.values import AttemptState
from tsched.store import Store, claims, events, executors, model, tasks
from tsched.store.check import check
from tsched.store.cipher import PlainCipher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tsched.store.cipher import Cipher

START_US = 1_800_000_000_000_000
SECOND_US = 1_000_000
ANSWER_S = 30.0


class FakeClock:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.us = START_US

    def now_us(self) -> int:
        return self.us

    def mono_us(self) -> int:
        return self.us

    def advance(self, seconds: float) -> None:
        self.us += round(seconds * SECOND_US)


class Keep:
    """A store, its clock, and every call waited for."""

    def __init__(self, folder: Path, cipher: Cipher | None = None) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.cipher = cipher or PlainCipher()
        self.store = Store.open(folder, self.cipher, self.clock)
        self._numbers = itertools.count(1)

    def reopen(self) -> None:
        self.store.close()
        self.store = Store.open(self.folder, self.cipher, self.clock)

    def do(self, command: Callable[..., Any], **values: Any) -> Any:
        return self.store.write(partial(command, **values)).result(ANSWER_S)

    def do_output(self, command: Callable[..., Any], **values: Any) -> Any:
        return self.store.write_output(partial(command, **values)).result(ANSWER_S)

    def ask(self, query: Callable[..., Any], **values: Any) -> Any:
        return self.store.read(partial(query, **values)).result(ANSWER_S)

    def ask_output(self, query: Callable[..., Any], **values: Any) -> Any:
        return self.store.read_output(partial(query, **values)).result(ANSWER_S)

    def sql(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        """Behind the store's back, but through its writer."""
        run = self.store.write(lambda db: [tuple(row) for row in db.connection.execute(text, values)])
        return run.result(ANSWER_S)

    def sql_output(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        run = self.store.write_output(lambda db: [tuple(row) for row in db.connection.execute(text, values)])
        return run.result(ANSWER_S)

    def draft(self, **values: Any) -> model.Draft:
        return draft(next(self._numbers), self.clock.us, **values)

    def submit(self, *drafts: model.Draft) -> list[model.Submitted]:
        return self.do(tasks.submit, drafts=drafts, now_us=self.clock.us)

    def task(self, **values: Any) -> str:
        """Submit one task; its id."""
        (submitted,) = self.submit(self.draft(**values))
        return submitted.id

    def executor(self, name: str = "e") -> str:
        """Register an executor; its id."""
        row = model.ExecutorRow(
            id=name * 32 if len(name) == 1 else name,
            secret_hash=b"hash",
            pid=100,
            start_ticks=7,
            boot_id="boot",
            version="0",
            started_at_us=self.clock.us,
            state="present",
        )
        self.do(executors.register, row=row)
        return row.id

    def claim(
        self, executor: str, limit: int = 1, queue: str = "default", *, shared: bool = False
    ) -> list[model.Claimed]:
        return self.do(claims.claim, executor=executor, queue=queue, limit=limit, now_us=self.clock.us, shared=shared)

    def start(self, executor: str, *claimed: model.Claimed) -> None:
        self.do(claims.started, reports=[start_report(executor, one, self.clock.us) for one in claimed])

    def finish(
        self, executor: str, claimed: model.Claimed, state: str = "succeeded", **values: Any
    ) -> list[model.Ended]:
        return self.do(claims.finished, reports=[finish_report(executor, claimed, self.clock.us, state, **values)])

    def lose(self, executor: str) -> list[model.Ended]:
        return self.do(claims.lose, executor=executor, reason="executor_died", message="it died", now_us=self.clock.us)

    def running(self, executor: str, **values: Any) -> model.Claimed:
        """A task that has started; its attempt."""
        self.task(**values)
        (claimed,) = self.claim(executor, queue=values.get("queue", "default"), shared=values.get("shared", False))
        self.start(executor, claimed)
        return claimed

    def delete(self, task_id: str) -> model.Deleted:
        return self.do(tasks.delete, id=task_id, now_us=self.clock.us)

    def events(self, after: int = 0, *ids: str) -> list[model.EventRow]:
        return self.ask(events.page, after=after, limit=10**6, ids=ids)

    def told(self, *ids: str) -> list[str]:
        """The words of what happened."""
        return [event.event for event in self.events(0, *ids)]

    def pause(self, executor: str, claimed: model.Claimed, *, on: bool = True, paused_us: int = 0) -> None:
        report = model.PauseReport(
            attempt_id=claimed.attempt_id, executor=executor, on=on, at_us=self.clock.us, paused_us=paused_us
        )
        self.do(claims.paused, reports=[report])

    def get(self, task_id: str) -> model.TaskRow:
        return self.ask(tasks.get, id=task_id)

    def attempts(self, task_id: str) -> list[model.AttemptRow]:
        return self.ask(tasks.attempts_of, id=task_id)

    def counts(self) -> dict[str, int]:
        """How many tasks are in each state that has any."""
        return {state: many for state, many in self.ask(tasks.counts).items() if many}

    def problems(self) -> list[model.Finding]:
        findings, _ = check(self.store)
        return [finding for finding in findings if finding.severity == "problem"]


@contextmanager
def kept(folder: Path, cipher: Cipher | None = None) -> Iterator[Keep]:
    """A store that must be sound at the end."""
    keep = Keep(folder, cipher)
    try:
        yield keep
        assert keep.problems() == []
    finally:
        keep.store.close()


def draft(number: int, now_us: int, **values: Any) -> model.Draft:
    defaults: dict[str, Any] = {
        "id": None,
        "key": f"key-{number}",
        "name": f"name {number}",
        "queue": "default",
        "priority": 0,
        "state": "ready",
        "due_at_us": now_us,
        "payload": b"payload %d" % number,
        "content": b"content %d" % number,
        "timeout_us": None,
        "grace_us": 5 * SECOND_US,
        "on_lost": "fail",
        "profile": "default",
        "output_cap_bytes": 64 * 1024 * 1024,
    }
    return model.Draft(**{**defaults, **values})


def after(*parents: str | int, condition: str = "ok", wants: bool = False) -> tuple[model.Dependency, ...]:
    """All these have to end as the condition says; `wants`: their results are arguments."""
    return tuple(model.Dependency(task=parent, condition=condition, wants_result=wants) for parent in parents)


def start_report(executor: str, claimed: model.Claimed, now_us: int) -> model.StartReport:
    return model.StartReport(
        attempt_id=claimed.attempt_id, executor=executor, pid=4000, start_ticks=99, started_at_us=now_us
    )


def finish_report(
    executor: str, claimed: model.Claimed, now_us: int, state: str = "succeeded", **values: Any
) -> model.FinishReport:
    defaults: dict[str, Any] = {
        "attempt_id": claimed.attempt_id,
        "executor": executor,
        "state": state,
        "exit_code": {"succeeded": 0, "failed": 3}.get(state),
        "signal": None,
        "reason": REASONS[AttemptState(state)],
        "message": "" if state == "succeeded" else f"it is {state}",
        "started_at_us": now_us,
        "finished_at_us": now_us,
        "cpu_s": 0.25,
        "peak_bytes": 1_000_000,
        "stdout_bytes": 0,
        "stderr_bytes": 0,
        "dropped_bytes": 0,
        "leftovers": 0,
        "pid": 4000,
    }
    return model.FinishReport(**{**defaults, **values})


REASONS = {
    AttemptState.SUCCEEDED: "",
    AttemptState.FAILED: "exit_code",
    AttemptState.TIMED_OUT: "timeout",
    AttemptState.CANCELLED: "cancelled",
    AttemptState.LOST: "runner_died",
}


def chunk(attempt_id: int, number: int, data: bytes, *, stream: int = 1, offset: int = 0) -> model.ChunkRow:
    return model.ChunkRow(
        attempt_id=attempt_id, number=number, stream=stream, offset=offset, length=len(data), data=data
    )


def numbered(attempt_id: int, pieces: Sequence[tuple[int, bytes]]) -> list[model.ChunkRow]:
    """Chunks 1, 2, 3 ... of (stream, data), with their offsets."""
    ends = {1: 0, 2: 0}
    chunks = []
    for number, (stream, data) in enumerate(pieces, 1):
        chunks.append(chunk(attempt_id, number, data, stream=stream, offset=ends[stream]))
        ends[stream] += len(data)
    return chunks
