"""One caller asks for too much, or too fast, or never reads: another is served as before."""

import os
import resource
import socket
from contextlib import ExitStack

import grpc
import pytest

from support import ports
from support.callers import Caller, Guarded, Refused, told
from support.wait import until
from tsched.proto import api_pb2 as api
from tsched.proto import api_pb2_grpc, endpoint

SMALL = "[executors]\ncount = 1\n"
IDLE = 600
FEW = 256
STUCK = 20
LARGE = 20_000_000


@pytest.fixture(params=["unix", "tcp"])
def way(request, make_service):
    """A service, and an address of it of either kind."""
    port = ports.free()
    service = make_service(f'[service]\naddr = "127.0.0.1:{port}"\n[access]\ntcp_role = "admin"\n{SMALL}')
    return service, (f"127.0.0.1:{port}" if request.param == "tcp" else f"unix:{service.socket}")


def connected(address):
    """A connection that says nothing."""
    if address.startswith("unix:"):
        found = socket.socket(socket.AF_UNIX)
        found.connect(address.removeprefix("unix:"))
        return found
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)))


def channel(address):
    """A connection that no other one is shared with."""
    return grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)])


def descriptors(service):
    return len(os.listdir(f"/proc/{service.pid}/fd"))


def test_those_who_connect_and_say_nothing_are_in_nobodys_way(way):
    service, address = way
    before = descriptors(service)
    with ExitStack() as stack:
        for _ in range(IDLE):
            stack.enter_context(connected(address))
        with channel(address) as other:
            assert told(Caller(other).control.Status, api.StatusRequest()).pid == service.pid
        assert service.cli("run", "--", "echo", "alive").stdout == b"alive\n"
    until(lambda: descriptors(service) < before + IDLE / 10)


def test_more_connections_than_descriptors_end_nothing_and_those_at_the_socket_are_served(make_service):
    port = ports.free()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FEW, hard))
    try:
        service = make_service(f'[service]\naddr = "127.0.0.1:{port}"\n{SMALL}')
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    with ExitStack() as stack:
        for _ in range(IDLE):
            stack.enter_context(connected(f"127.0.0.1:{port}"))
        assert service.cli("run", "--", "echo", "alive").stdout == b"alive\n"
    with channel(f"127.0.0.1:{port}") as other:
        until(lambda: not isinstance(told(Caller(other).control.Status, api.StatusRequest()), Refused))


def test_those_who_never_read_are_in_nobodys_way(way):
    service, address = way
    task = service.cli("run", "-d", "--", "head", "-c", str(LARGE), "/dev/zero").word
    service.cli("wait", task)
    with ExitStack() as stack:
        for _ in range(STUCK):
            stuck = stack.enter_context(channel(address))
            follower = api_pb2_grpc.TasksStub(stuck).Logs(api.LogsRequest(id=task, follow=True))
            assert next(follower).data
        with channel(address) as other:
            pieces = told(Caller(other).tasks.Logs, api.LogsRequest(id=task))
            assert sum(len(piece.data) for piece in pieces) == LARGE
        assert service.cli("run", "--", "echo", "alive").stdout == b"alive\n"


def test_what_is_too_large_or_no_method_is_refused_and_the_next_call_is_answered(way):
    service, address = way
    with channel(address) as sender:
        caller = Caller(sender)
        large = caller.submit("true", stdin=bytes(endpoint.MESSAGE_LIMIT + 1))
        assert large.status == "RESOURCE_EXHAUSTED"
        with pytest.raises(grpc.RpcError) as raised:
            caller.control.Status(api.StatusRequest(), metadata=[("x", "y" * 20_000)], timeout=30)
        assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        for method in ("/tsched.v1.Tasks/Unheard", "/tsched.link.v1.Link/Attach", "/nothing"):
            with pytest.raises(grpc.RpcError) as raised:
                sender.unary_unary(method)(b"", timeout=30)
            assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert told(caller.control.Status, api.StatusRequest()).pid == service.pid


def test_a_caller_has_limits_and_the_services_own_user_none(make_service, tmp_path):
    guarded = Guarded(tmp_path)
    limits = "[limits]\nconcurrent_calls = 4\nqueued_tasks = 3\nsubmits_per_s = 0.001\nsubmits_burst = 6\n"
    service = make_service(guarded.config(SMALL + limits))
    with guarded.caller("a") as a, guarded.caller("b") as b:
        for _ in range(3):
            assert not isinstance(a.submit("true", hold=True), Refused)
        assert a.submit("true")[:2] == ("RESOURCE_EXHAUSTED", "queue_full")
        assert not isinstance(b.submit("true", hold=True), Refused)
        assert {a.submit("true").reason for _ in range(3)} == {"queue_full", "too_fast"}
        following = [a.tasks.Events(api.EventsRequest(follow=True)) for _ in range(4)]
        for each in following:
            next(each)
        full = told(a.control.Status, api.StatusRequest())
        assert full[:2] == ("RESOURCE_EXHAUSTED", "too_many_calls")
        assert told(b.control.Status, api.StatusRequest()).pid == service.pid
        for each in following:
            each.cancel()
        until(lambda: not isinstance(told(a.control.Status, api.StatusRequest()), Refused))
    for _ in range(8):
        service.cli("schedule", "--in", "1h", "--command", "true")
