"""A task runs when all that it waits for has ended as it was to, and never when one of them has not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support.keep import SECOND_US, Keep, after, finish_report, kept
from tsched.proto.errors import Refusal, RefusalReason
from tsched.store import claims, model, tasks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ENDS = {"succeeded": "succeeded", "failed": "failed", "timed_out": "failed", "cancelled": "cancelled"}


@pytest.fixture
def keep(tmp_path: Path) -> Iterator[Keep]:
    with kept(tmp_path) as keep:
        yield keep


@pytest.fixture
def executor(keep: Keep) -> str:
    return keep.executor()


def states(keep: Keep, *ids: str) -> list[str]:
    return [keep.get(each).state for each in ids]


def end(keep: Keep, executor: str, task_id: str, state: str = "succeeded", **values: Any) -> model.Ended:
    """Run a ready task to its end."""
    for claimed in keep.claim(executor, 100):
        if claimed.task_id == task_id:
            (ended,) = keep.finish(executor, claimed, state, **values)
        else:
            keep.do(claims.returned, attempt_ids=[claimed.attempt_id], executor=executor)
    return ended


def cancel(keep: Keep, task_id: str) -> model.Cancelled:
    return keep.do(tasks.cancel, id=task_id, now_us=keep.clock.us)


def wait_for(keep: Keep, task_id: str, *dependencies: model.Dependency, **values: Any) -> model.TaskRow:
    return keep.do(
        tasks.modify, id=task_id, patch=model.Patch(dependencies=dependencies, **values), now_us=keep.clock.us
    )


def refused(keep: Keep, *drafts: model.Draft) -> Refusal:
    with pytest.raises(Refusal) as caught:
        keep.submit(*drafts)
    assert keep.problems() == []
    return caught.value


def test_a_task_waits_for_all_it_is_to_wait_for(keep: Keep, executor: str) -> None:
    first, second = keep.task(), keep.task()
    child = keep.task(dependencies=after(first, second))
    assert (keep.get(child).state, keep.get(child).waits_for) == ("blocked", 2)
    assert end(keep, executor, second).children == ()
    assert (keep.get(child).state, keep.get(child).waits_for) == ("blocked", 1)
    keep.clock.advance(5)
    (freed,) = end(keep, executor, first).children
    assert freed == model.Child(task_id=child, state="ready", queue="default", shared=False, due_at_us=keep.clock.us)
    assert keep.told(child) == ["submitted", "ready"]
    assert [one.task_id for one in keep.claim(executor, 9)] == [child]


def test_a_task_that_waited_is_due_from_when_it_may_run(keep: Keep, executor: str) -> None:
    first = keep.task()
    child = keep.task(dependencies=after(first))
    keep.clock.advance(100)
    end(keep, executor, first)
    keep.clock.advance(1)
    (claimed,) = keep.claim(executor)
    keep.start(executor, claimed)
    assert keep.get(child).lateness_us == SECOND_US


def test_a_task_due_later_still_waits_for_its_time(keep: Keep, executor: str) -> None:
    first = keep.task()
    later_us = keep.clock.us + SECOND_US
    child = keep.task(dependencies=after(first), state="scheduled", due_at_us=later_us)
    (freed,) = end(keep, executor, first).children
    assert (freed.state, freed.due_at_us) == ("scheduled", later_us)
    assert keep.told(child) == ["submitted", "released"]
    assert keep.ask(tasks.next_due) == later_us


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("condition", ["ok", "fail", "any"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_condition_says_how_the_other_has_to_end(
    keep: Keep, executor: str, when: str, condition: str, how: str
) -> None:
    parent = keep.task()
    wanted = {"ok": how == "succeeded", "fail": how != "succeeded", "any": True}[condition]
    if when == "after":
        end(keep, executor, parent, how)
    child = keep.task(dependencies=after(parent, condition=condition))
    if when == "before":
        (told,) = end(keep, executor, parent, how).children
        assert (told.task_id, told.state) == (child, "ready" if wanted else "skipped")
    row = keep.get(child)
    assert (row.state, row.reason) == (("ready", "") if wanted else ("skipped", "dependency"))
    assert keep.events(0, child)[-1].reason == row.reason
    (shown,) = keep.ask(tasks.parents_of, id=child)
    assert shown == model.ParentRow(id=parent, condition=condition, state=ENDS[how], met=wanted)


@pytest.mark.parametrize(
    ("how", "condition", "message"),
    [
        ("failed", "ok", "it was to wait for task a to succeed, which failed"),
        ("cancelled", "ok", "it was to wait for task a to succeed, which was cancelled"),
        ("succeeded", "fail", "it was to wait for task a to fail, which succeeded"),
    ],
)
def test_what_is_skipped_says_because_of_what(
    keep: Keep, executor: str, how: str, condition: str, message: str
) -> None:
    keep.task(id="a")
    child = keep.task(dependencies=after("a", condition=condition))
    grandchild = keep.task(dependencies=after(child))
    end(keep, executor, "a", how)
    later = keep.task(dependencies=after("a", condition=condition))
    assert keep.get(child).message == keep.get(later).message == message
    assert keep.get(grandchild).message == f"it was to wait for task {child} to succeed, which was skipped"


def test_what_waits_for_a_skipped_task_is_skipped_or_goes_on(keep: Keep, executor: str) -> None:
    first = keep.task()
    skipped = keep.task(dependencies=after(first))
    chain = [keep.task(dependencies=after(skipped))]
    chain.append(keep.task(dependencies=after(chain[-1])))
    rescue = keep.task(dependencies=after(chain[-1], condition="fail"))
    always = keep.task(dependencies=after(skipped, condition="any"))
    both = keep.task(dependencies=(*after(first, condition="fail"), *after(chain[0])))
    ended = end(keep, executor, first, "failed")
    assert states(keep, skipped, *chain, both) == ["skipped"] * 4
    assert states(keep, rescue, always) == ["ready", "ready"]
    assert {child.task_id: child.state for child in ended.children} == {
        **dict.fromkeys((skipped, *chain, both), "skipped"),
        **dict.fromkeys((rescue, always), "ready"),
    }
    assert next(event.task for event in keep.events() if event.event == "skipped") == skipped


@pytest.mark.parametrize("how", ["cancel", "cancel what runs", "give back", "damage", "loss", "skip"])
def test_whatever_ends_a_task_tells_those_that_wait_for_it(keep: Keep, executor: str, how: str) -> None:
    parent = keep.task()
    child = keep.task(dependencies=after(parent, condition="fail"))
    told: list[model.Child] = []
    if how == "cancel":
        told += cancel(keep, parent).children
    elif how == "damage":
        ((sealed,),) = keep.sql("SELECT sealed FROM payloads WHERE task = 1")
        keep.sql("UPDATE payloads SET sealed = x'00' WHERE task = 1")
        values = {"executor": executor, "queue": "default", "limit": 1, "now_us": keep.clock.us}
        assert keep.do(claims.claim, children=told, **values) == []
        keep.sql("UPDATE payloads SET sealed = ? WHERE task = 1", sealed)
    elif how == "skip":
        wait_for(keep, parent, *after(end_of_another(keep, executor), condition="fail"))
    else:
        (claimed,) = keep.claim(executor)
        if how == "loss":
            told += keep.lose(executor)[-1].children
        else:
            assert cancel(keep, parent).children == ()
        if how == "cancel what runs":
            told += keep.finish(executor, claimed, "cancelled")[0].children
        if how == "give back":
            keep.do(claims.returned, attempt_ids=[claimed.attempt_id], executor=executor, children=told)
    assert keep.get(child).state == "ready"
    assert how == "skip" or [one.task_id for one in told] == [child]


def end_of_another(keep: Keep, executor: str) -> str:
    other = keep.task()
    end(keep, executor, other)
    return other


def test_ends_of_one_batch_count_together(keep: Keep, executor: str) -> None:
    parents = [keep.task() for _ in range(4)]
    child = keep.task(dependencies=after(*parents))
    reports = [finish_report(executor, claimed, keep.clock.us) for claimed in keep.claim(executor, 4)]
    *others, last = keep.do(claims.finished, reports=reports)
    assert [one.children for one in others] == [(), (), ()]
    assert [one.task_id for one in last.children] == [child]


def test_a_task_that_ended_otherwise_meanwhile_stays_as_it_is(keep: Keep, executor: str) -> None:
    first, second = keep.task(), keep.task()
    child = keep.task(dependencies=after(first, second))
    assert cancel(keep, child).children == ()
    end(keep, executor, first)
    end(keep, executor, second, "failed")
    assert keep.get(child).state == "cancelled"
    assert [row.met for row in keep.ask(tasks.parents_of, id=child)] == [True, False]


def test_a_held_task_keeps_count_and_waits_for_the_rest_when_it_is_released(keep: Keep, executor: str) -> None:
    first, second = keep.task(), keep.task()
    child = keep.task(dependencies=after(first, second), hold=True)
    end(keep, executor, first)
    assert (keep.get(child).state, keep.get(child).waits_for) == ("held", 1)
    assert keep.do(tasks.release, id=child, now_us=keep.clock.us).state == "blocked"
    assert keep.do(tasks.hold, id=child, now_us=keep.clock.us).state == "held"
    assert end(keep, executor, second).children == ()
    assert keep.do(tasks.release, id=child, now_us=keep.clock.us).state == "ready"
    assert keep.told(child) == ["submitted", "blocked", "held", "ready"]


def test_a_held_task_that_will_never_run_is_skipped(keep: Keep, executor: str) -> None:
    first = keep.task()
    child = keep.task(dependencies=after(first), hold=True)
    end(keep, executor, first, "failed")
    assert keep.get(child).state == "skipped"


def test_a_request_is_a_graph_by_indices_and_ids_in_any_order(keep: Keep, executor: str) -> None:
    drafts = [
        keep.draft(dependencies=after(1, "there", "by-id")),
        keep.draft(),
        keep.draft(id="by-id", dependencies=after(1)),
    ]
    keep.task(id="there")
    answers = keep.submit(*drafts)
    assert [answer.state for answer in answers] == ["blocked", "ready", "blocked"]
    assert [row.id for row in keep.ask(tasks.parents_of, id=answers[0].id)] == [answers[1].id, "there", "by-id"]
    for task_id in ("there", answers[1].id, "by-id"):
        end(keep, executor, task_id)
    assert keep.get(answers[0].id).state == "ready"


def test_a_request_repeated_is_the_same_graph(keep: Keep, executor: str) -> None:
    drafts = [keep.draft(), keep.draft(dependencies=after(0))]
    first = keep.submit(*drafts)
    again = keep.submit(*drafts)
    assert [(answer.existed, answer.id) for answer in again] == [(True, answer.id) for answer in first]
    end(keep, executor, first[0].id)
    third = keep.draft(dependencies=after(0))
    assert [answer.state for answer in keep.submit(drafts[0], third)] == ["succeeded", "ready"]


def test_what_would_wait_in_vain_is_skipped_from_the_first_with_all_that_waits_for_it(
    keep: Keep, executor: str
) -> None:
    failed = keep.task()
    end(keep, executor, failed, "failed")
    answers = keep.submit(
        keep.draft(dependencies=after(1)),
        keep.draft(dependencies=after(failed), hold=True),
        keep.draft(dependencies=after(0, condition="fail")),
        keep.draft(dependencies=(*after(0, condition="any"), *after(2))),
    )
    assert [answer.state for answer in answers] == ["skipped", "skipped", "ready", "blocked"]
    (event,) = keep.events(0, answers[0].id)
    assert (event.event, event.state, event.reason) == ("submitted", "skipped", "dependency")


@pytest.mark.parametrize("parent", ["nobody", "2", "1000"])
def test_nobody_waits_for_a_task_that_is_not_there(keep: Keep, parent: str) -> None:
    keep.task()
    refusal = refused(keep, keep.draft(), keep.draft(dependencies=after(parent)))
    assert refusal.reason is RefusalReason.NO_SUCH_TASK
    assert parent in refusal.message
    assert keep.counts() == {"ready": 1}


@pytest.mark.parametrize("index", [2, -1])
def test_an_index_names_a_task_of_the_request(keep: Keep, index: int) -> None:
    refusal = refused(keep, keep.draft(), keep.draft(dependencies=after(index)))
    assert refusal.reason is RefusalReason.BAD_VALUE
    assert f"#{index}" in refusal.message


def test_a_task_is_waited_for_once(keep: Keep) -> None:
    keep.task(id="a")
    refusal = refused(keep, keep.draft(id="b", dependencies=(*after("a"), *after("a", condition="fail"))))
    assert refusal.reason is RefusalReason.BAD_VALUE
    assert "b waits for task a twice" in refusal.message


@pytest.mark.parametrize(
    ("parents", "ring"),
    [
        (((0,), ()), "#0 -> #0"),
        (((1,), (0,)), "a -> #0 -> a|#0 -> a -> #0"),
        (((2,), (0,), (1,)), "a -> c -> #0 -> a|c -> #0 -> a -> c|#0 -> a -> c -> #0"),
    ],
)
def test_a_ring_within_a_request_is_refused_and_shown(keep: Keep, parents: Any, ring: str) -> None:
    names = [None, "a", "c"]
    drafts = [keep.draft(id=names[index], dependencies=after(*of)) for index, of in enumerate(parents)]
    refusal = refused(keep, *drafts)
    assert refusal.reason is RefusalReason.CYCLE
    assert any(refusal.message.endswith(f": {shown}") for shown in ring.split("|"))
    assert keep.counts() == {}


def test_a_ring_by_modification_is_refused_and_shown(keep: Keep) -> None:
    keep.submit(
        keep.draft(id="a"),
        keep.draft(id="b", dependencies=after("a")),
        keep.draft(id="c", dependencies=after("b")),
        keep.draft(id="d", dependencies=after("c", "a")),
    )
    for parent, ring in (("d", "a -> d -> a"), ("c", "a -> b -> c -> a"), ("a", "a -> a")):
        with pytest.raises(Refusal) as caught:
            wait_for(keep, "a", *after(parent))
        assert caught.value.reason is RefusalReason.CYCLE
        assert caught.value.message.endswith(f": {ring}")
    assert keep.get("a").state == "ready"
    wait_for(keep, "b")
    assert wait_for(keep, "a", *after("c")).state == "blocked"


def test_a_long_ring_is_shown_in_short(keep: Keep) -> None:
    drafts = [keep.draft(dependencies=after((n + 1) % 100)) for n in range(100)]
    assert len(refused(keep, *drafts).message) < 200


def test_what_a_waiting_task_waits_for_can_be_changed(keep: Keep, executor: str) -> None:
    first, second = keep.task(), keep.task()
    child = keep.task(dependencies=after(first))
    assert wait_for(keep, child, *after(second), *after(first, condition="any")).waits_for == 2
    assert [row.id for row in keep.ask(tasks.parents_of, id=child)] == [second, first]
    assert wait_for(keep, child, *after(second)).waits_for == 1
    end(keep, executor, first, "failed")
    assert keep.get(child).state == "blocked"
    keep.clock.advance(1)
    row = wait_for(keep, child, name="new")
    assert (row.state, row.waits_for, row.name, row.due_at_us) == ("ready", 0, "new", keep.clock.us)
    assert wait_for(keep, child, *after(second)).state == "blocked"
    assert keep.told(child) == ["submitted", "modified", "modified", "modified", "ready", "modified", "blocked"]


@pytest.mark.parametrize("state", ["scheduled", "held", "ready"])
def test_a_task_that_waits_for_something_else_can_be_made_to_wait_for_tasks(
    keep: Keep, executor: str, state: str
) -> None:
    first = keep.task()
    due_at_us = keep.clock.us + (SECOND_US if state == "scheduled" else 0)
    draft_state = "scheduled" if state == "scheduled" else "ready"
    child = keep.task(state=draft_state, due_at_us=due_at_us, hold=state == "held")
    row = wait_for(keep, child, *after(first))
    assert (row.state, row.waits_for) == ("held" if state == "held" else "blocked", 1)
    assert wait_for(keep, child).state == state
    wait_for(keep, child, *after(first))
    end(keep, executor, first)
    assert keep.get(child).state == state


def test_what_is_made_to_wait_in_vain_is_skipped(keep: Keep, executor: str) -> None:
    failed = keep.task()
    end(keep, executor, failed, "failed")
    for held in (False, True):
        child = keep.task(hold=held)
        grandchild = keep.task(dependencies=after(child, condition="any"))
        told: list[model.Child] = []
        patch = model.Patch(dependencies=after(failed))
        row = keep.do(tasks.modify, id=child, patch=patch, now_us=keep.clock.us, children=told)
        assert (row.state, row.reason) == ("skipped", "dependency")
        assert failed in row.message
        assert [(one.task_id, one.state) for one in told] == [(grandchild, "ready")]


def test_a_task_that_was_tried_is_not_made_to_wait(keep: Keep, executor: str) -> None:
    other, task_id = keep.task(), keep.task(max_attempts=2)
    end(keep, executor, task_id, "failed")
    with pytest.raises(Refusal) as caught:
        wait_for(keep, task_id, *after(other))
    assert caught.value.reason is RefusalReason.WRONG_STATE
    assert keep.get(task_id).state == "retrying"


def test_a_modification_that_is_refused_changes_nothing(keep: Keep) -> None:
    task_id = keep.task(name="old")
    with pytest.raises(Refusal) as caught:
        wait_for(keep, task_id, *after("nobody"), name="new")
    assert caught.value.reason is RefusalReason.NO_SUCH_TASK
    assert keep.get(task_id).name == "old"


def test_a_task_is_kept_while_one_that_waits_for_it_has_not_ended(keep: Keep, executor: str) -> None:
    parent = keep.task(id="parent")
    child = keep.task(id="child", dependencies=after(parent))
    for state in ("ready", "succeeded"):
        if state == "succeeded":
            end(keep, executor, parent)
        with pytest.raises(Refusal) as caught:
            keep.delete(parent)
        assert caught.value.reason is RefusalReason.WRONG_STATE
        assert "task child" in caught.value.message
    keep.clock.advance(100)
    assert prune(keep) == []
    assert states(keep, parent, child) == ["succeeded", "ready"]
    end(keep, executor, child)
    keep.clock.advance(1)
    assert len(prune(keep)) == 2
    assert keep.counts() == {}
    assert keep.sql("SELECT * FROM dependencies") == []


def prune(keep: Keep) -> list[int]:
    return keep.do(tasks.prune, finished_before_us=keep.clock.us, keep=0, now_us=keep.clock.us)


def test_what_is_kept_for_others_holds_up_no_pruning(keep: Keep, executor: str) -> None:
    needed = [keep.task() for _ in range(5)]
    keep.task(dependencies=after(*needed, keep.task(hold=True)))
    for task_id in needed:
        end(keep, executor, task_id)
    old = keep.task()
    end(keep, executor, old)
    keep.clock.advance(1)
    assert len(keep.do(tasks.prune, finished_before_us=keep.clock.us, keep=0, now_us=keep.clock.us, limit=2)) == 1
    assert keep.counts() == {"succeeded": 5, "held": 1, "blocked": 1}


def test_a_parent_that_is_gone_is_shown_by_its_id(keep: Keep, executor: str) -> None:
    parent = keep.task(id="parent")
    child = keep.task(dependencies=after(parent))
    end(keep, executor, parent)
    end(keep, executor, child)
    keep.delete(parent)
    keep.task(id="parent")
    assert keep.ask(tasks.parents_of, id=child) == [model.ParentRow(id="parent", condition="ok", state=None, met=True)]
