"""Whatever is sent to a running service is answered as the contract says, and costs it nothing that stays.

Left out: what ends or begins the service anew, changes its keys, or takes long by design (`LEFT_OUT`); these are sent
only what cannot be read. Refused is what cannot be read, whatever it was to be read as.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

import grpc
import psutil
import pytest
from hypothesis import strategies as st

from support.fuzz import FEW, MANY, fuzzed
from support.messages import CONFIG, wire
from tsched.proto import api_pb2, endpoint, taskscheduler_pb2
from tsched.proto.api_pb2_grpc import ControlStub

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from google.protobuf.descriptor import MethodDescriptor

    from support.service import Service

LEFT_OUT = {"Control.Shutdown", "Control.Reload", "Control.RotateKey", "Control.Doctor", "Functions.Reload"}
WAITING = {"TaskScheduler.SubmitTask", "Tasks.Pause"}
"""They answer when something has happened, which may be never."""
HANG_S = 30.0
LOOK_S = 0.02
PIECES = 3
GROWTH_BYTES = 48 << 20
PROPER = {
    grpc.StatusCode.OK,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.OUT_OF_RANGE,
}


class Method(NamedTuple):
    """A method as a client without our code sees it."""

    name: str
    path: str
    descriptor: MethodDescriptor


def _methods() -> dict[str, Method]:
    services = [*api_pb2.DESCRIPTOR.services_by_name.values(), *taskscheduler_pb2.DESCRIPTOR.services_by_name.values()]
    found = [
        Method(f"{service.name}.{each.name}", f"/{service.full_name}/{each.name}", each)
        for service in services
        for each in service.methods
    ]
    return {each.name: each for each in found}


METHODS = _methods()
REFLECTION = "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
requests = st.sampled_from(sorted(METHODS.keys() - LEFT_OUT)).flatmap(
    lambda name: st.tuples(st.just(METHODS[name]), wire(METHODS[name].descriptor.input_type))
)


class Caller:
    """Sends bytes, and remembers how large the service was at first."""

    def __init__(self, service: Service, channel: grpc.Channel) -> None:
        self.service = service
        self.sent = 0
        self.first_bytes = 0
        self._channel = channel

    def send(self, method: Method, body: bytes) -> grpc.StatusCode:
        self.sent += 1
        if self.sent == MANY // 4:
            self.first_bytes = self.size_bytes()
        if method.descriptor.server_streaming:
            return self._look(method.path, body)
        limit_s = LOOK_S if method.name in WAITING else HANG_S
        return _status(lambda: self._channel.unary_unary(method.path)(body, timeout=limit_s))

    def _look(self, path: str, body: bytes) -> grpc.StatusCode:
        """Some of a stream, which may have no end."""

        def some() -> None:
            call = self._channel.unary_stream(path)(body, timeout=LOOK_S)
            for _, _piece in zip(range(PIECES), call, strict=False):
                pass
            call.cancel()

        return _status(some)

    def stream(self, path: str, body: bytes) -> grpc.StatusCode:
        """Sent to any kind of method, for whose answers any number will do."""
        return _status(lambda: list(self._channel.stream_stream(path)(iter([body]), timeout=HANG_S)))

    def size_bytes(self) -> int:
        return int(psutil.Process(self.service.pid).memory_info().rss)


def _status(call: Callable[[], object]) -> grpc.StatusCode:
    try:
        call()
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


@pytest.fixture
def caller(make_service: Callable[..., Service]) -> Iterator[Caller]:
    service = make_service(CONFIG)
    with grpc.insecure_channel(endpoint.target(service.socket)) as channel:
        caller = Caller(service, channel)
        yield caller
        status = ControlStub(channel).Status(api_pb2.StatusRequest(), timeout=HANG_S)
        assert status.pid == service.pid
    bad = [line for line in map(json.loads, service.log().splitlines()) if line["level"] in ("error", "critical")]
    assert not bad, bad[:5]
    if caller.first_bytes:
        assert caller.size_bytes() - caller.first_bytes < GROWTH_BYTES


def proper(method: Method, status: grpc.StatusCode) -> bool:
    if method.descriptor.server_streaming or method.name in WAITING:
        return status in PROPER | {grpc.StatusCode.DEADLINE_EXCEEDED} or (
            method.name == "TaskScheduler.SubmitTask" and status is grpc.StatusCode.INTERNAL  # as its contract says
        )
    return status in PROPER


@fuzzed(few=2 * FEW, request=requests)
def test_every_request_has_a_proper_answer(caller: Caller, request: tuple[Method, bytes]) -> None:
    method, body = request
    status = caller.send(method, body)
    assert proper(method, status), f"{method.name} of {body.hex()}: {status}"


def test_what_cannot_be_read_is_refused_whatever_it_was_for(caller: Caller) -> None:
    """Also by those that others serve, and by those that are not fuzzed."""
    others = ("grpc.health.v1.Health/Check", "grpc.health.v1.Health/Watch", REFLECTION)
    for path in [*(each.path for each in METHODS.values()), *(f"/{each}" for each in others)]:
        for body in (b"\xff\xff\xff", b"\x0b" * 1000):
            assert caller.stream(path, body) is grpc.StatusCode.INVALID_ARGUMENT, path
