"""A list becomes commands: every line exactly itself, whatever it holds, and nothing in it is ever run."""

import os
import subprocess
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.service import TSCHED
from tsched.cli import batch, lines
from tsched.proto import api_pb2 as api
from tsched.proto import checks, endpoint
from tsched.proto.errors import Refusal, RefusalReason

LINE = st.text(st.characters(exclude_characters="\n\0", exclude_categories=["Cs"]), max_size=60)
NASTY = [
    "",
    " ",
    "-n",
    "a b",
    "it's",
    "$(touch X)",
    "`touch X`",
    "; touch X #",
    "\\",
    "'",
    "'\"'",
    "*",
    "~",
    "A=B",
    "if",
    "!x",
    "a\r",
    "{}",
    "ä ",
    "\x1b[31m",
]


def shell(command, folder):
    return subprocess.run(["sh", "-c", command], check=False, capture_output=True, cwd=folder)


def test_a_line_is_what_stands_before_a_newline():
    assert lines.split(b"") == []
    assert lines.split(b"a") == lines.split(b"a\n") == ["a"]
    assert lines.split(b"\n") == [""]
    assert lines.split("a\r\n\n b \x0b\u2028c\nlast".encode()) == ["a\r", "", " b \x0b\u2028c", "last"]


@given(st.lists(LINE))
def test_lines_come_back_as_they_were_written(items):
    assert lines.split("".join(f"{item}\n" for item in items).encode()) == items


@pytest.mark.parametrize(
    ("data", "said"),
    [(b"a\nb\xff\n", "line 2 is not valid UTF-8"), (b"a\n\nb\0c", "line 3 holds a NUL"), (b"\n" * 500_001, "500000")],
)
def test_a_line_no_program_can_be_given_is_named(data, said):
    with pytest.raises(Refusal, match=said):
        lines.split(data)


@given(LINE)
@settings(max_examples=60, deadline=None)
def test_any_line_passes_through_a_shell_as_one_word(line):
    done = shell(lines.shell("printf '%s|' {} a{}b", line), None)
    assert done.stdout.decode() == f"{line}|a{line}b|"
    assert done.stderr == b""


@pytest.mark.parametrize("line", NASTY, ids=repr)
def test_no_line_is_more_than_a_word(line, tmp_path):
    for template in (
        "printf '%s|' {}",
        "x=$(printf '%s|' {}); printf '%s|' \"$x\"",
        'x={}; printf "%s|" "$x"',
        "# it's\nprintf '%s|' {}",
        "printf '%s|' ${none-{}}",
    ):
        lines.check_shell(template)
        done = shell(lines.shell(template, line), tmp_path)
        assert f"{line}|" in done.stdout.decode()
        assert os.listdir(tmp_path) == []
    command = shell(lines.shell("{} 2>/dev/null", line), tmp_path)
    assert command.returncode in (126, 127)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "template",
    [
        "echo '{}'",
        'echo "{}"',
        'echo "$(echo {})"',
        "echo `echo {}`",
        "cat <<E\n{}\nE",
        "echo $(({}))",
        "echo \\{}",
        "echo ${}",
        "echo $'{}'",
        "# '\necho '{}'",
        'echo "a\\"{}"',
    ],
)
def test_where_quotes_would_not_hold_it_is_refused(template):
    with pytest.raises(Refusal, match="quoted safely") as refused:
        lines.check_shell(template)
    assert refused.value.reason is RefusalReason.BAD_COMMAND
    assert "$TSCHED_ITEM" in refused.value.hint


def test_without_a_place_or_beside_quotes_it_is_taken():
    for template in ("echo '`' \"<<\"", "echo 'a' {} \"b\"", 'echo "$TSCHED_ITEM"', "echo 'it'\\''s' {}"):
        lines.check_shell(template)


def test_in_a_programs_words_the_line_stands_literally():
    assert lines.words(["convert", "{}", "out/{}.png", "x"], "a b'$") == ["convert", "a b'$", "out/a b'$.png", "x"]
    assert lines.words(["echo", "-n"], "{}") == ["echo", "-n", "{}"]


# Messages.


def sized(*sizes):
    return [api.TaskSpec(key=str(number), name="x" * size) for number, size in enumerate(sizes)]


def test_no_message_holds_more_tasks_than_are_taken_at_once():
    tasks = [api.TaskSpec()] * (checks.TASKS_LIMIT * 2 + 1)
    packed = [len(each) for each in batch.packed(api.TaskSpec(), tasks, endpoint.MESSAGE_LIMIT)]
    assert packed == [checks.TASKS_LIMIT, checks.TASKS_LIMIT, 1]


@given(st.lists(st.integers(0, 3000)), st.integers(0, 2000))
def test_messages_are_full_and_none_is_too_long(sizes, common_size):
    limit, common, tasks = batch.SLACK_BYTES + 6000, api.TaskSpec(name="y" * common_size), sized(*sizes)
    packed = list(batch.packed(common, tasks, limit))
    assert [task for each in packed for task in each] == tasks
    lengths = [api.SubmitRequest(tasks=each, common=common).ByteSize() for each in packed]
    assert max(lengths, default=0) <= limit
    assert all(one + two > 6000 - common_size - 100 for one, two in pairwise(lengths))


def test_what_is_typed_wrong_is_told_before_anything_is_read(tmp_path):
    (tmp_path / "list").write_text("a\n")
    long = tmp_path / "long"
    long.write_text("a\n" + "x" * 140_000)
    for words, said in [
        (["--each-line", "no-such", "--", "x"], "cannot read 'no-such'"),
        (["--each-line", ".", "--", "x"], "cannot read '.': Is a directory"),
        (["--each-line", "list"], "no command is given"),
        (["--each-line", "list", "--"], "the command is empty"),
        (["--each-line", "list", "--id", "x", "--", "x"], "--id is for one task"),
        (["--each-line", "list", "--stdin", "x", "--", "x"], "--stdin is for one task"),
        (["--each-line", "-", "--command", "-"], "both want stdin"),
        (["--each-line", "list", "--env", "TSCHED_ITEM=x", "--", "x"], "is set for each line"),
        (["--each-line", "list", "--command", "echo '{}'"], "quoted safely"),
        (["--each-line", str(long), "--", "x"], "line 2: "),
    ]:
        env = {**os.environ, "TSCHED_SOCKET": str(tmp_path / "nobody")}
        done = subprocess.run(
            [TSCHED, "run", *words], check=False, capture_output=True, stdin=subprocess.DEVNULL, cwd=tmp_path, env=env
        )
        assert (done.returncode, done.stdout) == (2, b""), (words, done.stderr)
        assert said in done.stderr.decode()
        assert done.stderr.count(b"\n") == 1
