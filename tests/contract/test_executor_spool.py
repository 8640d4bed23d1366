"""No supervisor is there, and tasks write more than memory holds: they run on, and the next one gets every byte."""

from __future__ import annotations

import hashlib
import os
import random
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support import mounts, procs
from support.fake_link import FakeLink, Heard, Setup, link_pb2, room
from support.spooled import Standing, flip, holds, spool_of, taken_bytes
from support.wait import until
from tsched.executor.spool import EXTENT_BYTES
from tsched.proto.sealing import KEY_BYTES, KeySealer

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1024 * 1024
MOST_RISE_BYTES = 40 * MIB
KEY = bytes(range(KEY_BYTES))
MARK = b"Xyzzy4711"
LINE_BYTES = 32

# Numbered lines with the mark in each; the first before, the rest after somebody says go; then a testimony.
WRITER = f"""
import os, sys, time
place, length = sys.argv[1], int(sys.argv[2])
def lines(start, end): return b"".join(b"%022d{MARK.decode()}\\n" % n for n in range(start, end))
def write(data):
    while data: data = data[os.write(1, data):]
write(lines(0, 1))
while not os.path.exists(place + "/go"): time.sleep(0.01)
for n in range(1, length // {LINE_BYTES}, 4096): write(lines(n, min(n + 4096, length // {LINE_BYTES})))
open(place + "/done" + str(os.getpid()), "w").close()
sys.exit(7)
"""

CALLS = """
import asyncio, os, sys
from tsched import task

@task
async def shout_async(place, length):
    print("ready", flush=True)
    while not os.path.exists(place + "/go"): await asyncio.sleep(0.01)
    sys.stdout.write("x" * length)
    open(place + "/done", "w").close()

@task
def shout(place, length):
    asyncio.run(shout_async(place, length))
"""


def writer(place: Path, length: int) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", WRITER, str(place), str(length)]


def written(length: int) -> bytes:
    return b"".join(b"%022d%b\n" % (n, MARK) for n in range(length // LINE_BYTES))


def opened(heard: Heard) -> bytes:
    """What was sealed and sent; its places must follow each other."""
    sealer = KeySealer(KEY)
    data = []
    length = 0
    for chunk in heard.stored(1):
        assert (chunk.offset, chunk.sealed) == (length, True)
        data.append(sealer.open(chunk.attempt_id, chunk.number, chunk.stream, chunk.offset, chunk.data))
        length += chunk.length
    return b"".join(data)


@contextmanager
def home(tmp_path: Path, **boot: object) -> Iterator[Setup]:
    """An executor whose state folder is empty but for what it puts there itself."""
    (tmp_path / "state").mkdir()
    with room(home=str(tmp_path / "state"), data_key=KEY.hex(), **boot) as setup:
        yield setup


def spool(setup: Setup) -> Path | None:
    return spool_of(setup.pid, Path(str(setup.boot["home"])))


def alone(setup: Setup, tmp_path: Path, *lengths: int, **fields: object) -> list[int]:
    """Tasks that have begun, and write the rest now that their supervisor is gone."""
    ids = setup.link.give(*[writer(tmp_path, length) for length in lengths], **fields)
    for attempt_id in ids:
        until(lambda attempt_id=attempt_id: setup.link.of(attempt_id).chunks)
    setup.link.stop()
    (tmp_path / "go").touch()
    return ids


def ended(tmp_path: Path) -> int:
    return len(list(tmp_path.glob("done*")))


def peak_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def break_after(link: FakeLink, chunks: int) -> None:
    """Hear and acknowledge so many, and nothing after."""

    def count(message: object) -> None:
        link.ack_chunks = sum(len(heard.chunks) for heard in link.heard.values()) < chunks

    link.on_message = count


def test_tasks_that_write_much_end_while_no_supervisor_is_there_and_nothing_is_lost_over_a_second_break(
    tmp_path: Path,
) -> None:
    lengths = [12 * MIB, 12 * MIB, 3 * MIB]
    with home(tmp_path) as setup:
        link = setup.link
        assert link.run("true").state == "succeeded"
        Path(f"/proc/{setup.pid}/clear_refs").write_text("5")
        before = peak_bytes(setup.pid)
        ids = alone(setup, tmp_path, *lengths)
        until(lambda: ended(tmp_path) == 3, timeout_s=30, what="all have ended without a supervisor")
        until(setup.settled)
        found = spool(setup)
        assert found
        assert not holds(found, MARK)
        assert list((tmp_path / "state").iterdir()) == []
        break_after(link, 40)
        link.start()
        until(lambda: not link.ack_chunks)
        assert not all(link.of(each).finished for each in ids)
        link.stop()
        link.on_message, link.ack_chunks = (lambda _message: None), True
        link.start()
        for attempt_id, length in zip(ids, lengths, strict=True):
            finished = link.finish_of(attempt_id, timeout_s=30)
            assert (finished.exit_code, finished.stdout_bytes, finished.dropped_bytes) == (7, length, 0)
            assert digest(opened(link.of(attempt_id))) == digest(written(length))
        assert peak_bytes(setup.pid) - before <= MOST_RISE_BYTES
        assert spool(setup) is None
        assert link.logs == []


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_the_cap_holds_for_what_was_spooled(tmp_path: Path) -> None:
    with home(tmp_path) as setup:
        [attempt_id] = alone(setup, tmp_path, 12 * MIB, output_cap_bytes=6 * MIB)
        until(lambda: ended(tmp_path) == 1, timeout_s=30)
        setup.link.start()
        finished = setup.link.finish_of(attempt_id, timeout_s=30)
        assert (finished.stdout_bytes, finished.dropped_bytes) == (12 * MIB, 6 * MIB)
        chunks = setup.link.of(attempt_id).stored(1)
        assert sum(chunk.length for chunk in chunks) == 6 * MIB
        assert chunks[-1].offset + chunks[-1].length == 12 * MIB


@pytest.mark.parametrize("shared", [False, True], ids=["sync", "async"])
def test_calls_run_on_too_also_one_that_writes_more_than_a_message_at_once(tmp_path: Path, shared: bool) -> None:
    (tmp_path / "loud.py").write_text(CALLS)
    source = {"kind": "functions", "python": sys.executable, "path": str(tmp_path), "modules": ["loud"]}
    with home(tmp_path) as setup:
        link = setup.link
        link.know(link_pb2.Source(name="mine", generation=1, **source))
        attempt_id = link.call("loud.shout_async" if shared else "loud.shout", str(tmp_path), 10 * MIB, shared=shared)
        until(lambda: link.of(attempt_id).chunks)
        link.stop()
        (tmp_path / "go").touch()
        until((tmp_path / "done").exists, timeout_s=20)
        until(lambda: taken_bytes(setup.pid, tmp_path / "state") >= 8 * MIB)
        link.start()
        assert link.finish_of(attempt_id, timeout_s=20).state == "succeeded"
        assert opened(link.of(attempt_id)) == b"ready\n" + b"x" * 10 * MIB


@pytest.mark.parametrize("extents", [0, 2])
def test_a_task_waits_where_there_is_no_room_and_loses_nothing(tmp_path: Path, extents: int) -> None:
    with home(tmp_path, spool_bytes=extents * EXTENT_BYTES) as setup:
        [attempt_id] = alone(setup, tmp_path, 12 * MIB)
        until(Standing(setup.pid), timeout_s=30, what="the task waits for room in its pipe")
        assert taken_bytes(setup.pid, tmp_path / "state") <= extents * EXTENT_BYTES
        assert ended(tmp_path) == 0
        setup.link.start()
        finished = setup.link.finish_of(attempt_id, timeout_s=30)
        assert (finished.exit_code, finished.stdout_bytes, finished.dropped_bytes) == (7, 12 * MIB, 0)
        assert opened(setup.link.of(attempt_id)) == written(12 * MIB)
        assert spool(setup) is None
        assert [line.event for line in setup.link.logs] == ["spool_full"] * (extents > 0)


@pytest.mark.parametrize("order", ["cancel", "forget"])
def test_what_waits_for_room_can_be_ended_and_gives_its_room_back(tmp_path: Path, order: str) -> None:
    with home(tmp_path, spool_bytes=4 * EXTENT_BYTES) as setup:
        link = setup.link
        [attempt_id] = alone(setup, tmp_path, 60 * MIB)
        until(Standing(setup.pid), timeout_s=30)
        link.ack_chunks = False
        link.start()
        until(lambda: len(link.of(attempt_id).chunks) > 1)
        if order == "forget":
            link.send(forget=[attempt_id])
        else:
            link.send(stops=[{"attempt_id": attempt_id, "state": "cancelled", "reason": "cancelled"}])
            until(setup.settled)
            link.ack_chunks = True
            link.acknowledge(attempt_id, len(link.of(attempt_id).chunks))
            finished = link.finish_of(attempt_id, timeout_s=30)
            assert (finished.state, finished.dropped_bytes) == ("cancelled", 0)
            data = opened(link.of(attempt_id))
            assert len(data) == finished.stdout_bytes
            assert data == written(60 * MIB)[: len(data)]
        until(lambda: spool(setup) is None)


@pytest.mark.parametrize("seed", [1, 2])
def test_what_was_damaged_in_the_spool_is_named_and_not_sent(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    with home(tmp_path) as setup:
        link = setup.link
        [attempt_id] = alone(setup, tmp_path, 12 * MIB)
        until(lambda: ended(tmp_path) == 1, timeout_s=30)
        until(setup.settled)
        found = spool(setup)
        assert found
        for _ in range(3):
            flip(found, chance.randrange(found.stat().st_size))
        link.of(attempt_id).lenient = True
        link.start()
        finished = link.finish_of(attempt_id, timeout_s=30)
        sealer = KeySealer(KEY)
        expected = written(12 * MIB)
        for chunk in link.of(attempt_id).stored(1):
            data = sealer.open(attempt_id, chunk.number, 1, chunk.offset, chunk.data)
            assert data == expected[chunk.offset : chunk.offset + chunk.length]
        kept_bytes = sum(chunk.length for chunk in link.of(attempt_id).stored(1))
        assert (finished.exit_code, finished.stdout_bytes) == (7, 12 * MIB)
        assert finished.dropped_bytes == 12 * MIB - kept_bytes > 0
        lost = f"{finished.dropped_bytes} bytes of its output were damaged while no supervisor was there"
        assert finished.message == f"exit code 7; {lost}"
        assert {line.event for line in link.logs} == {"output_damaged"}
        assert spool(setup) is None


def test_a_killed_executor_leaves_no_file(tmp_path: Path) -> None:
    with home(tmp_path) as setup:
        alone(setup, tmp_path, 12 * MIB)
        until(lambda: spool(setup))
        os.kill(setup.pid, 9)
        setup.wait_for_end()
        assert list((tmp_path / "state").iterdir()) == []
        procs.sweep()


@pytest.mark.skipif("mounts.entry() is None", reason="a full disk takes a mount, which is not allowed here")
def test_on_a_disk_that_is_nearly_full(tmp_path: Path) -> None:
    mounts.run_in(tmp_path, "size=36m", "support.spool_full")
