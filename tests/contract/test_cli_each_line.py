"""What `run --each-line` says to a supervisor: few messages, nothing twice, keys that make a repetition harmless."""

import json
import os
import signal
import subprocess
import threading

import pytest

from support.fake_api import FakeApi, gone, in_turn, refusing
from support.service import TSCHED
from support.wait import until
from tsched.proto import api_pb2 as api
from tsched.proto import checks, endpoint


@pytest.fixture
def fake(tmp_path):
    fake = FakeApi(tmp_path / "s")
    fake.on["Submit"] = storing()
    fake.on["Wait"] = ending
    yield fake
    fake.stop()


def storing():
    """A handler that keeps tasks by their keys, as a store does."""
    ids = {}

    def handle(request, _context):
        known = [ids.setdefault(task.key, str(len(ids) + 1)) for task in request.tasks]
        return api.SubmitResponse(tasks=[api.Submitted(id=each, state="ready") for each in known])

    return handle


def ending(request, _context):
    yield api.TaskBatch(tasks=[api.Task(id=each, state="succeeded") for each in reversed(request.ids)])


def run(fake, *words, data):
    env = {"PATH": os.environ["PATH"], "TSCHED_SOCKET": str(fake.socket), "HOME": "/", "LONG": "x" * 100_000}
    return subprocess.run(
        [TSCHED, "run", "--each-line", "-", *words], check=False, capture_output=True, input=data, env=env
    )


def test_what_is_equal_is_said_once(fake):
    done = run(fake, "--json", "--priority", "3", "--hold", "--env", "A=1", "--", "echo", data=b"a\nb\n")
    assert [task["id"] for task in json.loads(done.stdout)] == ["1", "2"], done.stdout
    [request] = fake.requests("Submit")
    common = request.common
    assert (common.priority, common.hold, dict(common.env), common.submitter_env["LONG"][:1]) == (
        3,
        True,
        {"A": "1"},
        "x",
    )
    assert (common.id, common.key, common.HasField("command")) == ("", "", False)
    for task, item in zip(request.tasks, "ab", strict=True):
        assert task == api.TaskSpec(
            key=task.key, command=api.Command(argv=api.Argv(args=["echo", item])), env={"TSCHED_ITEM": item}
        )
    assert run(fake, "--command", "cat", data=b"a\nb\n").returncode == 0
    request = fake.requests("Submit")[-1]
    assert request.common.command.shell == "cat"
    assert [task.name for task in request.tasks] == ["a", "b"]


def test_a_list_too_long_for_a_message_takes_as_few_as_it_needs(fake):
    items = [f"{number}{'x' * 60_000}" for number in range(250)]
    done = run(fake, "-d", "--command", "true", data="\n".join(items).encode())
    assert done.stdout.split() == [str(number).encode() for number in range(1, 251)], done.stderr
    requests = fake.requests("Submit")
    assert len(requests) == 2
    assert max(request.ByteSize() for request in requests) <= endpoint.MESSAGE_LIMIT
    assert [task.env["TSCHED_ITEM"] for request in requests for task in request.tasks] == items


def test_a_repetition_after_a_broken_connection_makes_no_doubles(fake):
    store = storing()

    def stores_and_breaks(request, context):
        store(request, context)
        gone(request, context)

    fake.on["Submit"] = in_turn(stores_and_breaks, store)
    done = run(fake, "-d", "--", "true", data=b"a\na\n")
    assert done.stdout == b"1\n2\n"
    first, second = fake.requests("Submit")
    assert first == second


def test_a_refusal_half_way_says_what_was_submitted(fake):
    fake.on["Submit"] = in_turn(storing(), refusing("RESOURCE_EXHAUSTED", "store_full", "the disk is full"))
    done = run(fake, "-d", "--", "true", data=b"".join(b"x" * 100_000 + b"\n" for _ in range(100)))
    assert done.returncode == 125
    count = len(done.stdout.split())
    assert 0 < count < 100
    assert f"the first {count} lines were submitted" in done.stderr.decode()
    assert b"the disk is full" in done.stderr


@pytest.mark.slow
def test_a_hundred_thousand_lines_are_waited_for_with_one_question(fake):
    done = run(fake, "--command", "true", data=b"".join(b"%d\n" % number for number in range(100_000)))
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert len(fake.requests("Submit")) == 100_000 // checks.TASKS_LIMIT
    [asked] = fake.requests("Wait")
    assert len(asked.ids) == 100_000


def test_ctrl_c_while_a_list_is_submitted_stops_what_was_and_submits_no_more(fake, tmp_path):
    said = tmp_path / "said"
    (tmp_path / "list").write_bytes(b"".join(b"x" * 100_000 + b"\n" for _ in range(150)))
    cancelled = threading.Event()
    store = storing()
    pieces = []

    def interrupted(request, context):
        if not pieces:
            process.send_signal(signal.SIGINT)
            until(lambda: "waiting to hear" in said.read_text())
        pieces.append(len(request.tasks))
        return store(request, context)

    def cancel(request, _context):
        if len(fake.requests("Cancel")) == pieces[0]:
            cancelled.set()
        return api.Task(id=request.id, state="cancelled")

    def wait(request, _context):
        cancelled.wait()
        yield api.TaskBatch(tasks=[api.Task(id=each, state="cancelled") for each in request.ids])

    fake.on |= {"Submit": interrupted, "Cancel": cancel, "Wait": wait}
    environment = {"PATH": os.environ["PATH"], "TSCHED_SOCKET": str(fake.socket), "HOME": "/"}
    words = [TSCHED, "run", "--each-line", tmp_path / "list", "--command", "true"]
    with said.open("wb") as stderr, subprocess.Popen(words, stderr=stderr, env=environment) as process:
        process.wait(60)
    assert process.returncode == 1
    assert len(pieces) == 1
    assert sorted(int(request.id) for request in fake.requests("Cancel")) == list(range(1, pieces[0] + 1))
    assert f"asking {pieces[0]} tasks to stop" in said.read_text()
    assert f"{150 - pieces[0]} lines were not submitted" in said.read_text()
    assert f"{pieces[0]} did not succeed" in said.read_text()
