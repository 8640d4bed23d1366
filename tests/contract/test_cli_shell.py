"""The shell does lines, typed at a real terminal or piped, survives whatever they do, and completes what is typed."""

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import termios

import pytest

from support.fake_api import answering, refusing, streaming
from support.service import TSCHED
from support.wait import until
from tsched.cli import shell
from tsched.proto import api_pb2 as api

PROMPT = "tsched>"
CONTROL = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|[=>])")


@pytest.fixture
def environment(fake, tmp_path):
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "TERM": "xterm",
        "PROMPT_TOOLKIT_NO_CPR": "1",  # nobody here answers where the cursor is
        "TSCHED_SOCKET": str(fake.socket),
        "XDG_STATE_HOME": str(tmp_path / "xdg"),
    }


class Terminal:
    """A shell at which somebody types."""

    def __init__(self, environment, *words):
        self.descriptor, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 200, 0, 0))
        argv = ["setsid", "--ctty", TSCHED, *(words or ["shell"])]
        self.process = subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
        self.modes = termios.tcgetattr(theirs)
        self._theirs = theirs
        self.shown = ""

    def type(self, text):
        self.shown = ""
        os.write(self.descriptor, text.encode())

    def shows(self, *words):
        """Waits until all of the words stand there."""

        def all_there():
            self._read()
            return all(word in self.shown for word in words)

        until(all_there, what=f"{words} in {self.shown!r}", timeout_s=30)

    def _read(self):
        try:
            while select.select([self.descriptor], [], [], 0)[0]:
                self.shown += CONTROL.sub("", os.read(self.descriptor, 65536).decode(errors="replace"))
        except OSError:  # how a terminal says that nobody is there any more
            return

    def does(self, line, *words, code=0):
        """Types a line at the prompt and waits for what it shows, and for the next prompt."""
        prompt = f"tsched [{code}]>" if code else PROMPT
        self.type(f"{line}\r")
        until(lambda: self._stands_at(prompt, words), timeout_s=30, what=f"{words} and {prompt} behind {line!r}")

    def _stands_at(self, prompt, words):
        self._read()
        return self.shown.rstrip().endswith(prompt) and all(word in self.shown for word in words)

    def ends(self):
        """Its exit code, once it has ended and left the terminal as it was."""
        until(lambda: [self._read(), self.process.poll() is not None][1], timeout_s=30, what=f"it ends: {self.shown!r}")
        assert termios.tcgetattr(self._theirs) == self.modes
        return self.process.returncode

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.descriptor)
        os.close(self._theirs)


@pytest.fixture
def terminal(environment):
    terminal = Terminal(environment)
    try:
        terminal.shows(PROMPT)
        yield terminal
    finally:
        terminal.close()


def piped(environment, lines, *words):
    done = subprocess.run(
        [TSCHED, "shell", *words], input=lines.encode(), check=False, capture_output=True, env=environment, timeout=60
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def submitted(fake, task):
    fake.on["Submit"] = answering(api.SubmitResponse(tasks=[api.Submitted(id=task, state="ready")]))


def test_at_a_terminal_lines_are_done_and_codes_are_shown(fake, terminal, tmp_path):
    fake.on["List"] = answering(api.ListResponse(tasks=[api.Task(id="42", state="ready", name="mine")]))
    fake.on["Get"] = refusing("NOT_FOUND", "no_such_task", "no task 9", "tsched list")
    terminal.does("list", "42", "mine")
    terminal.does("show 9", "no task 9", code=1)
    terminal.does("", code=1)
    terminal.does("nonsense", "unknown verb: nonsense", code=2)
    terminal.does("run 'x", "cannot read this line", code=2)
    terminal.does("up", "up -d", code=2)
    terminal.does("shell", "this is the shell", code=2)
    terminal.does("help", "unload", "schedule", "exit")
    terminal.does("help wait", "--timeout")
    terminal.type("exit\r")
    assert terminal.ends() == 0
    history = tmp_path / "xdg" / "tsched" / "shell_history"
    assert "+show 9" in history.read_text()
    assert history.stat().st_mode & 0o777 == 0o600


def test_lines_that_are_pasted_at_once_are_done_one_after_the_other(fake, terminal):
    fake.on["Delete"] = answering(api.DeleteResponse())
    terminal.type("\x1b[200~delete 1\ndelete 2\n\ndelete '3'\x1b[201~\r")
    until(lambda: len(fake.requests("Delete")) == 3, what="all that was pasted is done", timeout_s=30)
    assert [each.id for each in fake.requests("Delete")] == ["1", "2", "3"]
    assert list(shell.commands("run -- sh -c 'a\nb'\nlist")) == ["run -- sh -c 'a\nb'", "list"]


def test_words_are_completed(fake, terminal):
    fake.on["List"] = answering(api.ListResponse(tasks=[api.Task(id="number-42", state="ready")]))
    fake.on["Functions.List"] = answering(api.FunctionsResponse(functions=[api.Function(name="math::add")]))
    fake.on["Delete"] = answering(api.DeleteResponse())
    terminal.type("del\t")
    terminal.shows("ete")  # what is there already is not drawn again
    terminal.type(" num\t")
    terminal.shows("ber-42")
    terminal.type("\r")
    until(lambda: fake.requests("Delete"))
    assert fake.requests("Delete")[0].id == "number-42"
    terminal.shows(PROMPT)
    submitted(fake, "7")
    terminal.type("call -d ma\t")
    terminal.shows("th::add")
    terminal.type(" 1\r")
    until(lambda: fake.requests("Submit"))
    assert fake.requests("Submit")[0].tasks[0].call.function == "math::add"


def test_ctrl_c_ends_what_a_line_does_and_not_the_shell(fake, terminal):
    def for_ever(request, context):
        yield api.EventBatch(cursor=1)
        while context.is_active():
            select.select([], [], [], 0.02)

    fake.on["Events"] = for_ever
    terminal.type("events -f\r")
    until(lambda: fake.requests("Events"))
    terminal.type("\x03")
    terminal.shows("tsched [130]>")
    terminal.type("half a line\x03")
    terminal.shows("tsched [130]>")
    fake.on["List"] = answering(api.ListResponse())
    terminal.does("list", "no tasks")


def test_ctrl_c_at_a_run_is_meant_for_its_task(fake, terminal):
    ends = []

    def cancel(request, context):
        ends.append(request.id)
        return api.Task(id="7", state="running")

    def run(request, context):
        yield api.RunEvent(submitted=api.Submitted(id="7", state="ready"))
        yield api.RunEvent(output=api.Output(stream="out", data=b"it runs\n"))
        until(lambda: ends)
        yield api.RunEvent(ended=api.Task(id="7", state="cancelled", reason="cancelled", signal=15))

    fake.on["Run"], fake.on["Cancel"] = run, cancel
    terminal.type("run -- sleep 60\r")
    terminal.shows("it runs")
    terminal.type("\x03")
    terminal.shows("task 7 cancelled", "tsched [143]>")
    assert ends == ["7"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_and_leaves_the_terminal_as_it_was(number, terminal):
    terminal.process.send_signal(number)
    assert terminal.ends() == 128 + number


def test_ctrl_d_leaves(terminal):
    terminal.type("\x04")
    assert terminal.ends() == 0


def test_piped_lines_are_done_in_their_order(fake, environment):
    fake.on["List"] = answering(api.ListResponse(tasks=[api.Task(id="42", state="ready")]))
    ended = api.Task(id="7", state="failed", reason="exit_code", exit_code=3)
    fake.on["Run"] = streaming(api.RunEvent(submitted=api.Submitted(id="7")), api.RunEvent(ended=ended))
    lines = "# a remark\n\nlist\nrun -- cat\nnonsense\ntsched --version\nrun -- false\n"
    code, out, err = piped(environment, lines)
    assert (code, out.splitlines()[1].split()) == (3, ["42", "ready"])
    assert out.splitlines()[2].startswith("tsched ")
    assert [line for line in err.splitlines() if "line" in line] == [
        "tsched: line 4: exit code 3", "tsched: line 5: exit code 2", "tsched: line 7: exit code 3",
    ]  # fmt: skip
    assert [request.task.HasField("stdin") for request in fake.requests("Run")] == [False, False]


def test_exit_ends_it_there_and_the_last_line_needs_no_newline(fake, environment):
    assert piped(environment, "list\nexit\nnonsense\n")[0] == 125  # this supervisor knows no List
    assert piped(environment, "exit")[0] == 0
    assert piped(environment, "")[0] == 0
    assert piped(environment, "\udcff".encode("utf-8", "surrogateescape").decode("latin-1"))[0] == 2


def test_the_flags_of_the_shell_are_those_of_every_line(fake, environment):
    fake.on["List"] = answering(api.ListResponse())
    elsewhere = {**environment, "TSCHED_SOCKET": "/nowhere"}
    code, out, _ = piped(elsewhere, "list\n", "--socket", str(fake.socket), "--json")
    assert (code, out) == (0, "[]\n")
    assert piped(elsewhere, "list\n")[0] == 69


def test_plugins_are_steered_by_short_words(fake, environment):
    plugin = api.Plugin(name="math", kind="python", state="loaded")
    for method in ("Plugins", "Load", "Unload", "Functions.Reload"):
        fake.on[method] = answering(api.PluginsResponse(plugins=[plugin]))
    assert piped(environment, "plugins\nload math\nunload math\nreload\nreload math\n")[0] == 0
    asked = [(method, getattr(request, "name", "")) for method, request in fake.asked if method != "Status"]
    assert asked == [
        ("Plugins", ""), ("Load", "math"), ("Unload", "math"), ("Functions.Reload", ""), ("Functions.Reload", "math"),
    ]  # fmt: skip
