"""Client and AsyncClient against a scripted supervisor: what they send, what becomes of answers, refusals and breaks."""

from __future__ import annotations

import asyncio
import os
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

import tsched
from support.fake_api import answering, gone, in_turn, refusing, streaming
from tsched import AsyncClient, Client, TaskFailed, TschedError, chain, group, task
from tsched.proto import api_pb2 as api
from tsched.proto.anys import from_any, to_any

if TYPE_CHECKING:
    from pathlib import Path


@task(name="add")
def add(a: int, b: int = 2) -> int:
    return a + b


@pytest.fixture
def client(fake):
    """A client that finds the fake as a program does: by TSCHED_SOCKET."""
    fake.on["Submit"] = submitting()
    with Client() as client:
        yield client


def submitting(first=1):
    """Stores everything; ids count up."""
    count = [first - 1]

    def handle(request, _context):
        ids = range(count[0] + 1, count[0] + 1 + len(request.tasks))
        count[0] += len(request.tasks)
        return api.SubmitResponse(tasks=[api.Submitted(id=str(each), state="ready") for each in ids])

    return handle


def ended(**fields):
    return api.Task(**{"id": "1", "state": "succeeded", "attempt": 1, **fields})


def waiting(*tasks):
    return streaming(api.TaskBatch(tasks=tasks))


def silent(_request, context):
    """A stream on which nothing comes until its caller has left."""
    left = threading.Event()
    context.add_callback(left.set)
    left.wait(30)
    return iter(())


def sent(fake):
    """The tasks of the newest request, without their keys."""
    specs = [api.TaskSpec.FromString(each.SerializeToString()) for each in fake.requests("Submit")[-1].tasks]
    for spec in specs:
        spec.ClearField("key")
    return specs


def refused(call) -> TschedError:
    with pytest.raises(TschedError) as caught:
        call()
    return caught.value


# What is sent.


def test_a_call_is_sent_by_name_with_its_arguments(fake, client):
    handle = client.submit("shop.order", 7, kwargs={"express": True})
    [spec] = sent(fake)
    assert handle.id == "1"
    assert (spec.call.function, from_any(spec.call.args[0].value)) == ("shop.order", 7)
    assert from_any(spec.call.kwargs["express"].value) is True


def test_delay_goes_to_where_the_command_line_would_look(fake, client):
    assert add.delay(1).id == "1"
    assert sent(fake)[0].call.function == "add"


def test_options_are_sent_as_they_were_said(fake, client):
    at = datetime(2030, 1, 1, tzinfo=UTC)
    add.options(
        queue="io", priority=-3, timeout=1.5, retries=0, retry_delay=timedelta(minutes=1), grace=0, at=at,
        name="n", id="mine", hold=True, on_lost="hold", profile="small",
    ).delay(1)  # fmt: skip
    [spec] = sent(fake)
    spec.ClearField("call")
    assert spec == api.TaskSpec(
        queue="io", priority=-3, timeout_us=1_500_000, retries=0, retry_delay_us=60_000_000, grace_us=0,
        due_at_us=int(at.timestamp()) * 1_000_000, name="n", id="mine", hold=True, on_lost="hold", profile="small",
    )  # fmt: skip


def test_what_is_not_said_is_not_sent(fake, client):
    add.delay(1)
    [spec] = sent(fake)
    spec.ClearField("call")
    assert spec == api.TaskSpec()


def test_a_task_is_waited_for_once_however_often_it_is_named(fake, client):
    first = client.handle("7")
    add.options(after=[first, (client.handle("8"), "any"), "9"]).delay(first, client.handle("8"))
    [spec] = sent(fake)
    assert [(each.task.id, each.condition) for each in spec.after] == [("7", "ok"), ("8", "any"), ("9", "ok")]
    assert [each.result_of for each in spec.call.args] == [0, 1]


def test_what_a_task_is_after_is_gone_through_again_for_each_call(fake, client):
    bound = add.options(after=(client.handle(each) for each in ("7", "8")))
    bound.map([(1,), (2,)])
    assert [[each.task.id for each in spec.after] for spec in sent(fake)] == [["7", "8"]] * 2
    bound.delay(1)
    client.map(add, [(1,), (2,)], after=iter(["7", "8"]))
    assert [[each.task.id for each in spec.after] for spec in sent(fake)] == [["7", "8"]] * 2


def test_one_task_to_be_after_needs_no_list(fake, client):
    handle = client.handle("7")
    for after, condition in ((handle, "ok"), ("7", "ok"), ((handle, "fail"), "fail"), (("7", "any"), "any")):
        add.options(after=after).delay(1)
        assert [(each.task.id, each.condition) for each in sent(fake)[0].after] == [("7", condition)]


@pytest.mark.parametrize("arguments", ["ab", b"ab", 1])
def test_what_is_no_tuple_of_arguments_is_refused_by_map(fake, client, arguments):
    with pytest.raises(TypeError, match="map takes a tuple of arguments for each call"):
        add.map([arguments])
    assert fake.requests("Submit") == []


def test_an_option_that_cannot_be_sent_is_named(fake, client):
    with pytest.raises(ValueError, match="retries cannot be -1"):
        add.options(retries=-1).delay(1)
    with pytest.raises(TypeError, match="queue cannot be 7"):
        add.options(queue=7).delay(1)


def test_a_workflow_is_one_request_whose_tasks_name_each_other_by_place(fake, client):
    workflow = chain(add.s(1), group(add.s(10), add.s(20)), add.s(b=3)).delay()
    one, two, three, four = sent(fake)
    assert len(fake.requests("Submit")) == 1
    assert [list(spec.after) for spec in (one, two, three)] == [
        [], *[[api.Dependency(task=api.TaskRef(index=0), condition="ok")]] * 2,
    ]  # fmt: skip
    assert [each.task.index for each in four.after] == [1, 2]
    assert list(four.call.args[0].results_of.after) == [0, 1]
    assert ([part.id for part in workflow.parts], workflow.id) == (["1", "2", "3", "4"], "4")


def test_many_calls_are_sent_ten_thousand_at_a_time(fake, client):
    handles = client.map(add, ((number,) for number in range(10_001)))
    assert [len(request.tasks) for request in fake.requests("Submit")] == [10_000, 1]
    assert [handles[0].id, handles[-1].id, len(handles)] == ["1", "10001", 10_001]


def test_large_calls_are_sent_fewer_at_a_time(fake, client):
    assert len(client.map("f", [(b"x" * 1_500_000,)] * 5)) == 5
    assert [len(request.tasks) for request in fake.requests("Submit")] == [2, 2, 1]


def test_no_calls_are_no_request(fake, client):
    assert client.map(add, []) == []
    assert fake.requests("Submit") == []


def test_a_command_is_sent_with_what_surrounds_this_process(fake, client, tmp_path, monkeypatch):
    monkeypatch.setenv("MARK", "here")
    client.shell("make", env={"A": "1"}, stdin="in")
    client.shell(["make", "-j4"], cwd=tmp_path, retries=2)
    line, words = (request.tasks[0] for request in fake.requests("Submit"))
    assert (line.command.shell, line.stdin, dict(line.env), line.cwd) == ("make", b"in", {"A": "1"}, os.getcwd())
    assert line.submitter_env["MARK"] == "here"
    assert "TSCHED_SOCKET" not in line.submitter_env
    assert (list(words.command.argv.args), words.cwd, words.retries) == (["make", "-j4"], str(tmp_path), 2)
    mask = os.umask(0)
    os.umask(mask)
    assert line.umask == mask


def test_an_unanswered_submission_is_repeated_under_its_key(fake, client):
    fake.on["Submit"] = in_turn(gone, submitting())
    assert add.delay(1).id == "1"
    first, second = fake.requests("Submit")
    assert first == second
    assert first.tasks[0].key


# What comes back.


def test_a_result_is_what_the_function_returned_none_included(fake, client):
    handle = client.handle("1")
    for value in (None, 0, [1, {"a": b"x"}]):
        fake.on["Wait"] = waiting(ended(result=to_any(value)))
        assert handle.result(timeout=5) == value
    assert fake.requests("Wait")[-1] == api.WaitRequest(ids=["1"], outcomes=True, results=True)


def test_the_result_of_a_command_is_its_exit_code(fake, client):
    fake.on["Wait"] = in_turn(
        waiting(ended(exit_code=0)), waiting(ended(state="failed", reason="exit_code", exit_code=3))
    )
    handle = client.shell("true")
    assert handle.result() == 0
    with pytest.raises(TaskFailed) as caught:
        handle.result()
    assert (caught.value.reason, caught.value.exit_code, caught.value.state, caught.value.id) == (
        "exit_code",
        3,
        "failed",
        "1",
    )


def test_a_failure_carries_why(fake, client):
    fake.on["Wait"] = waiting(ended(state="failed", reason="raised", message="ValueError: no"))
    with pytest.raises(TaskFailed, match=r"task 1 failed \(raised: ValueError: no\)"):
        client.handle("1").result()


def test_a_result_that_is_not_there_in_time_is_a_timeout(fake, client):
    fake.on["Wait"] = silent
    with pytest.raises(TimeoutError) as caught:
        client.handle("1").result(timeout=0.05)
    assert isinstance(caught.value, TschedError)
    assert caught.value.reason == "wait_timeout"


def test_a_result_that_is_kept_no_more_is_no_result(fake, client):
    fake.on["Wait"] = waiting(ended())
    assert refused(client.handle("1").result).reason == "no_result"


def test_waiting_goes_on_over_a_break(fake, client):
    fake.on["Wait"] = in_turn(gone, waiting(ended(result=to_any(7))))
    assert client.handle("1").result(timeout=5) == 7


def test_a_group_waits_for_all_and_keeps_their_order(fake, client):
    workflow = group(add.s(i) for i in range(3)).delay()
    fake.on["Wait"] = waiting(*(ended(id=each, result=to_any(int(each))) for each in "312"))
    assert workflow.result() == [1, 2, 3]


def test_many_results_are_asked_for_at_once(fake, client):
    handles = client.map(add, [(1,), (2,), (3,)])
    fake.on["Wait"] = waiting(*(ended(id=each, result=to_any(int(each))) for each in "312"))
    assert client.results(handles, timeout=5) == [1, 2, 3]
    assert client.results([]) == []
    assert [list(request.ids) for request in fake.requests("Wait")] == [["1", "2", "3"]]
    with pytest.raises(TypeError, match="only what was submitted"):
        client.results([add.s(1)])


def test_a_skipped_end_tells_of_the_failure_behind_it(fake, client):
    workflow = chain(add.s(1), add.s()).delay()
    states = {"1": ("failed", "raised", "ValueError: no"), "2": ("skipped", "dependency", "it waited for 1")}
    tasks = {
        each: ended(id=each, state=state, reason=reason, message=message)
        for each, (state, reason, message) in states.items()
    }
    fake.on["Get"] = lambda request, _context: tasks[request.id]
    fake.on["Wait"] = waiting(tasks["2"])
    with pytest.raises(TaskFailed, match=r"task 1 failed \(raised: ValueError: no\)"):
        workflow.result()


def test_a_skipped_end_is_told_as_such_where_the_failure_behind_it_is_kept_no_more(fake, client):
    async def awaited():
        async with AsyncClient(fake.socket) as asking:
            with asking.as_default():
                await (await chain(add.s(1), add.s()).adelay())

    fake.on["Get"] = refusing("NOT_FOUND", "no_such_task", "there is no task 1")
    fake.on["Wait"] = waiting(ended(id="2", state="skipped", reason="dependency", message="it waited for 1"))
    with pytest.raises(TaskFailed, match="task 2 skipped"):
        chain(add.s(1), add.s()).delay().result()
    fake.on["Wait"] = waiting(ended(id="4", state="skipped", reason="dependency", message="it waited for 3"))
    with pytest.raises(TaskFailed, match="task 4 skipped"):
        asyncio.run(awaited())


def test_a_task_is_told_as_values(fake, client):
    progress = api.Progress(done=40, total=100, text="rows", at_us=3_000_000)
    attempt = api.Attempt(number=1, state="running", started_at_us=2_000_000)
    call = api.Task(call={"function": "add"}).call
    fake.on["Get"] = answering(ended(state="running", progress=progress, call=call, attempts=[attempt], queue="io"))
    handle = client.handle("1")
    assert (handle.status(), handle.info().function, handle.info().exit_code) == ("running", "add", None)
    told = handle.progress()
    assert (told.done, told.total, told.text, told.at) == (40, 100, "rows", datetime(1970, 1, 1, 0, 0, 3, tzinfo=UTC))
    assert [(each.number, each.state) for each in handle.attempts()] == [(1, "running")]


def test_logs_are_lines_of_each_stream(fake, client):
    pieces = [("out", 0, b"a\nb"), ("err", 0, b"X\n"), ("out", 3, b"c\n\xff")]
    fake.on["Logs"] = streaming(*(api.Output(stream=name, offset=at, data=data) for name, at, data in pieces))
    assert list(client.handle("1").logs()) == ["a\n", "X\n", "bc\n", "\ufffd"]
    assert fake.requests("Logs") == [api.LogsRequest(id="1")]


def test_a_cancel_says_its_grace(fake, client):
    fake.on["Cancel"] = answering(ended(state="running"))
    assert client.handle("1").cancel(grace=2.5) == "running"
    client.cancel("1")
    assert fake.requests("Cancel") == [api.CancelRequest(id="1", grace_us=2_500_000), api.CancelRequest(id="1")]


def test_a_workflow_is_cancelled_although_a_part_of_it_has_ended_meanwhile(fake, client):
    workflow = chain(add.s(1), add.s()).delay()
    fake.on["Get"] = answering(api.Task(state="running"))
    fake.on["Cancel"] = refusing("FAILED_PRECONDITION", "wrong_state", "task 2 has ended")
    workflow.cancel()
    assert [request.id for request in fake.requests("Cancel")] == ["2", "1"]
    fake.on["Cancel"] = refusing("NOT_FOUND", "no_such_task", "there is no task 2")
    assert refused(workflow.cancel).reason == "no_such_task"


def test_all_pages_of_a_list_are_read(fake, client):
    pages = in_turn(
        answering(api.ListResponse(tasks=[ended(id="2")], next_page_token="b")),
        answering(api.ListResponse(tasks=[ended(id="1")])),
    )
    fake.on["List"] = pages
    assert [each.id for each in client.list(states=["succeeded"], queue="io")] == ["2", "1"]


def test_events_functions_plugins_and_causes_are_values(fake, client):
    fake.on["Events"] = streaming(api.EventBatch(events=[api.Event(cursor=3, task="1", event="started")], cursor=3))
    fake.on["Functions.List"] = answering(api.FunctionsResponse(functions=[api.Function(name="add", signature="()")]))
    plugins = answering(api.PluginsResponse(plugins=[api.Plugin(name="p", state="loaded", functions=["p::f"])]))
    fake.on |= dict.fromkeys(("Plugins", "Load", "Unload", "Functions.Reload"), plugins)
    fake.on["Why"] = answering(api.WhyResponse(causes=[api.Cause(kind="slot", message="all are busy")]))
    assert [(each.cursor, each.event) for each in client.events(after=2, follow=False)] == [(3, "started")]
    assert [each.name for each in client.functions()] == ["add"]
    for asked in (
        client.plugins,
        lambda: client.load_plugin("p"),
        lambda: client.unload_plugin("p"),
        client.reload_plugins,
    ):
        assert [(each.name, each.functions) for each in asked()] == [("p", ("p::f",))]
    assert [each.kind for each in client.why("1")] == ["slot"]


# What goes wrong.


def test_a_refusal_is_an_error_with_reason_message_and_hint(fake, client):
    fake.on["Submit"] = refusing("NOT_FOUND", "no_such_function", "no function f", "tsched functions")
    error = refused(lambda: client.submit("f"))
    assert (error.reason, error.message, error.hint) == ("no_such_function", "no function f", "tsched functions")
    assert str(error) == "no function f (tsched functions)"


def test_where_nobody_listens_the_error_says_how_to_start_a_service(tmp_path: Path):
    with Client(tmp_path / "nobody") as client:
        error = refused(lambda: client.submit("f"))
    assert (error.reason, error.hint) == ("no_supervisor", "start one with: tsched up -d")


def test_arguments_that_cannot_be_sent_are_refused_before_anything_is(fake, client):
    error = refused(lambda: add.delay([1, {2: 3}]))
    assert (error.reason, error.message) == (
        "bad_arguments",
        "argument 1: at [1]: a map's key is of type int, not a string",
    )
    assert refused(lambda: client.submit("f", kwargs={"x": 2**64})).message.startswith("argument 'x': ")
    assert fake.requests("Submit") == []


def test_a_plain_function_is_no_task(fake, client):
    with pytest.raises(TypeError, match="decorate it with @task"):
        client.submit(len)


def test_errors_go_to_other_processes():
    failed = TaskFailed("raised", "no", id="7", state="failed", exit_code=3)
    for error in (failed, TschedError("bad_id", "no", "yes"), tsched.TimeoutError("wait_timeout", "late", "again")):
        copy = pickle.loads(pickle.dumps(error))
        assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))


# Which service.


def test_a_client_is_the_default_within_its_block(fake, client, tmp_path):
    elsewhere = Client(tmp_path / "elsewhere")
    with elsewhere.as_default():
        assert refused(lambda: add.delay(1)).reason == "no_supervisor"
    assert add.delay(1).id == "1"


def test_the_default_service_is_said_once_for_a_process(fake, client, tmp_path):
    tsched.configure(socket=tmp_path / "elsewhere")
    try:
        assert refused(lambda: add.delay(1)).reason == "no_supervisor"
    finally:
        tsched.configure()
    assert add.delay(1).id == "1"


def test_a_state_folder_has_a_socket_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    here, there = (Client(state_dir=tmp_path / name).service.way.path for name in "ab")
    assert here != there
    monkeypatch.delenv("TSCHED_SOCKET", raising=False)
    monkeypatch.setenv("TSCHED_STATE_DIR", str(tmp_path / "a"))
    assert Client().service.way.path == here


def test_threads_share_a_client(fake, client):
    with ThreadPoolExecutor(8) as threads:
        ids = list(threads.map(lambda number: add.delay(number).id, range(100)))
    assert sorted(map(int, ids)) == list(range(1, 101))


def test_a_closed_client_connects_again(fake, client):
    client.submit("f")
    client.close()
    assert client.submit("f").id == "2"


FORKING = """
import os
from tsched import Client, TschedError

def say(word):
    os.write(1, f"{word}\\n".encode())  # whole, whoever else writes

client = Client()
say(client.submit("f").id)
child = os.fork()
try:
    say(client.submit("f").id)
except TschedError as error:
    say(error.reason)
if child:
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""


@pytest.mark.parametrize(("heeding", "said"), [("1", ["1", "2", "3"]), ("0", ["1", "2", "bad_usage"])])
def test_a_forked_process_uses_a_connection_of_its_own_or_is_told_that_it_cannot(fake, heeding, said):
    fake.on["Submit"] = submitting()
    env = os.environ | {"GRPC_ENABLE_FORK_SUPPORT": heeding}
    words = [sys.executable, "-c", FORKING]
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=True, timeout=60)
    assert sorted(done.stdout.split()) == said


# Async code.


def test_async_code_has_the_same(fake, client):
    async def scenario():
        async with AsyncClient() as twin:
            handle = await add.adelay(1)
            assert await handle == await handle.result(timeout=5) == 7
            assert (await handle.status(), await handle.progress(), await handle.attempts()) == ("succeeded", None, [])
            assert [line async for line in handle.logs(follow=True)] == ["a\n"]
            assert await handle.cancel(grace=0) == "succeeded"
            assert len(await add.amap((number,) for number in range(3))) == 3
            assert [each.id async for each in twin.wait(handle)] == ["1"]
            assert await twin.results([handle]) == [7]
            assert [each.id async for each in twin.list()] == ["1"]
            assert [each.event async for each in twin.events(follow=False)] == ["started"]
            assert [each.name for each in await twin.functions()] == ["add"]
            assert [each.name for each in await twin.reload_plugins()] == ["p"]
            assert (await twin.retry("1")).id == "9"
            with pytest.raises(TschedError) as caught:
                await twin.delete("1")
            assert (caught.value.reason, caught.value.hint) == ("wrong_state", "cancel it first")
        with pytest.raises(TschedError, match="no supervisor answers"):
            await AsyncClient(fake.socket.with_name("nobody")).submit("f")

    done = ended(result=to_any(7))
    fake.on |= {"Wait": waiting(done), "Get": answering(done), "Cancel": answering(done)}
    fake.on["Logs"] = streaming(api.Output(stream="out", data=b"a\n"))
    fake.on["List"] = answering(api.ListResponse(tasks=[done]))
    fake.on["Events"] = streaming(api.EventBatch(events=[api.Event(cursor=3, event="started")], cursor=3))
    fake.on["Functions.List"] = answering(api.FunctionsResponse(functions=[api.Function(name="add")]))
    fake.on["Functions.Reload"] = answering(api.PluginsResponse(plugins=[api.Plugin(name="p")]))
    fake.on["Retry"] = answering(api.SubmitResponse(tasks=[api.Submitted(id="9")]))
    fake.on["Delete"] = refusing("FAILED_PRECONDITION", "wrong_state", "it runs", "cancel it first")
    asyncio.run(scenario())


def test_async_waiting_and_logs_go_on_over_a_break(fake, client):
    pieces = [api.Output(stream="out", offset=at, data=data) for at, data in ((0, b"a\n"), (2, b"b\n"))]

    async def scenario():
        handle = AsyncClient().handle("1")
        assert await handle.result(timeout=10) == 7
        assert [line async for line in handle.logs(follow=True)] == ["a\n", "b\n"]

    fake.on["Get"] = answering(ended())
    fake.on["Wait"] = in_turn(gone, waiting(ended(result=to_any(7))))
    fake.on["Logs"] = in_turn(streaming(pieces[0], then=gone), streaming(*pieces))
    asyncio.run(scenario())


def test_an_async_result_that_is_not_there_in_time_is_a_timeout(fake, client):
    async def scenario():
        with pytest.raises(TimeoutError) as caught:
            await AsyncClient().handle("1").result(timeout=0.05)
        assert caught.value.reason == "wait_timeout"

    fake.on["Wait"] = silent
    asyncio.run(scenario())


def test_an_unanswered_async_submission_is_repeated_under_its_key(fake, client):
    async def scenario():
        assert (await add.adelay(1)).id == "1"

    fake.on["Submit"] = in_turn(gone, submitting())
    asyncio.run(scenario())
    first, second = fake.requests("Submit")
    assert first == second


def test_each_event_loop_has_a_connection_of_its_own(fake, client):
    async def submitted():
        return (await add.adelay(1)).id

    assert [asyncio.run(submitted()) for _ in range(3)] == ["1", "2", "3"]
