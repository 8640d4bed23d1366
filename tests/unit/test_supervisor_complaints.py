"""What is said of functions that are not there."""

from tsched.supervisor import complaints
from tsched.supervisor.entries import NAME_LIMIT


def test_the_name_that_was_meant_is_said():
    assert complaints.no_function("shop::ordr", None, ["shop::order"]).hint == "did you mean shop::order?"


def test_for_what_is_too_long_to_be_a_name_no_other_is_looked_for():
    long = "x" * NAME_LIMIT
    assert complaints.no_function(f"{long}y", None, [long]).hint == "tsched functions lists what there is"


def test_of_many_things_that_are_wrong_the_first_are_said_and_how_many_more_there_are():
    wrong = [f"{number} is wrong" for number in range(complaints.SHOWN_WRONG + 2)]
    assert complaints.summed_up(wrong) == "; ".join([*wrong[: complaints.SHOWN_WRONG], "and 2 more"])
    assert complaints.summed_up(wrong[:2]) == "0 is wrong; 1 is wrong"
    assert not complaints.summed_up([])
