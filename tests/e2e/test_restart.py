"""The supervisor dies; what was answered stays, what runs goes on, and the next one meets it."""

import signal

from support import procs
from support.wait import until


def state(service, task):
    return service.task(task)["state"]


def test_everything_answered_is_there_after_kill_9_and_due_tasks_run(service, witness):
    ids = [service.cli("schedule", "--in", "0.4s", "--command", witness.command(f"t{n}")).word for n in range(5)]
    service.restart()
    assert {each["id"] for each in service.json("list")} == set(ids)
    service.cli("wait", *ids)
    assert [len(witness.starts(f"t{n}")) for n in range(5)] == [1] * 5


def test_a_running_command_survives_kill_9_of_the_supervisor_with_its_pid_output_and_exit_code(service, witness):
    body = f"echo before; while [ ! -e {service.base}/go ]; do sleep 0.05; done; echo after; echo oops >&2; exit 7"
    task = service.cli("schedule", "--command", witness.command("long", body)).word
    started = witness.wait_start("long")
    service.kill9()
    assert procs.alive(started.pid)
    service.start()
    (service.base / "go").touch()
    assert service.cli("wait", task, check=False).code == 7
    assert len(witness.starts("long")) == 1
    shown = service.task(task)
    assert (shown["state"], shown["reason"], shown["exit_code"], shown["attempt"]) == ("failed", "exit_code", 7, 1)
    assert shown["attempts"][0]["pid"] == started.pid
    assert service.cli("logs", task, "--stream", "out").stdout == b"before\nafter\n"
    assert service.cli("logs", task, "--stream", "err").stdout == b"oops\n"


def test_a_command_that_ends_while_no_supervisor_is_there_is_recorded_with_its_true_end(service, witness):
    body = f"while [ ! -e {service.base}/go ]; do sleep 0.02; done; seq 1 20000; exit 3"
    task = service.cli("schedule", "--command", witness.command("orphan", body)).word
    started = witness.wait_start("orphan")
    service.kill9()
    (service.base / "go").touch()
    witness.wait_end("orphan")
    until(lambda: not procs.alive(started.pid))
    service.start()
    assert service.cli("wait", task, check=False).code == 3
    expected = b"".join(b"%d\n" % n for n in range(1, 20001))
    assert service.cli("logs", task).stdout == expected


def test_five_kills_in_a_row_cost_a_running_command_nothing(service, witness):
    body = "for n in $(seq 1 40); do echo line $n; sleep 0.05; done"
    task = service.cli("schedule", "--command", witness.command("tough", body)).word
    witness.wait_start("tough")
    for _ in range(5):
        service.restart()
    assert service.cli("wait", task).code == 0
    assert service.cli("logs", task).stdout == b"".join(b"line %d\n" % n for n in range(1, 41))
    assert len(witness.starts("tough")) == 1


def test_a_cancel_that_was_answered_is_carried_out_by_the_next_supervisor(service, witness):
    task = service.cli(
        "schedule", "--grace", "30s", "--command", witness.command("stubborn", "trap '' TERM; sleep 60")
    ).word
    started = witness.wait_start("stubborn")
    service.cli("cancel", task)
    service.restart()
    service.cli("cancel", task, "--grace", "0")
    assert service.cli("wait", task, check=False).code in (128 + signal.SIGTERM, 128 + signal.SIGKILL)
    assert state(service, task) == "cancelled"
    assert not procs.alive(started.pid)


def test_sigterm_lets_a_short_task_finish_and_leaves_a_long_one_to_the_next_supervisor(make_service, witness):
    service = make_service(config="[service]\nstop_timeout_s = 1.0\n")
    body = f"while [ ! -e {service.base}/go ]; do sleep 0.05; done"
    short = service.cli("schedule", "--command", witness.command("short", "sleep 0.3")).word
    long = service.cli("schedule", "--command", witness.command("long", body)).word
    witness.wait_start("short")
    started = witness.wait_start("long")
    service.signal(signal.SIGTERM)
    service.signal(signal.SIGTERM)
    assert service.wait(10) == 0
    assert witness.ends("short")
    assert procs.alive(started.pid)
    service.start()
    (service.base / "go").touch()
    assert service.cli("wait", short, long).code == 0
    assert len(witness.starts("long")) == 1


def test_down_ends_what_does_not_finish_in_time_and_says_so(service, witness):
    task = service.cli("schedule", "--command", witness.command("endless", "sleep 600")).word
    started = witness.wait_start("endless")
    service.cli("down", "--drain", "0.2s")
    assert service.wait(10) == 0
    assert not procs.alive(started.pid)
    assert not [each for each in procs.ours() if "tsched" in each.command]
    service.start()
    shown = service.task(task)
    assert (shown["state"], shown["reason"]) == ("cancelled", "shutdown")


def test_executors_told_otherwise_make_room_after_a_change_of_the_configuration(make_service, witness):
    service = make_service(config="[executors]\ncount = 1\nslots = 1\n")
    body = f"while [ ! -e {service.base}/go ]; do sleep 0.05; done"
    task = service.cli("schedule", "--command", witness.command("long", body)).word
    witness.wait_start("long")
    [old] = [each["pid"] for each in service.json("status")["executors"]]
    config = service.base / "config.toml"
    config.write_text(config.read_text() + "[profiles.quiet]\nnice = 5\n")
    service.restart()
    assert service.cli("run", "--profile", "quiet", "--", "nice").stdout == b"5\n"
    (service.base / "go").touch()
    assert service.cli("wait", task).code == 0
    assert len(witness.starts("long")) == 1
    until(lambda: old not in [each["pid"] for each in service.json("status")["executors"]])
