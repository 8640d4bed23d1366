"""Whoever leaves, sleeps, or asks somebody who has left: what is stored is seen to, and everybody gets an answer."""

import asyncio
import threading
from functools import partial
from types import MappingProxyType

import grpc
import pytest

from support.fake_catalogue import FakeCatalogue
from tsched.proto import api_pb2, api_pb2_grpc, endpoint
from tsched.proto.clock import SystemClock
from tsched.store import Store, claims, executors, model, retention, tasks
from tsched.store.cipher import PlainCipher
from tsched.supervisor import config
from tsched.supervisor.api import Tasks
from tsched.supervisor.final_answers import FinalAnswers
from tsched.supervisor.news import News
from tsched.supervisor.session import Session
from tsched.supervisor.taps import Taps

CLOCK = SystemClock()
LIMIT_S = 10.0
EXECUTOR = model.ExecutorRow(
    id="x", secret_hash=b"", pid=7, start_ticks=1, boot_id="b", version="v", started_at_us=1, state="present"
)


async def seen(condition):
    """Waits until something is so."""
    while not condition():  # noqa: ASYNC110 - nobody rings for it
        await asyncio.sleep(0)


def _hold(begun, end, _db):
    begun.set()
    end.wait(LIMIT_S)


class Desk:
    """Notes that it was told to look."""

    def __init__(self):
        self.told = 0

    def ready(self, _lane):
        self.told += 1

    def scheduled(self, _due_us):
        self.told += 1

    def review(self):
        self.told += 1

    def turn(self, _lane):
        """Nobody is free."""


class Pool:
    """Has one session, perhaps."""

    session = None
    members = MappingProxyType({})

    def session_of(self, executor):
        return self.session if executor == "x" else None


class House:
    """The service for users on a real store and a real socket."""

    def __init__(self, folder, channel):
        self.store = Store.open(folder, PlainCipher(), CLOCK)
        self.store.write(partial(executors.register, row=EXECUTOR)).result()
        self.desk, self.pool, self.news = Desk(), Pool(), News()
        parts = {
            "catalogue": FakeCatalogue(),
            "answers": FinalAnswers(),
            "desk": self.desk,
            "pool": self.pool,
            "taps": Taps(),
            "news": self.news,
        }
        self.tasks = Tasks(store=self.store, clock=CLOCK, config=config.load(None), **parts)
        self.server = grpc.aio.server()
        self.server.add_insecure_port(endpoint.target(folder / "s"))
        api_pb2_grpc.add_TasksServicer_to_server(self.tasks, self.server)
        self.calls = api_pb2_grpc.TasksStub(channel)

    async def write(self, command):
        return await asyncio.wrap_future(self.store.write(command))

    async def left_while_stored(self, answer):
        """The caller leaves (gRPC cancels the handler then) while the writer has the order in hand."""
        begun, go_on, begun_anew, end = (threading.Event() for _ in range(4))
        held = [self.store.write(partial(_hold, begun, go_on))]
        await seen(begun.is_set)
        # These two share the next transaction.
        held.append(self.store.write(partial(_hold, begun_anew, end)))
        answering = asyncio.ensure_future(answer)
        orders = self.store.tasks_lane.writer._orders
        await seen(lambda: orders.qsize() == 2)
        go_on.set()
        await seen(begun_anew.is_set)
        answering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await answering
        end.set()
        await asyncio.gather(*map(asyncio.wrap_future, held))


@pytest.fixture
def in_house(tmp_path):
    """Runs a story in a house of its own."""

    def run(story):
        async def told():
            async with grpc.aio.insecure_channel(endpoint.target(tmp_path / "s")) as channel:
                house = House(tmp_path, channel)
                await house.server.start()
                try:
                    await asyncio.wait_for(story(house), LIMIT_S)
                finally:
                    await house.server.stop(0)
                    house.store.close()

        asyncio.run(told())

    return run


def spec(**fields):
    return api_pb2.TaskSpec(id="t", cwd="/", command=api_pb2.Command(shell="true"), **fields)


def test_a_task_whose_submitter_left_while_it_was_stored_is_given_out(in_house):
    async def story(house):
        request = api_pb2.SubmitRequest(tasks=[spec()])
        await house.left_while_stored(house.tasks.Submit(request, None))
        assert (await house.write(partial(tasks.get, id="t"))).state == "ready"
        await seen(lambda: house.desk.told)

    in_house(story)


def test_a_released_task_is_given_out_though_who_released_it_left(in_house):
    async def story(house):
        await house.calls.Submit(api_pb2.SubmitRequest(tasks=[spec(hold=True)]))
        await house.left_while_stored(house.tasks.Release(api_pb2.ReleaseRequest(id="t"), None))
        assert (await house.write(partial(tasks.get, id="t"))).state == "ready"
        await seen(lambda: house.desk.told)

    in_house(story)


def test_a_task_is_made_anew_and_given_out_though_who_asked_left(in_house):
    async def story(house):
        await house.calls.Submit(api_pb2.SubmitRequest(tasks=[spec(hold=True)]))
        await house.calls.Cancel(api_pb2.CancelRequest(id="t"))
        await house.left_while_stored(house.tasks.Retry(api_pb2.RetryRequest(id="t"), None))
        await seen(lambda: house.desk.told)

    in_house(story)


def claimed_by(house, session):
    async def claimed():
        await house.calls.Submit(api_pb2.SubmitRequest(tasks=[spec()]))
        [claim] = await house.write(partial(claims.claim, executor="x", queue="default", limit=1, now_us=2))
        house.pool.session = session
        return claim.attempt_id

    return claimed()


def test_a_cancel_reaches_the_executor_though_who_asked_left(in_house):
    async def story(house):
        session = Session("x", 1)
        attempt_id = await claimed_by(house, session)
        await house.left_while_stored(house.tasks.Cancel(api_pb2.CancelRequest(id="t"), None))
        told = await session.next_message()
        assert [stop.attempt_id for stop in told.stops] == [attempt_id]

    in_house(story)


@pytest.mark.parametrize("verb", ["Hold", "Pause", "Resume"])
def test_nobody_waits_for_an_executor_that_has_left(in_house, verb):
    async def story(house):
        session = Session("x", 1)
        attempt_id = await claimed_by(house, session)
        session.tasks[attempt_id] = "t"
        session.close()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await getattr(house.calls, verb)(getattr(api_pb2, f"{verb}Request")(id="t"))
        assert refused.value.code() == grpc.StatusCode.FAILED_PRECONDITION

    in_house(story)


def test_a_pause_of_a_task_that_was_handed_back_is_answered_at_once(in_house):
    async def story(house):
        session = Session("x", 1)
        attempt_id = await claimed_by(house, session)
        session.tasks[attempt_id] = "t"
        going = house.calls.Pause(api_pb2.PauseRequest(id="t"))
        await session.next_message()
        await house.write(partial(claims.returned, attempt_ids=[attempt_id], executor="x"))
        session.returned(attempt_id)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await going
        assert "it cannot be paused" in refused.value.details()

    in_house(story)


def test_a_follower_that_slept_too_long_is_told_that_events_are_forgotten(in_house):
    async def story(house):
        following = house.calls.Events(api_pb2.EventsRequest(follow=True))
        await following.read()
        await house.write(_more_than_is_kept)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await following.read()
        assert refused.value.code() == grpc.StatusCode.OUT_OF_RANGE
        assert "kept are 7 to 9" in refused.value.details()

    in_house(story)


def _more_than_is_kept(db):
    draft = {"key": None, "name": "", "queue": "q", "priority": 0, "state": "ready", "due_at_us": 1}
    draft |= {"payload": b"", "content": b"", "timeout_us": None, "grace_us": 0, "on_lost": "fail"}
    drafts = [model.Draft(id=None, profile="p", output_cap_bytes=65_536, **draft) for _ in range(9)]
    tasks.submit(db, drafts=drafts, now_us=1)
    retention.prune_events(db, before_us=0, keep=3)
