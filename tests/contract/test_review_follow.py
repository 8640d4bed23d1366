"""Followers stay with the attempt they read, and the last lines cost no more than reading them."""

import asyncio
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsched.proto import api_pb2
from tsched.proto.clock import SystemClock
from tsched.store import Store, claims, executors, model, output, tasks
from tsched.store.cipher import PlainCipher
from tsched.supervisor.behalf import Behalf
from tsched.supervisor.follow import Follower
from tsched.supervisor.logs import _cut_lines
from tsched.supervisor.news import News

LIMIT_S = 10.0


@pytest.fixture
def store(tmp_path):
    opened = Store.open(tmp_path, PlainCipher(), SystemClock())
    row = {"secret_hash": b"", "pid": 7, "start_ticks": 1, "boot_id": "b", "version": "v", "started_at_us": 1}
    opened.write(partial(executors.register, row=model.ExecutorRow(id="x", state="present", **row))).result()
    draft = {"key": None, "name": "", "queue": "q", "priority": 0, "state": "ready", "due_at_us": 1, "payload": b""}
    draft |= {"content": b"", "timeout_us": None, "grace_us": 0, "on_lost": "fail", "profile": "p"}
    opened.write(
        partial(tasks.submit, drafts=[model.Draft(id="t", output_cap_bytes=65_536, **draft)], now_us=1)
    ).result()
    yield opened
    opened.close()


def _claim(store):
    [claimed] = store.write(partial(claims.claim, executor="x", queue="q", limit=1, now_us=2)).result()
    return claimed.attempt_id


def test_output_is_live_also_after_the_claim_that_was_looked_at_was_handed_back(store):
    """The next attempt has the number of the one that was handed back."""

    async def story():
        news = News()
        follower = Follower(Behalf(store, SystemClock()), news)
        first = _claim(store)
        with news.about("t") as bell:
            pieces = follower.follow("t", bell)
            reading = asyncio.ensure_future(anext(pieces))
            while not bell._event._waiters:  # noqa: ASYNC110 - until it has looked, and waits
                await asyncio.sleep(0)
            store.write(partial(claims.returned, attempt_ids=[first], executor="x")).result()
            second = _claim(store)
            chunk = model.ChunkRow(attempt_id=second, number=1, stream=1, offset=0, length=2, data=b"hi")
            store.write_output(partial(output.append, chunks=[chunk])).result()
            news.ring("t")
            return await asyncio.wait_for(reading, LIMIT_S)

    assert asyncio.run(story()).data == b"hi"


def _plainly(text, lines):
    return b"".join(text.splitlines(keepends=True)[-lines:]) if lines else b""


@given(
    parts=st.lists(st.binary(min_size=1, max_size=6).map(lambda b: bytes(b"a\n"[x & 1] for x in b))),
    lines=st.integers(0, 9),
)
def test_the_last_lines_are_those_of_the_whole_text(parts, lines):
    pieces = [api_pb2.Output(stream="out", data=part) for part in parts]
    assert b"".join(piece.data for piece in _cut_lines(pieces, lines)) == _plainly(b"".join(parts), lines)
