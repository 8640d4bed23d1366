"""What people type: read as it was meant, or refused in one line."""

from __future__ import annotations

import re
import string
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from support.fuzz import SOME, fair, fuzzed
from tsched.cli import envfile, lines, main, shell_words, values, when, zones
from tsched.proto import checks, durations, plain
from tsched.proto.errors import Refusal, RefusalReason
from tsched.supervisor import foreign_ids

WORDS = (
    *[
        "0",
        "1",
        "7",
        "9",
        "12",
        "23",
        "24",
        "29",
        "31",
        "59",
        "60",
        "99",
        "2024",
        "2026",
        "2027",
        "9999",
        "0000",
        "1e9",
        "999999999999999",
    ],
    *[
        ":",
        ".",
        ",",
        "-",
        "+",
        "/",
        "@",
        "T",
        "t",
        "Z",
        "z",
        "am",
        "pm",
        "AM",
        "noon",
        "now",
        "in",
        "on",
        "at",
        "ago",
        "tomorrow",
        "today",
        "yesterday",
    ],
    *[
        "monday",
        "tue",
        "Wednesday",
        "jan",
        "feb",
        "march",
        "dec",
        "22nd",
        "3rd",
        "h",
        "m",
        "s",
        "ms",
        "d",
        "w",
        "us",
        "hours",
        "min",
        "minutes",
        "weeks",
        "+01:00",
        "-23:59",
    ],
)
ZONES = [UTC, *map(ZoneInfo, ("Europe/Berlin", "America/St_Johns", "Pacific/Apia", "Australia/Lord_Howe"))]
times = st.lists(st.sampled_from([*WORDS, " ", " "]), max_size=9).map("".join) | st.text(max_size=30)
nows = st.integers(0, zones.microseconds(datetime(2100, 1, 1, tzinfo=UTC)))
letters = st.characters(codec="utf-8")
# What stands on a line: words of a shell, of JSON and of a terminal, whole and broken.
pieces = [
    *"'\"\\$`#{}[],:=@<>()&|;* \t\n\r\0",
    "{}",
    "<<",
    "$'",
    "@result:",
    "--kw",
    "-",
    "null",
    "1e999",
    "\ud800",
    "é",
]
typed = st.lists(st.sampled_from(pieces) | st.text(letters, max_size=4), max_size=10).map("".join)
digits = st.integers(1, 6000).map(lambda count: "9" * count)


@fuzzed(text=times, now_us=nows, zone=st.sampled_from(ZONES))
def test_a_time_is_an_instant_to_come_or_refused(text: str, now_us: int, zone: Any) -> None:
    try:
        at_us = when.resolve(text, now_us=now_us, zone=zone)
    except Refusal as refusal:
        fair(refusal, RefusalReason.BAD_TIME, RefusalReason.BAD_DURATION)
        return
    assert now_us <= at_us <= now_us + checks.AHEAD_LIMIT_US
    assert when.echo(at_us, now_us=now_us, zone=zone)


@fuzzed(many=SOME, text=times, now_us=nows, zone=st.sampled_from(ZONES))
def test_a_time_gone_by_is_an_instant_or_refused(text: str, now_us: int, zone: Any) -> None:
    try:
        assert 0 <= when.resolve_past(text, now_us=now_us, zone=zone) <= now_us
    except Refusal as refusal:
        fair(refusal, RefusalReason.BAD_TIME)


@fuzzed(many=SOME, text=times | digits)
def test_a_length_of_time_is_read_or_refused(text: str) -> None:
    for read in (durations.parse_us, when.delay_us):
        try:
            length_us = read(text)
        except Refusal as refusal:
            fair(refusal, RefusalReason.BAD_DURATION, RefusalReason.BAD_TIME)
        else:
            assert length_us is None or durations.parse_us(durations.compact(length_us)) == length_us
            assert length_us is None or durations.human(length_us)


@fuzzed(many=SOME, word=typed | digits, raw=st.booleans())
def test_an_argument_is_a_value_or_refused(word: str, raw: bool) -> None:
    for read in (values.argument, values.keyword):
        try:
            read(word, raw=raw)
        except Refusal as refusal:
            fair(refusal)


@fuzzed(
    many=SOME,
    depth=st.sampled_from([1, 63, 64, 65, 500, 5000, 100_000]),
    opening=st.sampled_from(["[", '{"a":', '[{"@map":']),
)
def test_an_argument_may_be_nested_however_deep(depth: int, opening: str) -> None:
    try:
        read = values.argument(opening * depth, raw=False)
    except Refusal as refusal:
        fair(refusal)
    else:
        assert plain.plain(read) == read


@fuzzed(many=SOME, data=st.binary(max_size=60) | typed.map(lambda text: text.encode(errors="surrogatepass")))
def test_a_list_of_lines_is_read_to_the_byte_or_refused(data: bytes) -> None:
    try:
        read = lines.split(data)
    except Refusal as refusal:
        fair(refusal)
        return
    assert "\n".join(read).encode() == data.removesuffix(b"\n")
    for line in read:
        assert line in lines.words(["a", "{}"], line)
        assert len(lines.name_of(line).encode()) <= lines.NAME_BYTES


@fuzzed(many=SOME, template=typed, line=typed)
def test_a_template_is_taken_or_refused(template: str, line: str) -> None:
    try:
        lines.check_shell(template)
    except Refusal as refusal:
        fair(refusal)
        return
    assert lines.shell(template, line).count(lines.quoted(line)) >= template.count(lines.PLACE)


names = st.sampled_from(["A", "_b", "PATH", "export A", "TSCHED_TASK_ID", "1", "a-b", "é", ""])
a_variable = st.builds(
    lambda name, value, end: f"{name}={value}{end}", names, typed, st.sampled_from(["\n", "\r\n", ""])
)
a_file = st.lists(a_variable | typed, max_size=4).map(lambda some: "".join(some).encode(errors="surrogatepass"))


@fuzzed(many=SOME, data=a_file | st.binary(max_size=60))
def test_a_file_of_variables_is_read_or_refused_and_no_secret_is_shown(data: bytes) -> None:
    try:
        read = envfile.parse(data, "f\n")
    except Refusal as refusal:
        fair(refusal)
        names_its_line(refusal)
        return
    checks.check_env(read)


def names_its_line(refusal: Refusal) -> None:
    assert re.match(r"'f\\n', line \d+: ", refusal.message)


verbs = st.sampled_from([*main.VERBS, "help", "tsched", "quit", "--", "--state", "--json", "--on-lost", "load"])


@fuzzed(many=SOME, line=typed | st.lists(verbs | typed, max_size=5).map(" ".join))
def test_whatever_stands_before_the_cursor_tab_does_no_harm(line: str) -> None:
    read = shell_words.split(line)
    if read is not None:
        before, begun = read
        assert all(each.text for each in shell_words.possible(before, begun, lambda kind: [shell_words.Word(kind)]))


plainly = string.ascii_letters + string.digits + "._:-"
foreign = (
    st.text(st.sampled_from(plainly), max_size=130) | st.text(letters, max_size=44) | st.sampled_from(["id:", "id:_20"])
)


@fuzzed(given=foreign.flatmap(lambda text: st.just(text) | st.just(f"id:{text}")))
def test_an_id_of_others_can_be_told_from_ours_so_no_two_become_the_same(given: str) -> None:
    try:
        own = foreign_ids.ours(given)
    except Refusal as refusal:
        fair(refusal, RefusalReason.BAD_ID)
        return
    assert checks.check_id(own) == own
    assert theirs(own) == given


def theirs(own: str) -> str:
    """The string that became this id."""
    if not own.startswith(foreign_ids.PREFIX):
        return own
    quoted = own.removeprefix(foreign_ids.PREFIX).encode()
    return re.sub(rb"_([0-9A-F]{2})", lambda found: bytes.fromhex(found[1].decode()), quoted).decode()
