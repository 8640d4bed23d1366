"""Functions in chains with a real service: results as arguments, on every way, and over the supervisor's death."""

import pytest

from support.wait import until
from tsched.client.connection import Connection
from tsched.proto import anys, call_pb2
from tsched.proto import api_pb2 as api
from tsched.proto.errors import Refusal, RefusalReason

PLUGIN = """
import os
import time
from tsched import Retry, Snooze, current, task

@task
def total(numbers: list[int]) -> int:
    return sum(numbers)

@task
def when(path: str, value: int) -> int:
    while not os.path.exists(path):
        time.sleep(0.02)
    return value + 1

@task
def third_time(value: int) -> int:
    if current().attempt < 3:
        raise Retry(in_=0.1)
    return value

@task
def wrong() -> int:
    return "no number"

@task
def bad() -> int:
    raise ValueError("on purpose")

@task
async def later(value: int) -> int:
    return value + 1
"""


@pytest.fixture
def client(service):
    library = service.home / ".local/share/tsched/plugins"
    library.mkdir(parents=True)
    (library / "sums.py").write_text(PLUGIN)
    with Connection(service.socket) as client:
        client.reload_functions()
        yield client


def of(place):
    return call_pb2.Argument(result_of=place)


def of_all(*places):
    return call_pb2.Argument(results_of=call_pb2.Results(after=places))


def call(function, *args, after=(), condition="", **fields):
    given = [each if isinstance(each, call_pb2.Argument) else value(each) for each in args]
    named = [api.Dependency(task=api.TaskRef(index=each), condition=condition) for each in after]
    return api.TaskSpec(call=call_pb2.Call(function=function, args=given), after=named, **fields)


def value(plain):
    return call_pb2.Argument(value=anys.to_any(plain))


def submitted(client, *specs):
    return [each.id for each in client.submit(specs)]


def ended(client, task_id):
    [task] = client.wait([task_id], timeout_us=60_000_000)
    return task


def result(client, task_id):
    task = ended(client, task_id)
    assert task.state == "succeeded", (task.reason, task.message)
    return anys.from_any(client.get(task_id, result=True).result)


def test_a_chain_hands_on_what_each_returned(client):
    chain = [call("add", 1, 1)]
    chain += [
        call("add" if n % 2 else "sums::later", *([of(0), n] if n % 2 else [of(0)]), after=[n - 1]) for n in (1, 2, 3)
    ]
    *_, last = submitted(client, *chain)
    assert result(client, last) == 1 + 1 + 1 + 1 + 3


def test_a_function_takes_a_list_of_what_many_returned(client):
    parts = [call("add", n, 1) for n in range(50)]
    *_, total = submitted(client, *parts, call("sums::total", of_all(*range(50)), after=range(50)))
    assert result(client, total) == sum(range(1, 51))


def test_what_failed_gives_none_to_those_that_need_not_have_it(client):
    _, child = submitted(client, call("sums::bad"), call("echo", of(0), after=[0], condition="any"))
    assert result(client, child) is None


def test_a_result_that_is_no_argument_fails_the_task_that_takes_it_and_skips_those_behind_it(client):
    _, child, behind = submitted(
        client, call("sums::wrong"), call("add", of(0), 1, after=[0]), call("echo", of(0), after=[1])
    )
    task = ended(client, child)
    assert (task.state, task.reason) == ("failed", "bad_arguments")
    assert ended(client, behind).state == "skipped"


def test_a_chain_of_functions_goes_on_after_kill_9_of_the_supervisor(client, service):
    go = str(service.base / "go")
    *_, last = submitted(
        client, call("add", 1, 1), call("sums::when", go, of(0), after=[0]), call("echo", of(0), after=[1])
    )
    until(lambda: any(each.state == "running" for each in client.tasks()))
    service.kill9()
    (service.base / "go").touch()
    service.start()
    client.await_ready(30)
    assert result(client, last) == 3


def test_a_function_tried_again_hands_on_its_result_in_the_end(client):
    first, child = submitted(client, call("sums::third_time", 5, retries=5), call("add", of(0), 1, after=[0]))
    assert result(client, child) == 6
    assert [each.state for each in client.get(first).attempts] == ["failed", "failed", "succeeded"]


def test_retry_runs_a_failed_function_once_more(client):
    [bad] = submitted(client, call("sums::bad"))
    assert ended(client, bad).reason == "raised"
    again = ended(client, client.retry(bad).id)
    assert (again.reason, again.message) == ("raised", "ValueError: on purpose")


def test_what_cannot_be_called_is_refused_before_anything_is_stored(client):
    for spec, reason in (
        (call("sums::totl", [1]), RefusalReason.NO_SUCH_FUNCTION),
        (call("sums::total", 1), RefusalReason.BAD_ARGUMENTS),
        (call("sums::total"), RefusalReason.BAD_ARGUMENTS),
    ):
        with pytest.raises(Refusal) as refused:
            client.submit([call("add", 1, 1), spec])
        assert refused.value.reason == reason
    assert not list(client.tasks())
