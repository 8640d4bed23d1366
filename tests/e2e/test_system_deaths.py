"""Whoever dies of a service of several users, tasks of others go on or are ended whole, as a user's own service does."""

import os
import signal
from pathlib import Path

from support import procs
from support.system import GROUP, uid_of
from support.wait import until

CONFIG = f'[system]\ngroup = "{GROUP}"\n[executors]\ncount = 1\nslots = 4\n'
STUBBORN = "trap '' TERM; (setsid env -i /bin/sh -c 'echo $$ > {0}; exec sleep 600' &); echo begun; sleep 600"


def number_in(path):
    until(lambda: Path(path).exists() and Path(path).read_text().strip(), what=f"{path} is written")
    return int(Path(path).read_text())


def test_after_a_sigkill_of_the_supervisor_a_users_task_is_met_again_with_its_output_and_its_exit_code(
    make_system, people
):
    system = make_system(CONFIG)
    account = people[0]
    go, started = f"{account.home}/go", f"{account.home}/started"
    line = f"echo before; echo $$ > {started}; until [ -e {go} ]; do sleep 0.05; done; echo after; id -u; exit 7"
    task = system.cli_as(account, "run", "-d", "--command", line).word
    pid = number_in(started)
    system.kill9()
    system.start()
    assert system.json_as(account, "show", task)["state"] == "running"
    Path(go).touch()
    assert system.cli_as(account, "wait", task, check=False).code == 7
    assert system.cli_as(account, "logs", task).text.splitlines() == ["before", "after", str(account.uid)]
    [attempt] = system.json_as(account, "show", task)["attempts"]
    assert attempt["pid"] == pid
    assert system.said_by(people[1], "id -u") == [str(people[1].uid)]


def test_an_executor_killed_with_sigkill_takes_a_users_whole_tree_with_it(make_system, people):
    system = make_system(CONFIG)
    account = people[0]
    path = f"{account.home}/daemon"
    task = system.cli_as(account, "run", "-d", "--command", STUBBORN.format(path)).word
    daemon = number_in(path)
    assert uid_of(daemon) == account.uid
    [executor] = system.json("status")["executors"]
    os.kill(executor["pid"], signal.SIGKILL)
    assert system.cli_as(account, "wait", task, check=False).code == 1
    shown = system.json_as(account, "show", task)
    assert (shown["state"], shown["reason"]) == ("failed", "executor_died")
    assert not procs.alive(daemon)
    os.unlink(path)
    assert system.said_by(account, "echo next") == ["next"]


def test_a_runner_that_its_own_task_kills_costs_that_task_alone(make_system, people):
    system = make_system(CONFIG)
    first, second, _ = people
    go = f"{second.home}/go"
    other = system.cli_as(second, "run", "-d", "--command", f"until [ -e {go} ]; do sleep 0.05; done").word
    path = f"{first.home}/left"
    line = f"(setsid env -i /bin/sh -c 'echo $$ > {path}; exec sleep 600' &); until [ -s {path} ]; do :; done; kill -9 $PPID"
    task = system.cli_as(first, "run", "-d", "--command", f"{line}; sleep 600").word
    assert system.cli_as(first, "wait", task, check=False).code == 1
    assert system.json_as(first, "show", task)["reason"] == "runner_died"
    assert not procs.alive(number_in(path))
    os.unlink(path)
    Path(go).touch()
    assert system.cli_as(second, "wait", other).code == 0


def test_a_reload_leaves_users_tasks_running_and_a_socket_that_vanished_comes_back_for_the_group(make_system, people):
    system = make_system(CONFIG)
    account = people[0]
    go = f"{account.home}/on"
    task = system.cli_as(account, "run", "-d", "--command", f"until [ -e {go} ]; do sleep 0.05; done; id -u").word
    system.cli("up", "--replace")
    system.signal(signal.SIGHUP)
    assert system.cli_as(account, "list").code == 0
    system.socket.unlink()
    until(system.socket.exists)
    assert system.socket.stat().st_mode & 0o777 == 0o660
    Path(go).touch()
    assert system.cli_as(account, "wait", task).code == 0
    assert system.cli_as(account, "result", task).word == str(account.uid)
