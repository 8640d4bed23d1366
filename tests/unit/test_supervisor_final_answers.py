"""What is at hand of final results is bounded, and is never told of what was deleted or of an id given again."""

import pytest

from tsched.proto.values import TaskState
from tsched.supervisor.final_answers import ENTRY_LIMIT, FinalAnswer, FinalAnswers


def answer(text="1"):
    return FinalAnswer(TaskState.SUCCEEDED, text, "uid:0")


def kept(answers, *ids, text="1"):
    for each in ids:
        answers.keep(each, answer(text), answers.mark())
    return answers


def test_what_was_kept_is_found():
    assert kept(FinalAnswers(), "a").find("a") == answer()
    assert FinalAnswers().find("a") is None


def test_the_one_asked_for_longest_ago_makes_room():
    answers = kept(FinalAnswers(entries=2), "a", "b")
    answers.find("a")
    kept(answers, "c")
    assert [answers.find(each) is not None for each in "abc"] == [True, False, True]


def test_bytes_are_bounded_whatever_their_number():
    answers = kept(FinalAnswers(size=10_000), *map(str, range(50)), text="x" * 1000)
    assert 5 <= sum(answers.find(str(each)) is not None for each in range(50)) < 10


def test_the_same_id_counts_once():
    answers = FinalAnswers(size=5_000)
    for _ in range(100):
        kept(answers, "a", text="x" * 1000)
    kept(answers, "b", text="x" * 1000)
    assert answers.find("a")
    assert answers.find("b")


def test_what_is_very_large_pushes_nobody_out():
    answers = kept(FinalAnswers(), "a")
    kept(answers, "b", text="x" * ENTRY_LIMIT)
    assert answers.find("a")
    assert answers.find("b") is None


@pytest.mark.parametrize("deleted", ["a", None])
def test_what_is_being_deleted_is_neither_told_nor_kept(deleted):
    answers = kept(FinalAnswers(), "a", "b")
    with answers.gone(deleted):
        kept(answers, "a")
        assert answers.find("a") is None
        assert (answers.find("b") is None) == (deleted is None)
    assert answers.find("a") is None


def test_what_was_looked_up_before_a_deletion_is_not_kept_after_it():
    answers = FinalAnswers()
    mark = answers.mark()
    with answers.gone("a"):
        pass
    answers.keep("a", answer(), mark)
    assert answers.find("a") is None
    kept(answers, "a")
    assert answers.find("a")


def test_two_deletions_of_the_same_task_at_once_both_count():
    answers = FinalAnswers()
    with answers.gone("a"):
        with answers.gone("a"):
            pass
        kept(answers, "a")
        assert answers.find("a") is None
