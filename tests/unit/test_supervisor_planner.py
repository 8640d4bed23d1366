"""Who is given how much."""

from hypothesis import given
from hypothesis import strategies as st

from tsched.supervisor import planner

FREE = st.dictionaries(st.text(min_size=1, max_size=3), st.integers(min_value=0, max_value=50))
READY = st.integers(min_value=0, max_value=200)


@given(READY, FREE)
def test_nobody_is_given_more_than_it_has_places(ready, free):
    assert all(1 <= places <= free[name] for name, places in planner.shares(ready, free).items())


@given(READY, FREE)
def test_as_much_is_given_as_there_is_and_as_there_are_places(ready, free):
    assert sum(planner.shares(ready, free).values()) == min(ready, sum(free.values()))


@given(READY, FREE)
def test_whoever_is_given_something_has_afterwards_no_more_than_one_free_place_less_than_anybody(ready, free):
    given_ = planner.shares(ready, free)
    left = {name: free[name] - given_.get(name, 0) for name in free}
    assert all(left[name] >= max(left.values()) - 1 for name in given_)
