"""What is shown fits the terminal, and nobody's text can take the terminal over."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsched.cli import colour, escape, table, views
from tsched.proto import api_pb2 as api

NOW = 1_795_351_104_000_000
SECOND = 1_000_000


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("a\nb", r"a\nb"),
        ("a\r\tb", r"a\r\tb"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\0b", r"a\0b"),
        ("\x9b31m", r"\x9b31m"),
        ("abc\u202exyz", r"abc\u202exyz"),
        ("a\u2028b\u2029", r"a\u2028b\u2029"),
        ("\udcff", r"\udcff"),
        ("\U000e0041", r"\U000e0041"),
        ("a\u061cb\u200e\u200fc\u2066d\u2069", r"a\u061cb\u200e\u200fc\u2066d\u2069"),
        ("\u202a\u202b\u202c\u202d", r"\u202a\u202b\u202c\u202d"),
        ("a\u200bb\u2060c\ufeff", r"a\u200bb\u2060c\ufeff"),
        ("\x7f\x85\x90", r"\x7f\x85\x90"),
        ("blank \u3164 \uffa0", r"blank \u3164 \uffa0"),
        ("z" + "\u0301" * 9, "z" + "\u0301" * 6 + r"\u0301" * 3),
        ("grüße 漢字 🎉", "grüße 漢字 🎉"),
        ("e\u0301 שלום ไทย", "e\u0301 שלום ไทย"),
    ],
)
def test_what_could_move_the_cursor_or_reorder_text_is_escaped(text, shown):
    assert escape.line(text) == shown


@given(st.text())
def test_no_control_format_or_surrogate_character_is_ever_shown(text):
    assert not {unicodedata.category(each) for each in escape.line(text)} & {"Cc", "Cf", "Cs", "Zl", "Zp"}


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("abc", 3),
        ("漢字", 4),
        ("🎉", 2),
        ("e\u0301", 1),
        ("\u2764\ufe0f", 2),
        ("\u1112\u1161\u11ab", 2),
        ("\uff48\uff41", 4),
        ("ﾊ", 1),
    ],
)
def test_the_columns_of_a_text_are_those_of_a_terminal(text, columns):
    assert escape.width(text) == columns


@given(st.text(), st.integers(min_value=1, max_value=30))
def test_a_text_that_is_cut_fits(text, columns):
    assert escape.width(escape.fit(escape.line(text), columns)) <= columns


@given(st.lists(st.lists(st.text(max_size=60), min_size=4, max_size=4), max_size=5), st.integers(20, 200))
def test_a_table_is_never_wider_than_the_terminal(rows, columns):
    text = table.render(("ID", "STATE", "NAME", "COMMAND"), rows, columns)
    assert all(escape.width(line) <= columns for line in text.split("\n"))
    assert len(text.split("\n")) == len(rows) + 1


def test_peoples_own_texts_give_way_before_what_we_say():
    rows = [["7", "running (paused)", "n" * 40, "c" * 40]]
    assert table.render(("ID", "STATE", "NAME", "COMMAND"), rows, 50).split("\n")[1] == (
        "7   running (paused)  nnnnnnnnnnnn…  cccccccccccc…"
    )
    assert "running (paused)" not in table.render(("ID", "STATE", "NAME", "COMMAND"), rows, 30)


def test_without_a_terminal_nothing_is_cut():
    long = "x" * 1000
    assert long in table.render(("ID", "COMMAND"), [["1", long]], None)


def test_wide_characters_do_not_bend_the_columns():
    lines = table.render(("A", "B"), [["漢字", "x"], ["ab", "y"]], None).split("\n")
    assert [lines[1].index("x") + 2, lines[2].index("y")] == [6, 6]


def task(**fields):
    command = api.Command(argv=api.Argv(args=["echo", "a b"]))
    return api.Task(**{"id": "7", "state": "ready", "command": command, "due_at_us": NOW, **fields})


@pytest.mark.parametrize(
    ("shown", "row"),
    [
        (task(), "7 ready echo 'a b'"),
        (task(state="scheduled", due_at_us=NOW + 11_520 * SECOND), "7 scheduled in 3 h 12 min echo 'a b'"),
        (task(state="running", started_at_us=NOW - 5 * SECOND), "7 running for 5 s echo 'a b'"),
        (task(state="running", started_at_us=NOW, cancel_requested=True), "7 stopping for 0 s echo 'a b'"),
        (task(state="running", started_at_us=NOW - 1_999_999), "7 running for 1.9 s echo 'a b'"),
        (task(state="running", started_at_us=NOW - 250_000), "7 running for 0.2 s echo 'a b'"),
        (task(state="running", started_at_us=NOW - 10_900_000), "7 running for 10 s echo 'a b'"),
        (task(state="running", started_at_us=NOW + 9), "7 running for 0 s echo 'a b'"),
        (
            task(state="running", started_at_us=NOW - 99 * SECOND, paused_at_us=NOW - 2 * SECOND),
            "7 running (paused) for 2 s echo 'a b'",
        ),
        (task(state="succeeded", exit_code=0, finished_at_us=NOW), "7 succeeded 0 s ago exit 0 echo 'a b'"),
        (
            task(state="failed", reason="exit_code", exit_code=3, finished_at_us=NOW - 60 * SECOND),
            "7 failed 1 min ago exit 3 echo 'a b'",
        ),
        (task(state="failed", reason="signal", signal=11, finished_at_us=NOW), "7 failed 0 s ago SIGSEGV echo 'a b'"),
        (task(state="failed", reason="timeout", signal=15, finished_at_us=NOW), "7 failed 0 s ago timeout echo 'a b'"),
        (task(state="cancelled", reason="cancelled"), "7 cancelled cancelled echo 'a b'"),
        (task(name="eve\nil", command=api.Command(shell="a | b")), r"7 ready eve\nil a | b"),
    ],
)
def test_a_task_is_told_in_one_line(shown, row):
    assert " ".join(views.tasks([shown], now_us=NOW, columns=None).split("\n")[1].split()) == row


def test_one_task_is_shown_with_its_attempts():
    attempt = api.Attempt(
        number=1, state="failed", exit_code=3, started_at_us=NOW, finished_at_us=NOW + SECOND, truncated=True
    )
    text = views.task(task(attempts=[attempt], env_names=["A", "B"], umask=0o22, timeout_us=90 * SECOND))
    for line in (
        "timeout    1m30s",
        "umask      022",
        "variables  A B",
        "ran for    1 s",
        "cut off: its executor died",
    ):
        assert line in text


def test_the_service_is_told_at_a_glance():
    status = api.StatusResponse(
        version="1", pid=5, started_at_us=NOW - SECOND, tasks={"ready": 2, "failed": 0}, next_due_at_us=NOW + SECOND
    )
    text = views.status(status, now_us=NOW, columns=80)
    assert "2 ready" in text
    assert "failed" not in text
    assert "in 1 s" in text
    assert "managed by" not in text
    status.managed_by, status.log_dir = "systemd", "/var/log/x"
    text = views.status(status, now_us=NOW, columns=80)
    assert "managed by  systemd" in text
    assert "logs in     /var/log/x" in text
    status.tasks["running"] = 3
    text = views.status(status, now_us=NOW, columns=80, paused=1)
    assert "2 ready, 2 running, 1 running (paused)\n" in text
    assert "2 ready, 3 running (paused)\n" in views.status(status, now_us=NOW, columns=80, paused=4)


def test_a_held_a_paused_and_a_retried_task_say_so():
    held = views.task(task(state="held", retry_of="5"))
    assert "waits for  tsched release 7" in held
    assert "retry of   5" in held
    attempt = api.Attempt(number=1, state="running", paused_at_us=NOW, paused_us=90 * SECOND)
    paused = views.task(task(state="running", paused_at_us=NOW, attempts=[attempt]))
    assert "state         running (paused)" in paused
    assert paused.count("paused since  2026-") == 2
    assert "was paused    1 min 30 s" in paused


def test_a_healthy_store_is_told_as_such_with_what_was_checked():
    checked = {"checked": ["the store", "the\x1bpool"]}
    assert views.diagnosis(api.DoctorResponse(**checked)) == "no problems\nchecked: the store\nchecked: the\\x1bpool"
    notice = api.Finding(severity="notice", object="disk", message="slow", hint="wait")
    assert views.diagnosis(api.DoctorResponse(findings=[notice])) == "no problems\nnotice: disk: slow (wait)"
    problem = api.Finding(severity="problem", object="task 7", message="bad")
    assert views.diagnosis(api.DoctorResponse(findings=[problem])) == "problem: task 7: bad"


def test_states_are_coloured_and_the_columns_stay():
    shown = [task(state="failed", name="failed"), task(id="12", state="running", paused_at_us=NOW)]
    plain = views.tasks(shown, now_us=NOW, columns=60)
    coloured = views.tasks(shown, now_us=NOW, columns=60, paint=colour.states)
    assert coloured.count("\x1b[") == 4
    assert "\x1b[31mfailed\x1b[0m" in coloured
    assert "\x1b[35mrunning (paused)\x1b[0m" in coloured
    assert re.sub("\x1b[^m]*m", "", coloured) == plain
