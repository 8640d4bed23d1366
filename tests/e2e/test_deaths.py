"""Executors and runners die; nothing is left of what they ran, and the record says what happened."""

import os
import signal

import pytest

from support import procs
from support.wait import until

STUBBORN = "trap '' TERM; (setsid env -i /bin/sh -c 'echo $$ > {}/daemon; exec /bin/sleep 600' &); sleep 600"


def executors(service):
    return service.json("status")["executors"]


def daemon_of(base):
    until(lambda: (base / "daemon").exists() and (base / "daemon").read_text().strip())
    return int((base / "daemon").read_text())


def test_an_executor_killed_with_sigkill_is_replaced_and_its_task_is_lost_with_its_whole_tree(make_service, witness):
    service = make_service(config="[executors]\ncount = 1\n")
    task = service.cli("schedule", "--command", witness.command("victim", STUBBORN.format(service.base))).word
    started = witness.wait_start("victim")
    daemon = daemon_of(service.base)
    [executor] = executors(service)
    os.kill(executor["pid"], signal.SIGKILL)
    assert service.cli("wait", task, check=False).code == 1
    shown = service.task(task)
    assert (shown["state"], shown["reason"]) == ("failed", "executor_died")
    assert shown["attempts"][0]["state"] == "lost"
    assert not procs.alive(started.pid)
    assert not procs.alive(daemon)
    assert service.cli("run", "--", "echo", "next").stdout == b"next\n"
    assert executors(service)[0]["pid"] != executor["pid"]


def test_a_lost_task_that_asked_for_it_is_tried_again_with_the_next_attempt_number(make_service, witness):
    service = make_service(config="[executors]\ncount = 1\n")
    body = "echo $TSCHED_ATTEMPT; [ $TSCHED_ATTEMPT = 2 ] || sleep 600"
    task = service.cli("schedule", "--on-lost", "retry", "--command", witness.command("again", body)).word
    witness.wait_start("again")
    os.kill(executors(service)[0]["pid"], signal.SIGKILL)
    assert service.cli("wait", task).code == 0
    shown = service.task(task)
    assert [each["state"] for each in shown["attempts"]] == ["lost", "succeeded"]
    assert len(witness.starts("again")) == 2
    assert service.cli("logs", task).stdout == b"2\n"


def test_a_runner_killed_by_its_own_task_costs_that_task_alone(service, witness):
    other = service.cli("schedule", "--command", witness.command("other", "sleep 1; echo fine")).word
    witness.wait_start("other")
    task = service.cli("schedule", "--command", "sleep 600 & kill -9 $PPID; sleep 600").word
    assert service.cli("wait", task, check=False).code == 1
    shown = service.task(task)
    assert (shown["state"], shown["reason"]) == ("failed", "runner_died")
    assert service.cli("wait", other).code == 0
    assert not [each for each in procs.ours() if each.command == "sleep 600"]


def test_supervisor_and_executor_killed_together_leave_nothing_alive_and_the_task_lost(make_service, witness):
    if os.geteuid() != 0:
        pytest.skip("a process that clears its environment is found without its ancestors by its mount namespace only")
    service = make_service(config="[executors]\ncount = 1\n")
    task = service.cli("schedule", "--command", witness.command("victim", STUBBORN.format(service.base))).word
    started = witness.wait_start("victim")
    daemon = daemon_of(service.base)
    [executor] = executors(service)
    service.kill9()
    os.kill(executor["pid"], signal.SIGKILL)
    assert procs.alive(daemon)
    service.start()
    assert service.cli("wait", task, check=False).code == 1
    assert (service.task(task)["state"], service.task(task)["reason"]) == ("failed", "executor_died")
    assert not procs.alive(started.pid)
    assert not procs.alive(daemon)


def test_what_a_command_leaves_behind_is_ended_and_noted(service):
    done = service.cli("run", "--", "sh", "-c", "setsid sleep 600 & sleep 600 & echo done")
    assert done.stdout == b"done\n"
    [task] = service.json("list")
    assert service.task(task["id"])["attempts"][0]["leftovers"] == 2
    assert not [each for each in procs.ours() if each.command == "sleep 600"]
