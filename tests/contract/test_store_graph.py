"""What hangs together is shown together, parents first; many that wait cost no more each than few."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from support.keep import START_US, Keep, after, draft, finish_report, kept
from support.scene import Scene
from tsched.proto.errors import Refusal, RefusalReason
from tsched.store import claims, graph, model, tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FEW, MANY = 100, 1_000
FACTOR = 1.2
BATCH = 50


@pytest.fixture
def keep(tmp_path: Path) -> Iterator[Keep]:
    with kept(tmp_path) as keep:
        yield keep


def shown(keep: Keep, *ids: str, limit: int = 100) -> model.Graph:
    return keep.ask(graph.connected, ids=ids, limit=limit)


def test_all_that_hangs_together_is_shown_parents_first(keep: Keep) -> None:
    keep.submit(
        keep.draft(id="d", dependencies=after("b", "c", condition="any")),
        keep.draft(id="b", dependencies=after("a")),
        keep.draft(id="c", dependencies=after("a")),
        keep.draft(id="a"),
        keep.draft(id="e", dependencies=after("other")),
        keep.draft(id="other"),
    )
    for start in ("a", "b", "d"):
        whole = shown(keep, start)
        assert [task.id for task in whole.tasks] == ["a", "b", "c", "d"]
        assert not whole.truncated
    assert {(edge.parent, edge.child, edge.condition, edge.met) for edge in shown(keep, "a").edges} == {
        ("a", "b", "ok", False),
        ("a", "c", "ok", False),
        ("b", "d", "any", False),
        ("c", "d", "any", False),
    }
    assert {task.id for task in shown(keep, "a", "e").tasks} == {"a", "b", "c", "d", "e", "other"}


def test_one_that_waits_for_nobody_stands_alone(keep: Keep) -> None:
    alone = keep.task()
    keep.task()
    whole = shown(keep, alone)
    assert ([task.id for task in whole.tasks], whole.edges, whole.truncated) == ([alone], [], False)


def test_what_is_met_and_what_is_gone_show(keep: Keep) -> None:
    executor = keep.executor()
    first = keep.running(executor)
    child = keep.task(dependencies=after(first.task_id))
    keep.finish(executor, first)
    assert [edge.met for edge in shown(keep, child).edges] == [True]
    (claimed,) = keep.claim(executor)
    keep.finish(executor, claimed)
    keep.delete(first.task_id)
    assert ([task.id for task in shown(keep, child).tasks], shown(keep, child).edges) == ([child], [])


def test_a_task_that_ended_early_may_name_one_that_waits_for_it_now(keep: Keep) -> None:
    keep.submit(keep.draft(id="a"), keep.draft(id="b", dependencies=after("a")))
    keep.do(tasks.cancel, id="b", now_us=keep.clock.us)
    patch = model.Patch(dependencies=after("b", condition="any"))
    assert keep.do(tasks.modify, id="a", patch=patch, now_us=keep.clock.us).state == "ready"
    assert {(edge.parent, edge.child) for edge in shown(keep, "a").edges} == {("a", "b"), ("b", "a")}


def test_more_than_is_asked_for_is_cut_off_far_from_the_start(keep: Keep) -> None:
    keep.submit(*chain(20, keep))
    cut = shown(keep, "10", limit=5)
    assert [task.id for task in cut.tasks] == ["8", "9", "10", "11", "12"]
    assert (len(cut.edges), cut.truncated) == (4, True)


def test_a_graph_begins_with_a_task_that_is_there(keep: Keep) -> None:
    keep.task()
    with pytest.raises(Refusal) as refused:
        shown(keep, "1", "nobody")
    assert refused.value.reason is RefusalReason.NO_SUCH_TASK


def chain(many: int, keep: Keep | None = None) -> list[model.Draft]:
    """Each waits for the one before it."""
    made = keep.draft if keep else numbered()
    return [made(dependencies=after(number - 1) if number else ()) for number in range(many)]


def fan_in(many: int) -> list[model.Draft]:
    """One waits for all others."""
    made = numbered()
    return [*(made() for _ in range(many - 1)), made(dependencies=after(*range(many - 1)))]


def fan_out(many: int) -> list[model.Draft]:
    """All others wait for one."""
    made = numbered()
    return [made(), *(made(dependencies=after(0)) for _ in range(many - 1))]


def layers(many: int) -> list[model.Draft]:
    """Tens of which each waits for all ten before it."""
    made = numbered()
    return [
        made(dependencies=after(*range(number // 10 * 10 - 10, number // 10 * 10)) if number >= 10 else ())
        for number in range(many)
    ]


def numbered() -> Callable[..., model.Draft]:
    numbers = iter(range(10**9))
    return lambda **values: draft(next(numbers), START_US, **values)


def run_all(scene: Scene) -> int:
    """The steps of all ends, and of nothing else, until nothing is ready any more."""
    taken = 0
    while True:
        scene.steps(claims.claim, executor="e", queue="default", limit=BATCH, now_us=START_US)
        reports = [finish_report("e", one, START_US) for one in scene.result]
        if not reports:
            return taken
        taken += scene.steps(claims.finished, reports=reports)


def fail_first(scene: Scene) -> int:
    """The steps of the end that dooms all others."""
    scene.steps(claims.claim, executor="e", queue="default", limit=1, now_us=START_US)
    return scene.steps(claims.finished, reports=[finish_report("e", scene.result[0], START_US, "failed")])


def cost(
    folder: Path, shape: Callable[[int], list[model.Draft]], way: Callable[[Scene], int], many: int
) -> tuple[float, float]:
    """Steps per task of the submission, and of the way to the end."""
    folder.mkdir()
    made = Scene(folder)
    with closing(made.db.connection):
        made.register("e")
        submitted = made.steps(tasks.submit, drafts=shape(many), now_us=START_US)
        taken = way(made)
        left = {state for state, count in tasks.counts(made.db).items() if count}
        assert left <= ({"succeeded"} if way is run_all else {"failed", "skipped", "ready"})
    return submitted / many, taken / many


@pytest.mark.parametrize("way", [run_all, fail_first])
@pytest.mark.parametrize("shape", [chain, fan_in, fan_out, layers])
def test_a_task_of_a_large_graph_costs_what_one_of_a_small_graph_costs(
    tmp_path: Path, shape: Callable[[int], list[model.Draft]], way: Callable[[Scene], int]
) -> None:
    small, large = cost(tmp_path / "few", shape, way, FEW), cost(tmp_path / "many", shape, way, MANY)
    print(small, large)
    assert large[0] <= small[0] * FACTOR
    assert large[1] <= small[1] * FACTOR
