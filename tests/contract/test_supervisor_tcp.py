"""A TCP door says why it cannot be opened, and one that was open before comes back when it can."""

import asyncio
import socket

import grpc
import pytest

from support import ports
from support.wait import until
from tsched.proto import endpoint
from tsched.proto.errors import Refusal, RefusalReason
from tsched.supervisor import tcp
from tsched.supervisor.background import Background
from tsched.supervisor.listen import Listen, Way


def door(port, host="127.0.0.1"):
    way = Way(listen=Listen(host=host, port=port, tls=None))
    return tcp.TcpDoor(way, lambda: grpc.aio.server(options=endpoint.SERVER_OPTIONS), Background(lambda _: None))


def taken(port):
    other = socket.socket()
    other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    other.bind(("127.0.0.1", port))
    other.listen(1)
    return other


def accepts(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "192.0.2.1"])
def test_what_cannot_be_is_refused_with_its_address_and_why(host):
    port = ports.free()
    with taken(port):
        for act in (lambda: door(port, host).check(), lambda: asyncio.run(door(port, host).open())):
            with pytest.raises(Refusal) as raised:
                act()
            assert raised.value.reason is RefusalReason.SOCKET_UNUSABLE
            assert f"{host}:{port}" in raised.value.message
            assert "--addr" in raised.value.hint


def test_it_is_open_until_it_is_closed():
    async def scene():
        port = ports.free()
        one = door(port)
        assert one.address == ""
        await one.open()
        assert one.address == f"127.0.0.1:{port}"
        assert accepts(port)
        await one.close(0)
        await one.close(0)
        assert one.address == ""
        assert not accepts(port)

    asyncio.run(scene())


def test_a_port_that_was_taken_meanwhile_is_opened_once_it_is_free(monkeypatch):
    monkeypatch.setattr(tcp, "RETRY_S", 0.01)

    async def scene():
        port = ports.free()
        one = door(port)
        with taken(port):
            await one.open_again()
            assert one.address == ""
        await asyncio.to_thread(until, lambda: accepts(port))
        await one.close(0)

    asyncio.run(scene())
