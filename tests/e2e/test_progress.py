"""A terminal shows how far a wait is, below what is said; nothing else ever gets to see a bar."""

import fcntl
import os
import select
import signal
import struct
import subprocess
import termios

import pytest

from support.service import TSCHED
from support.wait import until

COLUMNS = 80
BAR = "tasks/s"


class Screen:
    """A terminal of 80 columns on which a command runs."""

    def __init__(self, service, *words, env=None, stdout=None):
        self.descriptor, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
        self.modes = termios.tcgetattr(theirs)
        self._theirs = theirs
        self.text = ""
        self.process = subprocess.Popen(
            ["setsid", "--ctty", TSCHED, *words],
            stdin=theirs,
            stdout=stdout or theirs,
            stderr=theirs,
            cwd=service.base,
            env={**service.env, "TERM": "xterm-256color", **(env or {})},
        )

    def read(self):
        while select.select([self.descriptor], [], [], 0)[0]:
            self.text += os.read(self.descriptor, 65536).decode()
        return self.text

    def shows(self, text):
        until(lambda: text in self.read(), what=f"{text!r} in {self.text!r}")

    def ends(self, code):
        until(lambda: self.read() is not None and self.process.poll() is not None)
        assert self.process.returncode == code, self.text
        assert termios.tcgetattr(self._theirs) == self.modes
        os.close(self._theirs)
        self.read_to_end()
        return self.text

    def read_to_end(self):
        try:
            while piece := os.read(self.descriptor, 65536):
                self.text += piece.decode()
        except OSError:  # how a terminal says that nobody is there any more
            os.close(self.descriptor)


@pytest.fixture
def lists(service):
    (service.base / "list").write_text("1\n2\n3\n4\n")
    return service


LINE = "until [ -e go ]; do sleep 0.02; done; echo err >&2; exit $((TSCHED_ITEM == 2))"


def test_each_line_has_a_bar_below_what_is_said(lists):
    screen = Screen(lists, "run", "--each-line", "list", "--command", LINE)
    screen.shows("0/4")
    (lists.base / "go").touch()
    text = screen.ends(1)
    # What a terminal keeps of a line is what was written behind its last return.
    kept = [line.rsplit("\r", 1)[-1].rstrip() for line in text.replace("\r\n", "\n").split("\n")]
    assert any("(2) failed: exit 1, its last lines:" in line for line in kept)
    assert "    err" in kept
    [bar] = [line for line in kept if BAR in line]
    assert bar.startswith("4/4 ")
    assert "100%" in bar
    assert "1 failed" in bar
    assert all(len(line) <= COLUMNS for line in kept)
    assert "\x1b[3" not in text, "it is in colour"
    assert "\x1b[?25l" not in text, "it hides the cursor"
    assert text.endswith("\r\n")


def test_several_that_are_waited_for_have_one_and_their_lines_stay_whole(service):
    ids = [service.cli("run", "-d", "--command", "until [ -e go ]; do sleep 0.02; done").word for _ in range(2)]
    screen = Screen(service, "wait", *ids)
    screen.shows("0/2")
    (service.base / "go").touch()
    kept = [line.rsplit("\r", 1)[-1].rstrip() for line in screen.ends(0).replace("\r\n", "\n").split("\n")]
    assert {f"{each} succeeded exit 0" for each in ids} <= set(kept)
    assert sum(BAR in line for line in kept) == 1


def test_ctrl_c_leaves_the_terminal_as_it_was(lists):
    screen = Screen(lists, "run", "--each-line", "list", "--command", LINE)
    screen.shows("0/4")
    os.write(screen.descriptor, b"\x03")
    screen.shows("asking 4 tasks to stop; once more kills them\r\n")
    text = screen.ends(1)
    assert text.endswith("4 did not succeed (tsched list --state failed,cancelled,skipped shows them)\r\n")
    ids = [task["id"] for task in lists.json("list")]
    held = lists.cli("schedule", "--hold", "--command", "true").word
    screen = Screen(lists, "wait", held, *ids[:1])
    screen.shows("1/2")
    screen.process.send_signal(signal.SIGINT)
    assert screen.ends(130).endswith("\r\n")
    lists.cli("cancel", held)


@pytest.mark.parametrize(
    ("words", "env"),
    [(["--json"], {}), ([], {"TERM": "dumb"}), (["-d"], {})],
    ids=["json", "dumb", "detached"],
)
def test_where_it_would_be_in_the_way_there_is_none(lists, words, env):
    screen = Screen(lists, "run", *words, "--each-line", "list", "--command", "true", env=env)
    assert BAR not in screen.ends(0)


def test_one_task_is_waited_for_in_silence_and_a_pipe_gets_no_bar(lists):
    one = lists.cli("run", "-d", "--", "true").word
    assert Screen(lists, "wait", one).ends(0) == f"{one} succeeded exit 0\r\n"
    done = lists.cli("run", "--each-line", "list", "--", "true", env={"TERM": "xterm"})
    assert (done.stdout, done.stderr) == (b"", b"")


STEPS = """
from pathlib import Path
from time import sleep

from tsched import current, task


@task
def work(go: str) -> int:
    current().progress(30, "of the rows", total=200)
    while not Path(go).exists():
        sleep(0.02)
    return 7
"""


def test_a_wait_for_a_function_shows_how_far_that_says_it_is(make_service, tmp_path):
    (tmp_path / "steps.py").write_text(STEPS)
    service = make_service(f'[library]\nfolder = "{tmp_path}"\n')
    task = service.cli("call", "-d", "steps::work", str(service.base / "go")).word
    screen = Screen(service, "wait", task)
    screen.shows("15%")
    screen.shows("30/200")
    screen.shows("of the rows")
    assert "15% of the rows" in service.cli("list").text
    assert service.task(task)["progress"]["done"] == 30
    (service.base / "go").touch()
    assert f"{task} succeeded" in screen.ends(0)
    assert service.cli("result", task).text == "7\n"
