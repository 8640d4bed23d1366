"""A service begins anew in its own process: what runs goes on, who calls meanwhile is answered, and nobody slips in."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

import tsched
from support import procs
from support.wait import until

WAIT = "while [ ! -e {go} ]; do sleep 0.05; done"


def descriptors(service):
    """What the supervisor has open, by kind; streams of clients that just left may still be closing."""
    folder = f"/proc/{service.pid}/fd"
    return len(os.listdir(folder))


def started_at(service):
    return service.json("status")["started_at"]


def reload_by_signal(service):
    before = started_at(service)
    service.signal(signal.SIGHUP)
    until(lambda: started_at(service) != before, timeout_s=30)


def reload_by_verb(service):
    service.cli("config", "reload")


def replace(service):
    service.cli("up", "--replace")


@pytest.mark.parametrize("way", [reload_by_signal, reload_by_verb, replace])
def test_running_tasks_and_their_executors_go_on_in_the_same_process(service, witness, way):
    body = f"echo before; {WAIT.format(go=service.base / 'go')}; echo after; exit 7"
    task = service.cli("schedule", "--command", witness.command("long", body)).word
    started = witness.wait_start("long")
    pid, executors = service.pid, [each["pid"] for each in service.json("status")["executors"]]
    way(service)
    status = service.json("status")
    assert (status["pid"], sorted(each["pid"] for each in status["executors"])) == (pid, sorted(executors))
    (service.base / "go").touch()
    assert service.cli("wait", task, check=False).code == 7
    assert service.cli("logs", task).stdout == b"before\nafter\n"
    shown = service.task(task)["attempts"]
    assert [(each["number"], each["pid"]) for each in shown] == [(1, started.pid)]
    assert len(witness.starts("long")) == 1


def test_rounds_under_load_lose_nothing_and_no_descriptor(service, witness):
    gate = service.base / "go"
    steady = witness.command("steady", f"n=0; while [ ! -e {gate} ]; do echo $((n+=1)); sleep 0.01; done; echo end")
    task = service.cli("schedule", "--command", steady).word
    witness.wait_start("steady")
    follower = service.spawn("logs", "-f", task)
    run = service.spawn("run", "--", "sh", "-c", f"echo first; {WAIT.format(go=gate)}; echo last; exit 5")
    line = f"while [ ! -e {gate} ]; do tsched schedule --command 'echo submitted' || exit 1; done"
    path = f"{os.path.dirname(sys.executable)}:{service.env['PATH']}"
    submitter = subprocess.Popen(
        ["sh", "-c", line], env={**service.env, "PATH": path}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        assert run.stdout.readline() == b"first\n"
        service.cli("config", "reload")
        before = descriptors(service)
        for _ in range(8):
            service.cli("config", "reload")
        # Just after a start those who were there before are not all back: two executors, and three who call.
        until(lambda: descriptors(service) <= before + 6, what="no descriptor more in each round")
    finally:
        gate.touch()
    submitted, complaints = submitter.communicate(timeout=60)
    assert submitter.returncode == 0, complaints
    assert run.communicate(timeout=60)[0] == b"last\n"
    assert run.returncode == 5
    ids = submitted.decode().split()
    assert len(ids) == len(set(ids)) > 0
    service.cli("wait", task, *ids)
    seen = follower.communicate(timeout=60)[0].decode().split()
    assert seen == [*map(str, range(1, len(seen))), "end"]
    assert service.cli("logs", task).stdout.decode().split() == seen
    assert len(witness.starts("steady")) == 1


def test_no_other_supervisor_can_slip_in(service):
    argv = [sys.executable, "-P", "-m", "tsched.supervisor", "--state-dir", str(service.state_dir)]
    other = [*argv, "--socket", str(service.base / "other")]
    line = f"while [ ! -e {service.base}/over ]; do {' '.join(other)} && exit 3; [ $? = 1 ] || exit 4; done"
    rival = subprocess.Popen(["sh", "-c", line], env=service.env, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    for _ in range(4):
        service.cli("config", "reload")
    (service.base / "over").touch()
    assert b"already runs" in rival.communicate(timeout=60)[1]
    assert rival.returncode == 0


def test_what_would_not_start_is_refused_with_all_its_mistakes_and_the_service_goes_on(make_service):
    service = make_service(config="[executors]\ncount = 1\n")
    before = started_at(service)
    config = service.base / "config.toml"
    good = config.read_text()
    config.write_text("[executors]\ncount = -1\nspeed = 3\n")
    for words in (["config", "reload"], ["up", "--replace"]):
        refused = service.cli(*words, "--json", check=False)
        assert refused.code == 2
        message = refused.json["error"]["message"]
        assert "line 2: executors.count" in message
        assert "line 3: executors.speed is unknown" in message
    service.signal(signal.SIGHUP)
    until(lambda: "reload_refused" in service.log())
    assert started_at(service) == before
    config.write_text(good)
    service.cli("config", "reload")
    assert started_at(service) != before


def test_a_changed_configuration_is_heeded_and_executors_told_otherwise_make_room(make_service, witness):
    service = make_service(config="[executors]\ncount = 1\nslots = 1\n")
    task = service.cli("schedule", "--command", witness.command("long", WAIT.format(go=service.base / "go"))).word
    witness.wait_start("long")
    [old] = [each["pid"] for each in service.json("status")["executors"]]
    config = service.base / "config.toml"
    config.write_text(config.read_text() + "[profiles.quiet]\nnice = 5\n")
    service.cli("config", "reload")
    assert service.cli("run", "--profile", "quiet", "--", "nice").stdout == b"5\n"
    (service.base / "go").touch()
    assert service.cli("wait", task).code == 0
    until(lambda: old not in [each["pid"] for each in service.json("status")["executors"]])
    until(lambda: not procs.zombies(service.pid), what="the executor that left was reaped")


def test_an_executor_that_dies_after_it_is_seen_reaped_and_replaced(service, witness):
    task = service.cli("schedule", "--command", witness.command("long", "sleep 600")).word
    witness.wait_start("long")
    service.cli("config", "reload")
    [busy] = until(lambda: [each["pid"] for each in service.json("status")["executors"] if each["running"]])
    os.kill(busy, signal.SIGKILL)
    assert service.cli("wait", task, check=False).code == 1
    assert service.task(task)["reason"] == "executor_died"
    until(lambda: not procs.zombies(service.pid), what="reaped")
    assert service.cli("run", "--", "true").code == 0
    assert '"code": -9' in service.log()


def test_signals_that_come_meanwhile_are_not_lost(service):
    before = started_at(service)
    for _ in range(3):
        service.signal(signal.SIGHUP)
    until(lambda: started_at(service) != before, timeout_s=30)
    service.signal(signal.SIGHUP)
    until(lambda: service.log().count('"reloading"') >= 2, timeout_s=30)
    service.signal(signal.SIGTERM)
    assert service.wait() == 0
    assert '"stopped"' in service.log().splitlines()[-1]


def test_a_start_that_fails_after_it_ends_with_a_clear_last_line(service):
    service.damaged = True
    database = service.state_dir / "output.db"
    service.signal(signal.SIGSTOP)
    # The child that looks finds it sound; what replaces it comes between the look and the start.
    hook = service.base / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(
        "import os, sys\n"
        f"if 'TSCHED_HANDOVER' in os.environ: open({str(database)!r}, 'wb').write(b'no database at all' * 400)\n"
    )
    service.signal(signal.SIGKILL)
    service.wait()
    service.env["PYTHONPATH"] = str(hook)
    service.start()
    service.signal(signal.SIGHUP)
    assert service.wait(60) == 125
    last = json.loads(service.log().splitlines()[-1])
    assert (last["event"], last["level"], last["reason"]) == ("not_started", "critical", "store_corrupt")
    procs.sweep()


def test_a_configuration_that_breaks_after_the_look_ends_it_with_a_clear_last_line(make_service):
    service = make_service(config="[executors]\ncount = 1\n")
    service.damaged = True
    config, hook = service.base / "config.toml", service.base / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(
        f"import os\nif 'TSCHED_HANDOVER' in os.environ: open({str(config)!r}, 'w').write('[executors')\n"
    )
    service.stop()
    service.env["PYTHONPATH"] = str(hook)
    service.start()
    service.signal(signal.SIGHUP)
    assert service.wait(60) == 2
    last = json.loads(service.log().splitlines()[-1])
    assert (last["event"], last["level"], last["reason"]) == ("not_started", "critical", "bad_config")
    procs.sweep()


def copied(service):
    """The program as a package of its own, to be changed under the running service; started from there."""
    site = service.base / "site"
    ignored = shutil.ignore_patterns(".*", "tests", "docs", "bench", "*.egg-info", "__pycache__", "build")
    shutil.copytree(Path(tsched.__file__).parent, site / "tsched", ignore=ignored)
    service.stop()
    service.env["PYTHONPATH"] = str(site)
    service.start()
    return site / "tsched"


def test_another_version_takes_over_and_one_that_is_broken_does_not(service, witness):
    program = copied(service)
    task = service.cli("schedule", "--command", witness.command("long", WAIT.format(go=service.base / "go"))).word
    started = witness.wait_start("long")
    init = program / "__init__.py"
    init.write_text(init.read_text().replace(tsched.__version__, "77.0.0"))
    own = {**service.env, "PYTHONPATH": ""}
    replaced = service.cli("up", "--replace", env=own)
    assert f"{tsched.__version__} -> 77.0.0" in replaced.text
    assert f"77.0.0; this command is version {tsched.__version__}" in replaced.stderr.decode()
    main = program / "supervisor" / "service.py"
    main.write_text(main.read_text() + "\nimport no_such_module\n")
    before = started_at(service)
    refused = service.cli("config", "reload", env=own, check=False)
    assert refused.code == 125
    assert b"would not start: ModuleNotFoundError: No module named 'no_such_module'" in refused.stderr
    assert started_at(service) == before
    (service.base / "go").touch()
    assert service.cli("wait", task).code == 0
    assert service.task(task)["attempts"][0]["pid"] == started.pid
    main.write_text(main.read_text().replace("import no_such_module", ""))


def test_a_store_that_is_too_new_for_the_program_is_found_before(service):
    before = started_at(service)
    with closing(sqlite3.connect(service.state_dir / "tsched.db", isolation_level=None)) as other:
        [[version]] = other.execute("PRAGMA user_version").fetchall()
        other.execute("PRAGMA user_version = 999")
        refused = service.cli("config", "reload", "--json", check=False)
        other.execute(f"PRAGMA user_version = {version}")
    assert refused.json["error"]["reason"] == "store_newer"
    assert started_at(service) == before


def test_executors_find_a_supervisor_that_lives_in_another_environment(service, witness):
    task = service.cli("schedule", "--command", witness.command("long", WAIT.format(go=service.base / "go"))).word
    started = witness.wait_start("long")
    for name in ("here", "there"):
        service.signal(signal.SIGKILL)
        service.wait()
        (service.base / name).mkdir()
        service.env["XDG_RUNTIME_DIR"] = str(service.base / name)
        service.start()
    (service.base / "go").touch()
    assert service.cli("wait", task).code == 0
    assert service.task(task)["attempts"][0]["pid"] == started.pid


def test_replace_starts_one_where_none_runs(service):
    service.stop()
    shown = service.cli("up", "--replace", "-d", "--json")
    pid = shown.json["pid"]
    try:
        assert service.json("status")["pid"] == pid
        assert service.cli("up", "--replace", "--json").json == {
            "pid": pid,
            "before": service.json("status")["version"],
            "after": service.json("status")["version"],
            "state_dir": str(service.state_dir),
            "socket": str(service.socket),
        }
    finally:
        service.cli("down")
