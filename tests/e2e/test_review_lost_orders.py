"""What was stored is seen to, and a signal is heard, also in the moments between two things."""

import os
import signal
import sqlite3
from contextlib import closing, suppress

from support.wait import until


def test_a_task_that_was_lost_and_held_starts_at_its_new_time_once_it_is_released(make_service, witness):
    service = make_service("[executors]\ncount = 1\nslots = 1\n")
    task = service.cli("schedule", "--on-lost", "hold", "--command", witness.command("twice", "sleep 600")).word
    witness.wait_start("twice")
    [executor] = service.json("status")["executors"]
    os.kill(executor["pid"], signal.SIGKILL)
    until(lambda: service.task(task)["state"] == "held")
    service.cli("modify", task, "--in", "3s")
    service.cli("release", task)
    assert service.task(task)["state"] == "retrying"
    until(lambda: service.task(task)["attempt"] == 2, timeout_s=15, what="its second attempt")
    service.cli("cancel", task, "--grace", "0")


def opened(service, name):
    """How often the supervisor has this file of its store open."""
    folder = f"/proc/{service.pid}/fd"
    found = 0
    for number in os.listdir(folder):
        with suppress(FileNotFoundError):
            found += os.readlink(f"{folder}/{number}").endswith(name)
    return found


def test_a_stop_that_comes_while_the_store_is_closed_for_a_reload_is_not_lost(service):
    before = opened(service, "/tsched.db-wal")
    with closing(sqlite3.connect(service.state_dir / "tsched.db", isolation_level=None)) as reader:
        service.cli("schedule", "--in", "1h", "--", "true")
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM tasks").fetchall()
        service.cli("schedule", "--in", "1h", "--", "true")  # while somebody reads, this cannot be folded in
        service.signal(signal.SIGHUP)
        until(lambda: opened(service, "/tsched.db-wal") == 1 < before, timeout_s=30, what="the readers are closed")
        service.signal(signal.SIGTERM)
        assert service.wait() == 0


def test_long_tasks_after_many_short_ones_start_at_once_where_slots_are_idle(make_service, witness):
    service = make_service("[executors]\ncount = 2\nslots = 4\n")
    gate = service.base / "go"
    short = b"".join(b"%d\n" % number for number in range(400))
    service.cli("run", "--each-line", "-", "--", "true", input=short)
    wait = f"while [ ! -e {gate} ]; do sleep 0.05; done"
    ids = [service.cli("schedule", "--command", witness.command(f"long{number}", wait)).word for number in range(8)]
    for number in range(8):
        witness.wait_start(f"long{number}")
    gate.touch()
    service.cli("wait", *ids)
    # Handed to an executor without an idle slot, it would come back after a third of a second.
    assert max(service.task(task)["lateness_s"] for task in ids) < 0.25
