"""Who is given how much."""

from hypothesis import given
from hypothesis import strategies as st

from tsched.supervisor import planner

PLACES = st.integers(min_value=0, max_value=50)
IDLE = st.integers(min_value=-20, max_value=50)
EXECUTORS = st.dictionaries(st.text(min_size=1, max_size=3), st.tuples(PLACES, IDLE))
READY = st.integers(min_value=0, max_value=200)


def shared(ready, executors):
    """What each is given; how many places each has, and idle slots."""
    free = {name: places for name, (places, _) in executors.items()}
    idle = {name: slots for name, (_, slots) in executors.items()}
    return planner.shares(ready, free, idle), free, idle


@given(READY, EXECUTORS)
def test_nobody_is_given_more_than_it_has_places(ready, executors):
    shares, free, _ = shared(ready, executors)
    assert all(1 <= places <= free[name] for name, places in shares.items())


@given(READY, EXECUTORS)
def test_as_much_is_given_as_there_is_and_as_there_are_places(ready, executors):
    shares, free, _ = shared(ready, executors)
    assert sum(shares.values()) == min(ready, sum(free.values()))


@given(READY, EXECUTORS)
def test_who_is_given_something_has_then_no_more_than_one_idle_slot_less_than_who_has_places_left(ready, executors):
    shares, free, idle = shared(ready, executors)
    left = {name: idle[name] - shares.get(name, 0) for name in free if free[name] > shares.get(name, 0)}
    most = max(left.values(), default=-100)
    assert all(idle[name] - places >= most - 1 for name, places in shares.items())
