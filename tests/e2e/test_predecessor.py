"""The predecessor's contract with a real service behind it: durable, over its deaths, and whatever is thrown at it."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from google.protobuf.any_pb2 import Any

from support.wait import until
from tsched.proto import anys, endpoint
from tsched.proto import taskscheduler_pb2 as old
from tsched.proto.taskscheduler_pb2_grpc import TaskSchedulerStub

ANSWER_S = 60
WAITING = 600
DEPS = 10_000
INT32 = "type.googleapis.com/google.protobuf.Int32Value"
STRING = "type.googleapis.com/google.protobuf.StringValue"


class Client:
    """What a program made from the predecessor's contract does."""

    def __init__(self, socket):
        self.channel = grpc.insecure_channel(endpoint.target(socket), endpoint.CHANNEL_OPTIONS)
        self.stub = TaskSchedulerStub(self.channel)

    def submit(self, method, *args, **fields):
        return self.stub.SubmitTask(request(method, *args, **fields), timeout=ANSWER_S, wait_for_ready=True)

    def result(self, id):  # noqa: A002 - the word of the contract
        return self.stub.GetResult(old.ResultRequest(task_id=id), timeout=ANSWER_S, wait_for_ready=True)

    def ends(self, id):  # noqa: A002 - the word of the contract
        until(lambda: self.result(id).status != old.PENDING, timeout_s=ANSWER_S)
        return self.result(id)


def request(method, *args, id="", deps=(), is_async=False):  # noqa: A002 - the word of the contract
    packed = [each if isinstance(each, Any) else anys.to_any(each) for each in args]
    return old.TaskRequest(task_id=id, method=method, args=packed, deps=deps, is_async=is_async)


@pytest.fixture
def client(service):
    client = Client(service.socket)
    with client.channel:
        yield client


def code_of(call, *args, **fields):
    with pytest.raises(grpc.RpcError) as raised:
        call(*args, **fields)
    return raised.value.code().name


def test_status_codes_are_the_predecessors(client):
    assert code_of(client.submit, "no_such_method") == "NOT_FOUND"
    assert code_of(client.submit, "add", 1) == "INVALID_ARGUMENT"
    assert code_of(client.submit, "add", 1, "two") == "INVALID_ARGUMENT"
    assert code_of(client.submit, "add", 1, 2, deps=["nobody"]) == "FAILED_PRECONDITION"
    assert code_of(client.submit, "fail", "why", id="failed") == "INTERNAL"
    assert code_of(client.result, "nobody") == "NOT_FOUND"
    assert code_of(client.submit, "add", 1, 2, id="x" * 200) == "INVALID_ARGUMENT"
    failed = client.result("failed")
    assert failed.status == old.FAILED
    assert failed.result == "RuntimeError: why"


def test_the_same_again_is_the_same_task_and_another_under_its_id_is_refused(client):
    one = str(uuid.uuid4())
    assert client.submit("add", 1, 2, id=one).result == "3"
    again = client.submit("add", 1, 2, id=one, is_async=True)
    assert (again.status, again.result) == (old.SUCCESS, "3")
    assert code_of(client.submit, "add", 1, 3, id=one) == "ALREADY_EXISTS"
    assert code_of(client.submit, "echo", 1, id=one) == "ALREADY_EXISTS"


def test_dependencies_may_still_wait_and_those_of_a_failed_one_never_run(client):
    client.submit("sleep", 0.3, id="7", is_async=True)
    client.submit("fail", id="bad", deps=["7"], is_async=True)
    skipped = client.submit("add", 1, 2, id="child", deps=["bad", "7"])
    assert skipped.status == old.FAILED
    assert "bad" in skipped.result
    assert client.result("child").result == skipped.result
    assert client.result("7").status == old.SUCCESS
    late = client.submit("add", 1, 2, deps=["bad"], is_async=True)
    assert client.ends(late.task_id).status == old.FAILED


def test_results_outlive_the_service_and_end_with_their_task(service, client):
    client.submit("echo", "kept", id="one")
    service.restart()
    assert client.result("one").result == "kept"
    service.cli("up", "--replace")
    assert client.result("one").result == "kept"
    service.cli("delete", "one")
    assert code_of(client.result, "one") == "NOT_FOUND"
    assert client.submit("echo", "new", id="one").result == "new"
    assert client.result("one").result == "new"


def test_a_call_goes_on_when_its_client_leaves(client):
    call = client.stub.SubmitTask.future(request("sleep", 0.5, id="left"), timeout=ANSWER_S)
    until(lambda: found(client, "left"))
    call.cancel()
    assert client.ends("left").status == old.SUCCESS


def found(client, id):  # noqa: A002 - the word of the contract
    try:
        return client.result(id) is not None
    except grpc.RpcError:
        return False


def nested(depth):
    value = anys.to_any(1)
    for _ in range(depth):
        packed = old.ListValue(values=[value]).SerializeToString()
        value = Any(type_url=anys.LIST, value=packed)
    return value


@pytest.mark.parametrize(
    "argument",
    [
        Any(type_url="type.googleapis.com/google.protobuf.Struct"),
        Any(type_url="google.protobuf.Int32Value", value=b"\x08\x01"),
        Any(type_url=INT32, value=b"\xff\xff\xff"),
        Any(type_url=STRING, value=b"\x0a\x02\xff\xfe"),
        Any(type_url=anys.LIST, value=b"\x0a\x7f"),
        Any(value=b"without a type"),
        Any(type_url="x" * 100_000),
        Any(type_url=STRING, value=b"\x0a" + b"\x80\x80\x80\x03" + bytes(6 << 20)),
        nested(65),
        nested(2_000),
    ],
    ids=["unlisted", "no prefix", "damaged", "no UTF-8", "cut", "no type", "long type", "6 MiB", "deep", "very deep"],
)
def test_arguments_that_are_none_are_refused_and_the_service_lives_on(client, argument):
    assert code_of(client.submit, "echo", argument) == "INVALID_ARGUMENT"
    assert client.submit("ping").result == "pong"


def test_ten_thousand_dependencies_are_taken_or_refused_as_one(client):
    parent = client.submit("sleep", 0.01, is_async=True).task_id
    assert code_of(client.submit, "ping", deps=[f"nobody-{n}" for n in range(DEPS)]) == "FAILED_PRECONDITION"
    assert client.submit("ping", deps=[parent] * DEPS).result == "pong"


def test_six_hundred_who_wait_at_once_are_all_answered(client):
    def one(number):
        return client.submit("sleep", 0.5, id=f"waits-{number}").status

    with ThreadPoolExecutor(WAITING) as pool:
        assert list(pool.map(one, range(WAITING))) == [old.SUCCESS] * WAITING
    assert client.submit("ping").result == "pong"
