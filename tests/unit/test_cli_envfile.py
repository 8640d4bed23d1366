"""Files of variables are read as docker and systemd read them, and what could be read in two ways is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsched.cli import envfile
from tsched.proto.errors import Refusal

WRITTEN = b"""\xef\xbb\xbf# comment
A=1
  export B=two words

C="quoted # no comment"
D='it is "so"'\r
E=
F=  a=b  $HOME it's
A=2
"""


def test_what_is_written_is_what_the_task_gets():
    assert envfile.parse(WRITTEN, "f") == {
        "A": "2",
        "B": "two words",
        "C": "quoted # no comment",
        "D": 'it is "so"',
        "E": "",
        "F": "a=b  $HOME it's",
    }


@pytest.mark.parametrize(
    "line",
    [
        b"A",
        b"=x",
        b"A B=x",
        b"A =x",
        b"1A=x",
        b"A='x",
        b"A=\"x'",
        b"A='x' # y",
        b"A='a'b'",
        b"A=\xff",
        b"A=\0",
        b"TSCHED_TASK_ID=7",
        b"A='",
    ],
)
def test_a_wrong_line_is_refused_with_its_file_and_number(line):
    with pytest.raises(Refusal, match="'the file', line 3: "):
        envfile.parse(b"# one\nX=1\n" + line + b"\n", "the file")


@pytest.mark.parametrize("line", [b'PASSWORD="s3cret" # mine', b"PASSWORD = s3cret", b"PASSWORD='s3cret"])
def test_a_refusal_shows_no_secret_of_the_line(line):
    with pytest.raises(Refusal) as refused:
        envfile.parse(line, "f")
    assert "s3cret" not in str(refused.value.message + refused.value.hint)


@given(st.binary(max_size=200))
def test_a_file_is_read_or_refused_by_line(data):
    try:
        names = envfile.parse(data, "f").keys()
    except Refusal as refusal:
        names = {refusal.message.partition(",")[0]}
    assert all(names)


@given(st.text(st.characters(exclude_characters="\n\r\0'", exclude_categories=["Cs"])))
def test_between_quotes_stands_anything(value):
    assert envfile.parse(f"A='{value}'".encode(), "f") == {"A": value}
