"""Whose tasks are whose, how many of them wait, and what is written down of who changed what."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from support.keep import START_US, Keep, after, draft, kept
from support.scene import Scene
from tsched.proto.errors import Refusal, RefusalReason
from tsched.store import audit, events, model, retention, tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tsched.store.db import Db

A = model.Who(name="uid:1", role="submitter", where="unix pid 7", owner="uid:1", queued_limit=3)
B = model.Who(name="uid:2", role="submitter", where="unix pid 8", owner="uid:2")
ADMIN = model.Who(name="uid:0", role="admin", where="unix", sees_all=True)
KEPT = 1000


@pytest.fixture
def keep(tmp_path: Path) -> Iterator[Keep]:
    with kept(tmp_path) as keep:
        yield keep


def for_(who: model.Who, command: Callable[..., Any]) -> Callable[..., Any]:
    """The same on somebody's behalf."""

    def run(db: Db, **values: Any) -> Any:
        return command(db.on_behalf(who), **values)

    return run


def submit(keep: Keep, who: model.Who, many: int = 1, **values: Any) -> list[str]:
    drafts = [keep.draft(**values) for _ in range(many)]
    return [made.id for made in keep.do(for_(who, tasks.submit), drafts=drafts, now_us=keep.clock.us)]


def reason(act: Callable[[], Any]) -> RefusalReason:
    with pytest.raises(Refusal) as raised:
        act()
    return raised.value.reason


def ids(keep: Keep, who: model.Who, **asked: Any) -> list[str]:
    page = {"states": (), "queue": None, "before_seq": None, "limit": 9, **asked}
    return [row.id for row in keep.ask(for_(who, tasks.list_page), **page)]


def test_a_page_holds_what_whoever_asks_may_see(keep: Keep) -> None:
    (one,), (two,), (three,) = submit(keep, A, queue="q"), submit(keep, B), submit(keep, A, hold=True)
    (four,) = submit(keep, ADMIN)
    assert ids(keep, A) == [three, one]
    assert ids(keep, A, states=["held", "running"]) == [three]
    assert ids(keep, A, queue="q") == [one]
    assert ids(keep, A, before_seq=int(three), limit=1) == [one]
    assert ids(keep, B) == [two]
    assert ids(keep, ADMIN) == [four, three, two, one]
    assert {row.owner for row in keep.ask(tasks.list_page, states=(), queue=None, before_seq=None, limit=9)} == {
        *("uid:1", "uid:2", "")
    }


def test_no_more_tasks_of_one_wait_than_may_whatever_becomes_of_them(keep: Keep) -> None:
    executor = keep.executor()
    first = submit(keep, A, 3)
    assert reason(lambda: submit(keep, A)) is RefusalReason.QUEUE_FULL
    submit(keep, B, 5)
    submit(keep, ADMIN, 5)
    keep.do(for_(A, tasks.cancel), id=first[0], now_us=keep.clock.us)
    assert len(submit(keep, A)) == 1
    keep.do(for_(A, tasks.hold), id=first[1], now_us=keep.clock.us)
    assert reason(lambda: submit(keep, A)) is RefusalReason.QUEUE_FULL
    (claimed, *others) = keep.claim(executor, 99)
    submit(keep, A, 2)
    keep.do(for_(A, tasks.delete), id=first[1], now_us=keep.clock.us)
    submit(keep, A)
    assert reason(lambda: submit(keep, A, 2)) is RefusalReason.QUEUE_FULL
    assert claimed.task_id == first[2]
    assert others
    again = keep.draft(key="key-1", content=b"content 1")
    assert keep.do(for_(A, tasks.submit), drafts=[again], now_us=keep.clock.us)[0].existed


def test_what_one_submits_never_waits_for_anothers(keep: Keep) -> None:
    (theirs,) = submit(keep, B, id="theirs")
    assert reason(lambda: submit(keep, A, dependencies=after(theirs))) is RefusalReason.NO_SUCH_TASK
    assert submit(keep, ADMIN, dependencies=after(theirs))
    graph = keep.ask(for_(B, tasks_graph), ids=[theirs], limit=9)
    assert [task.id for task in graph.tasks] == [theirs]
    with pytest.raises(Refusal, match="another one, which has not ended"):
        keep.do(for_(B, tasks.delete), id=theirs, now_us=keep.clock.us)


def tasks_graph(db: Db, **asked: Any) -> model.Graph:
    from tsched.store import graph

    return graph.connected(db, **asked)


def test_events_are_told_to_the_owner_also_of_what_is_gone(keep: Keep) -> None:
    (mine,), (_theirs,) = submit(keep, A), submit(keep, B)
    keep.do(tasks.delete, id=mine, now_us=keep.clock.us)
    told = keep.ask(for_(A, events.page), after=0, limit=9)
    assert [(event.task, event.event) for event in told] == [(mine, "submitted"), (mine, "deleted")]
    assert keep.ask(for_(A, events.page), after=0, limit=9, ids=["other"]) == []
    assert keep.sql("SELECT count(*) FROM departed") == [(1,)]
    while keep.do(retention.prune_events, before_us=keep.clock.us + 1, keep=1):
        pass
    assert keep.sql("SELECT count(*) FROM departed") == [(0,)]


def test_the_audit_is_written_with_the_change_or_not_at_all(keep: Keep) -> None:
    def change(db: Db, *, fails: bool) -> None:
        db = db.on_behalf(A)
        tasks.submit(db, drafts=[draft(99, START_US)], now_us=START_US)
        audit.record(db, what="submit", object="1", at_us=START_US)
        if fails:
            raise ValueError("it came to nothing")

    with pytest.raises(ValueError, match="nothing"):
        keep.do(change, fails=True)
    assert keep.ask(audit.page, limit=9) == []
    keep.do(change, fails=False)
    (entry,) = keep.ask(audit.page, limit=9)
    assert entry == model.AuditRow(
        number=1,
        at_us=START_US,
        who="uid:1",
        role="submitter",
        where="unix pid 7",
        what="submit",
        object="1",
        outcome="done",
    )


def fill(keep: Keep, many: int) -> None:
    def write(db: Db) -> None:
        for number in range(many):
            who = (A, B)[number % 2]
            audit.record(db, what="submit", object=str(number), at_us=START_US + number, who=who)

    keep.do(write)


def test_the_audit_is_asked_by_time_by_caller_by_deed_and_in_pages(keep: Keep) -> None:
    fill(keep, 10)
    ask = partial(keep.ask, audit.page)
    assert [entry.number for entry in ask(limit=3)] == [10, 9, 8]
    assert [entry.number for entry in ask(limit=3, before=8)] == [7, 6, 5]
    assert [entry.number for entry in ask(limit=9, since_us=START_US + 8)] == [10, 9]
    assert {entry.who for entry in ask(limit=9, who="uid:2")} == {"uid:2"}
    assert ask(limit=9, what="cancel") == []


def test_only_the_oldest_of_the_audit_go_and_nothing_of_it_is_changed(keep: Keep) -> None:
    fill(keep, KEPT + 50)
    for forgery in (
        "UPDATE audit SET who = 'uid:2' WHERE id = 1",
        "UPDATE audit SET outcome = 'done'",
        "DELETE FROM audit",
        "DELETE FROM audit WHERE id = 2",
        f"DELETE FROM audit WHERE id = {KEPT + 50}",
    ):
        with pytest.raises(sqlite3.IntegrityError, match="the audit is"):
            keep.do(lambda db, forgery=forgery: db.connection.execute(forgery))
    assert [keep.do(audit.prune, keep=KEPT + 10, limit=25) for _ in range(3)] == [25, 15, 0]
    assert keep.sql("SELECT min(id), max(id), count(*) FROM audit") == [(41, KEPT + 50, KEPT + 10)]
    with pytest.raises(sqlite3.IntegrityError, match="the audit is kept"):
        keep.do(audit.prune, keep=KEPT - 1)


def test_what_an_owner_pays_does_not_grow_with_what_others_have(tmp_path: Path) -> None:
    costs = []
    for many in (100, 20_000):
        (tmp_path / str(many)).mkdir()
        scene = Scene(tmp_path / str(many))
        with closing(scene.db.connection):
            for who in (A, ADMIN):
                scene.db = scene.db.on_behalf(model.Who(name="", role="", where="", owner=who.owner, sees_all=True))
                scene.fill(50 if who is A else many, **({} if who is A else {"key": None}))
            scene.db = scene.db.on_behalf(A)
            page = {"states": ["ready"], "queue": "default", "before_seq": None, "limit": 20}
            costs.append(
                [
                    scene.steps(tasks.list_page, **page),
                    scene.steps(tasks.get, id="7"),
                    scene.steps(refused_as_full),
                ]
            )
    few, many_ = costs
    assert all(b < a * 1.2 + 50 for a, b in zip(few, many_, strict=True)), costs


def refused_as_full(db: Db) -> None:
    with pytest.raises(Refusal):
        tasks.submit(db, drafts=[draft(10**6, START_US, key=None)], now_us=START_US)
