"""Output: every byte, in order, live, for any number of followers; memory stays flat whatever a task writes."""

import hashlib
import os
import subprocess
from pathlib import Path

MIB = 1 << 20
RISE_LIMIT = 32 * MIB


def peak_rss(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def pids(service):
    status = service.json("status")
    return [status["pid"], *(each["pid"] for each in status["executors"])]


class Peaks:
    """How far the peaks of the service's processes rise inside the block."""

    def __init__(self, service):
        self._pids = pids(service)
        for pid in self._pids:
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # resets VmHWM to what is resident now
        self._before = [peak_rss(pid) for pid in self._pids]

    def rises(self):
        return [peak_rss(pid) - before for pid, before in zip(self._pids, self._before, strict=True)]


def test_both_streams_come_back_byte_for_byte(service):
    odd = bytes(range(256)) * 40 + b"\xff\xfe no newline at the end, \x00 and all"
    (service.base / "odd").write_bytes(odd)
    done = service.cli("run", "--", "sh", "-c", "cat odd; cat odd odd >&2", cwd=service.base)
    assert (done.stdout, done.stderr) == (odd, odd + odd)
    [task] = service.json("list")
    assert service.cli("logs", task["id"], "--stream", "out").stdout == odd
    assert service.cli("logs", task["id"], "--stream", "err").stdout == odd + odd


def test_stdin_goes_in_byte_for_byte(service):
    data = os.urandom(3 * MIB)
    done = service.cli("run", "--", "sha256sum", input=data)
    assert done.stdout.split()[0].decode() == hashlib.sha256(data).hexdigest()


def test_a_flood_of_1_gib_leaves_every_process_flat_and_states_its_gap(service):
    service.cli("run", "--", "true")
    peaks = Peaks(service)
    done = service.cli("run", "-d", "--", "sh", "-c", "head -c 1073741824 /dev/zero; echo last words")
    service.cli("wait", done.word)
    assert max(peaks.rises()) <= RISE_LIMIT, peaks.rises()
    [attempt] = service.task(done.word)["attempts"]
    written = 1073741824 + len(b"last words\n")
    assert (attempt["stdout_bytes"], attempt["dropped_bytes"]) == (written, written - 64 * MIB)
    logs = service.cli("logs", done.word)
    assert len(logs.stdout) == 64 * MIB
    assert logs.stdout.endswith(b"\0last words\n")
    assert str(written - 64 * MIB).encode() in logs.stderr


def test_run_into_a_file_is_lossless_beyond_the_cap_and_memory_stays_flat(service):
    script = f"openssl enc -aes-128-ctr -pass pass:x -nosalt </dev/zero 2>/dev/null | head -c {300 * MIB}"
    expected = subprocess.run(f"{script} | sha256sum", shell=True, capture_output=True, text=True, check=True).stdout
    service.cli("run", "--", "true")
    peaks = Peaks(service)
    with (service.base / "copy").open("wb") as copy:
        run = service.spawn("run", "--", "sh", "-c", script, stdout=copy, stdin=subprocess.DEVNULL)
        assert run.wait(100) == 0
    assert run.stderr.read() == b""
    with (service.base / "copy").open("rb") as copy:
        assert hashlib.file_digest(copy, "sha256").hexdigest() == expected.split()[0]
    assert max(peaks.rises()) <= RISE_LIMIT, peaks.rises()


def test_followers_see_output_while_the_task_runs_each_all_of_it(service):
    script = f"for n in 1 2 3; do echo line $n; while [ ! -e {service.base}/$n ]; do sleep 0.02; done; done"
    task = service.cli("schedule", "--command", script).word
    followers = [service.spawn("logs", "-f", task) for _ in range(4)]
    for n in (1, 2, 3):
        assert [follower.stdout.readline() for follower in followers] == [f"line {n}\n".encode()] * 4
        (service.base / str(n)).touch()
    assert [follower.wait(20) for follower in followers] == [0] * 4
    assert [follower.stdout.read() for follower in followers] == [b""] * 4


def test_a_slow_reader_slows_its_own_task_and_nobody_elses(service):
    slow = service.spawn("run", "--", "sh", "-c", "head -c 300000000 /dev/zero; echo end >&2")
    slow.stdout.read(1000)
    assert service.cli("run", "--", "sh", "-c", "head -c 100000000 /dev/zero | wc -c").stdout == b"100000000\n"
    [task] = [each for each in service.json("list") if each["state"] == "running"]
    assert slow.poll() is None
    count = 1000
    while piece := slow.stdout.read(1 << 20):
        count += len(piece)
    assert (count, slow.wait(20)) == (300000000, 0)
    assert service.task(task["id"])["state"] == "succeeded"


def test_an_endless_line_and_many_tiny_writes_are_kept_in_order(service):
    script = "import sys,os\nfor n in range(3000):\n os.write(1 + n % 2, b'%d,' % n)"
    task = service.cli("run", "-d", "--", "python3", "-c", script).word
    service.cli("wait", task)
    out = service.cli("logs", task, "--stream", "out").stdout
    err = service.cli("logs", task, "--stream", "err").stdout
    assert out == b"".join(b"%d," % n for n in range(0, 3000, 2))
    assert err == b"".join(b"%d," % n for n in range(1, 3000, 2))
