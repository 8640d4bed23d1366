"""What an impatient and hostile user found: early Ctrl-C, names that are no text, hints that led nowhere."""

import os
import signal
import subprocess

import pytest

from support.fake_api import answering, gone, in_turn, streaming
from support.service import TSCHED
from support.wait import until
from tsched.cli import main, stopper, views
from tsched.client.connection import Connection
from tsched.client.following import follow_logs
from tsched.proto import api_pb2 as api
from tsched.proto.errors import Refusal, RefusalReason


def said(capfd, *words):
    code = main.run(words)
    out, err = capfd.readouterr()
    return code, out, err


@pytest.fixture
def _nobody(tmp_path, monkeypatch):
    monkeypatch.setenv("TSCHED_SOCKET", str(tmp_path / "s"))


@pytest.mark.parametrize(
    ("words", "hint", "not_said"),
    [
        (["schedule", "--at", "yesterday", "--", "x"], "yesterday is past", "yesterday 9:00"),
        (["schedule", "--at", "2027-02-29", "--", "x"], "no such day", "add one"),
        (["schedule", "--at", "2027-03-01T14:30+25:00", "--", "x"], "no such time", "timedelta"),
        (["list", "--limit", "9" * 30], "32 bits", "Traceback"),
        (["up", "-d", "--state-dir", "/tmp/\udcff"], "not valid UTF-8", "Traceback"),
        (["list", "--state-dir", "/tmp/\udcff"], "not valid UTF-8", "Traceback"),
    ],
)
@pytest.mark.usefixtures("_nobody")
def test_a_hint_can_be_followed(words, hint, not_said, capfd):
    code, _, err = said(capfd, *words)
    assert code == 2
    assert err.count("\n") == 1
    assert hint in err
    assert not_said not in err


class Cancelled:
    """A client that notes what it is asked to cancel."""

    def __init__(self):
        self.asked = []

    def cancel(self, id, *, grace_us=None):  # noqa: A002 - the client's word
        self.asked.append((id, grace_us))


def test_a_ctrl_c_before_the_answer_is_meant_for_the_task(capfd):
    client = Cancelled()
    with stopper.Stopper(client) as stop:
        os.kill(os.getpid(), signal.SIGINT)
        until(lambda: "waiting to hear" in capfd.readouterr().err)
        stop.follow("t")
        until(lambda: client.asked == [("t", None)])
        os.kill(os.getpid(), signal.SIGINT)
        until(lambda: client.asked == [("t", None), ("t", 0)])


def leave_before_the_answer(client):
    with stopper.Stopper(client):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        until(lambda: False, what="KeyboardInterrupt")


def test_a_second_ctrl_c_before_the_answer_leaves_and_says_what_may_be(capfd):
    client = Cancelled()
    with pytest.raises(KeyboardInterrupt):
        leave_before_the_answer(client)
    assert "may have been submitted" in capfd.readouterr().err
    assert client.asked == []


def test_the_time_of_a_held_task_is_not_told_as_if_it_started_then(fake, capfd):
    fake.on["Modify"] = answering(api.Task(id="h", state="held", due_at_us=1))
    code, out, err = said(capfd, "modify", "h", "--in", "0")
    assert (code, out) == (0, "h\n")
    assert "is held" in err
    assert "is due" not in err


def test_who_died_is_told_truly():
    attempt = api.Attempt(number=1, state="lost", reason="runner_died", truncated=True)
    shown = views.task(api.Task(id="1", state="failed", reason="runner_died", attempts=[attempt]))
    assert "cut off: its runner died" in shown


def test_a_full_stdout_is_told_once(fake):
    fake.on["List"] = answering(api.ListResponse())
    with open("/dev/full", "wb") as full:
        done = subprocess.run([TSCHED, "--json", "list"], check=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 125
    assert done.stderr.count(b"\n") == 1


def test_a_dying_supervisor_that_still_took_the_question_is_not_taken_for_none(fake):
    fake.on["Status"] = in_turn(gone, gone, answering(api.StatusResponse()))
    with Connection(fake.socket) as client:
        client.await_ready(20)
    assert len(fake.requests("Status")) == 3


def test_that_none_came_back_is_told_when_the_time_is_over(fake):
    fake.on["Status"] = gone
    with Connection(fake.socket) as client, pytest.raises(Refusal) as refused:
        client.await_ready(0.2)
    assert refused.value.reason is RefusalReason.NO_SUPERVISOR


def test_a_submission_that_nobody_answers_is_told_to_be_open(fake):
    fake.on["Submit"] = gone
    with Connection(fake.socket) as client, pytest.raises(Refusal, match="may be stored, or not") as refused:
        client.submit([api.TaskSpec()])
    assert refused.value.reason is RefusalReason.NO_SUPERVISOR
    assert "tsched list" in refused.value.hint
    first, again = fake.requests("Submit")
    assert first == again


def test_logs_are_followed_over_more_than_one_death(fake):
    pieces = [api.Output(stream="out", offset=n, data=b"abc"[n : n + 1]) for n in range(3)]
    fake.on["Get"] = answering(api.Task(id="1", attempt=1))
    fake.on["Logs"] = in_turn(*(streaming(*pieces[:n], then=gone) for n in (1, 2)), streaming(*pieces))
    fake.on["Wait"] = streaming(api.TaskBatch(tasks=[api.Task(id="1", state="succeeded")]))
    breaks = []
    with Connection(fake.socket) as client:
        request = api.LogsRequest(id="1", follow=True)
        data = [output.data for output in follow_logs(client, request, on_break=breaks.append)]
    assert (data, breaks) == ([b"a", b"b", b"c"], ["1", "1"])


def test_the_last_lines_are_followed_over_a_death_without_those_before_them(fake):
    old = [api.Output(stream="out", data=b"a\nb\n"), api.Output(stream="err", data=b"x\n")]
    new = api.Output(stream="out", offset=4, data=b"c\n")

    def logs(request, _context):
        if request.HasField("tail_bytes"):
            yield from (
                api.Output(stream=o.stream, offset=len(o.data) - 1, data=b"\n")
                for o in old
                if o.stream == request.stream
            )
        else:
            yield from [*old, new]

    fake.on["Get"] = answering(api.Task(id="1", attempt=2))
    fake.on["Logs"] = in_turn(logs, logs, streaming(then=gone), logs)
    fake.on["Wait"] = streaming(api.TaskBatch(tasks=[api.Task(id="1", state="succeeded")]))
    with Connection(fake.socket) as client:
        request = api.LogsRequest(id="1", follow=True, tail_lines=0)
        assert [output.data for output in follow_logs(client, request, on_break=print)] == [b"c\n"]


def test_a_second_attempt_is_followed_over_a_death_without_a_byte_twice(fake):
    fake.on["Get"] = answering(api.Task(id="1", attempt=2))
    fake.on["Logs"] = in_turn(
        streaming(api.Output(stream="out", data=b"a"), then=gone), streaming(api.Output(stream="out", data=b"ab"))
    )
    fake.on["Wait"] = streaming(api.TaskBatch(tasks=[api.Task(id="1", state="succeeded")]))
    with Connection(fake.socket) as client:
        request = api.LogsRequest(id="1", follow=True)
        assert b"".join(output.data for output in follow_logs(client, request, on_break=print)) == b"ab"
