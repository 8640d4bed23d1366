"""Readers of the same output share what they have in hand, and nobody is told less than was there when they asked."""

import asyncio
import gc
from functools import partial

import pytest

from tsched.proto.clock import SystemClock
from tsched.store import Store, model, output
from tsched.store.cipher import PlainCipher
from tsched.supervisor.output_keys import OutputKeys
from tsched.supervisor.shelf import PIECE_RANGE_BYTES, UNDERWAY_BYTES, Shelf


class Reader:
    """Somebody who reads."""


@pytest.fixture
def store(tmp_path):
    opened = Store.open(tmp_path, PlainCipher(), SystemClock())
    yield opened
    opened.close()


def add(store, number):
    chunk = model.ChunkRow(attempt_id=1, number=number, stream=1, offset=number, length=1, data=b"x")
    store.write_output(partial(output.append, chunks=[chunk])).result()


def test_those_who_ask_for_the_same_get_the_same(store):
    async def story():
        shelf = Shelf(store, OutputKeys(store))
        together = await asyncio.gather(*(shelf.rows(1, 0) for _ in range(20)))
        later = await shelf.rows(1, 0)
        assert {id(rows) for rows in together} == {id(later)}

    add(store, 1)
    asyncio.run(story())


def test_what_nobody_holds_is_read_anew(store):
    async def story():
        shelf = Shelf(store, OutputKeys(store))
        assert len(await shelf.rows(1, 0)) == 1
        add(store, 2)
        await asyncio.sleep(0)  # what woke us up still has it in hand
        gc.collect()
        assert len(await shelf.rows(1, 0)) == 2

    add(store, 1)
    asyncio.run(story())


def test_an_empty_answer_from_before_the_call_is_not_taken_for_one_from_after_it(store):
    async def story():
        shelf = Shelf(store, OutputKeys(store))
        early = asyncio.ensure_future(shelf.rows(1, 0))
        while not (shelf._asked.get((1, 0)) and shelf._asked[1, 0].done()):  # noqa: ASYNC110 - it has been answered
            await asyncio.sleep(0)
        add(store, 1)
        assert len(await shelf.rows(1, 0)) == 1
        await early

    asyncio.run(story())


def test_one_who_leaves_takes_nobodys_answer_away(store):
    async def story():
        shelf = Shelf(store, OutputKeys(store))
        first, second = (asyncio.ensure_future(shelf.rows(1, 0)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        assert len(await second) == 1

    add(store, 1)
    asyncio.run(story())


def test_the_more_read_the_smaller_are_their_pieces(store):
    shelf = Shelf(store, OutputKeys(store))
    readers = [Reader() for _ in range(200)]
    assert shelf.piece_bytes == PIECE_RANGE_BYTES[1]
    for reader in readers:
        shelf.enter(reader)
    assert shelf.piece_bytes == UNDERWAY_BYTES // 200
    readers.clear()
    del reader
    gc.collect()
    assert shelf.piece_bytes == PIECE_RANGE_BYTES[1]
