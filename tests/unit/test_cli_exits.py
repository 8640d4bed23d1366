"""What a task came to, as an exit code: its command's own where it has one, never 0 for what did not succeed."""

import pytest

from tsched.cli import exits
from tsched.proto import api_pb2 as api


def task(state, **fields):
    return api.Task(id="7", state=state, **fields)


@pytest.mark.parametrize(
    ("ended", "code"),
    [
        (task("succeeded", exit_code=0), 0),
        (task("failed", reason="exit_code", exit_code=7), 7),
        (task("failed", reason="exit_code", exit_code=255), 255),
        (task("failed", reason="not_found", exit_code=127), 127),
        (task("failed", reason="not_executable", exit_code=126), 126),
        (task("failed", reason="signal", signal=9), 137),
        (task("failed", reason="timeout", signal=15), 143),
        (task("failed", reason="timeout", exit_code=0), 1),
        (task("failed", reason="cwd_unusable"), 1),
        (task("failed", reason="executor_died"), 1),
        (task("cancelled", reason="cancelled"), 1),
        (task("cancelled", reason="cancelled", exit_code=0), 1),
        (task("cancelled", reason="cancelled", signal=15), 143),
        (task("skipped"), 1),
    ],
)
def test_the_exit_code_is_the_commands_own_or_one(ended, code):
    assert exits.code(ended) == code


@pytest.mark.parametrize("plain", [task("succeeded", exit_code=0), task("failed", reason="exit_code", exit_code=7)])
def test_a_plain_exit_needs_no_words(plain):
    assert exits.notice(plain) is None


@pytest.mark.parametrize(
    ("ended", "words"),
    [
        (task("failed", reason="signal", signal=9, message="killed"), "task 7 failed (SIGKILL): killed"),
        (task("failed", reason="timeout", signal=15), "task 7 failed (timeout)"),
        (task("cancelled", reason="cancelled"), "task 7 cancelled"),
        (task("cancelled", reason="shutdown", signal=15), "task 7 cancelled (shutdown)"),
    ],
)
def test_every_other_end_is_told(ended, words):
    assert exits.notice(ended) == words


def test_a_signal_without_a_name_is_told_by_its_number():
    assert exits.signal_name(40) == "signal 40"
