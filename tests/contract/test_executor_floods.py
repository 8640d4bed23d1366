"""Output without end: bounded in memory and in what is kept, and complete for whoever wants every byte."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.fake_link import FakeLink, Setup, room
from support.wait import until

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1024 * 1024
MOST_RISE_BYTES = 32 * MIB

# Numbered lines of 16 bytes: what lies where is plain to see.
NUMBERS = "import sys\nfor n in range({0} // 65536): sys.stdout.buffer.write(b''.join(b'%015d\\n' % (n * 4096 + i) for i in range(4096)))"


@pytest.fixture
def one() -> Iterator[Setup]:
    with room() as setup:
        yield setup


@pytest.fixture
def link(one: Setup) -> FakeLink:
    return one.link


def memory(pid: int, field: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise AssertionError(field)


def numbers(start: int, end: int) -> bytes:
    """These bytes of the numbered lines."""
    lines = b"".join(b"%015d\n" % n for n in range(start // 16, -(-end // 16)))
    return lines[start % 16 :][: end - start]


def writer(length: int) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", NUMBERS.format(length)]


def test_a_flood_leaves_memory_flat_and_keeps_head_and_tail(one: Setup, link: FakeLink) -> None:
    assert link.run("true").state == "succeeded"
    before = memory(one.pid, "VmRSS")
    (attempt_id,) = link.give("head -c 209715200 /dev/zero", output_cap_bytes=8 * MIB)
    finished = link.finish_of(attempt_id, timeout_s=60)
    assert memory(one.pid, "VmHWM") - before <= MOST_RISE_BYTES
    assert (finished.stdout_bytes, finished.dropped_bytes) == (200 * MIB, 192 * MIB)
    assert sum(chunk.length for chunk in link.of(attempt_id).stored(1)) == 8 * MIB


def test_the_cap_keeps_exactly_the_first_and_the_last_bytes(link: FakeLink) -> None:
    total, cap = 16 * MIB, 3 * MIB + 5
    (attempt_id,) = link.give(writer(total), output_cap_bytes=cap)
    finished = link.finish_of(attempt_id)
    tail = cap // 4
    chunks = link.of(attempt_id).stored(1)
    head = b"".join(chunk.data for chunk in chunks if chunk.offset < cap - tail)
    rest = [chunk for chunk in chunks if chunk.offset >= cap - tail]
    assert head == numbers(0, cap - tail)
    assert rest[0].offset == total - tail
    assert b"".join(chunk.data for chunk in rest) == numbers(total - tail, total)
    assert finished.dropped_bytes == total - cap


def test_output_that_just_fits_has_no_gap(link: FakeLink) -> None:
    (attempt_id,) = link.give(writer(MIB), output_cap_bytes=MIB)
    assert link.finish_of(attempt_id).dropped_bytes == 0
    assert link.of(attempt_id).output() == numbers(0, MIB)


def test_the_cap_holds_for_both_streams_together(link: FakeLink) -> None:
    code = "import os\nfor n in range(64): os.write(1, b'o' * 4096); os.write(2, b'e' * 4096)"
    (attempt_id,) = link.give([sys.executable, "-I", "-S", "-c", code], output_cap_bytes=40_000)
    finished = link.finish_of(attempt_id)
    heard = link.of(attempt_id)
    stored = sum(chunk.length for stream in (1, 2) for chunk in heard.stored(stream))
    assert stored == 40_000
    assert finished.stdout_bytes + finished.stderr_bytes - finished.dropped_bytes == 40_000


def test_who_taps_gets_every_byte_past_the_cap(link: FakeLink) -> None:
    total = 8 * MIB
    (attempt_id,) = link.give(writer(total), output_cap_bytes=MIB, tapped=True)
    finished = link.finish_of(attempt_id)
    seen = hashlib.sha256()
    position = 0
    for chunk in link.of(attempt_id).chunks.values():
        if chunk.offset >= position:  # the tail repeats what has passed
            assert chunk.offset == position
            seen.update(chunk.data)
            position += chunk.length
    assert position == total
    assert seen.digest() == hashlib.sha256(numbers(0, total)).digest()
    assert finished.dropped_bytes == total - MIB


def test_a_task_waits_for_a_tap_that_acknowledges_slowly(link: FakeLink) -> None:
    total = 4 * MIB
    link.ack_chunks = False
    (attempt_id,) = link.give(writer(total), output_cap_bytes=MIB, tapped=True)
    heard = link.of(attempt_id)
    until(lambda: received(link, attempt_id) >= MIB)
    acknowledged = 0
    while not heard.finished:
        with link.lock:
            assert received(link, attempt_id) - acknowledged <= 2 * MIB, "the window bounds what is on the way"
            last = len(heard.chunks)
            acknowledged = received(link, attempt_id)
        link.acknowledge(attempt_id, last)
        until(lambda last=last: len(heard.chunks) > last or heard.finished)
    assert heard.finished[0].stdout_bytes == total


def received(link: FakeLink, attempt_id: int) -> int:
    with link.lock:
        return sum(chunk.length for chunk in link.of(attempt_id).chunks.values())


def test_a_task_is_held_by_its_pipe_while_nothing_is_stored(one: Setup, link: FakeLink, tmp_path: Path) -> None:
    link.ack_chunks = False
    done = tmp_path / "done"
    (attempt_id,) = link.give(f"head -c {16 * MIB} /dev/zero; touch {done}")
    until(lambda: received(link, attempt_id) >= MIB)
    assert link.run("true").state == "succeeded", "others go on"
    assert received(link, attempt_id) < 2 * MIB
    assert not done.exists()
    link.ack_chunks = True
    link.acknowledge(attempt_id, len(link.of(attempt_id).chunks))
    assert link.finish_of(attempt_id).stdout_bytes == 16 * MIB
    assert len(link.of(attempt_id).output()) == 16 * MIB


def test_a_flood_without_a_supervisor_is_held_and_complete_later(one: Setup, link: FakeLink) -> None:
    (attempt_id,) = link.give([*writer(8 * MIB)])
    until(lambda: received(link, attempt_id) > 0)
    link.stop()
    before = memory(one.pid, "VmRSS")
    link.start()
    finished = link.finish_of(attempt_id)
    assert finished.stdout_bytes == 8 * MIB
    assert link.of(attempt_id).output() == numbers(0, 8 * MIB)
    assert memory(one.pid, "VmHWM") - before <= MOST_RISE_BYTES
