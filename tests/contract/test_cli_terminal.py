"""On a real terminal: what is shown fits it, is coloured where that is wanted, and nobody's text takes it over."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading

import pytest

from support.fake_api import FakeApi, answering, streaming
from support.service import TSCHED
from tsched.cli import escape
from tsched.proto import api_pb2 as api

STYLE = re.compile(r"\x1b\[[0-9]*m")
EVIL = "a\nb\tc\x1b[2J\x07\x9b31m\x85\u202e\u2066\u200f\u061c\u200b\x00z" + "\u0301" * 40
WIDE = "漢字かな交じり文 🎉 grüße e\u0301"


@pytest.fixture
def fake(tmp_path, monkeypatch):
    monkeypatch.setenv("TSCHED_SOCKET", str(tmp_path / "s"))
    fake = FakeApi(tmp_path / "s")
    tasks = [
        api.Task(id="1", state="failed", name=EVIL, queue=EVIL, reason="exit_code", exit_code=3, finished_at_us=1),
        api.Task(id="2", state="running", name=WIDE, started_at_us=1),
        api.Task(id="an-id-of-the-users-own", state="scheduled", name="plain", message=EVIL),
    ]
    for task in tasks:
        task.command.argv.args[:] = ["echo", "x" * 300, EVIL]
    fake.on["List"] = answering(api.ListResponse(tasks=tasks))
    fake.on["Get"] = answering(tasks[0])
    executor = api.ExecutorStatus(pid=7, state="attached", slots=4, version="1", id="e" * 32)
    fake.on["Status"] = answering(api.StatusResponse(state_dir=EVIL, tasks={"failed": 1}, executors=[executor] * 3))
    yield fake
    fake.stop()


def shown(*words, columns=80, stderr=False, **env):
    """What a call writes to a terminal of that size (its stdout, or its stderr), line by line."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    usual = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR")}
    streams = {"stdout": subprocess.DEVNULL, "stderr": theirs} if stderr else {"stdout": theirs, "stderr": 2}
    process = subprocess.Popen(
        [TSCHED, *words], env={**usual, "TERM": "xterm", **env}, stdin=theirs, **streams, start_new_session=True
    )
    os.close(theirs)
    pieces = []
    reader = threading.Thread(target=_read, args=(ours, pieces))
    reader.start()
    process.wait(30)
    reader.join()
    os.close(ours)
    return b"".join(pieces).decode().removesuffix("\r\n").split("\r\n")


def _read(terminal, pieces):
    try:
        while piece := os.read(terminal, 65536):
            pieces.append(piece)
    except OSError:  # the terminal is gone with its last user
        pass


@pytest.mark.parametrize("columns", [30, 80, 1000])
def test_a_table_has_a_line_for_each_task_and_fits(columns, fake):
    for lines in (shown("list", columns=columns), shown("list", COLUMNS=str(columns))):
        plain = [STYLE.sub("", line) for line in lines]
        assert len(plain) == 4
        assert max(map(escape.width, plain)) <= columns
        assert ("…" in "".join(plain)) == (columns < 1000)


@pytest.mark.parametrize("words", [["list"], ["show", "1"], ["status"], ["list", "--json"], ["show", "1", "--json"]])
def test_no_text_of_others_moves_the_cursor_or_turns_the_line_round(words, fake):
    for text in ("\n".join(shown(*words, columns=5000)), subprocess.check_output([TSCHED, *words], text=True)):
        rest = STYLE.sub("", text).replace("\n", "")
        assert rest.isprintable()
        assert "\u0301" * 7 not in rest or "--json" in words


def test_a_mistake_is_repeated_to_the_terminal_without_its_tricks(fake):
    for words in ([EVIL.replace("\0", "")], ["list", "--state", EVIL.replace("\0", "")], ["show", "a\udcffb"]):
        [line] = shown(*words, stderr=True, columns=5000)
        assert line.isprintable()


@pytest.mark.parametrize(
    ("words", "env", "coloured"),
    [
        ([], {}, True),
        ([], {"NO_COLOR": ""}, True),
        ([], {"NO_COLOR": "0"}, False),
        ([], {"TERM": "dumb"}, False),
        ([], {"TERM": ""}, False),
        (["--color", "never"], {}, False),
        (["--color=always"], {"NO_COLOR": "1"}, True),
    ],
)
def test_only_the_words_for_states_are_coloured_and_only_where_that_is_wanted(words, env, coloured, fake):
    lines = shown("list", *words, **env)
    assert ("\x1b[31mfailed\x1b[0m" in lines[1]) is coloured
    assert len(STYLE.findall("".join(lines))) == (4 if coloured else 0)
    for verb in (["show", "1"], ["status"]):
        assert bool(STYLE.search("".join(shown(*verb, *words, **env)))) is coloured


def test_what_is_no_terminal_gets_all_of_it_in_no_colour(fake):
    text = subprocess.check_output([TSCHED, "list"], text=True, env={**os.environ, "COLUMNS": "30", "TERM": "xterm"})
    assert "\x1b" not in text
    assert "x" * 300 in text
    assert "\x1b[31m" in subprocess.check_output([TSCHED, "list", "--color", "always"], text=True)


def progress(**fields):
    told = api.TaskProgress(id="7", attempt=1, progress=api.Progress(**fields))
    return api.TaskBatch(progress=[told])


def test_a_wait_for_one_task_shows_how_far_that_says_it_is(fake):
    steps = [progress(done=done, total=200, text="rows" + EVIL) for done in (20, 80)]
    steps += [progress(done=9, text="nobody knows"), progress(done=float("nan"), total=float("inf"))]
    fake.on["Wait"] = streaming(*steps, api.TaskBatch(tasks=[api.Task(id="7", state="succeeded")]))
    text = "\n".join(shown("wait", "7", stderr=True, columns=100))
    assert " 40% " in text
    assert "80/200" in text
    assert "rowsa\\nb\\tc\\x1b[2J" in text
    assert "nobody knows" in text
    assert fake.requests("Wait")[0].progress


@pytest.mark.parametrize("words", [["7", "8"], ["7", "--json"]], ids=str)
def test_nobody_is_asked_for_progress_that_is_not_shown(words, fake):
    fake.on["Wait"] = streaming(api.TaskBatch(tasks=[api.Task(id=each, state="succeeded") for each in "78"]))
    shown("wait", *words, stderr=True)
    assert not fake.requests("Wait")[0].progress
