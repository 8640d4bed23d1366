"""What an executor reported is stored and told, and what it never got is given back, however its stream ends."""

import asyncio
import hashlib
import threading
from contextlib import asynccontextmanager
from functools import partial

import grpc
import pytest

from support.fake_catalogue import FakeCatalogue
from tsched.proto import endpoint, link_pb2, link_pb2_grpc
from tsched.proto.clock import SystemClock
from tsched.store import Store, claims, executors, model, tasks
from tsched.store.cipher import PlainCipher
from tsched.supervisor.background import Background
from tsched.supervisor.link import Link
from tsched.supervisor.news import News
from tsched.supervisor.taps import Taps

CLOCK = SystemClock()
LIMIT_S = 10.0
EXECUTOR = model.ExecutorRow(
    id="x",
    secret_hash=hashlib.sha256(b"secret").digest(),
    pid=7,
    start_ticks=1,
    boot_id="boot",
    version="v",
    started_at_us=1,
    state="present",
)


async def seen(condition):
    """Waits until something is so."""
    while not condition():  # noqa: ASYNC110 - nobody rings for it
        await asyncio.sleep(0)


class Pool:
    """Remembers sessions, as the real one does."""

    def __init__(self):
        self.session = None

    def attached(self, session):
        self.session = session
        return True

    def detached(self, session):
        if self.session is session:
            self.session = None

    def session_of(self, _executor):
        return self.session


class Desk:
    """Notes what it is told, and gives nothing out."""

    def __init__(self):
        self.reviews = 0

    def join(self, session):
        pass

    def leave(self, session):
        pass

    def kick(self):
        pass

    def review(self):
        self.reviews += 1


class House:
    """A link service on a real store and a real socket."""

    def __init__(self, folder):
        self.store = Store.open(folder, PlainCipher(), CLOCK)
        self.store.write(partial(executors.register, row=EXECUTOR)).result()
        self.news = News()
        self.pool = Pool()
        self.desk = Desk()
        self.failures = []
        self.socket = folder / "l"
        link = Link(
            store=self.store,
            clock=CLOCK,
            desk=self.desk,
            pool=self.pool,
            taps=Taps(),
            news=self.news,
            catalogue=FakeCatalogue(),
            background=Background(self.failures.append),
        )
        self.server = grpc.aio.server()
        self.server.add_insecure_port(endpoint.target(self.socket))
        link_pb2_grpc.add_LinkServicer_to_server(link, self.server)

    async def write(self, command):
        return await asyncio.wrap_future(self.store.write(command))

    async def claimed(self):
        """A task and its attempt, claimed for the executor."""
        draft = model.Draft(
            id="t",
            key=None,
            name="",
            queue="q",
            priority=0,
            state="ready",
            due_at_us=1,
            payload=b"",
            content=b"",
            timeout_us=None,
            grace_us=0,
            on_lost="fail",
            profile="default",
            output_cap_bytes=65_536,
        )
        await self.write(partial(tasks.submit, drafts=[draft], now_us=1))
        [claim] = await self.write(partial(claims.claim, executor="x", queue="q", limit=1, now_us=2))
        return claim.attempt_id

    @asynccontextmanager
    async def executor(self, *held):
        """A stream that has been welcomed."""
        async with grpc.aio.insecure_channel(endpoint.target(self.socket)) as channel:
            call = link_pb2_grpc.LinkStub(channel).Attach()
            hello = link_pb2.Hello(executor_id="x", secret="secret", pid=7, held=held)
            await call.write(link_pb2.FromExecutor(hello=hello))
            assert (await call.read()).HasField("welcome")
            yield call
            call.cancel()


@pytest.fixture
def in_house(tmp_path):
    """Runs a story in a house of its own."""

    def run(story):
        async def told():
            house = House(tmp_path)
            await house.server.start()
            try:
                await asyncio.wait_for(story(house), LIMIT_S)
            finally:
                await house.server.stop(0)
                house.store.close()
            assert not house.failures

        asyncio.run(told())

    return run


def test_a_finish_that_arrived_is_stored_and_told_though_the_stream_broke_meanwhile(in_house):
    async def story(house):
        attempt_id = await house.claimed()
        gate = threading.Event()
        with house.news.about("t") as bell:
            async with house.executor(attempt_id) as call:
                session = house.pool.session
                held_up = house.store.write(lambda _: gate.wait(LIMIT_S))
                finished = link_pb2.Finished(attempt_id=attempt_id, state="succeeded", exit_code=0, finished_at_us=5)
                await call.write(link_pb2.FromExecutor(finished=[finished], claim=3))
                await seen(lambda: session.free[False])  # it has arrived
            await session.closed.wait()
            assert not session.stored.is_set()
            bell.clear()
            gate.set()
            await asyncio.wrap_future(held_up)
            await bell.wait()
            await session.stored.wait()
        assert (await house.write(partial(tasks.get, id="t"))).state == "succeeded"
        assert house.pool.session is None

    in_house(story)


def test_who_waits_for_a_cancelled_task_hears_of_it_though_it_never_reached_its_executor(in_house):
    async def story(house):
        await house.claimed()
        await house.write(partial(tasks.cancel, id="t", now_us=3))
        with house.news.about("t") as bell:
            async with house.executor():
                await bell.wait()
        assert (await house.write(partial(tasks.get, id="t"))).state == "cancelled"

    in_house(story)


def test_a_claim_that_never_reached_its_executor_is_given_out_again(in_house):
    async def story(house):
        await house.claimed()
        async with house.executor():
            await seen(lambda: house.desk.reviews)
        assert (await house.write(partial(tasks.get, id="t"))).state == "ready"

    in_house(story)


def test_a_cancel_that_follows_on_the_reconciliation_finds_the_new_stream(in_house):
    async def story(house):
        attempt_id = await house.claimed()
        live = claims.live_attempts
        cancels = []

        def reconciled(db, *, executor):
            found = live(db, executor=executor)
            cancels.append(house.store.write(partial(tasks.cancel, id="t", now_us=3)))
            return found

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(claims, "live_attempts", reconciled)
            seen = asyncio.create_task(_session_at_cancel(house, cancels))
            async with house.executor(attempt_id):
                assert await seen is not None

    in_house(story)


async def _session_at_cancel(house, cancels):
    """The stream that is there when the first cancel is durable."""
    await seen(lambda: cancels)
    await asyncio.wrap_future(cancels[0])
    return house.pool.session


def test_a_new_stream_ends_the_former_one_for_good(in_house):
    async def story(house):
        async with house.executor():
            former = house.pool.session
            async with house.executor():
                assert former.closed.is_set()
                assert house.pool.session is not former

    in_house(story)
