"""The service is dead and tasks write on: they end meanwhile, and the next one has every byte of it."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from support import procs
from support.spooled import flip, holds, spool_of, taken_bytes
from support.wait import until

if TYPE_CHECKING:
    from support.service import Service
    from support.witness import Witness

MIB = 1 << 20
MARK = "Xyzzy4711"
RISE_LIMIT = 40 * MIB
MUCH, LITTLE = 40 * MIB // 32, 8 * MIB // 32
ONE = "[executors]\ncount = 1\nslots = 3\n"


def writer(service: Service, lines: int) -> str:
    """Lines of 32 bytes, once somebody says go; then it fails in its own way."""
    code = f"for n in range({lines}): print('%022d{MARK}' % n)"
    return f'while [ ! -e {service.base}/go ]; do sleep 0.02; done; {sys.executable} -I -S -c "{code}"; exit 7'


def written(lines: int) -> bytes:
    return b"".join(b"%022d%b\n" % (n, MARK.encode()) for n in range(lines))


def executor_of(service: Service) -> int:
    [executor] = service.json("status")["executors"]
    return int(executor["pid"])


def peak_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def stored_chunks(service: Service) -> int:
    with closing(sqlite3.connect(f"file:{service.state_dir}/output.db?mode=ro", uri=True)) as db:
        return int(db.execute("SELECT count(*) FROM chunks").fetchone()[0])


def test_tasks_that_write_much_end_while_the_service_is_dead_and_lose_nothing(make_service, witness: Witness) -> None:
    service: Service = make_service(config=ONE)
    sizes = {"first": MUCH, "second": LITTLE, "third": LITTLE}
    ids = [
        service.cli("schedule", "--command", witness.command(name, writer(service, lines))).word
        for name, lines in sizes.items()
    ]
    started = [witness.wait_start(name) for name in sizes]
    executor = executor_of(service)
    Path(f"/proc/{executor}/clear_refs").write_text("5")
    before = peak_bytes(executor)
    names = set(os.listdir(service.state_dir))
    service.kill9()
    (service.base / "go").touch()
    for name in sizes:
        until(lambda name=name: witness.ends(name), timeout_s=60, what=f"{name} ends while nobody is there")
    until(lambda: not any(procs.alive(each.pid) for each in started))
    assert not service.running
    spool = spool_of(executor, service.state_dir)
    assert spool
    assert not holds(spool, MARK.encode())
    assert set(os.listdir(service.state_dir)) <= names
    service.start()
    until(lambda: stored_chunks(service) > 60, what="some of it has been stored")
    service.restart()
    for task, lines in zip(ids, sizes.values(), strict=True):
        assert service.cli("wait", task, check=False).code == 7
        logs = service.cli("logs", task)
        assert hashlib.sha256(logs.stdout).digest() == hashlib.sha256(written(lines)).digest()
        assert logs.stderr == b""
        [attempt] = service.task(task)["attempts"]
        assert (attempt["stdout_bytes"], attempt["dropped_bytes"]) == (lines * 32, 0)
    assert [len(witness.starts(name)) for name in sizes] == [1, 1, 1]
    assert executor_of(service) == executor
    assert peak_bytes(executor) - before <= RISE_LIMIT
    assert spool_of(executor, service.state_dir) is None


def test_what_the_spool_of_a_killed_executor_held_is_missed_and_said_to_be(make_service, witness: Witness) -> None:
    service: Service = make_service(config=ONE)
    body = f"echo ready; {writer(service, LITTLE)}"
    task = service.cli("schedule", "--command", witness.command("lost", body)).word
    until(lambda: service.cli("logs", task).stdout)
    executor = executor_of(service)
    service.kill9()
    (service.base / "go").touch()
    until(lambda: witness.ends("lost"), timeout_s=60)
    assert taken_bytes(executor, service.state_dir) > 4 * MIB
    os.kill(executor, signal.SIGKILL)
    until(lambda: not procs.alive(executor))
    service.start()
    assert service.cli("wait", task, check=False).code == 1
    [attempt] = service.task(task)["attempts"]
    assert (attempt["state"], attempt["reason"], attempt["truncated"]) == ("lost", "executor_died", True)
    logs = service.cli("logs", task)
    assert (b"ready\n" + written(LITTLE)).startswith(logs.stdout)
    assert re.search(rb"the output ends here", logs.stderr), logs.stderr
    assert all(MARK.encode() not in path.read_bytes() for path in service.state_dir.rglob("*") if path.is_file())


def test_what_was_damaged_in_the_spool_is_not_shown_and_how_much_is_said(make_service, witness: Witness) -> None:
    service: Service = make_service(config=ONE)
    task = service.cli("schedule", "--command", witness.command("hurt", writer(service, LITTLE))).word
    started = witness.wait_start("hurt")
    executor = executor_of(service)
    service.kill9()
    (service.base / "go").touch()
    until(lambda: witness.ends("hurt"), timeout_s=60)
    until(lambda: not procs.alive(started.pid))
    spool = spool_of(executor, service.state_dir)
    assert spool
    flip(spool, 2 * MIB + 100_000)
    service.start()
    assert service.cli("wait", task, check=False).code == 7
    [attempt] = service.task(task)["attempts"]
    lost = attempt["dropped_bytes"]
    assert 0 < lost <= MIB
    assert f"{lost} bytes of its output were damaged while no supervisor was there" in attempt["message"]
    logs = service.cli("logs", task)
    assert str(lost).encode() in logs.stderr
    whole = written(LITTLE)
    begin = next(at for at, (shown, wrote) in enumerate(zip(logs.stdout, whole, strict=False)) if shown != wrote)
    assert len(logs.stdout) == len(whole) - lost
    assert any(logs.stdout == whole[:at] + whole[at + lost :] for at in range(begin - 31, begin + 1))
    assert [line["lost_bytes"] for line in service.log_lines() if line["event"] == "output_damaged"] == [str(lost)]
