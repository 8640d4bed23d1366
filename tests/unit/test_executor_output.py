"""What is kept of output, how it is cut and numbered, and how it is acknowledged."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsched.executor.keep import MOST_PIECES, Keep
from tsched.executor.output import CHUNK_BYTES, Output
from tsched.executor.window import ATTEMPT_BYTES, Budget
from tsched.proto.link_pb2 import Chunk
from tsched.proto.sealing import KEY_BYTES, KeySealer, PlainSealer

Writes = list[tuple[int, bytes]]


def make(cap_bytes: int = 1 << 30, *, tapped: bool = False, budget: Budget | None = None) -> tuple[Output, list[Chunk]]:
    chunks: list[Chunk] = []
    output = Output(
        9,
        cap_bytes=cap_bytes,
        tapped=tapped,
        sealer=PlainSealer(),
        budget=budget or Budget(),
        emit=chunks.append,
    )
    return output, chunks


writes = st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(min_size=1, max_size=30)), max_size=40)


@given(writes=writes, cap_bytes=st.integers(0, 400), flush=st.booleans())
def test_exactly_the_first_and_the_last_bytes_are_kept_in_their_places(
    writes: Writes, cap_bytes: int, flush: bool
) -> None:
    output, chunks = make(cap_bytes)
    for stream, data in writes:
        output.write(stream, data)
        if flush:
            output.flush()
    output.finish()
    everything = [(stream, byte) for stream, data in writes for byte in data]
    tail = min(cap_bytes // 4, 1 << 20)
    head = cap_bytes - tail
    kept = everything if len(everything) <= cap_bytes else everything[:head] + everything[len(everything) - tail :]
    assert [(chunk.stream, byte) for chunk in chunks for byte in chunk.data] == kept
    assert output.dropped_bytes == len(everything) - len(kept)
    for stream in (1, 2):
        written = b"".join(data for at, data in writes if at == stream)
        assert output.lengths[stream] == len(written)
        for chunk in chunks:
            if chunk.stream == stream:
                assert written[chunk.offset : chunk.offset + chunk.length] == chunk.data


@given(writes=writes, cap_bytes=st.integers(0, 200))
def test_a_tap_sees_every_byte_once_in_order(writes: Writes, cap_bytes: int) -> None:
    output, chunks = make(cap_bytes, tapped=True)
    for stream, data in writes:
        output.write(stream, data)
    output.finish()
    seen = {1: b"", 2: b""}
    for chunk in chunks:
        if chunk.offset >= len(seen[chunk.stream]):
            seen[chunk.stream] += chunk.data
    for stream in (1, 2):
        assert seen[stream] == b"".join(data for at, data in writes if at == stream)


@given(writes=writes)
def test_chunks_are_numbered_without_a_gap(writes: Writes) -> None:
    output, chunks = make(100, tapped=True)
    for stream, data in writes:
        output.write(stream, data)
    output.finish()
    assert [chunk.number for chunk in chunks] == list(range(1, len(chunks) + 1))


def test_what_is_written_in_a_row_shares_a_chunk_until_it_is_flushed() -> None:
    output, chunks = make()
    output.write(1, b"a")
    output.write(1, b"b")
    assert chunks == []
    output.flush()
    output.write(1, b"c")
    output.write(2, b"d")
    output.flush()
    assert [(chunk.stream, chunk.data) for chunk in chunks] == [(1, b"ab"), (1, b"c"), (2, b"d")]


def test_no_chunk_is_larger_than_agreed() -> None:
    output, chunks = make(8 * CHUNK_BYTES)
    for _ in range(10):
        output.write(1, b"x" * 60_000)
    output.write(1, b"y" * 3 * CHUNK_BYTES)
    output.finish()
    assert b"".join(chunk.data for chunk in chunks) == b"x" * 600_000 + b"y" * 3 * CHUNK_BYTES
    assert max(chunk.length for chunk in chunks) <= CHUNK_BYTES


def test_a_tap_that_ends_is_spared_the_rest() -> None:
    output, chunks = make(0, tapped=True)
    output.write(1, b"seen")
    output.tapped = False
    output.write(1, b"unseen")
    output.finish()
    assert [(chunk.data, chunk.passing) for chunk in chunks] == [(b"seen", True)]


def test_chunks_are_sealed_for_their_place() -> None:
    chunks: list[Chunk] = []
    sealer = KeySealer(bytes(KEY_BYTES))
    output = Output(9, cap_bytes=100, tapped=False, sealer=sealer, budget=Budget(), emit=chunks.append)
    output.write(2, b"abc")
    output.flush()
    [chunk] = chunks
    assert (chunk.sealed, chunk.length, b"abc" in chunk.data) == (True, 3, False)
    assert sealer.open(9, 1, 2, 0, chunk.data) == b"abc"


def test_an_output_is_full_until_enough_of_it_is_acknowledged() -> None:
    output, chunks = make()
    while not output.window.full:
        output.write(1, b"x" * CHUNK_BYTES)
        output.flush()
    assert sum(chunk.length for chunk in chunks) <= ATTEMPT_BYTES
    output.window.acknowledge(1)
    assert not output.window.full
    assert [chunk.number for chunk in output.window.chunks] == [chunk.number for chunk in chunks[1:]]


def test_all_outputs_of_an_executor_are_full_when_its_budget_is_spent() -> None:
    budget = Budget(limit_bytes=1000)
    (one, _), (other, _) = make(budget=budget), make(budget=budget)
    one.write(1, b"x" * 1000)
    one.flush()
    assert other.window.full
    one.window.clear()
    assert not other.window.full
    assert budget.held_bytes == 0


def test_tiny_alternating_writes_do_not_cost_many_times_their_size() -> None:
    keep = Keep(4 * 1024 * 1024)
    keep.head_left = 0
    for n in range(MOST_PIECES * 2):
        keep.admit(1 + n % 2, n // 2, b"x")
    assert len(keep.take_tail()) <= MOST_PIECES
    assert keep.dropped_bytes > 0


@pytest.mark.parametrize("seed", range(3))
def test_a_long_random_output_is_put_together_again(seed: int) -> None:
    chance = random.Random(seed)
    output, chunks = make()
    written = {1: b"", 2: b""}
    for _ in range(300):
        stream, data = chance.choice([1, 2]), chance.randbytes(chance.choice([1, 100, 65536]))
        output.write(stream, data)
        written[stream] += data
        if chance.random() < 0.1:
            output.flush()
    output.finish()
    for stream in (1, 2):
        assert b"".join(chunk.data for chunk in chunks if chunk.stream == stream) == written[stream]
