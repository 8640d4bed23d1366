"""The spool: what goes in comes out, in its order, or its loss is known; memory and space are bounded."""

from __future__ import annotations

import os
import random
from collections import defaultdict, deque
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.spooled import flip, spool_of, taken_bytes
from tsched.executor.output import CHUNK_BYTES
from tsched.executor.spool import EXTENT_BYTES, Spool, SpoolDamagedError, Tail
from tsched.executor.window import ATTEMPT_BYTES, EXECUTOR_BYTES, Budget, Window
from tsched.proto.link_pb2 import Chunk

if TYPE_CHECKING:
    from collections.abc import Callable

ME = os.getpid()
FULL = CHUNK_BYTES + 16


def chunk(number: int, length: int = FULL, *, attempt_id: int = 1, passing: bool = False) -> Chunk:
    data = random.Random(number).randbytes(length)
    return Chunk(attempt_id=attempt_id, number=number, stream=1, length=length, data=data, passing=passing)


def spool(folder: Path, extents: int = 8, **options: object) -> Spool:
    made = Spool(str(folder), extents * EXTENT_BYTES, reserve_bytes=0, **options)  # type: ignore[arg-type]
    made.open = True
    return made


def test_an_extent_holds_four_full_chunks(tmp_path: Path) -> None:
    tail = Tail(spool(tmp_path, extents=1))
    assert [tail.append(chunk(number)) for number in range(1, 6)] == [True] * 4 + [False]
    tail.clear()


def test_it_has_no_name_and_ends_when_it_is_empty(tmp_path: Path) -> None:
    tail = Tail(spool(tmp_path))
    assert spool_of(ME, tmp_path) is None
    for number in range(1, 9):
        tail.append(chunk(number))
    found = spool_of(ME, tmp_path)
    assert found
    assert found.stat().st_nlink == 0
    assert found.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == []
    for number in range(1, 9):
        assert tail.pop() == chunk(number)
    assert not tail
    assert spool_of(ME, tmp_path) is None


def test_what_was_read_is_given_back_to_the_file_system(tmp_path: Path) -> None:
    tail = Tail(spool(tmp_path))
    for number in range(1, 9):
        tail.append(chunk(number))
    before = taken_bytes(ME, tmp_path)
    for _ in range(4):
        tail.pop()
    assert taken_bytes(ME, tmp_path) <= before // 2
    tail.clear()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.integers(1, 3), st.sampled_from(["add", "add", "add", "take"])), max_size=60))
def test_attempts_share_it_and_each_gets_back_its_own_in_order(tmp_path: Path, steps: list[tuple[int, str]]) -> None:
    whole = spool(tmp_path, extents=5)
    tails = {attempt_id: Tail(whole) for attempt_id in (1, 2, 3)}
    expected: defaultdict[int, deque[Chunk]] = defaultdict(deque)
    for number, (attempt_id, step) in enumerate(steps, 1):
        kept = expected[attempt_id]
        if step == "take" and kept:
            assert tails[attempt_id].pop() == kept.popleft()
        elif step == "add":
            new = chunk(kept[-1].number + 1 if kept else number, FULL // 2, attempt_id=attempt_id)
            if tails[attempt_id].append(new):
                kept.append(new)
    for attempt_id, tail in tails.items():
        assert [tail.pop() for _ in expected[attempt_id]] == list(expected[attempt_id])
        assert not tail
    assert spool_of(ME, tmp_path) is None


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(places=st.lists(st.integers(0, 2 * EXTENT_BYTES - 1), min_size=1, max_size=4, unique=True))
def test_whatever_is_changed_in_it_is_noticed_and_its_loss_is_known(tmp_path: Path, places: list[int]) -> None:
    tail = Tail(spool(tmp_path))
    chunks = [chunk(number, 40_000, passing=number % 3 == 0) for number in range(1, 53)]
    for each in chunks:
        assert tail.append(each)
    found = spool_of(ME, tmp_path)
    assert found
    for place in places:
        if place < found.stat().st_size:
            flip(found, place)
    back, lost_bytes = read_all(tail)
    assert [each for each in chunks if each in back] == back, "what comes back is what went in, in its order"
    assert lost_bytes == kept(chunks) - kept(back)
    assert back or lost_bytes
    assert spool_of(ME, tmp_path) is None


def test_chunks_put_in_each_others_place_are_noticed(tmp_path: Path) -> None:
    tail = Tail(spool(tmp_path))
    for number in (1, 2, 3):
        tail.append(chunk(number, 1000))
    found = spool_of(ME, tmp_path)
    assert found
    frame = found.stat().st_size // 3
    content = found.read_bytes()
    with found.open("r+b") as file:
        file.write(content[frame : 2 * frame] + content[:frame])
    assert read_all(tail) == ([], 3000)


def read_all(tail: Tail) -> tuple[list[Chunk], int]:
    back: list[Chunk] = []
    lost_bytes = 0
    while tail:
        try:
            back.append(tail.pop())
        except SpoolDamagedError as damage:
            lost_bytes += damage.lost_bytes
    return back, lost_bytes


def kept(chunks: list[Chunk]) -> int:
    return sum(each.length for each in chunks if not each.passing)


@pytest.mark.parametrize("reason", ["limit", "reserve", "folder", "none"])
def test_no_room_is_told_with_its_reason_and_is_no_failure(tmp_path: Path, reason: str) -> None:
    told: list[str] = []
    without: dict[str, Callable[[], Spool]] = {
        "limit": lambda: Spool(str(tmp_path), 5, refuse=told.append),
        "reserve": lambda: Spool(str(tmp_path), 1 << 30, reserve_bytes=1 << 60, refuse=told.append),
        "folder": lambda: Spool(str(tmp_path / "gone"), 1 << 30, refuse=told.append),
        "none": lambda: Spool(refuse=told.append),
    }
    made = without[reason]()
    made.open = True
    assert made.takes is (reason != "none")
    assert Tail(made).append(chunk(1)) is False
    assert not made.takes
    words = {"limit": "executors.spool_bytes (5)", "reserve": "nearly full", "folder": "No such file", "none": "(0)"}
    assert [words[reason] in why for why in told] == [True]
    made.try_again()
    assert made.takes is (reason != "none")


def test_while_it_may_be_used_a_window_never_is_full_and_memory_holds_no_more_than_agreed(tmp_path: Path) -> None:
    budget = Budget(spool=spool(tmp_path, extents=64))
    windows = [Window(budget) for _ in range(12)]
    for number in range(1, 17):
        for attempt_id, window in enumerate(windows, 1):
            assert not window.full
            window.add(chunk(number, attempt_id=attempt_id))
    assert budget.late_bytes == 0
    assert budget.held_bytes <= EXECUTOR_BYTES + FULL + 256
    budget.spool.open = False
    assert all(window.full for window in windows)
    for window in windows:
        assert drained(window) == list(range(1, 17))
        assert not window.full
    assert (budget.held_bytes, spool_of(ME, tmp_path)) == (0, None)


def test_what_has_no_room_there_either_waits_in_memory_and_comes_last(tmp_path: Path) -> None:
    budget = Budget(spool=spool(tmp_path, extents=1))
    window = Window(budget)
    for number in range(1, 11):
        window.add(chunk(number))
    assert window.full
    assert budget.late_bytes > 0
    budget.spool.open = False
    assert drained(window) == list(range(1, 11))
    assert (budget.held_bytes, budget.late_bytes) == (0, 0)


def test_nothing_of_what_is_of_no_use_any_more_is_kept(tmp_path: Path) -> None:
    budget = Budget(spool=spool(tmp_path, extents=1))
    window = Window(budget)
    for number in range(1, 11):
        window.add(chunk(number))
    window.clear()
    assert (budget.held_bytes, budget.late_bytes, window.waiting) == (0, 0, False)
    assert spool_of(ME, tmp_path) is None


def drained(window: Window) -> list[int]:
    """The numbers of its chunks in the order in which they are sent; no more are on the way than agreed."""
    sent = [each.number for each in window.chunks]
    while window.chunks:
        window.acknowledge(window.chunks[0].number)
        while new := window.next():
            sent.append(new.number)
            assert sum(each.length for each in window.chunks) <= ATTEMPT_BYTES + FULL
    return sent
