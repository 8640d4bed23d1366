"""`events` tells everything that happens once, in order, over any number of breaks."""

import json
import os
import subprocess
import threading

import pytest

from support.fake_api import gone, in_turn, refusing, streaming
from support.service import TSCHED
from tsched.cli import main
from tsched.proto import api_pb2 as api


def said(capfd, *words):
    code = main.run(words)
    out, err = capfd.readouterr()
    return code, [json.loads(line) for line in out.splitlines()], err


def batch(*cursors, reached=0):
    events = [api.Event(cursor=cursor, at_us=cursor, task="t", event="started") for cursor in cursors]
    return api.EventBatch(events=events, cursor=reached)


def cursors(lines):
    return [line["cursor"] for line in lines]


def asked(fake):
    return [(request.after, request.only_new) for request in fake.requests("Events")]


def test_all_kept_events_are_told_as_json_lines(fake, capfd):
    event = api.Event(
        cursor=3, at_us=1_500_000, task="t", event="failed", state="failed", attempt=2, reason="timeout", queue="q"
    )
    fake.on["Events"] = streaming(api.EventBatch(events=[event]), batch(4, 6))
    code, lines, err = said(capfd, "events", "--id", "t", "--id", "u", "--id", "t")
    assert (code, cursors(lines), err) == (0, [3, 4, 6], "")
    assert lines[0] == {
        "cursor": 3,
        "at": "1970-01-01T00:00:01.500000Z",
        "task": "t",
        "event": "failed",
        "state": "failed",
        "attempt": 2,
        "reason": "timeout",
        "queue": "q",
    }
    [request] = fake.requests("Events")
    assert (list(request.ids), request.follow, request.after, request.only_new) == (["t", "u"], False, 0, False)


def test_following_goes_on_behind_the_last_event_that_was_seen(fake, capfd):
    fake.on["Events"] = in_turn(
        streaming(batch(reached=5), then=gone),
        streaming(batch(7), batch(8, 9, reached=11), then=gone),
        streaming(then=gone),
        streaming(batch(12)),
    )
    code, lines, err = said(capfd, "events", "-f")
    assert (code, cursors(lines)) == (0, [7, 8, 9, 12])
    assert asked(fake) == [(0, True), (5, False), (11, False), (11, False)]
    assert err.count("the supervisor is away, starting anew perhaps; tasks go on") == 3


@pytest.mark.parametrize(
    ("words", "first"),
    [(["--after", "5", "-f"], (5, False)), (["-f", "--after", "0"], (0, False)), (["--after", "5"], (5, False))],
)
def test_a_cursor_says_where_to_begin(words, first, fake, capfd):
    fake.on["Events"] = streaming(batch(6))
    assert said(capfd, "events", *words)[0] == 0
    assert asked(fake) == [first]


def test_what_is_not_followed_is_not_asked_for_again(fake, capfd):
    fake.on["Events"] = streaming(batch(1), then=gone)
    code, lines, _ = said(capfd, "events")
    assert (code, cursors(lines)) == (69, [1])


def test_a_cursor_that_is_no_longer_kept_is_refused_as_such(fake, capfd):
    fake.on["Events"] = refusing("OUT_OF_RANGE", "no_such_cursor", "cursor 1 is too old", "use --after 0")
    assert said(capfd, "events", "-f", "--after", "1") == (1, [], "tsched: cursor 1 is too old (use --after 0)\n")
    code, [line], _ = said(capfd, "events", "-f", "--after", "1", "--json")
    assert (code, line["error"]["reason"]) == (1, "no_such_cursor")


@pytest.mark.parametrize("cursor", ["-1", "x", "1.5", "", "9" * 19, "\udcff"])
def test_what_is_no_cursor_is_refused_before_it_is_asked(cursor, fake, capfd):
    code, _, err = said(capfd, "events", f"--after={cursor}")
    assert (code, fake.asked) == (2, [])
    assert "not a cursor" in err


def test_every_line_comes_at_once_and_a_closed_pipe_ends_it_silently(fake):
    left = threading.Event()

    def silent(_request, context):
        context.add_callback(left.set)
        left.wait()

    fake.on["Events"] = streaming(batch(1), then=silent)
    process = subprocess.Popen([TSCHED, "events", "-f"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert json.loads(process.stdout.readline())["cursor"] == 1
    process.stdout.close()
    assert process.wait(20) == 141
    assert os.read(process.stderr.fileno(), 99) == b""
    process.stderr.close()
    assert left.wait(10)
