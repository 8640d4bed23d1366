"""The client against a scripted supervisor: refusals come back whole, and a broken connection costs nothing."""

import shutil
import tempfile
import threading
from pathlib import Path

import pytest

from support.fake_api import FakeApi, answering, gone, in_turn, refusing, streaming
from tsched.client.connection import Connection
from tsched.client.following import follow_logs, follow_run, follow_wait
from tsched.proto import api_pb2 as api
from tsched.proto.errors import Refusal, RefusalReason


@pytest.fixture
def socket():
    folder = Path(tempfile.mkdtemp(prefix="ts-"))  # short, for it must fit into a socket's address
    yield folder / "s"
    shutil.rmtree(folder)


@pytest.fixture
def fake(socket):
    server = FakeApi(socket)
    yield server
    server.stop()


@pytest.fixture
def client(socket):
    with Connection(socket, make_key=lambda: "key-1") as client:
        yield client


def task(**fields):
    return api.Task(**{"id": "7", "state": "succeeded", "exit_code": 0, "attempt": 1, **fields})


def batch(*tasks):
    return api.TaskBatch(tasks=tasks)


def out(offset, data, stream="out", **fields):
    return api.Output(stream=stream, offset=offset, data=data, **fields)


def refused(call):
    with pytest.raises(Refusal) as caught:
        call()
    return caught.value


# Refusals.


def test_a_refusal_comes_back_with_reason_message_and_hint(fake, client):
    fake.on["Get"] = refusing("NOT_FOUND", "no_such_task", "there is no 7", "look")
    refusal = refused(lambda: client.get("7"))
    assert (refusal.reason, refusal.message, refusal.hint) == (RefusalReason.NO_SUCH_TASK, "there is no 7", "look")


def test_a_reason_of_a_later_version_keeps_its_message_and_the_meaning_of_its_status(fake, client):
    fake.on["Get"] = refusing("INVALID_ARGUMENT", "bad_moon", "no moon", "wait")
    refusal = refused(lambda: client.get("7"))
    assert (refusal.reason, refusal.message, refusal.hint) == (RefusalReason.BAD_VALUE, "no moon", "wait")


def test_a_bug_of_the_supervisor_is_no_fault_of_the_user(fake, client):
    def bug(request, context):
        raise ZeroDivisionError

    fake.on["Get"] = bug
    assert refused(lambda: client.get("7")).exit_code == 125


def test_where_nobody_listens_there_is_no_supervisor(client):
    assert refused(client.status).reason is RefusalReason.NO_SUPERVISOR


def test_a_method_the_supervisor_does_not_know_tells_of_another_version(fake, client):
    client._control.Status = client._channel.unary_unary(
        "/tsched.v1.Control/Later",
        request_serializer=api.StatusRequest.SerializeToString,
        response_deserializer=api.StatusResponse.FromString,
    )
    assert "another version" in refused(client.status).message


def test_a_request_that_is_too_large_is_refused_as_such(fake, client):
    fake.on["Submit"] = answering(api.SubmitResponse())
    spec = api.TaskSpec(stdin=b"x" * 9_000_000)
    assert refused(lambda: client.submit([spec])).reason is RefusalReason.TOO_LARGE


# Submissions.


def test_an_unanswered_submission_is_repeated_once_under_its_key(fake, client):
    answer = api.SubmitResponse(tasks=[api.Submitted(id="7")])
    fake.on["Submit"] = in_turn(gone, answering(answer))
    assert [submitted.id for submitted in client.submit([api.TaskSpec(name="a")])] == ["7"]
    first, second = fake.requests("Submit")
    assert first == second
    assert first.tasks[0].key == "key-1"


def test_a_refused_submission_is_not_repeated(fake, client):
    fake.on["Submit"] = refusing("UNAVAILABLE", "draining", "it stops")
    assert refused(lambda: client.submit([api.TaskSpec()])).reason is RefusalReason.DRAINING
    assert len(fake.requests("Submit")) == 1


def test_a_submission_that_breaks_twice_is_given_up(fake, client):
    fake.on["Submit"] = gone
    assert refused(lambda: client.submit([api.TaskSpec()])).reason is RefusalReason.NO_SUPERVISOR
    assert len(fake.requests("Submit")) == 2


def test_a_key_of_the_callers_own_is_kept(fake, client):
    fake.on["Submit"] = answering(api.SubmitResponse())
    client.submit([api.TaskSpec(key="mine")])
    assert fake.requests("Submit")[0].tasks[0].key == "mine"


# Pages.


def test_all_pages_are_read_by_their_tokens_and_no_more_than_asked_for(fake, client):
    pages = {
        "": api.ListResponse(tasks=[task(id="3"), task(id="2")], next_page_token="b"),
        "b": api.ListResponse(tasks=[task(id="1")]),
    }
    fake.on["List"] = lambda request, _context: pages[request.page_token]
    assert [each.id for each in client.tasks(states=["ready"], page_size=2)] == ["3", "2", "1"]
    next(client.tasks())
    assert len(fake.requests("List")) == 3


# Following.


def events(*parts):
    names = {api.Submitted: "submitted", api.Output: "output", api.Task: "ended"}
    return [api.RunEvent(**{names[type(part)]: part}) for part in parts]


def followed(fake, client):
    breaks = []
    parts = list(follow_run(client, api.TaskSpec(), on_break=breaks.append))
    return parts, breaks


def written(parts, stream="out"):
    return b"".join(part.data for part in parts if isinstance(part, api.Output) and part.stream == stream)


def test_a_run_is_followed_from_its_submission_to_its_end(fake, client):
    fake.on["Run"] = streaming(*events(api.Submitted(id="7"), out(0, b"a"), task(exit_code=3)))
    parts, breaks = followed(fake, client)
    assert (parts[0].id, written(parts), parts[-1].exit_code, breaks) == ("7", b"a", 3, [])


def test_a_broken_run_goes_on_exactly_where_it_was(fake, client):
    fake.on["Run"] = streaming(*events(api.Submitted(id="7"), out(0, b"abc"), out(0, b"X", "err")), then=gone)
    fake.on["Get"] = answering(task(state="running"))
    kept = [out(0, b"a"), out(1, b"bcd"), out(0, b"XY", "err"), out(4, b"ef")]
    fake.on["Logs"] = streaming(*kept)
    fake.on["Wait"] = streaming(batch(task(exit_code=5)))
    parts, breaks = followed(fake, client)
    assert (written(parts), written(parts, "err"), parts[-1].exit_code) == (b"abcdef", b"XY", 5)
    assert breaks == ["7"]
    assert all(part.gap_bytes == 0 for part in parts if isinstance(part, api.Output))


def test_what_was_not_kept_meanwhile_is_told(fake, client):
    fake.on["Run"] = streaming(*events(api.Submitted(id="7"), out(0, b"abc")), then=gone)
    fake.on["Get"] = answering(task(state="running"))
    fake.on["Logs"] = streaming(out(0, b"a"), out(10, b"z", gap_bytes=9), out(0, b"", truncated=True))
    fake.on["Wait"] = streaming(batch(task()))
    parts, _ = followed(fake, client)
    assert [(part.data, part.gap_bytes, part.truncated) for part in parts[2:-1]] == [(b"z", 7, False), (b"", 0, True)]


def test_the_next_attempt_is_read_from_its_begin(fake, client):
    fake.on["Run"] = streaming(*events(api.Submitted(id="7"), out(0, b"abc")), then=gone)
    fake.on["Get"] = answering(task(state="running", attempt=2))
    fake.on["Logs"] = streaming(out(0, b"new"))
    fake.on["Wait"] = streaming(batch(task(attempt=2)))
    parts, _ = followed(fake, client)
    assert written(parts) == b"abcnew"


def test_a_run_that_broke_again_and_again_still_ends_whole(fake, client):
    fake.on["Run"] = streaming(*events(api.Submitted(id="7"), out(0, b"ab")), then=gone)
    fake.on["Get"] = answering(task(state="running"))
    fake.on["Logs"] = in_turn(
        streaming(out(0, b"abc"), then=gone), streaming(then=gone), streaming(out(0, b"abcd"), out(4, b"e"))
    )
    fake.on["Wait"] = in_turn(streaming(then=gone), streaming(batch(task())))
    parts, breaks = followed(fake, client)
    assert written(parts) == b"abcde"
    assert breaks == ["7"] * 4


def test_a_run_that_broke_before_it_was_answered_is_asked_again_under_its_key(fake, client):
    fake.on["Run"] = in_turn(
        streaming(then=gone), streaming(*events(api.Submitted(id="7", existed=True), out(0, b"a"), task()))
    )
    fake.on["Get"] = answering(task())
    parts, breaks = followed(fake, client)
    assert (written(parts), breaks) == (b"a", [""])
    assert {request.task.key for request in fake.requests("Run")} == {"key-1"}


def test_a_refused_run_is_refused(fake, client):
    fake.on["Run"] = refusing("ALREADY_EXISTS", "id_taken", "taken")
    assert refused(lambda: followed(fake, client)).reason is RefusalReason.ID_TAKEN


def test_a_reader_that_leaves_ends_its_call(fake, client):
    ended = []

    def endless(request, context):
        context.add_callback(lambda: ended.append(True))
        while context.is_active():
            yield out(0, b"x" * 100_000)

    fake.on["Logs"] = endless
    stream = client.logs(api.LogsRequest(id="7"))
    next(stream)
    stream.close()
    fake.stop()
    assert ended


def test_logs_that_are_followed_go_on_after_a_break_and_others_fail(fake, client):
    fake.on["Logs"] = in_turn(streaming(out(0, b"ab"), then=gone), streaming(out(0, b"abc")))
    fake.on["Get"] = answering(task(state="running"))
    fake.on["Wait"] = streaming(batch(task()))
    asked = api.LogsRequest(id="7", follow=True)
    assert written(list(follow_logs(client, asked, on_break=print))) == b"abc"
    fake.on["Logs"] = streaming(out(0, b"ab"), then=gone)
    once = api.LogsRequest(id="7")
    assert refused(lambda: list(follow_logs(client, once, on_break=print))).reason is RefusalReason.NO_SUPERVISOR


def test_waiting_goes_on_for_those_that_have_not_ended(fake, client):
    fake.on["Wait"] = in_turn(streaming(batch(task(id="1")), then=gone), streaming(batch(task(id="2"))))
    ended = [each.id for each in follow_wait(client, ["1", "2"], timeout_us=None, on_break=print)]
    assert ended == ["1", "2"]
    assert [list(request.ids) for request in fake.requests("Wait")] == [["1", "2"], ["2"]]


def test_waiting_ends_with_its_time_and_names_who_is_late(fake, client):
    def never(request, context):
        left = threading.Event()
        context.add_callback(left.set)
        yield batch(task(id="1"))
        left.wait()

    fake.on["Wait"] = never
    refusal = refused(lambda: list(follow_wait(client, ["1", "2"], timeout_us=200_000, on_break=print)))
    assert (refusal.reason, refusal.exit_code) == (RefusalReason.WAIT_TIMEOUT, 124)
    assert refusal.message == "not ended in time: 2"
