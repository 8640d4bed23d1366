"""What is said of functions that are not there."""

from tsched.supervisor import complaints
from tsched.supervisor.entries import NAME_LIMIT


def test_the_name_that_was_meant_is_said():
    assert complaints.no_function("shop::ordr", None, ["shop::order"]).hint == "did you mean shop::order?"


def test_for_what_is_too_long_to_be_a_name_no_other_is_looked_for():
    long = "x" * NAME_LIMIT
    assert complaints.no_function(f"{long}y", None, [long]).hint == "tsched functions lists what there is"
