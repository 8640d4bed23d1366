"""`call` sends what was typed as typed values, keeps stdout for the result alone, and exits with 0 or 1."""

import json

import pytest

from support.fake_api import answering, refusing, streaming
from tsched.cli import main
from tsched.proto import anys, plain
from tsched.proto import api_pb2 as api
from tsched.proto.call_pb2 import Call

VALUE = [1, "grüße", b"\0\xff", None, {"a": 1.5}]


def said(capfd, *words):
    code = main.run(words)
    out, err = capfd.readouterr()
    return code, out, err


def ends(fake, *, output=(), **fields):
    """Have the supervisor run the call, which writes that and ends like that."""
    task = api.Task(**{"id": "7", "state": "succeeded", "call": Call(function="f"), **fields})
    events = [api.RunEvent(submitted=api.Submitted(id="7", state="ready"))]
    events += [api.RunEvent(output=each) for each in output]
    fake.on["Run"] = streaming(*events, api.RunEvent(ended=task))
    return task


def sent(fake):
    return fake.requests("Run")[-1].task


def test_words_become_typed_values_in_their_order(fake, capfd):
    ends(fake, result=anys.to_any(3))
    words = ["call", "math::add", "1", "--kw", "scale=3", "b", "--kw", "x=[1]", '{"@bytes": "AA=="}', "-5", "--", "-v"]
    assert said(capfd, *words) == (0, "3\n", "")
    call = sent(fake).call
    assert call.function == "math::add"
    assert [anys.from_any(each.value) for each in call.args] == [1, "b", b"\0", -5, "-v"]
    assert {name: anys.from_any(each.value) for name, each in call.kwargs.items()} == {"scale": 3, "x": [1]}


def test_raw_words_are_strings(fake, capfd):
    ends(fake, result=anys.to_any(None))
    assert said(capfd, "call", "f", "--raw", "--kw", "a=1", "null", "@result:5") == (0, "null\n", "")
    call = sent(fake).call
    assert [anys.from_any(each.value) for each in call.args] == ["null", "@result:5"]
    assert anys.from_any(call.kwargs["a"].value) == "1"
    assert not sent(fake).after


def test_stdout_is_the_result_and_nothing_else(fake, capfd):
    ends(fake, output=[api.Output(stream="out", data=b"said\n"), api.Output(stream="err", data=b"warned\n")],
         result=anys.to_any(plain.plain(VALUE)))  # fmt: skip
    code, out, err = said(capfd, "call", "f")
    assert (code, err) == (0, "said\nwarned\n")
    assert plain.from_json(json.loads(out)) == VALUE


def test_a_result_of_another_task_makes_it_a_parent_once(fake, capfd):
    ends(fake, result=anys.to_any(1))
    said(capfd, "call", "f", "@result:9", "--after", "8:any", "--after", "x:fail", "@result:8", "--kw", "k=@result:9")
    task = sent(fake)
    assert [(each.task.id, each.condition) for each in task.after] == [("8", "any"), ("x", "fail"), ("9", "ok")]
    assert [each.result_of for each in task.call.args] == [2, 0]
    assert task.call.kwargs["k"].result_of == 2


def test_the_options_of_run_go_along(fake, capfd):
    fake.on["Submit"] = answering(api.SubmitResponse(tasks=[api.Submitted(id="mine", state="held")]))
    options = ["-d", "--id", "mine", "--name", "n", "--queue", "q", "--priority", "-3", "--hold", "--timeout", "90"]
    options += ["--retries", "2", "--retry-delay", "5s", "--profile", "p", "--on-lost", "hold", "--grace", "1s"]
    code, out, err = said(capfd, "call", "f", *options)
    assert (code, out) == (0, "mine\n")
    assert "held" in err
    [task] = fake.requests("Submit")[0].tasks
    assert (task.id, task.name, task.queue, task.priority, task.hold) == ("mine", "n", "q", -3, True)
    assert (task.timeout_us, task.retries, task.retry_delay_us) == (90_000_000, 2, 5_000_000)
    assert (task.profile, task.on_lost, task.grace_us) == ("p", "hold", 1_000_000)


def test_what_nobody_said_is_left_to_the_functions_author(fake, capfd):
    ends(fake, result=anys.to_any(1))
    said(capfd, "call", "f")
    task = sent(fake)
    for field in ("priority", "timeout_us", "grace_us", "retries", "retry_delay_us"):
        assert not task.HasField(field)
    assert (task.on_lost, task.profile, task.queue, dict(task.submitter_env)) == ("", "", "", {})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"reason": "raised", "message": "ValueError: no"}, "task 7 failed (raised): ValueError: no"),
        ({"reason": "signal", "signal": 11, "message": "killed by SIGSEGV"}, "task 7 failed (SIGSEGV): killed by"),
        ({"reason": "exit_code", "exit_code": 3, "message": "ended its process"}, "task 7 failed (exit 3): ended its"),
        ({"state": "skipped", "reason": "dependency", "message": "task 5 failed"}, "task 7 skipped (dependency)"),
        ({"state": "cancelled", "reason": "cancelled"}, "task 7 cancelled"),
    ],
)
def test_what_does_not_succeed_exits_with_one_and_says_why(fields, words, fake, capfd):
    ends(fake, **{"state": "failed", **fields})
    code, out, err = said(capfd, "call", "f")
    assert (code, out) == (1, "")
    assert words in err
    assert err.count("\n") == 1


def test_a_result_that_did_not_come_along_is_asked_for(fake, capfd):
    ended = ends(fake)
    ended.result.CopyFrom(anys.to_any("kept"))
    fake.on["Get"] = answering(ended)
    assert said(capfd, "call", "f", "--id", "mine") == (0, '"kept"\n', "")
    assert fake.requests("Get")[-1].result


def test_for_programs_each_thing_is_a_line(fake, capfd):
    ends(fake, output=[api.Output(stream="out", data=b"x")], result=anys.to_any(float("inf")))
    code, out, err = said(capfd, "call", "f", "--json")
    submitted, output, ended = map(json.loads, out.splitlines())
    assert (code, err) == (0, "")
    assert (submitted["submitted"]["id"], output["output"]["text"]) == ("7", "x")
    assert (ended["ended"]["function"], ended["ended"]["result"]) == ("f", {"@float": "inf"})
    assert ended["ended"]["command"] is None


@pytest.mark.parametrize(
    "words",
    [["call"], ["call", ""], ["call", "f", "[1"], ["call", "f", "--kw", "x"], ["call", "f", "--kw", "a=1", "--kw", "a=2"],
     ["call", "f", "--retries", "-1"], ["call", "f", "--after", "5", "--after", "5:any"], ["call", "f", "--env", "a=b"]],
    ids=" ".join,
)  # fmt: skip
def test_a_mistake_is_told_before_anything_is_asked(words, fake, capfd):
    code, out, err = said(capfd, *words)
    assert (code, out, fake.asked) == (2, "", [])
    assert err.count("\n") == 1


def test_a_refusal_of_the_supervisor_is_told(fake, capfd):
    fake.on["Run"] = refusing("NOT_FOUND", "no_such_function", "no function is named ad", "did you mean add?")
    assert said(capfd, "call", "ad") == (1, "", "tsched: no function is named ad (did you mean add?)\n")


def test_result_of_a_function_is_what_it_returned(fake, capfd):
    task = {"id": "7", "state": "succeeded", "call": Call(function="f"), "attempt": 1}
    fake.on["Get"] = answering(api.Task(**task, result=anys.to_any([1, b"\1"])))
    assert said(capfd, "result", "7") == (0, '[1, {"@bytes": "AQ=="}]\n', "")
    fake.on["Get"] = answering(api.Task(**task))
    assert said(capfd, "result", "7")[0] == 1
    fake.on["Get"] = answering(api.Task(**{**task, "state": "failed", "reason": "raised", "message": "KeyError: 1"}))
    assert said(capfd, "result", "7") == (1, "", "tsched: task 7 failed (raised): KeyError: 1\n")


def test_a_call_for_a_time_is_submitted_and_not_waited_for(fake, capfd):
    submitted = api.Submitted(id="7", state="scheduled", due_at_us=4_000_000_000_000_000)
    fake.on["Submit"] = answering(api.SubmitResponse(tasks=[submitted]))
    code, out, err = said(capfd, "call", "f", "1", "--in", "1h")
    assert (code, out) == (0, "7\n")
    assert "task 7 is due 2096" in err
    [task] = fake.requests("Submit")[0].tasks
    assert (task.delay_us, task.call.function) == (3_600_000_000, "f")
    assert said(capfd, "call", "f", "--in", "1h", "--at", "14:30")[0] == 2


def test_only_what_is_missing_is_asked_for(fake, capfd):
    code, _, err = said(capfd, "call")
    assert (code, "FUNCTION" in err, "ARG" in err, fake.asked) == (2, True, False, [])
