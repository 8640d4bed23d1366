"""An executor is who it was born as, and speaks for its own attempts only."""

import asyncio
import hashlib
import math
from dataclasses import replace
from functools import partial

import grpc
import pytest

from support.fake_catalogue import FakeCatalogue
from support.house import EXECUTOR, LIMIT_S, story
from tsched.proto import api_pb2 as api
from tsched.proto import endpoint, link_pb2, link_pb2_grpc
from tsched.proto.clock import SystemClock
from tsched.store import claims, executors, output, tasks

CLOCK = SystemClock()
OTHER = replace(EXECUTOR, id="y", secret_hash=hashlib.sha256(b"other secret").digest(), pid=8)


async def attached(house, **hello):
    """Whether somebody who says so is welcomed."""
    async with grpc.aio.insecure_channel(endpoint.target(house.socket), endpoint.CHANNEL_OPTIONS) as channel:
        call = link_pb2_grpc.LinkStub(channel).Attach()
        told = {"executor_id": "x", "secret": "secret", "pid": 7, "slots": 1, **hello}
        await call.write(link_pb2.FromExecutor(hello=link_pb2.Hello(**told)))
        try:
            async with asyncio.timeout(LIMIT_S):
                return (await call.read()).HasField("welcome")
        except grpc.aio.AioRpcError as error:
            return error.code() is not grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize(
    "forged",
    [
        {"secret": ""},
        {"secret": "other secret"},
        {"executor_id": "y"},
        {"executor_id": "y", "secret": "other secret"},
        {"executor_id": "none"},
        {"pid": 8},
        {"executor_id": "dead", "secret": "dead secret", "pid": 9},
    ],
)
def test_whoever_has_not_its_secret_its_pid_and_its_life_is_not_let_in(tmp_path, forged):
    dead = replace(EXECUTOR, id="dead", secret_hash=hashlib.sha256(b"dead secret").digest(), pid=9)

    async def told(house):
        house.store.write(partial(executors.register, row=OTHER)).result()
        house.store.write(partial(executors.register, row=dead)).result()
        house.store.write(partial(executors.gone, id="dead", now_us=CLOCK.now_us())).result()
        assert await attached(house)
        assert not await attached(house, **forged)

    story(tmp_path, FakeCatalogue(), told)


def test_what_one_says_of_anothers_attempt_changes_nothing(tmp_path):
    async def told(house):
        house.store.write(partial(executors.register, row=OTHER)).result()
        spec = api.TaskSpec(command=api.Command(shell="true"), cwd="/", hold=True)
        made = await house.calls.Submit(api.SubmitRequest(tasks=[spec]))
        house.store.write(partial(tasks.release, id=made.tasks[0].id, now_us=CLOCK.now_us())).result()
        claim = partial(claims.claim, executor="y", queue="default", limit=1, now_us=CLOCK.now_us())
        (theirs,) = house.store.write(claim).result()
        before = seen(house, made.tasks[0].id)
        async with house.executor(theirs.attempt_id) as executor:
            chunk = link_pb2.Chunk(attempt_id=theirs.attempt_id, number=1, stream=1, offset=0, data=b"forged")
            started = link_pb2.Started(attempt_id=theirs.attempt_id, pid=1, started_at_us=CLOCK.now_us())
            await executor.say(
                chunks=[chunk],
                started=[started],
                paused=[link_pb2.Paused(attempt_id=theirs.attempt_id, on=True, at_us=1)],
                progress=[link_pb2.Progress(attempt_id=theirs.attempt_id, done=1.0, at_us=1)],
                returned=[theirs.attempt_id],
            )
            await executor.finish(link_pb2.Assignment(attempt_id=theirs.attempt_id))
        assert seen(house, made.tasks[0].id) == before
        assert house.store.read_output(output.newest_attempt).result() == 0

    story(tmp_path, FakeCatalogue(), told)


def seen(house, task_id):
    """All that is kept of a task."""
    return (
        house.store.read(partial(tasks.get, id=task_id)).result(),
        house.store.read(partial(tasks.attempts_of, id=task_id)).result(),
    )


def test_progress_that_is_no_number_is_passed_over_and_the_rest_is_heard(tmp_path):
    async def told(house):
        spec = api.TaskSpec(command=api.Command(shell="true"), cwd="/")
        async with house.executor() as executor:
            await executor.say(claim=1)
            made = await house.calls.Submit(api.SubmitRequest(tasks=[spec]))
            given = await executor.given()
            for done, total in ((math.nan, 1.0), (1.0, math.nan)):
                report = link_pb2.Progress(attempt_id=given.attempt_id, done=done, total=total, at_us=1)
                await executor.say(progress=[report])
            await executor.finish(given)
        row, _ = seen(house, made.tasks[0].id)
        assert (row.state, row.progress) == ("succeeded", None)

    story(tmp_path, FakeCatalogue(), told)
