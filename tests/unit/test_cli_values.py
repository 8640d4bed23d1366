"""What is typed for a function is JSON where it is JSON, and else the word itself; a slip is told, never passed on."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsched.cli import values
from tsched.proto.errors import Refusal, RefusalReason


def typed(word):
    return values.argument(word, raw=False)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("5", 5),
        ("-5", -5),
        ("-0", 0),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (str(2**64 - 1), 2**64 - 1),
        (str(-(2**63)), -(2**63)),
        ("true", True),
        ("null", None),
        ('"5"', "5"),
        ('"@result:5"', "@result:5"),
        (" 5 ", 5),
        ('[1, "a", [null]]', [1, "a", [None]]),
        ('{"a": {"b": 1}}', {"a": {"b": 1}}),
        ('{"@bytes": "AAH/"}', b"\0\1\xff"),
        ('{"@map": {"@a": 1}}', {"@a": 1}),
    ],
)
def test_what_is_json_is_taken_as_json(word, value):
    got = typed(word)
    assert (got, type(got)) == (value, type(value))


@pytest.mark.parametrize(
    "word",
    ["007", "nan", "NaN", "Infinity", "-Infinity", "1_000", "0x10", "True", "None", "1,2", "", " ", "hello world",
     "'5'", "+5", ".5", "5.", "1 2", "@", "grüße", "b'x'"],
)  # fmt: skip
def test_any_other_word_is_a_string(word):
    assert typed(word) == word


@pytest.mark.parametrize(
    "word",
    ['{"a":', "[1,", '"open', "[NaN]", "{'a': 1}", '{"a": 1, "a": 2}', "1e400", "[-1e999]", str(2**64), "9" * 5000,
     '{"@bytes": "no base64!"}', '{"@what": 1}', "[" * 100_000, "[" * 65 + "]" * 65, '"\\ud800"', "a\udcff"],
    ids=lambda word: word[:12],
)  # fmt: skip
def test_what_was_meant_as_json_and_is_none_or_cannot_be_sent_is_refused(word):
    with pytest.raises(Refusal) as told:
        typed(word)
    assert told.value.reason is RefusalReason.BAD_ARGUMENTS
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 300


def test_raw_takes_every_word_as_it_stands():
    assert [values.argument(word, raw=True) for word in ("5", "{", "@result:1", "null")] == [
        "5",
        "{",
        "@result:1",
        "null",
    ]


def test_another_tasks_result_is_named_by_its_id():
    assert typed("@result:a:b") == values.ResultOf("a:b")
    with pytest.raises(Refusal, match="not an id"):
        typed("@result:")


def test_an_argument_by_name_is_told_from_its_value():
    assert values.keyword("scale=3", raw=False) == ("scale", 3)
    assert values.keyword("a==b", raw=False) == ("a", "=b")
    for bad in ("scale", "=3", "a b=3", "1=2"):
        with pytest.raises(Refusal) as told:
            values.keyword(bad, raw=False)
        assert told.value.exit_code == 2


@given(st.text())
def test_every_text_is_an_argument_or_refused(text):
    try:
        value = typed(text)
    except Refusal:
        return
    assert not isinstance(value, float) or math.isfinite(value)
