"""Results of other tasks as arguments, put in when a call's turn has come."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsched.proto import anys, call_pb2
from tsched.proto.errors import Refusal, RefusalReason
from tsched.proto.plain import SIZE_LIMIT
from tsched.supervisor import after, filling

RESULTS = st.lists(st.none() | st.integers(-5, 5), min_size=1, max_size=5)


def stored(value):
    return anys.to_any(value).SerializeToString()


def of(*places):
    return call_pb2.Argument(results_of=call_pb2.Results(after=places))


def plain(argument):
    return anys.from_any(argument.value)


@given(RESULTS, st.data())
def test_each_place_gets_what_its_task_returned_and_none_where_there_is_nothing(results, data):
    places = data.draw(st.lists(st.integers(0, len(results) - 1), max_size=6))
    call = call_pb2.Call(function="f", args=[call_pb2.Argument(result_of=each) for each in places])
    call.args.append(of(*places))
    call.kwargs["own"].value.CopyFrom(anys.to_any("x"))
    filled = filling.filled(call, [None if each is None else stored(each) for each in results])
    wanted = [results[each] for each in places]
    assert [plain(each) for each in filled.args] == [*wanted, wanted]
    assert plain(filled.kwargs["own"]) == "x"
    assert filled.function == "f"
    assert not after.places(filled)


def test_a_call_that_takes_no_results_is_passed_on_as_it_is():
    call = call_pb2.Call(function="f", args=[call_pb2.Argument(value=anys.to_any(1))])
    assert filling.filled(call, ()) is call


def test_a_result_that_is_taken_too_often_is_refused_before_it_is_copied():
    call = call_pb2.Call(function="f", args=[of(*[0] * 10_000)])
    with pytest.raises(Refusal) as refused:
        filling.filled(call, [stored(b"x" * (SIZE_LIMIT // 2))])
    assert refused.value.reason == RefusalReason.BAD_ARGUMENTS
