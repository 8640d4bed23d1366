"""Functions, dependencies and workflows as a user types them, with a real service; and a shell with one of its own."""

import fcntl
import json
import os
import select
import signal
import struct
import subprocess
import termios

import pytest

from support.service import TSCHED
from support.wait import until

FLOW = """
[tasks.fetch]
array = ["a b", "c"]
command = "echo got {item}"
[tasks.n]
array = 3
function = "add"
args = ["{item}", 10]
after = ["fetch"]
[tasks.total]
function = "sum_list"
args = [{ result_of = "n" }]
[tasks.never]
function = "fail"
[tasks.child]
command = "true"
after = ["never"]
[tasks.handler]
command = "echo handled"
after = ["never:fail", "child:any"]
"""


def test_a_call_prints_its_result_and_exits_with_zero_or_one(service):
    assert service.cli("call", "add", "1", "2").text == "3\n"
    assert service.cli("call", "echo", '{"a": [null, {"@bytes": "AP8="}]}').json == {"a": [None, {"@bytes": "AP8="}]}
    failed = service.cli("call", "fail", "on purpose", check=False)
    assert (failed.code, failed.stdout) == (1, b"")
    assert b"RuntimeError: on purpose" in failed.stderr.splitlines()[-1]
    assert service.cli("call", "add", "1", "x", check=False).code == 2
    assert service.cli("call", "ad", "1", "2", check=False).code == 1


def test_a_result_is_kept_and_passed_on(service):
    first = service.cli("call", "-d", "add", "1", "2").word
    assert service.cli("call", "add", f"@result:{first}", "0.5").text == "3.5\n"
    assert service.cli("result", first).text == "3\n"
    shown = service.task(first)
    assert (shown["function"], shown["args"], shown["result"], shown["command"]) == ("add", [1, 2], 3, None)


def test_what_waits_says_for_what_and_can_be_told_otherwise(service):
    blocker = service.cli("run", "-d", "--", "sleep", "60").word
    child = service.cli("call", "-d", "add", "1", "2", "--after", blocker).word
    assert service.task(child)["state"] == "blocked"
    causes = service.json("why", child)["causes"]
    assert (causes[0]["kind"], causes[0]["task"]) == ("dependency", blocker)
    assert service.cli("graph", child).text.splitlines()[1].startswith(f"{child}  blocked")
    service.cli("modify", child, "--after", f"{blocker}:fail")
    assert [each["condition"] for each in service.task(child)["after"]] == ["fail"]
    service.cli("cancel", blocker)
    assert service.cli("wait", child).text == f"{child} succeeded\n"
    circle = service.cli("modify", service.cli("call", "-d", "add", "1", "2", "--hold").word, "--no-after")
    assert service.task(circle.word)["after"] == []


def test_a_function_is_tried_as_often_as_was_asked(service):
    failed = service.cli("call", "fail", "--retries", "2", "--retry-delay", "10ms", "--id", "thrice", check=False)
    assert failed.code == 1
    assert [each["state"] for each in service.task("thrice")["attempts"]] == ["failed"] * 3


def test_a_workflow_runs_to_its_end(service):
    (service.base / "flow.toml").write_text(FLOW)
    ids = {each["task"]: each["id"] for each in service.json("submit", "flow.toml")}
    assert service.cli("wait", *ids.values(), check=False).code == 1
    assert service.cli("result", ids["total"]).text == "33\n"
    states = {name: service.task(task)["state"] for name, task in ids.items()}
    assert {name for name, state in states.items() if state != "succeeded"} == {"never", "child"}
    assert states["child"] == "skipped"
    assert service.cli("logs", ids["fetch.0"]).text == "got a b\n"
    nodes = [each["id"] for each in service.json("graph", ids["total"])["nodes"]]
    assert set(nodes) == {ids[name] for name in ("fetch.0", "fetch.1", "n.0", "n.1", "n.2", "total")}


def test_a_workflow_is_stored_whole_or_not_at_all(service):
    (service.base / "flow.toml").write_text(FLOW + '[tasks.bad]\nfunction = "add"\nargs = ["x", 1]\n')
    refused = service.cli("submit", "flow.toml", check=False)
    assert (refused.code, refused.stdout) == (2, b"")
    assert service.json("list") == []


class Terminal:
    """A terminal on which a command runs."""

    def __init__(self, service, *words):
        self.descriptor, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 200, 0, 0))
        env = {**service.env, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"}
        argv = ["setsid", "--ctty", TSCHED, *words]
        self.process = subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs, env=env, cwd=service.base)
        os.close(theirs)
        self.shown = ""

    def type(self, text):
        self.shown = ""
        os.write(self.descriptor, text.encode())

    def shows(self, *words):
        until(lambda: all(word in self.read() for word in words), timeout_s=30, what=f"{words}")

    def read(self):
        try:
            while select.select([self.descriptor], [], [], 0)[0]:
                self.shown += os.read(self.descriptor, 65536).decode(errors="replace")
        except OSError:  # how a terminal says that nobody is there any more
            pass
        return self.shown

    def ends(self):
        until(lambda: [self.read(), self.process.poll() is not None][1], timeout_s=30)
        os.close(self.descriptor)
        return self.process.returncode


@pytest.mark.parametrize("leave", ["exit\r", "\x04", signal.SIGTERM], ids=["exit", "ctrl-d", "sigterm"])
def test_a_shell_with_a_supervisor_of_its_own_ends_it_when_it_is_left(leave, service):
    service.stop()
    terminal = Terminal(service, "up", "--cli")
    terminal.shows("ends with this shell", "tsched>")
    terminal.type("call add 20 22\r")
    terminal.shows("42")
    terminal.type("run -- sh -c 'exit 3'\r")
    terminal.shows("tsched [3]>")
    if isinstance(leave, signal.Signals):
        terminal.process.send_signal(leave)
    else:
        terminal.type(leave)
    assert terminal.ends() == (143 if leave is signal.SIGTERM else 0)
    assert service.cli("status", check=False).code == 69
    service.start()
    assert [each["state"] for each in service.json("list")] == ["failed", "succeeded"]


def test_up_with_a_shell_is_refused_where_a_supervisor_runs(service):
    refused = service.cli("up", "--cli", check=False)
    assert (refused.code, refused.stderr.count(b"\n")) == (1, 1)
    assert service.cli("up", "--cli", "-d", check=False).code == 2


def test_a_shell_does_piped_lines_with_a_real_service(service):
    lines = b"call add 1 2\nrun -- cat\nplugins\nlist --json\n"
    done = service.cli("shell", input=lines)
    assert done.text.startswith("3\n")
    assert "builtin" in done.text
    assert [each["state"] for each in json.loads(done.text.splitlines()[-1])] == ["succeeded", "succeeded"]
