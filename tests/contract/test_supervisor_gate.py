"""The gate before real servers: who comes which way is who they are, and nobody gets further than they may."""

import asyncio
import itertools
import os
from contextlib import asynccontextmanager

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from support import ports
from support.acceptor import acceptor
from support.certs import Authority
from tsched.proto import api_pb2 as api
from tsched.proto import api_pb2_grpc, taskscheduler_pb2
from tsched.proto.clock import SystemClock
from tsched.supervisor import callers, gate, rights
from tsched.supervisor.callers import Access, Role
from tsched.supervisor.limits import Limits, Load

ANSWER_S = 20
OTHER_UID = os.geteuid() + 1
ACCESS = Access(tcp_role=Role.VIEWER, tls_role=Role.SUBMITTER, clients={"tsched://client/ops": Role.ADMIN})
FORBIDDEN = ("PERMISSION_DENIED", "forbidden")
UNAUTHENTICATED = ("UNAUTHENTICATED", "unauthenticated")
TOO_MANY = ("RESOURCE_EXHAUSTED", "too_many_calls")


class Tasks(api_pb2_grpc.TasksServicer):
    """Answers with whoever calls, as handlers see them."""

    async def Get(self, request, context):  # noqa: N802
        await asyncio.sleep(0)
        return api.Task(id=callers.CURRENT.get().name)

    async def Delete(self, request, context):  # noqa: N802
        return api.DeleteResponse()

    async def Logs(self, request, context):  # noqa: N802
        for _ in range(2):
            await asyncio.sleep(0)
            yield api.Output(stream=callers.CURRENT.get().name)
        if request.follow:
            await asyncio.Event().wait()


class Control(api_pb2_grpc.ControlServicer):
    """Reached by admins only."""

    async def Shutdown(self, request, context):  # noqa: N802
        return api.ShutdownResponse()


@asynccontextmanager
async def served(bind, who, limits=None):
    """A server behind the gate; yields who was refused what."""
    refusals = []
    guard = gate.Gate(
        who,
        Load(limits or Limits(), SystemClock()),
        lambda caller, method, _: refusals.append((caller and caller.name, method)),
    )
    server = grpc.aio.server(interceptors=(guard,))
    api_pb2_grpc.add_TasksServicer_to_server(Tasks(), server)
    api_pb2_grpc.add_ControlServicer_to_server(Control(), server)
    bind(server)
    await server.start()
    try:
        yield refusals
    finally:
        await server.stop(0)


@asynccontextmanager
async def over_tcp(access=ACCESS, limits=None):
    """A connection to such a server over TCP, and who was refused what."""
    address = f"127.0.0.1:{ports.free()}"
    async with (
        served(at(address), gate.over_tcp(access), limits) as refusals,
        grpc.aio.insecure_channel(address) as channel,
    ):
        yield channel, refusals


def at(address):
    return lambda server: server.add_insecure_port(address)


async def outcome(call):
    """The answer, or status and reason."""
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        info = ErrorInfo()
        for key, value in error.trailing_metadata() or ():
            if key == "grpc-status-details-bin":
                Status.FromString(value).details[0].Unpack(info)
        return error.code().name, info.reason


async def name_of(channel):
    answer = await outcome(api_pb2_grpc.TasksStub(channel).Get(api.GetRequest(), timeout=ANSWER_S))
    return answer.id if isinstance(answer, api.Task) else answer


async def deleted(channel):
    return await outcome(api_pb2_grpc.TasksStub(channel).Delete(api.DeleteRequest(), timeout=ANSWER_S))


async def shut_down(channel):
    return await outcome(api_pb2_grpc.ControlStub(channel).Shutdown(api.ShutdownRequest(), timeout=ANSWER_S))


def test_every_method_of_every_public_service_has_its_least_role():
    services = [*api.DESCRIPTOR.services_by_name.values(), *taskscheduler_pb2.DESCRIPTOR.services_by_name.values()]
    methods = {f"/{service.full_name}/{method.name}" for service in services for method in service.methods}
    assert set(rights.LEAST) == methods
    assert methods >= rights.MAKES_TASKS


def test_over_tcp_a_caller_has_the_role_of_all_who_come_that_way():
    async def scene():
        async with over_tcp() as (channel, refusals):
            assert await name_of(channel) == "tcp"
            logs = api_pb2_grpc.TasksStub(channel).Logs(api.LogsRequest())
            assert [piece.stream async for piece in logs] == ["tcp", "tcp"]
            assert await deleted(channel) == FORBIDDEN
            assert await shut_down(channel) == FORBIDDEN
        assert refusals == [("tcp", "/tsched.v1.Tasks/Delete"), ("tcp", "/tsched.v1.Control/Shutdown")]

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("uris", "name", "may_shut_down"),
    [
        (["tsched://client/ops"], "tsched://client/ops", api.ShutdownResponse()),
        (["tsched://client/ci", "https://example.org/ops"], "tsched://client/ci", FORBIDDEN),
        (["tsched://client/ci", "tsched://client/ops"], UNAUTHENTICATED, UNAUTHENTICATED),
        ([], UNAUTHENTICATED, UNAUTHENTICATED),
    ],
)
def test_a_certificate_gives_its_clients_name_and_role(tmp_path, uris, name, may_shut_down):
    authority = Authority(tmp_path)
    here, client = authority.sign("service"), authority.sign("client", uris=uris)
    root = authority.cert.read_bytes()
    address = f"127.0.0.1:{ports.free()}"
    mine = grpc.ssl_server_credentials([(here.key.read_bytes(), here.cert.read_bytes())], root, True)
    theirs = grpc.ssl_channel_credentials(root, client.key.read_bytes(), client.cert.read_bytes())

    async def scene():
        async with (
            served(lambda server: server.add_secure_port(address, mine), gate.over_mtls(ACCESS)),
            grpc.aio.secure_channel(address, theirs) as channel,
        ):
            assert await name_of(channel) == name
            assert await shut_down(channel) == may_shut_down

    asyncio.run(scene())


@pytest.mark.parametrize("folder", ["private", "pri %vate"])
def test_whom_the_acceptor_brought_is_known_by_the_name_it_is_bound_to(tmp_path, folder):
    private = tmp_path / folder
    private.mkdir()

    fronts = itertools.count()

    async def seen_as(name):
        front = tmp_path / f"front{next(fronts)}"
        async with acceptor(front, private / "s", name), grpc.aio.insecure_channel(f"unix:{front}") as channel:
            return await name_of(channel), await shut_down(channel)

    async def scene():
        who = gate.behind_acceptor(str(private), lambda uid: uid == OTHER_UID)
        async with served(at(f"unix:{private / 's'}"), who) as refusals:
            assert await seen_as(private / f"p.{OTHER_UID}.7.1") == (f"uid:{OTHER_UID}", api.ShutdownResponse())
            assert await seen_as(private / f"p.{OTHER_UID + 1}.7.1") == (f"uid:{OTHER_UID + 1}", FORBIDDEN)
            assert refusals == [(f"uid:{OTHER_UID + 1}", "/tsched.v1.Control/Shutdown")]
            for forged in (None, tmp_path / f"p.{OTHER_UID}.7.1", private / "p.root.7.1"):
                assert await seen_as(forged) == (UNAUTHENTICATED, UNAUTHENTICATED)
            assert {name for name, _ in refusals[1:]} == {None}

    asyncio.run(scene())


def test_a_caller_has_so_many_calls_underway_and_streams_are_calls():
    async def scene():
        async with over_tcp(limits=Limits(concurrent_calls=2)) as (channel, _):
            stub = api_pb2_grpc.TasksStub(channel)
            followers = [stub.Logs(api.LogsRequest(follow=True)) for _ in range(2)]
            for follower in followers:
                await follower.read()
            assert await name_of(channel) == TOO_MANY
            followers[0].cancel()
            async with asyncio.timeout(ANSWER_S):
                while await name_of(channel) == TOO_MANY:
                    await name_of(channel)
            followers[1].cancel()

    asyncio.run(scene())


def test_an_admin_has_no_limits():
    async def scene():
        access = Access(tcp_role=Role.ADMIN, tls_role=Role.NONE, clients={})
        async with over_tcp(access, Limits(concurrent_calls=1)) as (channel, _):
            stub = api_pb2_grpc.TasksStub(channel)
            followers = [stub.Logs(api.LogsRequest(follow=True)) for _ in range(3)]
            assert [(await follower.read()).stream for follower in followers] == ["tcp"] * 3
            for follower in followers:
                follower.cancel()

    asyncio.run(scene())


def test_what_is_no_method_is_said_to_be_none():
    async def scene():
        async with over_tcp() as (channel, _):
            for method in ("/tsched.v1.Tasks/Unheard", "/tsched.link.v1.Link/Attach", "/x"):
                assert (await outcome(channel.unary_unary(method)(b"")))[0] == "UNIMPLEMENTED"

    asyncio.run(scene())
