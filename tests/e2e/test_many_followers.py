"""Two hundred follow one task, and ten of them never read: the others get every byte, and nobody else notices."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support import followers
from support.wait import until

READING_PROCESSES, READERS_EACH, NEVER = 5, 38, 10
LAST = 450_000
"""`seq` to here writes three million bytes."""
RISE_LIMIT_BYTES = 64 << 20


@pytest.fixture
def follow(service):
    """Starts followers in a process of their own, and waits until output reaches them."""
    started = []

    def start(task, count, how):
        argv = [sys.executable, followers.__file__, str(service.socket), task, str(count), how]
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=service.env)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def memory(pid, word):
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith(f"{word}:"))
    return int(line.split()[1]) * 1024


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def test_two_hundred_followers_of_whom_ten_never_read_slow_nobody_and_leave_nothing(service, follow):
    gate = service.base / "gate"
    os.mkfifo(gate)
    expected = b"begin\n" + b"".join(b"%d\n" % number for number in range(1, LAST + 1))
    service.cli("run", "--", "true")
    open_before = descriptors(service.pid)
    task = service.cli("schedule", "--command", f"echo begin; read go < {gate}; seq 1 {LAST}").word
    dead = follow(task, NEVER, "never")
    reading = [follow(task, READERS_EACH, "read") for _ in range(READING_PROCESSES)]
    for process in (dead, *reading):
        assert process.stdout.readline() == "ready\n"
    Path(f"/proc/{service.pid}/clear_refs").write_text("5")  # the high-water mark is what it is now
    before = memory(service.pid, "VmRSS")

    gate.write_text("go\n")
    assert service.cli("wait", task).code == 0
    seen = [line.split() for process in reading for line in process.stdout]
    rise = memory(service.pid, "VmHWM") - before

    assert seen == [[str(len(expected)), hashlib.sha256(expected).hexdigest()]] * READING_PROCESSES * READERS_EACH
    assert service.task(task)["attempts"][0]["stdout_bytes"] == len(expected)
    assert rise < RISE_LIMIT_BYTES, f"{rise >> 20} MiB"
    assert dead.poll() is None, "those who never read are still there"
    dead.kill()
    until(lambda: descriptors(service.pid) <= open_before, what="every connection's descriptor is closed")
    assert service.cli("run", "--", "echo", "alive").stdout == b"alive\n"
