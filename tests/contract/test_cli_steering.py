"""Verbs that take one task or several, against a scripted supervisor: every one is tried, each answer shown once."""

import json

import pytest

from support.fake_api import answering, gone, in_turn, refusing
from tsched.cli import main
from tsched.proto import api_pb2 as api

STEERING = {"hold": "Hold", "release": "Release", "pause": "Pause", "resume": "Resume", "cancel": "Cancel"}


def said(capfd, *words):
    code = main.run(words)
    out, err = capfd.readouterr()
    return code, out, err


def echoing(request, _context):
    """The task that was named."""
    return api.Task(id=request.id, state="running")


def but_for(bad, otherwise):
    """A handler that refuses one task."""
    refuse = refusing("NOT_FOUND", "no_such_task", f"there is no {bad}", "look")
    return lambda request, context: (refuse if request.id == bad else otherwise)(request, context)


@pytest.mark.parametrize(("verb", "method"), STEERING.items())
def test_one_task_is_answered_by_its_id_or_as_one_object(verb, method, fake, capfd):
    fake.on[method] = echoing
    code, out, err = said(capfd, verb, "a")
    assert (code, out) == (0, "a\n")
    assert err.count("\n") == (0 if verb == "cancel" else 1)
    code, out, err = said(capfd, verb, "a", "--id", "a", "--json")
    assert (code, json.loads(out)["id"], err) == (0, "a", "")
    assert [request.id for request in fake.requests(method)] == ["a", "a"]


@pytest.mark.parametrize("verb", [*STEERING, "delete"])
def test_of_several_each_is_tried_and_the_first_failure_is_the_exit_code(verb, fake, capfd):
    method = STEERING.get(verb, "Delete")
    answer = answering(api.DeleteResponse()) if verb == "delete" else echoing
    fake.on[method] = but_for("b", answer)
    code, out, err = said(capfd, verb, "c", "b", "a", "c")
    assert (code, out) == (1, "c\na\n")
    assert "tsched: there is no b (look)\n" in err
    code, out, err = said(capfd, verb, "--json", "c", "b", "a")
    assert (code, err) == (1, "")
    first, second, third = json.loads(out)
    assert second == {"id": "b", "error": {"reason": "no_such_task", "message": "there is no b", "hint": "look"}}
    assert [each.get("id") or each["deleted"] for each in (first, third)] == ["c", "a"]


def test_a_mistake_among_several_leaves_all_alone(fake, capfd):
    assert said(capfd, "cancel", "a", "b/c")[0] == 2
    assert said(capfd, "cancel")[0] == 2
    assert fake.asked == []


def test_where_nobody_answers_any_more_the_others_are_not_tried(fake, capfd):
    fake.on["Cancel"] = in_turn(echoing, gone)
    code, out, err = said(capfd, "cancel", "a", "b", "c")
    assert (code, out, err.count("\n")) == (69, "a\n", 1)
    code, out, _ = said(capfd, "cancel", "b", "c", "--json")
    assert (code, [each["error"]["reason"] for each in json.loads(out)]) == (69, ["no_supervisor"] * 2)
    assert [request.id for request in fake.requests("Cancel")] == ["a", "b", "b"]


def test_a_retry_prints_the_new_id(fake, capfd):
    fake.on["Retry"] = answering(api.SubmitResponse(tasks=[api.Submitted(id="9", state="ready", due_at_us=1)]))
    assert said(capfd, "retry", "7") == (0, "9\n", "tsched: task 9 does again what task 7 did\n")
    code, out, _ = said(capfd, "retry", "7", "--json")
    assert (code, json.loads(out)) == (
        0,
        {"id": "9", "existed": False, "state": "ready", "due_at": "1970-01-01T00:00:00.000001Z", "retry_of": "7"},
    )
    keys = {request.key for request in fake.requests("Retry")}
    assert len(keys) == 2
    assert "" not in keys


def test_an_unanswered_retry_is_asked_again_under_its_key(fake, capfd):
    fake.on["Retry"] = in_turn(gone, answering(api.SubmitResponse(tasks=[api.Submitted(id="9")])))
    assert said(capfd, "retry", "7")[:2] == (0, "9\n")
    first, second = fake.requests("Retry")
    assert first == second


@pytest.mark.parametrize(
    ("task", "words"),
    [
        (api.Task(id="a", state="ready"), "released: it is ready"),
        (api.Task(id="a", state="scheduled", due_at_us=4_000_000_000_000_000), "is due 2096-10-02"),
    ],
)
def test_a_release_says_what_becomes_of_the_task(task, words, fake, capfd):
    fake.on["Release"] = answering(task)
    assert words in said(capfd, "release", "a")[2]
