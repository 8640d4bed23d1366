"""What is refused before it can do harm, in one line that names object and remedy."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsched.proto import checks
from tsched.proto.errors import Refusal, RefusalReason

NOW = 1_795_351_104_000_000
LONGEST = "x" * (checks.ARGUMENT_LIMIT - 1)


def refused(check, *values):
    with pytest.raises(Refusal) as caught:
        check(*values)
    refusal = caught.value
    assert refusal.exit_code == 2
    assert refusal.message.isprintable()
    assert len(refusal.message) < 400
    return refusal.reason


@pytest.mark.parametrize("word", ["a", "backup.nightly_2:x-1", "7a", "A" * 128])
def test_an_id_may_be_a_word(word):
    assert checks.check_id(word) == word


@pytest.mark.parametrize(
    "word",
    [
        "",
        "17",
        "a/b",
        "../x",
        "a b",
        "a\n",
        "a\0",
        "-a",
        ".a",
        "é",
        "a" * 129,
        "a" * 10_000,
        "\ud800",
        "a\u202eb",
        "\uff11",
    ],
)
def test_an_id_may_be_nothing_else(word):
    assert refused(checks.check_id, word) is RefusalReason.BAD_ID


def test_a_generated_id_names_a_task_but_cannot_be_given():
    assert checks.check_reference("17") == "17"


@pytest.mark.parametrize(
    ("shell", "args"),
    [("echo", None), ("a\nb\tc", None), (None, ["ls", "", "ä"]), (LONGEST, None), (None, ["x", LONGEST])],
)
def test_a_command_is_a_line_or_words(shell, args):
    checks.check_command(shell, args)


@pytest.mark.parametrize(
    ("shell", "args", "reason"),
    [
        (None, None, RefusalReason.BAD_COMMAND),
        ("a", ["a"], RefusalReason.BAD_COMMAND),
        ("", None, RefusalReason.BAD_COMMAND),
        (" \n\t", None, RefusalReason.BAD_COMMAND),
        (None, [], RefusalReason.BAD_COMMAND),
        (None, ["", "a"], RefusalReason.BAD_COMMAND),
        ("a\0b", None, RefusalReason.BAD_COMMAND),
        (None, ["a", "\0"], RefusalReason.BAD_COMMAND),
        ("\udcff", None, RefusalReason.BAD_COMMAND),
        (None, ["a", "\ud800"], RefusalReason.BAD_COMMAND),
        (LONGEST + "x", None, RefusalReason.TOO_LARGE),
        (None, ["a", LONGEST + "x"], RefusalReason.TOO_LARGE),
        (None, ["a", "é" * (checks.ARGUMENT_LIMIT // 2)], RefusalReason.TOO_LARGE),
        (None, ["x" * 100_000] * 11, RefusalReason.TOO_LARGE),
    ],
)
def test_a_command_that_cannot_be_run_is_refused(shell, args, reason):
    assert refused(checks.check_command, shell, args) is reason


@pytest.mark.parametrize(
    ("env", "reason"),
    [
        ({"": "x"}, RefusalReason.BAD_ENVIRONMENT),
        ({"A=B": "x"}, RefusalReason.BAD_ENVIRONMENT),
        ({"A": "x\0"}, RefusalReason.BAD_ENVIRONMENT),
        ({"A\0": "x"}, RefusalReason.BAD_ENVIRONMENT),
        ({"A": "\udcff"}, RefusalReason.BAD_ENVIRONMENT),
        ({"TSCHED_TASK_ID": "7"}, RefusalReason.BAD_ENVIRONMENT),
        ({"A": LONGEST}, RefusalReason.TOO_LARGE),
        ({f"A{n}": "x" * 100_000 for n in range(11)}, RefusalReason.TOO_LARGE),
    ],
)
def test_variables_that_no_program_can_be_given_are_refused(env, reason):
    assert refused(checks.check_env, env) is reason


def test_other_variables_are_fine():
    checks.check_env({"A": "", "b": "x=y\n", "TSCHED_STATE_DIR": "/x"})


@pytest.mark.parametrize("path", ["", "a", "./a", "/a\0", "/\udcff", "/" + "a" * 4096])
def test_a_folder_is_an_absolute_path(path):
    assert refused(checks.check_cwd, path) is RefusalReason.BAD_CWD


@pytest.mark.parametrize("value", [-1, 11, math.nan, math.inf, -math.inf, 1e300, 10**400, -(10**400)])
def test_a_length_outside_its_range_is_refused(value):
    assert refused(checks.check_duration_us, value, "delay", 0, 10) is RefusalReason.BAD_DURATION


@pytest.mark.parametrize("value", [NOW - 61_000_000, 0, -(10**20), NOW + checks.AHEAD_LIMIT_US + 1, math.nan, 1e300])
def test_an_instant_that_is_past_or_beyond_this_century_is_refused(value):
    assert refused(checks.check_due_us, value, NOW) is RefusalReason.BAD_TIME


def test_an_instant_that_passed_on_its_way_is_taken():
    assert checks.check_due_us(NOW - 1_000_000, NOW) == NOW - 1_000_000


def test_a_task_is_given_so_much_and_no_more():
    assert checks.check_stdin(b"x" * checks.STDIN_LIMIT)
    assert refused(checks.check_stdin, b"x" * (checks.STDIN_LIMIT + 1)) is RefusalReason.TOO_LARGE


@given(st.text(), st.text() | st.none(), st.lists(st.text(), max_size=3) | st.none())
def test_no_text_does_worse_than_a_refusal_of_one_line(text, shell, args):
    for check, values in (
        (checks.check_id, (text,)),
        (checks.check_cwd, ("/" + text,)),
        (checks.check_name, (text,)),
        (checks.check_env, ({text: text},)),
        (checks.check_command, (shell, args)),
    ):
        try:
            check(*values)
        except Refusal as refusal:
            assert refusal.message.isprintable()  # noqa: PT017
