"""A task that stands still is ended, met again and told of like any other, whatever the service does meanwhile."""

import os
import signal
import time

from support.wait import until

TRAPPED = 'trap "echo polite; exit 9" TERM; echo here; while :; do sleep 0.05; done'


def paused(service, witness, tag, body=TRAPPED, *options):
    task = service.cli("schedule", *options, "--command", witness.command(tag, body)).word
    witness.wait_start(tag)
    service.cli("pause", task)
    return task


def test_down_ends_a_paused_task_within_its_grace_and_it_may_end_politely(make_service, witness):
    service = make_service("[executors]\ncount = 1\n")
    task = paused(service, witness, "still")
    stubborn = paused(service, witness, "stubborn", 'trap "" TERM; while :; do sleep 0.05; done', "--grace", "1s")
    begun = time.monotonic()
    service.cli("down", "--drain", "0")
    assert service.wait() == 0
    assert time.monotonic() - begun < 8
    service.start()
    assert service.task(task)["state"] == "cancelled"
    assert service.cli("logs", task).stdout.endswith(b"polite\n")
    assert service.task(stubborn)["state"] == "cancelled"


def test_a_paused_task_whose_executor_is_killed_is_lost_and_all_of_it_gone(make_service, witness):
    service = make_service("[executors]\ncount = 1\n")
    task = paused(service, witness, "still", "sleep 611 & sleep 612")
    [executor] = service.json("status")["executors"]
    os.kill(executor["pid"], signal.SIGKILL)
    until(lambda: service.task(task)["state"] == "failed", timeout_s=20)
    shown = service.task(task)
    assert shown["reason"] == "executor_died"
    assert shown["attempts"][0]["paused_s"] > 0


def test_a_reload_keeps_a_paused_task_paused(make_service, witness):
    service = make_service("[executors]\ncount = 1\n")
    task = paused(service, witness, "still")
    service.cli("config", "reload")
    assert service.task(task)["paused_at"]
    service.cli("resume", task)
    assert service.task(task)["paused_at"] is None
    service.cli("cancel", task, "--grace", "0")
    service.cli("wait", task, check=False)
