"""The acceptor of a service of several users: who comes is named to whoever is behind it, and nobody stops another."""

import asyncio
import os
import socket
from contextlib import asynccontextmanager

import pytest

from tsched.proto.clock import SystemClock
from tsched.supervisor import front
from tsched.supervisor.front import Access, Front, Guests

LARGE = 8 << 20


class Inner:
    """Stands for gRPC: notes the names of those who connect, and does with them what a test wants."""

    def __init__(self, serve):
        self.names = []
        self._serve = serve
        self._works = set()

    def connected(self, reader, writer):
        self.names.append(writer.get_extra_info("peername"))
        work = asyncio.create_task(self._serve(reader, writer))
        self._works.add(work)
        work.add_done_callback(lambda _: writer.close())

    async def ended(self):
        """All have been left by those who came."""
        await asyncio.gather(*self._works, return_exceptions=True)
        await asyncio.sleep(0)


async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


async def gush(_reader, writer):
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


@asynccontextmanager
async def behind(tmp_path, serve=echo, *, per_user=64, in_all=1000):
    inner = Inner(serve)
    (tmp_path / "private").mkdir(mode=0o700)
    server = await asyncio.start_unix_server(inner.connected, tmp_path / "private" / "inner")
    guests = Guests(per_user, in_all, SystemClock())
    acceptor = Front(tmp_path / "s", tmp_path / "private" / "inner", guests, lambda: Access(0o660))
    await acceptor.start()
    try:
        yield inner, acceptor
    finally:
        await acceptor.stop(0)
        server.close()
        await inner.ended()


def connect(tmp_path):
    return asyncio.open_unix_connection(tmp_path / "s")


def test_who_connects_is_named_by_a_socket_in_the_private_folder_and_leaves_nothing_there(tmp_path):
    async def story():
        async with behind(tmp_path) as (inner, _):
            reader, writer = await connect(tmp_path)
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            [name] = inner.names
            assert os.path.dirname(name) == str(tmp_path / "private")
            assert os.path.basename(name).rpartition(".")[0] == f"p.{os.getuid()}.{os.getpid()}"
            assert os.listdir(tmp_path / "private") == ["inner"]
            writer.close()

    asyncio.run(story())


def test_the_socket_has_its_mode_before_anybody_can_come(tmp_path):
    async def story():
        async with behind(tmp_path):
            assert (tmp_path / "s").stat().st_mode & 0o777 == 0o660

    asyncio.run(story())


def test_whoever_has_said_all_still_hears_the_answer(tmp_path):
    async def story():
        async with behind(tmp_path):
            reader, writer = await connect(tmp_path)
            sent = os.urandom(LARGE)
            writer.write(sent)
            writer.write_eof()
            assert await reader.read(-1) == sent
            writer.close()

    asyncio.run(story())


def test_one_who_does_not_read_is_waited_for_and_nobody_else_waits(tmp_path):
    async def story():
        async with behind(tmp_path, gush) as (_, acceptor):
            with socket.socket(socket.AF_UNIX) as deaf:
                deaf.connect(str(tmp_path / "s"))
                reader, writer = await connect(tmp_path)
                await reader.readexactly(LARGE)
                held = [end.transport.get_write_buffer_size() for pair in acceptor._pairs for end in pair._ends]
                assert max(held) <= front.HELD_BYTES + 256 * 1024
                writer.close()

    asyncio.run(story())


def test_one_more_than_a_user_may_have_is_closed_and_there_is_room_again_when_another_leaves(tmp_path):
    async def story():
        async with behind(tmp_path, per_user=2):
            first = await connect(tmp_path)
            second = await connect(tmp_path)
            third = await connect(tmp_path)
            assert await third[0].read() == b""
            for reader, writer in (first, second):
                writer.write(b"x")
                assert await reader.readexactly(1) == b"x"
            first[1].write_eof()
            assert await first[0].read() == b""
            await asyncio.sleep(0)
            reader, writer = await connect(tmp_path)
            writer.write(b"y")
            assert await reader.readexactly(1) == b"y"
            for _, each in (first, second, third):
                each.close()
            writer.close()

    asyncio.run(story())


def test_a_stop_lets_nobody_in_and_gives_those_who_are_in_their_time(tmp_path):
    async def story():
        async with behind(tmp_path) as (_, acceptor):
            reader, writer = await connect(tmp_path)
            writer.write(b"x")
            assert await reader.readexactly(1) == b"x"
            stopping = asyncio.create_task(acceptor.stop(60))
            await asyncio.sleep(0)
            with pytest.raises(ConnectionRefusedError):
                await connect(tmp_path)
            writer.write(b"y")
            assert await reader.readexactly(1) == b"y"
            writer.close()
            await stopping

    asyncio.run(story())


def test_where_nobody_is_behind_it_callers_are_let_go(tmp_path):
    async def story():
        async with behind(tmp_path):
            (tmp_path / "private" / "inner").unlink()
            reader, writer = await connect(tmp_path)
            assert await reader.read() == b""
            writer.close()

    asyncio.run(story())


def test_one_user_takes_no_room_of_others_and_some_is_kept_for_root():
    guests = Guests(2, 3, SystemClock())
    assert [guests.enter(1001) for _ in range(3)] == [True, True, False]
    assert [guests.enter(1002), guests.enter(1002), guests.enter(1003)] == [True, False, False]
    assert guests.enter(0)
    guests.leave(1001)
    guests.leave(0)
    assert guests.enter(1003)


def test_those_whose_user_the_kernel_cannot_name_are_nobody():
    assert front._is_somebody(0)
    assert front._is_somebody(1001)
    assert not front._is_somebody(front._overflow_uid())
    assert not front._is_somebody(2**32 - 1)


def test_names_that_a_killed_supervisor_left_are_removed(tmp_path):
    for name in ("p.1.2.3", "inner", "link.sock"):
        (tmp_path / name).touch()
    front.clear(tmp_path / "inner")
    assert sorted(os.listdir(tmp_path)) == ["inner", "link.sock"]
