"""What is larger than a message or stranger than a call, sent to a running service: refused by name, and it lives on."""

import json
import resource
import socket
import subprocess
from contextlib import ExitStack

import grpc
import pytest

from support.service import TSCHED
from tsched.client.connection import Connection
from tsched.proto import api_pb2 as api
from tsched.proto import checks, endpoint
from tsched.proto.api_pb2_grpc import ControlStub, TasksStub
from tsched.proto.errors import EXIT_USAGE, Refusal, RefusalReason

COMMAND = api.Command(argv=api.Argv(args=["true"]))
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\0\0\0\4\0\0\0\0\0"
HEADERS_BEGUN = b"\0\0\0\1\0\0\0\0\1"  # a frame of headers without their end: more is promised and never comes


@pytest.fixture
def channel(service):
    """gRPC as it is, without what our client checks."""
    options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(endpoint.target(service.socket), options) as channel:
        yield channel


def alive(service):
    return service.cli("run", "--", "echo", "alive").stdout == b"alive\n"


def error_of(call, request, **options):
    with pytest.raises(grpc.RpcError) as raised:
        call(request, timeout=60, **options)
    return raised.value


def with_stdin(size):
    return api.SubmitRequest(tasks=[api.TaskSpec(command=COMMAND, cwd="/", stdin=bytes(size))])


def test_a_message_over_the_limit_is_refused_and_the_connection_goes_on(service, channel):
    tasks = TasksStub(channel)
    error = error_of(tasks.Submit, with_stdin(endpoint.MESSAGE_LIMIT + 1))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert not tasks.List(api.ListRequest(), timeout=60).tasks
    assert alive(service)


def test_what_just_fits_a_message_is_judged_by_its_fields(service, channel):
    error = error_of(TasksStub(channel).Submit, with_stdin(endpoint.MESSAGE_LIMIT - 100))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "stdin" in error.details()
    assert alive(service)


def test_more_tasks_than_one_answer_can_hold_are_refused_and_none_is_stored(service, channel):
    tasks = TasksStub(channel)
    common = api.TaskSpec(command=COMMAND, cwd="/", hold=True)
    for many in (checks.TASKS_LIMIT + 1, 400_000):
        error = error_of(tasks.Submit, api.SubmitRequest(tasks=[api.TaskSpec()] * many, common=common))
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert f"{many} tasks" in error.details()
    assert not tasks.List(api.ListRequest(), timeout=60).tasks
    most = api.SubmitRequest(tasks=[api.TaskSpec()] * checks.TASKS_LIMIT, common=common)
    assert len(tasks.Submit(most, timeout=60).tasks) == checks.TASKS_LIMIT
    assert alive(service)


def test_a_list_of_more_lines_than_a_submission_takes_is_submitted_in_several(service):
    lines = b"line\n" * (checks.TASKS_LIMIT + 1)
    done = service.cli("run", "--detach", "--hold", "--each-line", "-", "--", "true", input=lines)
    assert len(set(done.text.split())) == checks.TASKS_LIMIT + 1
    assert service.json("status")["tasks"]["held"] == checks.TASKS_LIMIT + 1


def test_the_largest_tasks_are_listed_and_waited_for_although_one_message_does_not_hold_them(service):
    """A page and a batch are cut by their size; without that these would come to 20 MB."""
    words = ["echo", *(["x" * 100_000] * 10)]
    tasks = [api.TaskSpec(command=api.Command(argv=api.Argv(args=words)), cwd="/")] * 4
    with Connection(service.socket) as client:
        ids = [each.id for _ in range(5) for each in client.submit(tasks)]
        assert {task.id for task in client.wait(ids)} == set(ids)
        assert {task.id for task in client.tasks()} == set(ids)
    assert len(service.json("list", "--limit", "20")) == 20


def test_our_client_refuses_before_it_sends(tmp_path):
    """Nobody listens where it would send to."""
    sends = (
        lambda client: client.submit(with_stdin(endpoint.MESSAGE_LIMIT).tasks),
        lambda client: list(client.wait(["x" * 100] * 100_000)),
    )
    for send in sends:
        with Connection(tmp_path / "nobody") as client, pytest.raises(Refusal) as raised:
            send(client)
        assert raised.value.reason is RefusalReason.TOO_LARGE
        assert str(endpoint.MESSAGE_LIMIT) in raised.value.message
        assert "fewer tasks" in raised.value.hint
        assert "file" in raised.value.hint


def test_the_command_line_says_in_one_line_that_it_is_too_much_for_a_message(service):
    """Each part keeps its own limit; only an environment larger than kernels take by default makes it too much."""
    if resource.getrlimit(resource.RLIMIT_STACK)[1] != resource.RLIM_INFINITY:
        pytest.skip("the hard limit of the stack keeps environments small here")
    (service.base / "data").write_bytes(bytes(checks.STDIN_LIMIT))
    exports = 'x=$(head -c 100000 /dev/zero | tr "\\0" x); for n in $(seq 48); do export "V$n=$x"; done'
    call = f"ulimit -s unlimited; {exports}; exec {TSCHED} run --stdin data"
    for words, told in (("-- true", "stderr"), ("--json -- true", "stdout")):
        shell = ["sh", "-c", f"{call} {words}"]
        done = subprocess.run(shell, env=service.env, cwd=service.base, capture_output=True, timeout=60, check=False)
        assert done.returncode == EXIT_USAGE, done
        assert getattr(done, told).count(b"\n") == 1
        assert str(endpoint.MESSAGE_LIMIT).encode() in getattr(done, told)
    assert json.loads(done.stdout)["error"]["reason"] == RefusalReason.TOO_LARGE
    assert alive(service)


def test_metadata_of_20_kb_is_refused_and_the_connection_goes_on(service, channel):
    control = ControlStub(channel)
    error = error_of(control.Status, api.StatusRequest(), metadata=[("x-much", "m" * 20_000)])
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert control.Status(api.StatusRequest(), timeout=60).pid == service.pid
    assert alive(service)


def test_connections_that_are_begun_and_never_go_on_keep_nobody_out(service):
    with ExitStack() as stack:
        for begun in (b"", PREFACE[:10], PREFACE, PREFACE + SETTINGS, PREFACE + SETTINGS + HEADERS_BEGUN):
            for _ in range(40):
                half = stack.enter_context(socket.socket(socket.AF_UNIX))
                half.connect(str(service.socket))
                half.sendall(begun)
        assert alive(service)
    assert alive(service)
