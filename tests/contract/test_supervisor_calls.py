"""Calls of functions on their way through the supervisor: given out, filled with results, ended, told of."""

import asyncio
import threading

import grpc
import pytest

from support.fake_catalogue import FakeCatalogue, entry
from support.house import story
from tsched.proto import anys, api_pb2, call_pb2, link_pb2
from tsched.proto.plain import SIZE_LIMIT

FUNCTIONS = (
    entry("add", ("a", "int"), ("b", "int")),
    entry("join", ("parts", ["list", "any"])),
    entry("keep", ("it", "any")),
    entry("keep_both", ("one", "any"), ("other", "any")),
    entry("later", is_async=True, source="plugin", generation=9),
)


@pytest.fixture
def run(tmp_path):
    """Runs a story in a house whose functions are these."""
    return lambda told: story(tmp_path, FakeCatalogue(*FUNCTIONS), told)


def value(plain):
    return call_pb2.Argument(value=anys.to_any(plain))


def of(place):
    return call_pb2.Argument(result_of=place)


def spec(function, *args, after=(), condition="", **fields):
    call = call_pb2.Call(function=function, args=args)
    named = [api_pb2.Dependency(task=api_pb2.TaskRef(index=each), condition=condition) for each in after]
    return api_pb2.TaskSpec(call=call, after=named, **fields)


async def submit(house, *specs):
    return [each.id for each in (await house.calls.Submit(api_pb2.SubmitRequest(tasks=specs))).tasks]


async def get(house, task_id):
    return await house.calls.Get(api_pb2.GetRequest(id=task_id, result=True))


async def until_state(house, task_id, state):
    while (shown := await get(house, task_id)).state != state:  # noqa: ASYNC110 - nobody rings for it
        await asyncio.sleep(0.01)
    return shown


def stored(plain):
    return anys.to_any(plain).SerializeToString()


def args_of(task):
    return [anys.from_any(each.value) for each in task.payload.call.args]


def test_an_executor_is_told_where_functions_are_before_it_is_given_a_call_and_whenever_that_changes(run):
    async def told(house):
        async with house.executor() as executor:
            assert {each.name for each in executor.sources[0].sources} == {"builtin", "plugin"}
            house.catalogue.change(entry("later", is_async=True, source="plugin", generation=10))
            await executor.hear()
            [now] = executor.sources[1].sources
            assert (now.name, now.generation) == ("plugin", 10)

    run(told)


def test_a_call_is_given_with_its_source_and_its_result_is_shown_to_all_who_ask(run):
    async def told(house):
        async with house.executor() as executor:
            [added] = await submit(house, spec("add", value(1), value(2), retries=3))
            await executor.say(claim=1)
            task = await executor.given()
            assert (task.source, task.generation, task.shared, task.max_attempts) == ("builtin", 1, False, 4)
            assert args_of(task) == [1, 2]
            await executor.finish(task, result=stored(3))
            assert anys.from_any((await get(house, added)).result) == 3
            assert not (await house.calls.Get(api_pb2.GetRequest(id=added))).HasField("result")
            waited = house.calls.Wait(api_pb2.WaitRequest(ids=[added], results=True, outcomes=True))
            [batch] = [each async for each in waited]
            assert anys.from_any(batch.tasks[0].result) == 3
            assert (await house.tasks.outcome(added, wait=True)).HasField("result")
            shown = await get(house, added)
            assert (shown.call.function, shown.HasField("command")) == ("add", False)

    run(told)


def test_none_is_a_result_and_a_command_has_none(run):
    async def told(house):
        async with house.executor() as executor:
            command = api_pb2.TaskSpec(command=api_pb2.Command(shell="true"), cwd="/")
            kept, ran = await submit(house, spec("keep", value(None)), command)
            await executor.say(claim=2)
            await executor.finish(await executor.given(), result=b"")
            await executor.finish(await executor.given())
            assert (await get(house, kept)).HasField("result")
            assert not (await get(house, ran)).HasField("result")

    run(told)


def test_async_calls_are_given_apart_from_what_takes_slots(run):
    async def told(house):
        async with house.executor() as executor:
            shared, own = await submit(house, spec("later"), spec("add", value(1), value(2)))
            await executor.say(claim=5)
            assert (await executor.given()).task_id == own
            await executor.say(claim_shared=5)
            task = await executor.given()
            assert (task.task_id, task.shared, task.source, task.generation) == (shared, True, "plugin", 9)

    run(told)


def test_results_of_other_tasks_become_arguments(run):
    async def told(house):
        async with house.executor() as executor:
            both = call_pb2.Argument(results_of=call_pb2.Results(after=[1, 0]))
            specs = [spec("add", value(1), value(2)), spec("keep", value("x")), spec("join", both, after=[0, 1])]
            *_, joined = await submit(house, *specs, spec("add", of(0), value(10), after=[0]))
            await executor.say(claim=10)
            for result in (3, "x"):
                await executor.finish(await executor.given(), result=stored(result))
            given = [await executor.given() for _ in range(2)]
            assert sorted(map(str, map(args_of, given))) == ["[3, 10]", "[['x', 3]]"]
            assert given[0].payload.call.args[0].WhichOneof("kind") == "value"
            assert (await get(house, joined)).call.args[0].result_of == 0

    run(told)


@pytest.mark.parametrize(
    ("result", "argument", "words"),
    [
        ("three", of(0), "int"),
        (b"x" * (SIZE_LIMIT // 2), call_pb2.Argument(results_of=call_pb2.Results(after=[0, 0, 0])), "bytes long"),
    ],
)
def test_what_cannot_be_called_with_what_others_returned_fails_and_its_place_goes_to_the_next(
    run, result, argument, words
):
    async def told(house):
        async with house.executor() as executor:
            await executor.say(claim=2)
            specs = [spec("keep", value(1)), spec("add", argument, value(2), after=[0])]
            _, child = await submit(house, *specs)
            await executor.finish(await executor.given(), result=stored(result))
            shown = await until_state(house, child, "failed")
            assert (shown.reason, len(shown.attempts)) == ("bad_arguments", 1)
            assert words in shown.message
            [following] = await submit(house, spec("keep", value(1)))
            assert (await executor.given()).task_id == following

    run(told)


def test_a_function_that_is_gone_when_its_turn_comes_is_given_without_a_source(run):
    async def told(house):
        async with house.executor() as executor:
            await submit(house, spec("add", value(1), value(2)))
            house.catalogue.change()
            await executor.say(claim=1)
            assert not (await executor.given()).source

    run(told)


def test_progress_is_told_to_those_who_ask_and_shown_to_those_who_look(run):
    async def told(house):
        async with house.executor() as executor:
            [kept] = await submit(house, spec("keep", value(1)))
            await executor.say(claim=1)
            task = await executor.given()
            begun = link_pb2.Started(attempt_id=task.attempt_id, pid=1, start_ticks=1, started_at_us=1)
            said = {"attempt_id": task.attempt_id, "total": 10, "text": "rows", "at_us": 5}
            await executor.say(started=[begun], progress=[link_pb2.Progress(done=3, **said)])
            waited = aiter(house.calls.Wait(api_pb2.WaitRequest(ids=[kept], progress=True, results=True)))
            while not (first := await anext(waited)).progress:
                pass
            assert (first.progress[0].progress.done, first.progress[0].attempt) == (3, 1)
            await executor.say(progress=[link_pb2.Progress(done=each, **said) for each in (4, 5)])
            second = await anext(waited)
            assert [each.progress.done for each in second.progress] == [5]
            shown = (await get(house, kept)).progress
            assert (shown.done, shown.total, shown.text) == (5, 10, "rows")
            await executor.finish(task, result=stored("end"))
            last = [batch async for batch in waited][-1]
            assert anys.from_any(last.tasks[0].result) == "end"

    run(told)


def test_a_function_that_asks_for_it_is_tried_again_when_it_said(run):
    async def told(house):
        async with house.executor() as executor:
            [kept] = await submit(house, spec("keep", value(1), retries=1))
            await executor.say(claim=3)
            for number, snoozed in ((1, True), (2, False), (3, None)):
                task = await executor.given()
                assert (task.number, task.max_attempts) == (number, 2 if number == 1 else 3)
                if snoozed is None:
                    await executor.finish(task, result=stored(1))
                else:
                    reason = "snoozed" if snoozed else "retry"
                    await executor.finish(task, "failed", reason=reason, again_in_us=1_000, snoozed=snoozed)
            assert (await get(house, kept)).state == "succeeded"

    run(told)


def test_an_async_call_cannot_be_paused_and_says_so_at_once(run):
    async def told(house):
        async with house.executor() as executor:
            [shared] = await submit(house, spec("later"))
            await executor.say(claim_shared=1)
            await executor.given()
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await house.calls.Pause(api_pb2.PauseRequest(id=shared))
            assert "async function" in refused.value.details()

    run(told)


def test_an_executor_that_comes_back_with_shared_calls_has_its_slots_free(run):
    async def told(house):
        async with house.executor() as executor:
            await submit(house, spec("later"))
            await executor.say(claim_shared=1)
            held = (await executor.given()).attempt_id
        async with house.executor(held) as executor:
            session = house.desk._sessions["x"]
            assert (session.idle(shared=False), session.idle(shared=True)) == (4, 99)
            assert session.number(held) == 1

    run(told)


def test_results_as_large_as_may_be_come_in_messages_that_can_be_sent(run):
    async def told(house):
        async with house.executor() as executor:
            ids = await submit(house, *[spec("keep", value(1)) for _ in range(3)])
            await executor.say(claim=3)
            largest = stored(b"x" * (SIZE_LIMIT - 64))
            for _ in ids:
                await executor.finish(await executor.given(), result=largest)
            waited = house.calls.Wait(api_pb2.WaitRequest(ids=ids, results=True))
            results = [task.result async for batch in waited for task in batch.tasks]
            assert [len(each.value) for each in results] == [len(results[0].value)] * 3

    run(told)


def test_a_task_s_call_can_be_changed_while_it_waits_but_not_to_another_kind(run):
    async def told(house):
        waiting, child = await submit(house, spec("keep", value(1), hold=True), spec("keep", of(0), after=[0]))
        changed = await house.calls.Modify(api_pb2.ModifyRequest(id=waiting, call=spec("add", value(1), value(2)).call))
        assert changed.call.function == "add"
        command = api_pb2.Command(shell="true")
        for request, words in (
            ({"command": command}, "another kind"),
            ({"call": spec("later").call}, "async"),
            ({"call": spec("add", value(1)).call}, "needs b"),
            ({"call": spec("keep", of(0)).call}, "are 0"),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await house.calls.Modify(api_pb2.ModifyRequest(id=waiting, **request))
            assert words in refused.value.details()
        after = api_pb2.Dependencies()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await house.calls.Modify(api_pb2.ModifyRequest(id=child, after=after))
        assert f"the result of task {waiting} is an argument" in refused.value.details()
        both = spec("keep", call_pb2.Argument(results_of=call_pb2.Results(after=[0])))
        changed = await house.calls.Modify(api_pb2.ModifyRequest(id=child, call=both.call))
        assert [each.id for each in changed.after] == [waiting]
        freed = await house.calls.Modify(api_pb2.ModifyRequest(id=child, after=after, call=spec("keep", value(1)).call))
        assert (freed.state, len(freed.after)) == ("ready", 0)

    run(told)


def test_a_call_takes_its_results_from_wherever_their_tasks_are_among_those_it_is_made_to_wait_for(run):
    async def told(house):
        async with house.executor() as executor:
            await executor.say(claim=4)
            both = call_pb2.Argument(results_of=call_pb2.Results(after=[1, 0]))
            first, second, child, other = await submit(
                house,
                *(spec("keep", value(each), hold=True) for each in (1, 2)),
                spec("keep_both", of(0), both, after=[0, 1]),
                spec("keep", value(3), hold=True),
            )
            named = [api_pb2.Dependency(task=api_pb2.TaskRef(id=each)) for each in (other, second, first)]
            request = api_pb2.ModifyRequest(id=child, after=api_pb2.Dependencies(after=named))
            changed = await house.calls.Modify(request)
            assert [each.id for each in changed.after] == [other, second, first]
            assert changed.call.args[0].result_of == 2
            assert list(changed.call.args[1].results_of.after) == [1, 2]
            for task_id, result in ((first, 1), (second, 2), (other, 3)):
                await house.calls.Release(api_pb2.ReleaseRequest(id=task_id))
                await executor.finish(await executor.given(), result=stored(result))
            task = await executor.given()
            assert (task.task_id, args_of(task)) == (child, [1, [2, 1]])

    run(told)


def test_retry_runs_a_call_with_the_results_it_had_and_refuses_when_they_are_gone(run):
    async def told(house):
        async with house.executor() as executor:
            await executor.say(claim=4)
            parent, child = await submit(house, spec("keep", value(7)), spec("keep", of(0), after=[0]))
            await executor.finish(await executor.given(), result=stored(7))
            await executor.finish(await executor.given(), result=stored(7))
            [again] = (await house.calls.Retry(api_pb2.RetryRequest(id=child))).tasks
            task = await executor.given()
            assert (task.task_id, args_of(task)) == (again.id, [7])
            await executor.finish(task, result=stored(7))
            await house.calls.Delete(api_pb2.DeleteRequest(id=parent))
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await house.calls.Retry(api_pb2.RetryRequest(id=child))
            assert refused.value.details() == f"task {child} takes the result of task {parent}, which is gone"

    run(told)


def test_retry_of_what_takes_some_results_names_them_by_their_new_places_however_often(run):
    async def told(house):
        async with house.executor() as executor:
            await executor.say(claim=6)
            several = call_pb2.Argument(results_of=call_pb2.Results(after=[3, 1]))
            parts = [spec("keep", value(each)) for each in range(4)]
            *parents, task_id = await submit(house, *parts, spec("keep", several, after=range(4)))
            for number in range(4):
                await executor.finish(await executor.given(), result=stored(number))
            for _ in range(3):
                task = await executor.given()
                assert (task.task_id, args_of(task)) == (task_id, [[3, 1]])
                await executor.finish(task, result=stored(0))
                await executor.say(claim=1)
                task_id = (await house.calls.Retry(api_pb2.RetryRequest(id=task_id))).tasks[0].id
                shown = await get(house, task_id)
                assert [each.id for each in shown.after] == [parents[1], parents[3]]
                assert list(shown.call.args[0].results_of.after) == [1, 0]

    run(told)


async def waited_for(house, *ids):
    """The states in which those tasks ended, as who waits for them is told."""
    calls = house.calls.Wait(api_pb2.WaitRequest(ids=ids))
    found = {task.id: task.state async for batch in calls for task in batch.tasks}
    return [found[each] for each in ids]


def test_who_waits_for_a_skipped_task_hears_of_it_whatever_ended_its_parent(run):
    async def damaged(house, executor, parent):
        change = "DELETE FROM payloads WHERE task = (SELECT seq FROM tasks WHERE id = ?)"
        await asyncio.wrap_future(house.store.write(lambda db: db.connection.execute(change, [parent])))
        await executor.say(claim=1)

    async def cancelled(house, _executor, parent):
        await house.calls.Cancel(api_pb2.CancelRequest(id=parent))

    async def cancelled_and_returned(house, executor, parent):
        await executor.say(claim=1)
        task = await executor.given()
        await house.calls.Cancel(api_pb2.CancelRequest(id=parent))
        await executor.say(returned=[task.attempt_id])

    async def told(house):
        async with house.executor() as executor:
            for end, state in ((cancelled, "cancelled"), (cancelled_and_returned, "cancelled"), (damaged, "failed")):
                specs = [spec("keep", value(1)), spec("keep", value(1), after=[0]), spec("keep", value(1), after=[1])]
                ids = await submit(house, *specs)
                waiting = asyncio.ensure_future(waited_for(house, *ids))
                await asyncio.sleep(0)
                await end(house, executor, ids[0])
                assert await waiting == [state, "skipped", "skipped"]

    run(told)


def test_a_task_that_is_changed_to_wait_in_vain_is_skipped_with_those_behind_it(run):
    async def told(house):
        bad, child, behind = await submit(
            house,
            spec("keep", value(1), hold=True),
            spec("keep", value(1), hold=True),
            spec("keep", value(1), after=[1]),
        )
        await house.calls.Cancel(api_pb2.CancelRequest(id=bad))
        waiting = asyncio.ensure_future(waited_for(house, child, behind))
        after = api_pb2.Dependencies(after=[api_pb2.Dependency(task=api_pb2.TaskRef(id=bad))])
        assert (await house.calls.Modify(api_pb2.ModifyRequest(id=child, after=after))).state == "skipped"
        assert await waiting == ["skipped", "skipped"]

    run(told)


def test_an_idle_executor_is_given_a_call_in_the_transaction_that_stores_it(run):
    async def told(house):
        async with house.executor() as executor:
            await executor.say(claim=2)
            await submit(house, spec("add", value(1), value(2)))
            await executor.given()  # so its other place is known too
            commits = []
            await asyncio.wrap_future(house.store.write(lambda _: None))
            unfollow = house.store.on_commit(lambda: commits.append(None))
            [second] = await submit(house, spec("add", value(3), value(4)))
            assert (await executor.given()).task_id == second
            await asyncio.wrap_future(house.store.write(lambda _: None))  # all before it has been told of
            unfollow()
            assert len(commits) == 1

    run(told)


def test_a_refused_submission_takes_no_place(run):
    async def told(house):
        async with house.executor() as executor:
            await executor.say(claim=2)
            await submit(house, spec("add", value(1), value(2), id="mine"))
            await executor.given()
            for _ in range(3):
                with pytest.raises(grpc.aio.AioRpcError, match="mine is there"):
                    await submit(house, spec("add", value(3), value(4), id="mine"))
            [other] = await submit(house, spec("add", value(5), value(6)))
            assert (await executor.given()).task_id == other

    run(told)


def test_what_is_stored_while_the_last_place_is_being_given_away_is_given_when_there_is_one_again(run):
    async def told(house):
        async with house.executor() as executor:
            await executor.say(claim=2)
            await submit(house, spec("add", value(1), value(2)))
            first = await executor.given()
            both = await asyncio.gather(*(submit(house, spec("add", value(n), value(n))) for n in (3, 4)))
            second = await executor.given()
            await executor.finish(first, result=stored(3))
            await executor.say(claim=1)
            third = await executor.given()
            assert {second.task_id, third.task_id} == {task_id for [task_id] in both}

    run(told)


def test_who_reads_a_call_along_is_told_to_its_executor_also_when_it_has_the_call_already(run):
    async def told(house):
        async with house.executor() as executor:
            await executor.say(claim=2)
            await submit(house, spec("add", value(1), value(2)))
            await executor.given()
            following = house.calls.Run(api_pb2.RunRequest(task=spec("add", value(3), value(4))))
            while not (taps := (await executor.hear()).taps):
                pass
            task = await executor.given()
            assert [(tap.attempt_id, tap.on) for tap in taps] == [(task.attempt_id, True)]
            await executor.finish(task, result=stored(7))
            *_, last = [event async for event in following]
            assert anys.from_any(last.ended.result) == 7

    run(told)


def test_what_was_given_out_with_its_submission_is_handed_over_though_the_submitter_left(run):
    async def told(house):
        async with house.executor() as executor:
            await executor.say(claim=2)
            await submit(house, spec("add", value(1), value(2)))
            await executor.given()
            begun, end = threading.Event(), threading.Event()
            held = house.store.write(lambda _: begun.set() or end.wait(10))
            await asyncio.to_thread(begun.wait)
            leaving = house.calls.Submit(api_pb2.SubmitRequest(tasks=[spec("add", value(3), value(4), id="left")]))
            while not house.store.tasks_lane.writer._orders.qsize():  # noqa: ASYNC110 - nobody rings for it
                await asyncio.sleep(0)
            leaving.cancel()
            end.set()
            await asyncio.wrap_future(held)
            assert (await executor.given()).task_id == "left"

    run(told)
