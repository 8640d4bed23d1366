"""Steering what is there already, and hearing what happens, with a real service that may die meanwhile."""

import base64
import json
import os
import subprocess

from support.wait import until


def kinds(service, task):
    return [line["event"] for line in service.cli("events", "--id", task).lines]


def reason(service, *words):
    """Why it is refused."""
    done = service.cli(*words, "--json", check=False)
    assert done.code == 1, str(done)
    return done.json["error"]["reason"]


def test_a_task_is_held_released_retried_and_paused(service):
    service.cli("schedule", "--in", "1h", "--id", "later", "--", "sh", "-c", "echo out; exit 3")
    assert service.json("hold", "later")["state"] == "held"
    service.cli("modify", "later", "--in", "0")
    assert "waits for  tsched release later" in service.cli("show", "later").text
    assert service.cli("release", "later").word == "later"
    assert service.cli("wait", "later", check=False).code == 3
    assert reason(service, "release", "later") == "wrong_state"
    again = service.cli("retry", "later").word
    assert service.cli("wait", again, check=False).code == 3
    assert service.task(again)["retry_of"] == "later"
    assert kinds(service, "later")[-3:] == ["started", "attempt_ended", "failed"]
    service.cli("run", "-d", "--id", "work", "--", "sleep", "600")
    until(lambda: service.task("work")["started_at"])
    assert service.json("pause", "work")["paused_at"]
    assert all("running (paused)" in service.cli(*words).text for words in (["list"], ["show", "work"], ["status"]))
    assert service.json("resume", "work")["paused_at"] is None
    assert reason(service, "retry", "work") == "wrong_state"
    assert service.task("work")["attempts"][0]["paused_s"] > 0
    done = service.cli("cancel", "nobody", "work", again, "--json", check=False)
    first, second, third = done.json
    assert (done.code, first["error"]["reason"], second["id"]) == (1, "no_such_task", "work")
    assert (third["id"], third["error"]["reason"]) == (again, "wrong_state")
    service.cli("wait", "work", check=False)
    assert service.cli("delete", again, "work", "later").text.split() == [again, "work", "later"]
    assert service.json("list") == []
    assert kinds(service, "work")[-1] == "deleted"


def test_a_result_is_the_commands_bytes_and_exit_code(service):
    data = os.urandom(700_000)
    (service.base / "data").write_bytes(data)
    service.cli("run", "-d", "--id", "b", "--command", "cat data; echo err >&2; exit 7")
    service.cli("run", "-d", "--id", "killed", "--command", "echo x; kill -9 $$")
    service.cli("wait", "b", "killed", check=False)
    done = service.cli("result", "b", check=False)
    assert (done.code, done.stdout, done.stderr) == (7, data, b"")
    done = service.cli("result", "b", "--json", check=False)
    assert (done.code, done.json["stderr"]) == (7, "err\n")
    assert base64.b64decode(done.json["stdout_base64"]) == data
    done = service.cli("result", "killed", check=False)
    assert (done.code, done.stdout) == (137, b"x\n")
    assert b"SIGKILL" in done.stderr
    service.cli("schedule", "--in", "1h", "--id", "later", "--", "true")
    assert reason(service, "result", "later") == "wrong_state"


def test_of_an_output_over_its_cap_the_result_says_what_is_missing(make_service):
    service = make_service("[tasks]\noutput_cap_bytes = 65_536\n")
    service.cli("run", "-d", "--id", "t", "--command", "head -c 500000 /dev/zero")
    service.cli("wait", "t")
    done = service.cli("result", "t")
    assert done.stderr == b"tsched: %d bytes of stdout were not kept (output cap)\n" % (500_000 - len(done.stdout))
    answer = service.json("result", "t")
    assert len(answer["stdout"]) + answer["gap_bytes"] == 500_000


def test_events_are_followed_over_deaths_of_the_supervisor_each_once(service):
    follower = service.spawn("events", "-f", "--after", "0", stdin=subprocess.DEVNULL)
    service.cli("run", "-d", "--id", "a", "--command", "while [ ! -e go ]; do sleep 0.05; done")
    lines = [json.loads(follower.stdout.readline())]
    for number in range(2):
        service.restart()
        service.cli("run", "--id", f"b{number}", "--", "true")
    (service.base / "go").touch()
    service.cli("wait", "a")
    everything = service.cli("events").lines
    lines += [json.loads(follower.stdout.readline()) for _ in everything[1:]]
    assert lines == everything
    assert [line["task"] for line in everything if line["event"] == "succeeded"] == ["b0", "b1", "a"]
    assert service.cli("events", "--after", str(lines[3]["cursor"])).lines == lines[4:]
    assert reason(service, "events", "--after", "999999") == "no_such_cursor"


def test_who_follows_from_now_on_hears_what_comes(service):
    service.cli("run", "--id", "before", "--", "true")
    service.cli("schedule", "--in", "1h", "--id", "x", "--", "true")
    follower = service.spawn("events", "-f", "--id", "x", "--id", "y", stdin=subprocess.DEVNULL)
    os.set_blocking(follower.stdout.fileno(), False)

    def heard():
        service.cli("modify", "x", "--in", "1h")
        service.cli("modify", "before", "--in", "1h", check=False)
        return follower.stdout.read()

    lines = [json.loads(line) for line in until(heard).splitlines()]
    assert {(line["task"], line["event"]) for line in lines} == {("x", "modified")}


def test_a_list_is_narrowed_to_what_came_since(service):
    service.cli("run", "--id", "a", "--", "true")
    service.cli("run", "--id", "b", "--", "true")
    since = service.task("b")["created_at"]
    assert [task["id"] for task in service.json("list", "--since", since)] == ["b"]
    assert [task["id"] for task in service.json("list", "--since", "1h")] == ["b", "a"]
