"""A tapped follower gets every byte in order, however its reading falls between what is kept and what passes."""

import asyncio
import itertools
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tsched.proto import link_pb2
from tsched.proto.clock import SystemClock
from tsched.store import Store, model, output
from tsched.store.cipher import PlainCipher
from tsched.supervisor.behalf import Behalf
from tsched.supervisor.follow import Follower, Reader
from tsched.supervisor.news import Bell, News
from tsched.supervisor.output_keys import OutputKeys
from tsched.supervisor.shelf import Shelf
from tsched.supervisor.taps import Tap

TEXT = b"abcdefghijklmnopqrstuvwxyz"
# (number, offset, length, passing): a head that is kept, a middle that passes, a tail that is kept and passed before
CHUNKS = [(1, 0, 3, False), (2, 3, 4, False), (3, 7, 5, True), (4, 12, 6, True), (5, 18, 8, True), (6, 20, 6, False)]


class Script:
    """Does the supervisor's steps, some of them between a reader's look into the store and its look at the tap."""

    def __init__(self, store, tap, attempt_id, pauses):
        self._attempt_id = attempt_id
        self._store = store
        self._tap = tap
        self._left = list(CHUNKS)
        self._pauses = list(pauses)

    def go_on(self):
        for _ in range(self._pauses.pop(0) if self._pauses else len(CHUNKS)):
            if self._left:
                self._step(*self._left.pop(0))

    @property
    def over(self):
        return not self._left

    def _step(self, number, offset, length, passing):
        fields = {"attempt_id": self._attempt_id, "number": number, "stream": 1, "offset": offset, "length": length}
        data = TEXT[offset : offset + length]
        if passing:
            self._tap.give(link_pb2.Chunk(**fields, data=data, passing=True), lambda: None)
        else:
            row = model.ChunkRow(**fields, data=data)
            self._store.write_output(partial(output.append, chunks=[row])).result()


class Interrupted(Reader):
    """A reader to whom things happen while it looks."""

    script: Script

    async def rows(self):
        found = await super().rows()
        self.script.go_on()
        return found


@pytest.fixture
def store(tmp_path):
    opened = Store.open(tmp_path, PlainCipher(), SystemClock())
    yield opened
    opened.close()


attempt_ids = itertools.count(1)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pauses=st.lists(st.integers(min_value=0, max_value=4), max_size=8))
def test_every_byte_comes_once_and_in_order(store, pauses):
    async def read(attempt_id):
        tap = Tap(Bell())
        follower = Follower(Behalf(store, SystemClock()), News())
        reader = Interrupted(Shelf(store, OutputKeys(store)), OutputKeys(store), attempt_id)
        reader.script = Script(store, tap, attempt_id, pauses)
        got = []
        while not reader.script.over:
            got += [piece async for piece in follower._available(reader, tap)]
        return got + [piece async for piece in follower._available(reader, tap)]

    got = asyncio.run(read(next(attempt_ids)))
    assert b"".join(piece.data for piece in got) == TEXT
    assert sum(piece.gap_bytes for piece in got) == 0
