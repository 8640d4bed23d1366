"""P8: output comes back as it was written, in order, per attempt, however often a chunk is sent."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from support.keep import Keep, chunk, kept, numbered
from tsched.store import output

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tsched.store import model


@pytest.fixture
def keep(tmp_path: Path) -> Iterator[Keep]:
    """With a task that runs as attempt 1."""
    with kept(tmp_path) as keep:
        executor = keep.executor()
        assert keep.running(executor).attempt_id == 1
        yield keep


def read_all(keep: Keep, attempt_id: int = 1, limit: int = 100) -> list[model.ChunkRow]:
    chunks: list[model.ChunkRow] = []
    while more := keep.ask_output(
        output.read_chunks, attempt_id=attempt_id, after=chunks[-1].number if chunks else 0, limit=limit
    ):
        chunks += more
    return chunks


def test_chunks_come_back_as_they_were_read(keep: Keep) -> None:
    chunks = numbered(1, [(1, b"out\x00\xff"), (2, b"err"), (1, b""), (1, b"more")])
    keep.do_output(output.append, chunks=chunks)
    keep.reopen()
    assert read_all(keep) == chunks
    assert read_all(keep, limit=1) == chunks
    assert keep.ask_output(output.stored_bytes, attempt_id=1) == {1: 9, 2: 3}
    assert keep.ask_output(output.last_number, attempt_id=1) == 4


def test_an_attempt_without_output_has_none(keep: Keep) -> None:
    assert read_all(keep) == []
    assert keep.ask_output(output.last_number, attempt_id=1) == 0
    assert keep.ask_output(output.stored_bytes, attempt_id=1) == {}
    assert keep.ask_output(output.tail_start, attempt_id=1, stream=None, bytes=10) == 1


def test_chunks_sent_again_in_any_order_change_nothing(keep: Keep) -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    dice = random.Random(seed)
    chunks = numbered(1, [(dice.choice((1, 2)), dice.randbytes(dice.randrange(50))) for _ in range(100)])
    for _ in range(5):
        keep.do_output(output.append, chunks=dice.choices(chunks, k=60))
    keep.do_output(output.append, chunks=chunks)
    assert read_all(keep) == chunks


def test_the_first_version_of_a_chunk_stays(keep: Keep) -> None:
    keep.do_output(output.append, chunks=[chunk(1, 1, b"first")])
    keep.do_output(output.append, chunks=[chunk(1, 1, b"second")])
    assert [one.data for one in read_all(keep)] == [b"first"]


def test_an_illegal_chunk_is_no_repetition_and_fails(keep: Keep) -> None:
    with pytest.raises(Exception, match="CHECK constraint"):
        keep.do_output(output.append, chunks=[chunk(1, 1, b"good"), chunk(1, 2, b"bad", stream=3)])
    assert read_all(keep) == []


def test_attempts_do_not_mix(keep: Keep) -> None:
    one, other = numbered(1, [(1, b"a"), (1, b"b")]), numbered(2, [(1, b"c")])
    keep.do_output(output.append, chunks=[one[1], other[0], one[0]])
    assert (read_all(keep), read_all(keep, 2)) == (one, other)
    keep.do_output(output.drop, attempt_ids=[2, 99])
    assert (read_all(keep), read_all(keep, 2)) == (one, [])


def test_one_call_returns_a_bounded_amount(keep: Keep) -> None:
    chunks = numbered(1, [(1, bytes(200_000)) for _ in range(12)])
    keep.do_output(output.append, chunks=chunks)
    first = keep.ask_output(output.read_chunks, attempt_id=1, after=0, limit=1000)
    assert sum(len(one.data) for one in first) <= output.READ_BYTES + 200_000
    assert read_all(keep, limit=1000) == chunks


@pytest.mark.parametrize("stream", [None, 1, 2])
@pytest.mark.parametrize("wanted", [0, 1, 3, 4, 5, 9, 1000])
def test_a_tail_begins_late_but_not_too_late(keep: Keep, wanted: int, stream: int | None) -> None:
    chunks = numbered(1, [(1, b"aaa"), (2, b"bb"), (1, b"c"), (2, b"dddd"), (1, b"ee")])
    keep.do_output(output.append, chunks=chunks)
    start = keep.ask_output(output.tail_start, attempt_id=1, stream=stream, bytes=wanted)

    def after(number: int) -> int:
        return sum(one.length for one in chunks if one.number >= number and stream in (None, one.stream))

    assert after(start) >= min(wanted, after(1))
    assert after(start + 1) < wanted or wanted == 0


def test_output_and_tasks_are_written_side_by_side(keep: Keep) -> None:
    hold = keep.store.write(lambda _: keep.store.write_output(lambda o: output.append(o, chunks=[chunk(1, 1, b"x")])))
    hold.result(10).result(10)
    assert len(read_all(keep)) == 1
