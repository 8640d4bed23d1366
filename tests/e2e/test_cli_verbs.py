"""Every verb, in both forms: words for people, one JSON value for programs; exit codes that can be relied upon."""

import os
import pty
import re
import subprocess
import threading

from support.service import TSCHED
from support.wait import until

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
TASK_KEYS = {"id", "state", "command", "queue", "priority", "created_at", "due_at", "started_at", "finished_at"}
TASK_KEYS |= {"attempt", "max_attempts", "exit_code", "signal", "reason", "message", "lateness_s", "scheduled_for"}
TASK_KEYS |= {"schedule", "retry_of"}


def refused(service, *args):
    """The error of a call that has to fail, the same in both forms."""
    plain, answer = service.cli(*args, check=False), service.cli(*args, "--json", check=False)
    assert plain.code == answer.code != 0
    assert (plain.stdout, answer.stderr) == (b"", b"")
    error = answer.json["error"]
    assert set(error) == {"reason", "message", "hint"}
    [line] = plain.stderr.decode().splitlines()
    assert line == f"tsched: {error['message']}" + (f" ({error['hint']})" if error["hint"] else "")
    return plain.code, error["reason"]


def test_a_task_is_scheduled_shown_changed_waited_for_and_deleted(service):
    done = service.cli("schedule", "--at", "tomorrow 9:00", "--tz", "Asia/Tokyo", "--command", "exit 3", "--name", "n")
    task = done.word
    echo = rf"tsched: task {task} is due \d{{4}}-\d\d-\d\d 09:00:00\+09:00 \(Asia/Tokyo\), in .*\n"
    assert re.fullmatch(echo, done.stderr.decode())
    shown = service.task(task)
    assert shown.keys() >= TASK_KEYS
    assert (shown["state"], shown["name"], shown["command"], shown["argv"]) == ("scheduled", "n", "exit 3", None)
    assert INSTANT.fullmatch(shown["due_at"])
    assert shown["started_at"] is None
    done = service.cli("modify", task, "--in", "0.1s", "--priority", "5", "--name", "m", "--timeout", "1h", "--json")
    assert (done.json["priority"], done.json["name"], done.json["timeout_s"]) == (5, "m", 3600.0)
    assert b"is due" in done.stderr
    done = service.cli("wait", "--id", task, check=False)
    assert (done.code, done.text) == (3, f"{task} failed exit 3\n")
    shown = service.task(task)
    assert (shown["exit_code"], shown["reason"], shown["attempts"][0]["exit_code"]) == (3, "exit_code", 3)
    assert b"exit 3" in service.cli("show", "--id", task).stdout
    assert service.json("delete", task) == {"deleted": task}
    assert refused(service, "show", task) == (1, "no_such_task")


def test_the_same_id_with_the_same_content_is_one_task(service):
    words = ["schedule", "--id", "mine", "--in", "1h", "--command", "true"]
    assert service.cli(*words).word == service.cli(*words).word == "mine"
    assert service.json(*words)["existed"] is True
    assert refused(service, *words[:-1], "false") == (1, "id_taken")
    assert refused(service, "delete", "other") == (1, "no_such_task")


def test_what_is_running_or_has_ended_tells_what_is_possible(service):
    task = service.cli("run", "-d", "--id", "t", "--", "sleep", "600").word
    until(lambda: service.task(task)["state"] == "running")
    assert refused(service, "modify", task, "--priority", "1") == (1, "wrong_state")
    assert refused(service, "delete", task) == (1, "wrong_state")
    assert refused(service, "wait", task, "--timeout", "0.1s") == (124, "wait_timeout")
    assert service.json("cancel", task, "--grace", "0")["id"] == task
    assert service.cli("wait", task, check=False).code == 137
    assert refused(service, "cancel", task) == (1, "wrong_state")
    waiting = service.cli("schedule", "--in", "1h", "--command", "true").word
    service.cli("cancel", waiting)
    assert service.cli("wait", waiting, check=False).code == 1


def test_several_are_waited_for_together(service):
    good, bad = (service.cli("schedule", "--command", f"exit {code}").word for code in (0, 7))
    assert service.cli("wait", good, good).code == 0
    done = service.cli("wait", good, bad, "--json", check=False)
    assert done.code == 1
    assert {line["id"]: line["exit_code"] for line in done.lines} == {good: 0, bad: 7}
    assert refused(service, "wait", "nobody", good) == (1, "no_such_task")


def test_the_list_is_newest_first_and_can_be_narrowed(service):
    ids = [service.cli("schedule", "--in", "1h", "--name", f"n{n}", "--command", "true").word for n in range(5)]
    service.cli("run", "--id", "ended", "--", "true")
    newest = ["ended", *reversed(ids)]
    assert [task["id"] for task in service.json("list")] == newest
    assert [task["id"] for task in service.json("list", "--state", "scheduled")] == newest[1:]
    assert [task["id"] for task in service.json("list", "--state", "ready,succeeded")] == ["ended"]
    assert service.json("list", "--queue", "other") == []
    some = service.cli("list", "--limit", "2")
    assert some.text.splitlines()[0].split() == ["ID", "STATE", "WHEN", "RESULT", "NAME", "COMMAND"]
    assert [line.split()[0] for line in some.text.splitlines()[1:]] == newest[:2]
    assert b"--limit 0" in some.stderr
    assert service.cli("list", "--limit", "0").stderr == b""


def on_terminal(service, columns, *args):
    """What is written to a terminal of that width."""
    ours, theirs = pty.openpty()
    env = {**service.env, "COLUMNS": str(columns)}
    process = subprocess.Popen([TSCHED, *args], env=env, stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL)
    os.close(theirs)
    shown = []

    def read():
        try:
            while piece := os.read(ours, 65536):
                shown.append(piece)
        except OSError:  # the terminal is gone with its last user
            pass

    reader = threading.Thread(target=read)
    reader.start()
    assert process.wait(30) == 0
    reader.join()
    os.close(ours)
    return b"".join(shown).decode()


def test_on_a_terminal_the_list_fits_and_hides_no_trick(service):
    name = "evil\x1b[2J\u202e\nname"
    service.cli("schedule", "--in", "1h", "--name", name, "--", "echo", "x" * 300, "\x1b]0;title\x07")
    shown = on_terminal(service, 70, "list")
    assert all(len(line) <= 70 for line in shown.splitlines())
    assert len(shown.splitlines()) == 2
    whole = service.cli("list").text
    for text in (shown, whole):
        assert not set(text) & {"\x1b", "\u202e", "\x07"}
    assert r"evil\x1b[2J\u202e\nname" in whole
    assert "x" * 300 in whole
    assert service.json("list")[0]["name"] == name


def test_logs_are_cut_split_and_followed(service):
    line = "for n in 1 2 3; do echo o$n; echo e$n >&2; done; printf 'no end'"
    service.cli("run", "--id", "t", "--command", line)
    whole = service.cli("logs", "t")
    assert (whole.stdout, whole.stderr) == (b"o1\no2\no3\nno end", b"e1\ne2\ne3\n")
    assert service.cli("logs", "t", "--stream", "err").stdout == b"e1\ne2\ne3\n"
    assert service.cli("logs", "--id", "t", "--tail", "2", "--stream", "out").text == "o3\nno end"
    pieces = service.cli("logs", "t", "--json").lines
    assert "".join(piece["text"] for piece in pieces if piece["stream"] == "err") == "e1\ne2\ne3\n"
    slow = "echo first; while [ ! -e go ]; do sleep 0.05; done; echo last"
    service.cli("run", "-d", "--id", "slow", "--command", slow)
    follower = service.spawn("logs", "-f", "slow", stdin=subprocess.DEVNULL)
    assert follower.stdout.readline() == b"first\n"
    (service.base / "go").touch()
    assert follower.communicate(timeout=20)[0] == b"last\n"
    assert follower.returncode == 0
    assert refused(service, "logs", "nobody") == (1, "no_such_task")


def test_status_is_the_verb_of_a_call_without_one(service):
    service.cli("run", "--", "true")
    status = service.json("status")
    assert (status["pid"], status["state_dir"], status["socket"]) == (
        service.pid,
        str(service.state_dir),
        str(service.socket),
    )
    assert status["tasks"]["succeeded"] == 1
    assert service.cli().stdout.splitlines()[1:] == service.cli("status").stdout.splitlines()[1:]
    assert service.cli("--json").json["pid"] == service.pid
    assert b"1 succeeded" in service.cli("status").stdout


def test_the_doctor_says_what_was_looked_at(service):
    service.cli("run", "--", "true")
    answer = service.json("doctor")
    assert [each for each in answer["findings"] if each["severity"] == "problem"] == []
    assert len(answer["checked"]) > 5
    assert "checked: " in service.cli("doctor").text


def test_global_words_may_stand_before_the_verb_or_behind_it(service):
    env = {"TSCHED_SOCKET": "", "TSCHED_STATE_DIR": ""}
    socket = str(service.socket)
    for words in (["--socket", socket, "--json", "list"], ["list", "--socket", socket, "--json"]):
        assert service.cli(*words, env=env).json == []
    assert service.cli(f"--socket={socket}", "list", env=env).stderr == b"tsched: no tasks\n"
