"""The file that output waits in: what is read back is what was written, in its order, or it is told how much is lost."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from hypothesis import strategies as st

from support.fuzz import fuzzed
from tsched.executor.spool import EXTENT_BYTES, Spool, SpoolDamagedError, Tail
from tsched.proto.link_pb2 import Chunk

if TYPE_CHECKING:
    from pathlib import Path


class Damage(NamedTuple):
    """Something else stands there, or nothing does."""

    place: int
    data: bytes
    cut: bool


written = st.lists(st.binary(max_size=30), min_size=1, max_size=5)
damages = st.lists(
    st.builds(Damage, st.integers(0, 300), st.binary(min_size=1, max_size=24), st.booleans()), max_size=3
)


@fuzzed(first=written, second=written, damaged=damages, which=st.integers(0, 1))
def test_what_comes_back_is_what_was_written_or_told_as_lost(
    tmp_path: Path, first: list[bytes], second: list[bytes], damaged: list[Damage], which: int
) -> None:
    spool = Spool(str(tmp_path), 2 * EXTENT_BYTES, reserve_bytes=0)
    tails = [Tail(spool), Tail(spool)]
    for attempt, texts in enumerate((first, second)):
        for number, text in enumerate(texts, 1):
            assert tails[attempt].append(chunk(attempt, number, text))
    assert spool._file
    for each in damaged:
        os.pwrite(spool._file.fileno(), each.data, which * EXTENT_BYTES + each.place)
        if each.cut:
            os.truncate(spool._file.fileno(), which * EXTENT_BYTES + each.place)
    for attempt, texts in enumerate((first, second)):
        comes_back(tails[attempt], attempt, texts)
    assert spool._file is None


def chunk(attempt: int, number: int, text: bytes) -> Chunk:
    return Chunk(attempt_id=attempt, number=number, stream=1, data=text, length=len(text), passing=number == 3)


def comes_back(tail: Tail, attempt: int, texts: list[bytes]) -> None:
    kept = [0 if number == 3 else len(text) for number, text in enumerate(texts, 1)]
    place = 0
    while tail:
        try:
            read = tail.pop()
        except SpoolDamagedError as damage:
            lost = damage.lost_bytes
        else:
            assert read == chunk(attempt, place + 1, texts[place])
            place += 1
            continue
        assert lost == sum(kept[place:])
        place = len(texts)
    assert place == len(texts)
