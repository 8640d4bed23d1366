"""What is shown of functions and plugins, without a service."""

import pytest

from tsched.cli import functions
from tsched.proto import api_pb2 as api
from tsched.proto.errors import Refusal

ADD = api.Function(
    name="math::add", alias="m::add", signature="(a: int)", doc="Adds.\n\nAnd more.\x1b[31m", source="math"
)
WAIT = api.Function(name="wait", is_async=True, signature="()", source="builtin", retries=0, timeout_us=1_500_000)


def test_the_table_has_a_line_for_each_function():
    assert functions.functions_table([ADD, WAIT], None).splitlines() == [
        "NAME       TAKES     SOURCE   ABOUT",
        "math::add  (a: int)  math     Adds.",
        "wait       async ()  builtin",
    ]
    assert all(len(line) <= 30 for line in functions.functions_table([ADD, WAIT], 30).splitlines())


def test_one_function_is_shown_with_its_whole_documentation_and_what_its_author_chose():
    text = functions.function_text(ADD)
    assert text.startswith("name    math::add\nalso    m::add\n")
    assert "And more." in text
    assert "\x1b" not in text
    assert "timeout  1s500ms" in functions.function_text(WAIT)
    assert "retries  0" in functions.function_text(WAIT)


def test_a_function_is_found_by_either_name_and_a_wrong_one_gets_a_hint():
    assert functions.named("m::add", [WAIT, ADD]) is functions.named("math::add", [WAIT, ADD]) is ADD
    with pytest.raises(Refusal) as caught:
        functions.named("math::ad", [WAIT, ADD])
    assert caught.value.hint == "did you mean math::add?"


def test_as_json_what_nobody_chose_is_null():
    told = functions.function_json(WAIT)
    assert (told["async"], told["retries"], told["timeout_s"], told["queue"], told["alias"]) == (
        True,
        0,
        1.5,
        None,
        None,
    )
    assert functions.plugin_json(api.Plugin(name="a", kind="python", state="failed", message="x"))["loaded_at"] is None


def test_plugins_are_shown_with_what_is_wrong_only_where_something_is():
    good = api.Plugin(name="foo", kind="python", state="loaded", path="/p/foo.py", functions=["foo::a"])
    assert "MESSAGE" not in functions.plugins_table([good], None)
    bad = api.Plugin(name="bar", kind="python", state="failed", path="/p/bar.py", message="no")
    assert functions.plugins_table([bad, good], None).splitlines() == [
        "NAME  STATE   KIND    FUNCTIONS  PATH       MESSAGE",
        "bar   failed  python  0          /p/bar.py  no",
        "foo   loaded  python  1          /p/foo.py",
    ]
