"""What nobody types but anybody may send is refused like the rest, not met as a bug."""

import grpc
import pytest

from tsched.proto import api_pb2, api_pb2_grpc, endpoint


def _code(service, method, request):
    with grpc.insecure_channel(endpoint.target(service.socket)) as channel:
        with pytest.raises(grpc.RpcError) as failure:
            getattr(api_pb2_grpc.TasksStub(channel), method)(request, timeout=10)
        return failure.value.code()


def test_values_out_of_all_range_are_refused(service):
    invalid = grpc.StatusCode.INVALID_ARGUMENT
    assert _code(service, "Cancel", api_pb2.CancelRequest(id="t", grace_us=-1)) is invalid
    assert _code(service, "List", api_pb2.ListRequest(page_token="9" * 40)) is invalid
    assert _code(service, "List", api_pb2.ListRequest(states=["x" * 1_000_000])) is invalid
    assert "handler_failed" not in service.log()


def test_bytes_that_are_no_message_are_refused_by_every_kind_of_method(service):
    """gRPC itself answers UNKNOWN, and with the words of a library."""
    health, reflection = "grpc.health.v1.Health/Check", "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
    with grpc.insecure_channel(endpoint.target(service.socket)) as channel:
        for path in (
            "tsched.v1.Tasks/Submit",
            "tsched.v1.Tasks/Logs",
            "tsched.v1.Control/Shutdown",
            health,
            reflection,
        ):
            with pytest.raises(grpc.RpcError) as failure:
                list(channel.stream_stream(f"/{path}")(iter([b"\xff\xff\xff"]), timeout=10))
            assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT, path
            assert "cannot be read" in failure.value.details()


def test_pages_of_long_commands_fit_into_a_message(make_service):
    service = make_service("[executors]\ncount = 1\nslots = 1\n")
    command = api_pb2.Command(shell=f": {'x' * 120_000}")
    specs = [api_pb2.TaskSpec(command=command, cwd="/", delay_us=3_600_000_000) for _ in range(40)]
    with grpc.insecure_channel(endpoint.target(service.socket), options=endpoint.CHANNEL_OPTIONS) as channel:
        tasks = api_pb2_grpc.TasksStub(channel)
        sent = [
            task.id for _ in range(2) for task in tasks.Submit(api_pb2.SubmitRequest(tasks=specs), timeout=30).tasks
        ]
        seen, token = [], None
        while token != "":
            page = tasks.List(api_pb2.ListRequest(page_token=token or ""), timeout=30)
            seen += [task.id for task in page.tasks]
            token = page.next_page_token
    assert seen == sent[::-1]
