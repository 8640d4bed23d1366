"""Hold, release, retry, pause, resume, events and what tasks have in common, as any client may ask for them."""

import string
import threading
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.wait import until
from tsched.client.connection import Connection
from tsched.proto import api_pb2 as api
from tsched.proto.errors import Refusal, RefusalReason

ALNUM = set(string.ascii_letters + string.digits)
ONE_SLOT = "[executors]\ncount = 1\nslots = 1\n"


@pytest.fixture
def client(service):
    with Connection(service.socket) as client:
        yield client


def shell(line, **fields):
    return api.TaskSpec(command=api.Command(shell=line), cwd="/", **fields)


def submit(client, *specs, common=None):
    answer = client._tasks.Submit(api.SubmitRequest(tasks=specs, common=common))
    return [each.id for each in answer.tasks]


def one(client, line, **fields):
    (task_id,) = submit(client, shell(line, **fields))
    return task_id


def ended(client, *ids):
    return {task.id: task for task in client.wait(ids)}


def refused(call):
    with pytest.raises(Refusal) as caught:
        call()
    return caught.value


def events(client, **fields):
    batches = list(client._tasks.Events(api.EventsRequest(**fields)))
    return [event for batch in batches for event in batch.events], batches[-1].cursor


def test_a_held_task_waits_until_it_is_released(client):
    held, other = one(client, "echo 1", hold=True), one(client, "echo 2")
    ended(client, other)
    assert client.get(held).state == "held"
    assert client.release(held).state == "ready"
    assert ended(client, held)[held].state == "succeeded"


def test_a_task_that_an_executor_holds_ahead_can_be_held_back(make_service):
    service = make_service(config=ONE_SLOT)
    with Connection(service.socket) as client:
        ended(
            client, *submit(client, *[shell("true") for _ in range(40)])
        )  # so quick that it takes more than it has slots
        blocker, behind = submit(client, shell("sleep 60"), shell("true"))
        until(lambda: client.get(behind).state == "running" or client.get(blocker).attempts)
        assert client.hold(behind).state == "held"
        client.cancel(blocker, grace_us=0)
        ended(client, blocker, one(client, "true"))
        assert client.get(behind).state == "held"
        client.release(behind)
        assert ended(client, behind)[behind].state == "succeeded"


def test_a_held_task_keeps_its_time(client):
    later = one(client, "true", delay_us=3_600_000_000)
    due_at_us = client.get(later).due_at_us
    client.hold(later)
    assert client.hold(later).state == "held", "twice is harmless"
    released = client.release(later)
    assert (released.state, released.due_at_us) == ("scheduled", due_at_us)
    assert refused(lambda: client.release(later)).reason == RefusalReason.WRONG_STATE


def test_a_finished_task_is_retried_as_a_new_one_and_a_repeated_request_gives_the_same(client):
    first = one(client, "echo again; exit 3", name="mine", env={"A": "b"})
    ended(client, first)
    second = client._tasks.Retry(api.RetryRequest(id=first, key="k")).tasks[0]
    again = client._tasks.Retry(api.RetryRequest(id=first, key="k")).tasks[0]
    assert (again.id, again.existed) == (second.id, True)
    task = ended(client, second.id)[second.id]
    assert (task.retry_of, task.name, task.exit_code) == (first, "mine", 3)
    assert b"".join(piece.data for piece in client.logs(api.LogsRequest(id=second.id))) == b"again\n"


def test_what_has_not_ended_is_not_retried(client):
    waiting = one(client, "true", hold=True)
    refusal = refused(lambda: client.retry(waiting))
    assert refusal.reason == RefusalReason.WRONG_STATE
    assert waiting in refusal.message


def test_a_paused_task_stands_still_and_its_time_limit_with_it(client, witness):
    ticking = one(client, f"while :; do echo tick >> {witness.path}; done", timeout_us=60_000_000)
    until(lambda: witness.path.exists() and witness.path.stat().st_size > 0)
    paused = client.pause(ticking)
    assert paused.state == "running"
    assert paused.paused_at_us > 0
    size = witness.path.stat().st_size
    assert ended(client, one(client, "true"))
    assert witness.path.stat().st_size == size
    resumed = client.resume(ticking)
    assert not resumed.HasField("paused_at_us")
    assert resumed.attempts[0].paused_us > 0
    until(lambda: witness.path.stat().st_size > size)
    client.cancel(ticking, grace_us=0)
    assert ended(client, ticking)[ticking].state == "cancelled"


def test_a_paused_task_stays_paused_over_a_restart_of_the_supervisor(service):
    with Connection(service.socket) as client:
        sleeper = one(client, "sleep 0.2; echo done")
        until(lambda: client.get(sleeper).attempts and client.get(sleeper).attempts[0].pid)
        client.pause(sleeper)
    service.restart()
    with Connection(service.socket) as client:
        assert client.get(sleeper).HasField("paused_at_us")
        until(lambda: [executor for executor in client.status().executors if executor.running])
        client.resume(sleeper)
        assert ended(client, sleeper)[sleeper].state == "succeeded"


@pytest.mark.parametrize("deed", ["pause", "resume"])
def test_only_what_runs_is_paused_and_resumed(client, deed):
    waiting, done = one(client, "true", hold=True), one(client, "true")
    ended(client, done)
    for task_id in (waiting, done):
        refusal = refused(partial(getattr(client, deed), task_id))
        assert refusal.reason == RefusalReason.WRONG_STATE
        assert task_id in refusal.message
        assert refusal.hint
    assert refused(lambda: getattr(client, deed)("999")).reason == RefusalReason.NO_SUCH_TASK


def test_events_tell_a_task_from_its_submission_to_its_end(client):
    task_id = one(client, "exit 4")
    ended(client, task_id)
    told, cursor = events(client, ids=[task_id])
    assert [event.event for event in told] == ["submitted", "started", "attempt_ended", "failed"]
    assert [event.state for event in told][-1] == "failed"
    assert told[-1].reason == "exit_code"
    assert cursor >= told[-1].cursor


def test_events_go_on_after_a_cursor_without_loss_or_repetition(client):
    ended(client, *submit(client, *[shell("true") for _ in range(3)]))
    first, _ = events(client)
    ended(client, one(client, "true"))
    after, cursor = events(client, after=first[-1].cursor)
    everything, newest = events(client)
    assert [*first, *after] == everything
    assert cursor == newest
    assert [event.cursor for event in everything] == sorted({event.cursor for event in everything})


def test_a_follower_of_events_hears_of_what_happens_from_then_on(client):
    ended(client, one(client, "true"))
    heard = []
    stream = client._tasks.Events(api.EventsRequest(only_new=True, follow=True))
    begun = next(stream)

    def listen():
        for batch in stream:
            heard.extend(batch.events)
            if heard[-1].event == "succeeded":
                return

    listener = threading.Thread(target=listen)
    listener.start()
    task_id = one(client, "true")
    listener.join(10)
    stream.cancel()
    assert {event.task for event in heard} == {task_id}
    assert all(event.cursor > begun.cursor for event in heard)


@pytest.mark.parametrize("after", [10**15, -1])
def test_a_cursor_that_was_never_given_is_refused(client, after):
    ended(client, one(client, "true"))
    answer = refused(lambda: list(client.events(api.EventsRequest(after=after))))
    assert answer.reason == RefusalReason.NO_SUCH_CURSOR
    assert answer.exit_code == 1


def test_tasks_share_what_they_have_in_common_and_keep_what_is_their_own(client):
    common = shell("echo $A $B $PATH", env={"A": "common"}, submitter_env={"PATH": "/nowhere"}, name="all")
    ids = submit(client, api.TaskSpec(env={"B": "1"}), api.TaskSpec(env={"A": "own", "B": "2"}), common=common)
    argv = api.TaskSpec(command=api.Command(argv=api.Argv(args=["/bin/echo", "x"])), name="other")
    ids += submit(client, argv, common=common)
    tasks = ended(client, *ids)
    written = [b"".join(p.data for p in client.logs(api.LogsRequest(id=task_id))) for task_id in ids]
    assert written == [b"common 1 /nowhere\n", b"own 2 /nowhere\n", b"x\n"]
    assert [tasks[task_id].name for task_id in ids] == ["all", "all", "other"]


@pytest.mark.parametrize("fields", [{"id": "a"}, {"key": "k"}])
def test_tasks_have_no_id_and_no_key_in_common(client, fields):
    with pytest.raises(Exception, match="in common"):
        submit(client, api.TaskSpec(), common=shell("true", **fields))


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(queue=st.text(max_size=70))
def test_a_queue_is_a_plain_word(client, queue):
    plain = queue == "" or (queue.isascii() and queue[0].isalnum() and not set(queue) - set("._:-") - ALNUM)
    try:
        task_id = one(client, "true", queue=queue, hold=True)
    except Exception:  # noqa: BLE001 - raw gRPC or a refusal
        assert not plain
    else:
        assert plain
        assert client.get(task_id).queue == (queue or "default")
