"""How much an executor asks for, and what it gives back."""

from __future__ import annotations

import pytest

from tsched.executor.slots import MOST_AHEAD, MOST_BRISK, PATIENCE_S, Desk


def quick_desk(slots: int = 2, run_s: float = 0.002) -> Desk:
    """One that has run many short tasks and has one more at work."""
    desk = Desk(slots)
    for attempt_id in range(1000, 1032):
        desk.arrive(attempt_id, "q", 0)
        desk.start(attempt_id)
        desk.end("q", run_s)
    desk.arrive(1, "q", 0)
    desk.start(1)
    return desk


def test_a_new_desk_asks_once_for_one_task_per_slot() -> None:
    desk = Desk(4)
    assert [desk.grant(), desk.grant()] == [4, 0]


def test_one_more_is_asked_for_with_each_freed_place() -> None:
    desk = Desk(2)
    desk.grant()
    for attempt_id in (1, 2):
        desk.arrive(attempt_id, "q", 0)
        desk.start(attempt_id)
    assert desk.grant() == 0
    desk.end("q", 60)
    assert desk.grant() == 1


def test_what_waits_counts_as_well_as_what_runs() -> None:
    desk = Desk(3)
    desk.grant()
    desk.arrive(1, "q", 0)
    desk.attach()
    assert desk.grant() == 2


def test_a_new_supervisor_is_asked_anew() -> None:
    desk = Desk(3)
    desk.grant()
    desk.attach()
    assert desk.grant() == 3


@pytest.mark.parametrize("state", ["draining", "paused"])
def test_nothing_is_asked_for_while(state: str) -> None:
    desk = Desk(3)
    setattr(desk, state, True)
    assert desk.grant() == 0


@pytest.mark.parametrize(("run_s", "ahead"), [(0.002, MOST_AHEAD), (0.01, 10), (0.03, 3), (0.05, 0), (3.0, 0)])
def test_as_many_are_held_ahead_as_start_soon(run_s: float, ahead: int) -> None:
    assert quick_desk(slots=2, run_s=run_s).wanted == 2 * ahead + 1


def test_where_tasks_are_short_they_are_asked_for_many_at_a_time() -> None:
    desk = quick_desk(slots=1)
    asked = desk.grant()
    for attempt_id in range(2, 2 + asked):
        desk.arrive(attempt_id, "q", 0)
    for attempt_id in range(2, 2 + asked // 2):
        desk.end("q", 0.002)
        desk.start(attempt_id)
        assert desk.grant() == 0
    desk.end("q", 0.002)
    assert desk.grant() > asked // 2


def test_a_slow_lane_beside_a_quick_one_ends_the_holding_ahead() -> None:
    desk = quick_desk(slots=4)
    desk.arrive(2, "slow", 0)
    desk.start(2)
    assert desk.wanted == 2


def test_the_median_decides_so_that_a_single_slow_run_does_not() -> None:
    desk = quick_desk()
    desk.end("q", 10.0)
    desk.arrive(2, "q", 0)
    assert desk.wanted > desk.slots


def test_tasks_start_in_the_order_in_which_they_came() -> None:
    desk = Desk(2)
    for attempt_id in (7, 3, 5):
        desk.arrive(attempt_id, "q", 0)
    assert desk.first() == [7, 3]


def test_only_what_waits_without_a_slot_is_given_back_and_only_after_a_while() -> None:
    desk = Desk(1)
    for attempt_id in (1, 2, 3):
        desk.arrive(attempt_id, "q", float(attempt_id))
    assert desk.give_back_at_s() == 2 + PATIENCE_S
    assert desk.give_back(2.0 + PATIENCE_S / 2) == []
    assert desk.give_back(2.0 + PATIENCE_S) == [2]
    assert list(desk.waiting) == [1, 3]
    desk.leave(3)
    assert desk.give_back_at_s() is None


def test_a_lane_that_was_guessed_wrong_has_to_prove_itself_again() -> None:
    desk = quick_desk()
    for attempt_id in range(2, 8):
        desk.arrive(attempt_id, "q", 0)
    desk.start(2)
    assert desk.give_back(1.0) == [3, 4, 5, 6, 7]
    assert desk.wanted == 0


def test_leaving_is_for_those_that_wait() -> None:
    desk = Desk(1)
    desk.arrive(1, "q", 0)
    desk.arrive(2, "q", 0)
    desk.start(1)
    assert [desk.leave(1), desk.leave(2), desk.leave(2), desk.leave(9)] == [False, True, False, False]


def test_what_is_placed_with_a_host_still_counts_as_waiting() -> None:
    desk = quick_desk(slots=2, run_s=0.0001)
    wanted = desk.wanted
    for attempt_id in (2, 3, 4):
        desk.arrive(attempt_id, "q", 0)
    assert list(desk.next_brisk()) == [3, 4]
    desk.place(3)
    assert desk.wanted == wanted - 3
    assert not desk.leave(3)


def test_what_a_host_did_not_come_to_waits_before_what_came_later() -> None:
    desk = quick_desk(slots=1, run_s=0.0001)
    for attempt_id in (2, 3, 4):
        desk.arrive(attempt_id, "q", 0)
    desk.place(2)
    desk.place(3)
    desk.end("q", 0.0001)
    desk.come_to(2)
    assert desk.running == 1
    desk.stay(2, "q", 0)
    desk.take_back([2, 3])
    assert (list(desk.waiting), desk.running) == ([2, 3, 4], 0)


def test_only_tasks_that_take_no_time_are_placed_ahead() -> None:
    desk = quick_desk(slots=1)
    desk.arrive(2, "q", 0)
    assert not list(desk.next_brisk())


def test_an_async_call_takes_no_slot_and_each_that_ends_is_asked_for_anew() -> None:
    desk = Desk(1, most_shared=3)
    assert (desk.grant_shared(), desk.grant_shared()) == (3, 0)
    for _ in range(3):
        desk.arrive_shared()
    assert (desk.wanted, desk.wanted_shared) == (1, 0)
    desk.end_shared()
    assert desk.grant_shared() == 1
    desk.attach()
    assert desk.grant_shared() == 1
    desk.draining = True
    assert desk.wanted_shared == 0


def test_what_takes_no_time_is_asked_for_many_at_a_time_also_when_nothing_is_left() -> None:
    desk = quick_desk(slots=2, run_s=0.0001)
    desk.end("q", 0.0001)
    assert desk.wanted == 2 + 2 * MOST_BRISK
    slower = quick_desk(slots=2)
    slower.end("q", 0.002)
    assert slower.wanted == 2
