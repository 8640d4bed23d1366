"""tsched.testing: calls in the process of the test, with the semantics of a service."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise

import pytest

import tsched
from tsched import Cancel, Retry, Snooze, TaskFailed, chain, chord, current, group, task
from tsched.testing import adrain, assert_enqueued, drain, inline, manual, refute_enqueued, travel

ran = []


@pytest.fixture(autouse=True)
def _nothing_ran():
    ran.clear()


@task
def add(a: int, b: int = 2) -> int:
    ran.append((a, b))
    return a + b


@task
def total(numbers: list[int]) -> int:
    return sum(numbers)


@task
def same(value: object) -> object:
    ran.append(value)
    return value


@task(retries=2, retry_delay=10)
def flaky(good_at: int) -> int:
    ran.append(current().attempt)
    if current().attempt < good_at:
        raise ValueError("not yet")
    return current().attempt


@task(queue="slow")
def snoozing(times: int) -> list[int]:
    if current().attempt <= times:
        raise Snooze(100)
    return [current().attempt, current().max_attempts]


@task(retries=1)
def retrying() -> None:
    raise Retry(in_=5)


@task(retries=5)
def giving_up() -> None:
    raise Cancel("no such user")


@task
async def later(value: int) -> int:
    await asyncio.sleep(0)
    current().progress(40, "rows")
    print("said", value)
    return value + 1


def make_object() -> object:
    return object()


def failure(handle) -> TaskFailed:
    with pytest.raises(TaskFailed) as caught:
        handle.result()
    return caught.value


# Inline.


def test_inline_a_call_has_ended_when_delay_returns():
    with inline():
        handle = add.delay(1)
        assert ran == [(1, 2)]
        assert (handle.result(), handle.status(), handle.info().attempt) == (3, "succeeded", 1)


def test_inline_arguments_and_results_are_what_a_service_would_hand_on():
    with inline():
        assert same.delay((1, (2.5, b"x"))).result() == [1, [2.5, b"x"]]
        assert ran == [[1, [2.5, b"x"]]]
        with pytest.raises(tsched.TschedError) as caught:
            same.delay(object())
        assert caught.value.reason == "bad_arguments"


def test_inline_a_result_that_cannot_be_sent_is_a_failure():
    with inline():
        objects = task(name="objects")(make_object)
        assert failure(objects.delay()).reason == "bad_result"


def test_inline_arguments_that_do_not_fit_are_refused_at_once():
    with inline(), pytest.raises(tsched.TschedError, match="too many positional") as caught:
        add.delay(1, 2, 3)
    assert caught.value.reason == "bad_arguments"


def test_inline_failures_are_told_by_the_result_and_by_the_output(capfd):
    with inline():
        handle = flaky.delay(9)
        failed = failure(handle)
        assert (failed.state, failed.reason, failed.message) == ("failed", "raised", "ValueError: not yet")
        assert [each.state for each in handle.attempts()] == ["failed"] * 3
        assert "ValueError: not yet\n" in list(handle.logs(stream="err"))
    assert "ValueError: not yet" in capfd.readouterr().err


def test_inline_a_call_is_tried_again_as_often_as_its_retries_say():
    with inline():
        handle = flaky.delay(3)
        assert (handle.result(), ran) == (3, [1, 2, 3])
        begun = [each.started_at for each in handle.attempts()]
        assert [round((b - a).total_seconds()) for a, b in pairwise(begun)] == [10, 20]
        assert failure(flaky.options(retries=1).delay(3)).reason == "raised"


def test_inline_an_attempt_that_snoozes_does_not_count():
    with inline():
        assert snoozing.delay(4).result() == [5, 5]


def test_inline_an_attempt_that_asks_for_another_counts():
    with inline():
        handle = retrying.delay()
        assert (failure(handle).reason, len(handle.attempts())) == ("retry", 2)


def test_inline_who_gives_up_is_cancelled_with_its_reason():
    with inline():
        handle = giving_up.delay()
        failed = failure(handle)
        assert (failed.state, failed.message, len(handle.attempts())) == ("cancelled", "no such user", 1)


def test_inline_async_functions_run_in_either_kind_of_code():
    async def awaited():
        handle = await later.adelay(1)
        return (
            await handle,
            (await handle.progress()).text,
            [line async for line in handle.logs()],
            later.delay(5).result(),
        )

    with inline():
        assert later.delay(1).result() == 2
        assert asyncio.run(awaited()) == (2, "rows", ["said 1\n"], 6)


def test_inline_tasks_submit_tasks():
    @task
    def parent(value: int) -> int:
        return add.delay(value, 1).result() * 10

    with inline():
        assert parent.delay(1).result() == 20


def test_inline_no_clock_is_waited_for():
    begin = time.monotonic()
    with inline():
        assert add.options(delay=3600).delay(1).result() == 3
    assert time.monotonic() - begin < 60


# Workflows.


def test_each_part_of_a_chain_is_given_the_result_before_it():
    with inline():
        workflow = chain(add.s(1, 1), add.s(10), add.s()).delay()
        assert (workflow.result(), len(workflow.parts)) == (14, 3)


def test_a_group_comes_to_the_list_of_its_results_and_feeds_it_to_what_follows():
    with inline():
        assert group(add.s(i, 0) for i in range(3)).delay().result() == [0, 1, 2]
        assert chord((add.s(i, 0) for i in range(3)), total.s()).delay().result() == 3
        assert chain(group(add.s(1, 0), chain(add.s(2, 0), add.s(3))), total.s(), add.s(1)).delay().result() == 7
        assert chord([], total.s()).delay().result() == 0


def test_a_group_within_a_chain_is_fed_to_each_of_its_parts():
    with inline():
        assert chain(add.s(1, 0), group(add.s(10), add.s(20))).delay().result() == [11, 21]


def test_a_group_of_groups_comes_to_lists_and_cannot_be_fed():
    with inline():
        assert group(group(add.s(1), add.s(2)), add.s(3)).delay().result() == [[3, 4], 5]
        with pytest.raises(tsched.TschedError, match="group's result cannot be part of a list"):
            chain(group(group(add.s(1))), total.s()).delay()


def test_what_is_bound_without_taking_anything_only_waits():
    with inline():
        assert chain(add.s(1), same.si("own")).delay().result() == "own"


def test_handles_and_calls_are_arguments():
    with inline():
        first = add.delay(1, 1)
        assert add.delay(first, add.s(first, 3)).result() == 7
        assert total.delay([first, add.s(1, 1), first]).result() == 6
        with pytest.raises(tsched.TschedError, match="a list of results and of other values"):
            total.delay([first, 7])


def test_what_needs_a_part_that_failed_is_skipped_and_the_first_failure_is_told():
    with inline():
        workflow = chain(flaky.options(retries=0).s(9), add.s(), add.s()).delay()
        assert [part.status() for part in workflow.parts] == ["failed", "skipped", "skipped"]
        with pytest.raises(TaskFailed, match="ValueError: not yet"):
            workflow.result()


def test_a_long_chain_is_skipped_whole():
    with manual():
        workflow = chain(flaky.options(retries=0).s(9), *(add.s() for _ in range(1500))).delay()
        assert drain() == 1
        assert set(workflow.status().values()) == {"failed", "skipped"}
        cancelled = chain(add.s(1), *(add.s() for _ in range(1500))).delay()
        cancelled.parts[0].cancel()
        assert cancelled.parts[-1].status() == "skipped"


def test_after_says_how_a_task_has_to_end():
    with inline():
        bad = flaky.options(retries=0).delay(9)
        good = add.delay(1)
        assert add.options(after=[(bad, "fail"), good]).delay(1).status() == "succeeded"
        assert add.options(after=[(bad, "any"), good.id]).delay(1).status() == "succeeded"
        assert add.options(after=[bad]).delay(1).status() == "skipped"


def test_the_result_of_a_task_that_need_not_have_one_is_none():
    with inline():
        bad = flaky.options(retries=0).delay(9)
        assert same.options(after=[(bad, "fail")]).delay(bad).result() is None


# Manual.


def test_manual_nothing_runs_before_it_is_drained():
    with manual():
        handle = add.delay(1)
        with pytest.raises(tsched.TimeoutError, match="drain"):
            handle.result()
        assert ran == []
        assert (drain(), drain(), handle.result()) == (1, 0, 3)


def test_manual_one_queue_is_drained_alone():
    with manual():
        first, second = add.delay(1), snoozing.delay(0)
        assert (drain("slow"), first.status(), second.status()) == (1, "ready", "succeeded")


def test_manual_what_is_due_later_waits_for_time_to_pass():
    with manual():
        handle = add.options(delay=30).delay(1)
        assert (drain(), handle.status()) == (0, "scheduled")
        with pytest.raises(tsched.TimeoutError, match="scheduled"):
            handle.result()
        travel(seconds=29)
        assert (drain(), handle.status()) == (0, "scheduled")
        travel(seconds=1)
        assert handle.status() == "ready"
        assert (drain(), handle.result()) == (1, 3)


def test_manual_what_is_due_later_and_waits_for_others_is_blocked_before_it_is_scheduled():
    with manual():
        first = add.delay(1)
        handle = add.options(delay=30, after=first).delay(1)
        assert handle.status() == "blocked"
        assert (drain(), handle.status()) == (1, "scheduled")


def test_manual_further_attempts_wait_for_their_delay():
    with manual():
        handle = flaky.delay(3)
        assert (drain(), handle.status()) == (1, "retrying")
        travel(seconds=10)
        assert (drain(), handle.status()) == (1, "retrying")
        travel(seconds=20)
        assert (drain(), handle.result()) == (1, 3)


def test_manual_an_attempt_that_snoozed_makes_the_next_delay_no_longer():
    made = []

    @task(name="test_snoozes_then_fails", retries=1, retry_delay=10)
    def snoozes_then_fails():
        made.append(1)
        if len(made) < 3:
            raise Snooze(1)
        raise ValueError("no")

    with manual():
        handle = snoozes_then_fails.delay()
        for seconds in (0, 1, 1, 10):
            travel(seconds=seconds)
            assert drain() == 1
        assert handle.status() == "failed"


def test_manual_higher_priority_goes_first_then_who_came_first():
    with manual():
        add.delay(1)
        add.options(priority=5).delay(2)
        add.delay(3)
        drain()
    assert [a for a, _ in ran] == [2, 1, 3]


def test_manual_what_waits_is_cancelled_and_what_needs_it_skipped():
    with manual():
        workflow = chain(add.s(1), add.s()).delay()
        workflow.cancel()
        assert [part.status() for part in workflow.parts] == ["cancelled", "cancelled"]
        first = add.delay(1)
        second = add.delay(first)
        first.cancel()
        assert (second.status(), drain()) == ("skipped", 0)


def test_manual_async_tests_drain_in_their_own_loop():
    async def scenario():
        loops = []

        @task
        async def where() -> None:
            loops.append(asyncio.get_running_loop())

        await where.adelay()
        assert await adrain() == 1
        assert loops == [asyncio.get_running_loop()]

    with manual():
        asyncio.run(scenario())


def test_the_same_submission_twice_is_one_task():
    with manual():
        assert add.options(id="mine").delay(1) == add.options(id="mine").delay(1)
        assert add.options(key="k").delay(1) == add.options(key="k").delay(1)
        with pytest.raises(tsched.TschedError, match="another task") as caught:
            add.options(id="mine").delay(2)
        assert caught.value.reason == "id_taken"


def test_what_was_submitted_is_asserted_by_name_arguments_and_queue():
    with manual():
        add.options(queue="io").delay(1, b=3)
        add.delay(add.s(1))
        assert_enqueued(add, args=[1], kwargs={"b": 3}, queue="io")
        assert_enqueued(f"{__name__}.add", count=3)
        refute_enqueued(add, args=[2])
        refute_enqueued(total)
        with pytest.raises(AssertionError, match=r"add with args=\[9\] expected, found 0; submitted: .*<a result>"):
            assert_enqueued(add, args=[9])
        with pytest.raises(AssertionError, match="no call of"):
            refute_enqueued(add, queue="io")


def test_unknown_functions_and_commands_are_refused():
    with manual():
        with pytest.raises(tsched.TschedError, match=r"no function 'nowhere\.f'"):
            tsched.default_client().submit("nowhere.f")
        with pytest.raises(tsched.TschedError, match="tsched_service"):
            tsched.default_client().shell("true")


def test_options_that_do_not_exist_or_contradict_each_other_are_refused():
    with pytest.raises(TypeError, match="no such option: 'colour'"):
        add.options(colour="red")
    with pytest.raises(TypeError, match="not by both"):
        add.options(delay=1, at=2)
    with manual(), pytest.raises(ValueError, match='not a task and "ok", "fail" or "any"'):
        add.options(after=[("7", "well")]).delay(1)
    with manual(), pytest.raises(TypeError, match="can be after a handle"):
        add.options(after=[7]).delay(1)
    with manual(), pytest.raises(TypeError, match="id names one task"):
        add.options(id="mine").map([(1,)])
