"""Lengths of time: what people write is read exactly, and anything else refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsched.proto import durations
from tsched.proto.errors import Refusal, RefusalReason

SECOND = 1_000_000


@pytest.mark.parametrize(
    ("text", "length_us"),
    [
        ("90", 90 * SECOND),
        ("90s", 90 * SECOND),
        ("0.2", 200_000),
        ("0.2s", 200_000),
        ("250ms", 250_000),
        ("7us", 7),
        ("1h30m", 5400 * SECOND),
        ("1h 30min", 5400 * SECOND),
        ("1 hour 30 minutes", 5400 * SECOND),
        ("2d", 172_800 * SECOND),
        ("1w", 604_800 * SECOND),
        ("1.5h", 5400 * SECOND),
        ("0", 0),
        (" 5 s ", 5 * SECOND),
        ("0.0000001s", 1),
        ("1d2h3m4s5ms6us", 93_784_005_006),
    ],
)
def test_lengths_are_read_exactly_and_rounded_up(text, length_us):
    assert durations.parse_us(text) == length_us


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "-5",
        "+5",
        "nan",
        "inf",
        "1e300",
        "1e3",
        "s",
        "5 5",
        "5x",
        "1m1h",
        "1s1s",
        "1M",
        "2 months",
        "1y",
        "٣s",
        "1h-30m",
        "5,5s",
        ".5s",
        "5.s",
        "1h30",
        "9" * 10_000,
        "5 s\n5",
        "\0",
        "1s;",
        "0x10",
    ],
)
def test_what_is_no_length_of_time_is_refused(text):
    with pytest.raises(Refusal) as refused:
        durations.parse_us(text)
    assert refused.value.reason is RefusalReason.BAD_DURATION
    assert refused.value.hint


@given(st.integers(min_value=0, max_value=10**17))
def test_a_length_that_was_written_is_read_back(length_us):
    assert durations.parse_us(durations.compact(length_us)) == length_us


@given(st.text(alphabet="0123456789. -+eswdhmunai\n", max_size=30) | st.text(max_size=40))
def test_no_text_does_worse_than_a_refusal(text):
    try:
        assert durations.parse_us(text) >= 0
    except Refusal as refusal:
        assert "\n" not in refusal.message  # noqa: PT017


@pytest.mark.parametrize(
    ("length_us", "text"),
    [
        (0, "0 ms"),
        (250_000, "250 ms"),
        (2 * SECOND, "2 s"),
        (2_500_000, "2.5 s"),
        (59 * SECOND, "59 s"),
        (60 * SECOND, "1 min"),
        (11_520 * SECOND, "3 h 12 min"),
        (11_579 * SECOND, "3 h 12 min"),
        (90_000 * SECOND, "1 d 1 h"),
        (86_400 * SECOND * 400 + 60 * SECOND, "400 d"),
    ],
)
def test_people_are_told_the_two_largest_units(length_us, text):
    assert durations.human(length_us) == text
