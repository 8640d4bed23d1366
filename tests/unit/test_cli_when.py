"""`--at`: what people write means one instant, the same for everybody, or it is refused with a hint."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tsched.cli import when, zones
from tsched.proto.errors import Refusal, RefusalReason

BERLIN = ZoneInfo("Europe/Berlin")
# A Sunday, 14:30:00 in Berlin.
NOW = datetime(2026, 11, 22, 13, 30, tzinfo=UTC)


def us(moment):
    return zones.microseconds(moment)


def resolve(text, now=NOW, zone=BERLIN):
    at_us = when.resolve(text, now_us=us(now), zone=zone)
    return zones.at(at_us, zone).isoformat(" ", "microseconds").replace(".000000", "")


def refused(text, now=NOW, zone=BERLIN):
    with pytest.raises(Refusal) as caught:
        resolve(text, now, zone)
    assert caught.value.exit_code == 2
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-22T14:30:00+01:00", "2026-11-22 14:30:00+01:00"),
        ("2026-11-22T13:30:00.25Z", "2026-11-22 14:30:00.250000+01:00"),
        ("2026-11-22T13:30:00.0000001Z", "2026-11-22 14:30:00.000001+01:00"),
        ("2026-11-23t00:00:00z", "2026-11-23 01:00:00+01:00"),
        ("2026-11-23 09:00:00-05:00", "2026-11-23 15:00:00+01:00"),
        ("2026-11-22 14:30", "2026-11-22 14:30:00+01:00"),
        ("2026-11-22 14:30:05", "2026-11-22 14:30:05+01:00"),
        ("2026-11-23T9:00", "2026-11-23 09:00:00+01:00"),
        ("2026-11-23 9am", "2026-11-23 09:00:00+01:00"),
        ("2027-07-01 9:00", "2027-07-01 09:00:00+02:00"),
        ("14:30", "2026-11-22 14:30:00+01:00"),
        ("14:29", "2026-11-23 14:29:00+01:00"),
        ("23:59:59", "2026-11-22 23:59:59+01:00"),
        ("9pm", "2026-11-22 21:00:00+01:00"),
        ("9 PM", "2026-11-22 21:00:00+01:00"),
        ("12am", "2026-11-23 00:00:00+01:00"),
        ("12:15pm", "2026-11-23 12:15:00+01:00"),
        ("noon", "2026-11-23 12:00:00+01:00"),
        ("today 15:00", "2026-11-22 15:00:00+01:00"),
        ("tomorrow 9:00", "2026-11-23 09:00:00+01:00"),
        ("tomorrow at 9:00", "2026-11-23 09:00:00+01:00"),
        ("9:00 tomorrow", "2026-11-23 09:00:00+01:00"),
        ("  Tomorrow   9:00 ", "2026-11-23 09:00:00+01:00"),
        ("monday 8am", "2026-11-23 08:00:00+01:00"),
        ("Mon 8am", "2026-11-23 08:00:00+01:00"),
        ("8am on monday", "2026-11-23 08:00:00+01:00"),
        ("sunday 15:00", "2026-11-22 15:00:00+01:00"),
        ("sunday 14:00", "2026-11-29 14:00:00+01:00"),
        ("saturday 14:00", "2026-11-28 14:00:00+01:00"),
        ("24 dec 2026 18:00", "2026-12-24 18:00:00+01:00"),
        ("dec 24 18:00", "2026-12-24 18:00:00+01:00"),
        ("December 24th, 2026 6pm", "2026-12-24 18:00:00+01:00"),
        ("6pm 24 December", "2026-12-24 18:00:00+01:00"),
        ("1 jan 8:00", "2027-01-01 08:00:00+01:00"),
        ("22 nov 14:00", "2027-11-22 14:00:00+01:00"),
        ("now", "2026-11-22 14:30:00+01:00"),
        ("now + 2 hours", "2026-11-22 16:30:00+01:00"),
        ("now+2h", "2026-11-22 16:30:00+01:00"),
        ("Now + 2 Hours", "2026-11-22 16:30:00+01:00"),
        ("in 10 minutes", "2026-11-22 14:40:00+01:00"),
        ("in 1h30m", "2026-11-22 16:00:00+01:00"),
        ("in 2 days", "2026-11-24 14:30:00+01:00"),
        ("@1795351104", "2026-11-22 13:38:24+01:00"),
        ("@1795451104.5", "2026-11-23 17:25:04.500000+01:00"),
    ],
)
def test_every_form_means_one_instant(text, instant):
    now = datetime(2026, 11, 22, 12, 0, tzinfo=UTC) if text == "@1795351104" else NOW
    assert resolve(text, now) == instant


@pytest.mark.parametrize(
    "text",
    ["4/1", "4/1 9:00", "4/1/2027", "1.4.2027 9:00", "01-04-2027 9:00", "1-4", "2027/04/01 9:00", "14.30"],
)
def test_what_can_be_read_in_two_ways_is_refused(text):
    assert "more than one way" in refused(text).message


@pytest.mark.parametrize("text", ["tomorrow", "monday", "2026-12-24", "24 dec", "24 december 2026", "today"])
def test_a_day_without_a_time_is_refused(text):
    refusal = refused(text)
    assert "without a time" in refusal.message
    assert resolve(refusal.hint.removeprefix("add one: "), NOW.replace(hour=1))


@pytest.mark.parametrize(
    "text",
    [
        "yesterday 9:00",
        "today 9:00",
        "2026-11-22 14:29:59",
        "2020-01-01T00:00:00Z",
        "@0",
        "0001-01-01T00:00:00Z",
        "22 nov 2026 9:00",
        "1970-01-01 0:00",
    ],
)
def test_what_is_past_is_refused_and_says_how_long(text):
    assert "past" in refused(text).message


@pytest.mark.parametrize(
    "text",
    [
        "9999-12-31T23:59:59Z",
        "9999-12-31 23:59",
        "31 dec 9999 23:59",
        "@99999999999",
        "@999999999999999",
        "now + 99999 weeks",
        "in 999999999999999999 weeks",
        "2128-01-01 0:00",
    ],
)
def test_what_is_beyond_this_century_is_refused(text):
    assert "ahead" in refused(text).message


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "nan",
        "-5",
        "1e300",
        "9",
        "25:00",
        "24:00",
        "14:60",
        "0am",
        "13pm",
        "14:30:60",
        "2026-13-01 9:00",
        "2026-02-30 9:00",
        "30 feb 2027 9:00",
        "29 feb 9:00",
        "next monday 9:00",
        "midnight",
        "mo 9:00",
        "now - 1 h",
        "in",
        "now + 1 month",
        "in -5 minutes",
        "@",
        "@-5",
        "@1e9",
        "2026-11-23T09:00:00+25:00",
        "9:00 9:00",
        "a" * 10_000,
        "tomorrow\x009:00",
        "١٤:٣٠",
        "10 nov 11 9:00",
        "nov 2027 9:00",
        "decimal 24 9:00",
        "12 dec 24 2026 9:00",
    ],
)
def test_everything_else_is_refused(text):
    assert refused(text).reason in (RefusalReason.BAD_TIME, RefusalReason.BAD_DURATION)


def test_a_time_that_clocks_skip_is_refused_with_both_neighbours():
    refusal = refused("2027-03-28 02:30")
    assert "does not exist in Europe/Berlin" in refusal.message
    assert refusal.hint == "write 2027-03-28T01:30:00+01:00 or 2027-03-28T03:30:00+02:00"


def test_a_time_that_clocks_show_twice_is_refused_with_both_instants():
    refusal = refused("2027-10-31 02:30")
    assert "comes twice in Europe/Berlin" in refusal.message
    assert refusal.hint == "write 2027-10-31T02:30:00+02:00 or 2027-10-31T02:30:00+01:00"
    assert resolve("2027-10-31T02:30:00+01:00") == "2027-10-31 02:30:00+01:00"


def test_hours_are_hours_over_a_change_of_clocks():
    before = datetime(2027, 3, 27, 12, 0, tzinfo=UTC)
    assert resolve("now + 24 hours", before) == "2027-03-28 14:00:00+02:00"
    assert resolve("tomorrow 13:00", before) == "2027-03-28 13:00:00+02:00"


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../../etc/passwd", "/etc/localtime", "Europe", "a" * 300, "\0"])
def test_a_zone_that_does_not_exist_is_refused(name):
    with pytest.raises(Refusal) as caught:
        zones.named(name)
    assert caught.value.reason is RefusalReason.BAD_TIME
    assert caught.value.message.isprintable()


def test_the_local_zone_is_that_of_tz(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    assert zones.name_of(zones.local()) == "Asia/Kathmandu"
    monkeypatch.setenv("TZ", "nonsense")
    assert zones.name_of(zones.local_or_utc()) == "UTC"


def test_the_instant_is_told_with_its_zone_and_how_far_off_it_is():
    at_us = us(NOW) + 11_520_000_000
    told = when.echo(at_us, now_us=us(NOW), zone=BERLIN)
    assert told == "2026-11-22 17:42:00+01:00 (Europe/Berlin), in 3 h 12 min"


WORDS = ["now", "in", "+", "tomorrow", "monday", "at", "on", "14:30", "9am", "2", "hours", "@1795351104", "dec", "24"]
WORDS += ["2027", "4/1", "2027-03-28", "02:30", "T", "Z", "+01:00", "12", "pm", ",", "99999999", "weeks", "noon", "th"]


@given(
    st.text(max_size=60)
    | st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join)
    | st.lists(st.sampled_from(WORDS), max_size=4).map("".join)
    | st.datetimes().map(str)
    | st.datetimes(timezones=st.timezones()).map(lambda moment: moment.isoformat()),
    st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.timezones(),
)
@example("0001-01-01T00:00:00+23:59", NOW, BERLIN)
@example("9999-12-31T23:59:59-23:59", NOW, BERLIN)
def test_no_text_means_anything_but_the_future_or_a_refusal(text, now, zone):
    try:
        at_us = when.resolve(text, now_us=us(now), zone=zone)
    except Refusal as refusal:
        assert refusal.message.isprintable()  # noqa: PT017
    else:
        assert at_us >= us(now)
        assert when.echo(at_us, now_us=us(now), zone=zone)


# --since: the same words, turned back.


def back(text, now=NOW, zone=BERLIN):
    at_us = when.resolve_past(text, now_us=us(now), zone=zone)
    return zones.at(at_us, zone).isoformat(" ", "microseconds").replace(".000000", "")


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2h", "2026-11-22 12:30:00+01:00"),
        ("90 min", "2026-11-22 13:00:00+01:00"),
        ("1h 30m ago", "2026-11-22 13:00:00+01:00"),
        ("2 Days ago", "2026-11-20 14:30:00+01:00"),
        ("0s", "2026-11-22 14:30:00+01:00"),
        ("now", "2026-11-22 14:30:00+01:00"),
        ("today", "2026-11-22 00:00:00+01:00"),
        ("Yesterday", "2026-11-21 00:00:00+01:00"),
        ("yesterday 9:00", "2026-11-21 09:00:00+01:00"),
        ("2026-11-22", "2026-11-22 00:00:00+01:00"),
        ("2026-07-01", "2026-07-01 00:00:00+02:00"),
        ("2026-11-22 14:00", "2026-11-22 14:00:00+01:00"),
        ("2026-11-22T13:00:00Z", "2026-11-22 14:00:00+01:00"),
        ("@1795351104", "2026-11-22 13:38:24+01:00"),
        ("14:30", "2026-11-22 14:30:00+01:00"),
        ("14:31", "2026-11-21 14:31:00+01:00"),
        ("9am", "2026-11-22 09:00:00+01:00"),
        ("sunday", "2026-11-22 00:00:00+01:00"),
        ("monday", "2026-11-16 00:00:00+01:00"),
        ("sunday 15:00", "2026-11-15 15:00:00+01:00"),
        ("mon 8am", "2026-11-16 08:00:00+01:00"),
        ("22 nov", "2026-11-22 00:00:00+01:00"),
        ("23 nov", "2025-11-23 00:00:00+01:00"),
        ("24 dec 18:00", "2025-12-24 18:00:00+01:00"),
        ("3 Jan 2026", "2026-01-03 00:00:00+01:00"),
        ("1950-01-01", "1970-01-01 01:00:00+01:00"),
        ("99999d", "1970-01-01 01:00:00+01:00"),
    ],
)
def test_what_is_meant_by_since_lies_back(text, instant):
    assert back(text) == instant


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tomorrow", "still to come"),
        ("2027-01-01", "still to come"),
        ("now + 2h", "still to come"),
        ("today 15:00", "still to come"),
        ("9999-12-31", "still to come"),
        ("2026", "not a time"),
        ("20261122", "not a time"),
        ("", "not a time"),
        ("2 moons", "not a time"),
        ("2 moons ago", "not a length of time"),
        ("4/1", "more than one way"),
        ("2026-02-30", "no such day"),
        ("25:00", "no such time"),
        ("2026-10-25 02:30", "comes twice"),
        ("\udcff", "not a time"),
        ("x" * 1000, "not a time"),
        ("9" * 80 + "d", "not a time"),
    ],
)
def test_what_is_no_time_back_is_refused_with_a_hint(text, words):
    with pytest.raises(Refusal) as caught:
        back(text)
    assert (caught.value.reason, caught.value.exit_code) == (RefusalReason.BAD_TIME, 2)
    assert words in caught.value.message
    assert caught.value.hint


def test_a_day_without_a_midnight_begins_when_it_begins():
    havana = ZoneInfo("America/Havana")
    assert back("2026-03-08", zone=havana) == "2026-03-08 01:00:00-04:00"
    assert back("2026-11-01", zone=havana) == "2026-11-01 00:00:00-04:00"


@given(st.text(max_size=30))
def test_whatever_is_written_is_a_time_back_or_refused(text):
    try:
        assert 0 <= when.resolve_past(text, now_us=us(NOW), zone=BERLIN) <= us(NOW)
    except Refusal as refusal:
        assert refusal.reason is RefusalReason.BAD_TIME  # noqa: PT017
