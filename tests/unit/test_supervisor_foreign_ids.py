"""Whatever the predecessor's clients called their tasks has one id here, of its own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsched.proto import checks
from tsched.proto.errors import Refusal
from tsched.supervisor.foreign_ids import ours


@pytest.mark.parametrize("plain", ["123e4567-e89b-12d3-a456-426614174000", "job-7", "a", "a.b_c:d", "x" * 128])
def test_what_is_an_id_stays_as_it_is(plain):
    assert ours(plain) == plain


@pytest.mark.parametrize(
    ("foreign", "own"),
    [("42", "id:42"), ("job 7", "id:job_207"), ("a/b", "id:a_2Fb"), ("id:7", "id:id_3A7"), ("ü", "id:_C3_BC")],
)
def test_what_is_none_gets_one(foreign, own):
    assert ours(foreign) == own


@pytest.mark.parametrize("bad", ["", " " * 42, "x" * 129, "1" * 126])
def test_what_is_empty_or_too_long_is_refused(bad):
    with pytest.raises(Refusal):
        ours(bad)


@given(st.text(max_size=12), st.text(max_size=12))
def test_no_two_become_the_same(one, other):
    if one and other:
        first, second = ours(one), ours(other)
        assert checks.check_id(first) == first
        assert (first == second) == (one == other)
