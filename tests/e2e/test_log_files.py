"""The service's log in files: by configuration, and for a service in the background by default."""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from support.wait import until

JQ = "select(.task == $task)"


def lines(folder):
    return [
        json.loads(line) for path in sorted(folder.glob("tsched-*.jsonl")) for line in path.read_text().splitlines()
    ]


def events(folder):
    return [line["event"] for line in lines(folder)]


def test_a_configured_folder_gets_every_line_that_stderr_gets(make_service, tmp_path):
    folder = tmp_path / "logs"
    service = make_service(config=f'[logs]\nfolder = "{folder}"\n')
    service.cli("run", "--", "true")
    assert service.json("status")["log_dir"] == str(folder)
    until(lambda: "executor_started" in events(folder))
    assert lines(folder) == service.log_lines()[: len(lines(folder))]
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_a_folder_that_goes_and_one_that_cannot_be_written_stop_nothing(make_service, tmp_path):
    folder = tmp_path / "logs"
    service = make_service(config=f'[logs]\nfolder = "{folder}"\n')
    config = service.base / "config.toml"
    config.write_text("not toml")

    def refused(times):
        service.signal(signal.SIGHUP)
        until(lambda: service.log().count("reload_refused") == times, timeout_s=30)

    shutil.rmtree(folder)
    folder.write_text("a file")
    refused(1)
    refused(2)
    assert service.log().count("log_files_failed") == 1
    folder.unlink()
    refused(3)
    until(lambda: events(folder) == ["reload_refused"])
    assert service.log().count("log_files_work_again") == 1
    assert service.cli("run", "--", "true").code == 0


@pytest.mark.parametrize(("env", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_on_a_terminal_the_log_is_for_people_and_coloured_only_where_that_is_wanted(service, env, coloured):
    master, terminal = os.openpty()
    argv = [sys.executable, "-P", "-m", "tsched.supervisor", "--state-dir", str(service.base / "other")]
    argv += ["--socket", str(service.base / "t")]
    process = subprocess.Popen(argv, stderr=terminal, env={**service.env, "TERM": "xterm", **env})
    os.close(terminal)
    try:
        shown = os.read(master, 4096)
    finally:
        process.terminate()
        process.wait(30)
        os.close(master)
    assert b"starting" in shown
    assert (b"\x1b[" in shown) is coloured


def test_one_task_can_be_followed_through_the_log_with_jq(make_service, tmp_path):
    folder = tmp_path / "logs"
    service = make_service(config=f'[service]\nlog_level = "debug"\n\n[logs]\nfolder = "{folder}"\n')
    service.cli("run", "--", "true")
    task = service.cli("schedule", "--command", "sleep 0.5; exit 3").word
    service.cli("wait", task, check=False)

    def way():
        files = sorted(map(str, folder.glob("*.jsonl")))
        argv = ["jq", "-r", "--arg", "task", task, f"{JQ} | .event", *files]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()

    if shutil.which("jq"):
        assert until(lambda: "attempt_ended" in way() and way()) == ["submitted", "claimed", "started", "attempt_ended"]
    own = [line for line in lines(folder) if line.get("task") == task]
    assert all("executor" in line and line["attempt"] == 1 for line in own if line["event"] != "submitted")
    assert "sleep 0.5" not in service.log()


def test_in_the_background_files_get_the_log_and_supervisor_log_one_start_and_what_a_crash_prints(service):
    service.stop()
    first_log, folder = service.state_dir / "supervisor.log", service.state_dir / "logs"
    for _ in range(2):
        pid = service.cli("up", "-d", "--json").json["pid"]
        assert service.json("status")["log_dir"] == str(folder)
        told = [json.loads(line)["event"] for line in first_log.read_text().splitlines()]
        assert (told[0], told[-1], told.count("starting")) == ("starting", "log_goes_on", 1)
        assert service.cli("up", "-d", check=False).code == 1
        service.cli("config", "reload")
        service.cli("down")
        assert "stopped" not in first_log.read_text()
    assert events(folder).count("stopped") == 2
    pid = service.cli("up", "-d", "--json").json["pid"]
    os.kill(pid, signal.SIGABRT)
    until(lambda: "Fatal Python error: Aborted" in first_log.read_text())
    until(lambda: service.cli("status", check=False).code == 69)
