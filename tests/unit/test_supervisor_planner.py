"""Who is offered how much."""

from hypothesis import given
from hypothesis import strategies as st

from tsched.supervisor import planner

CREDITS = st.dictionaries(st.text(min_size=1, max_size=3), st.integers(min_value=0, max_value=500))


@given(CREDITS)
def test_nobody_is_offered_more_than_it_has_places(free):
    assert all(1 <= places <= min(free[name], planner.CLAIM_LIMIT) for name, places in planner.offers(free))


@given(CREDITS)
def test_everybody_with_a_free_place_is_offered_something_so_all_places_are_reached_in_the_end(free):
    assert {name for name, _ in planner.offers(free)} == {name for name, places in free.items() if places}


@given(CREDITS)
def test_the_freest_is_first(free):
    asked = [free[name] for name, _ in planner.offers(free)]
    assert asked == sorted(asked, reverse=True)
