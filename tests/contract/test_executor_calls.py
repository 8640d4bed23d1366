"""Calls of sync functions in real function hosts: what they come to, whatever the functions do to their process."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support import procs
from support.fake_link import FakeLink, Setup, link_pb2, shared_room
from support.wait import until
from tsched.proto.profiles import Profile

if TYPE_CHECKING:
    from collections.abc import Iterator

SMALL = Profile(name="small", limits={"data_bytes": 300_000_000}).as_dict()


def mine(**fields: Any) -> link_pb2.Source:
    values = {"name": "mine", "generation": 1, "kind": "functions", "python": sys.executable}
    folder = str(Path(procs.__file__).parent)
    return link_pb2.Source(**(values | {"path": folder, "modules": ["victims"]} | fields))


@pytest.fixture(scope="module")
def shared() -> Iterator[Setup]:
    with shared_room(profiles=[Profile().as_dict(), SMALL]) as setup:
        setup.link.know(mine())
        yield setup


def stop(link: FakeLink, attempt_id: int, grace_s: float) -> None:
    what = link_pb2.Stop(attempt_id=attempt_id, state="cancelled", reason="cancelled", grace_us=int(grace_s * 1e6))
    link.send(stops=[what])


def gone(path: Path) -> bool:
    return not procs.alive(int(path.read_text()))


@pytest.mark.parametrize(
    "value",
    [None, True, -1, 2**63, 1.5, float("inf"), "ü\0\n", b"\xff\0", [1, ["two", None]], {"@k": {"a": b"b"}}, [], {}],
)
def test_values_go_there_and_back_as_they_are(link: FakeLink, value: Any) -> None:
    assert link.result_of(link.call("echo", value)) == value


def test_arguments_go_by_name_too(link: FakeLink) -> None:
    assert link.result_of(link.call("add", 40, kwargs={"b": 2})) == 42


def test_megabytes_go_there_and_back(link: FakeLink) -> None:
    data = os.urandom(4_000_000)
    assert link.result_of(link.call("echo", data)) == data


def test_one_warm_host_runs_call_after_call(link: FakeLink) -> None:
    assert len({link.result_of(link.call("pid")) for _ in range(5)}) == 1


def test_five_hundred_quick_calls_have_each_their_own_result_and_output(link: FakeLink) -> None:
    calls = [("say", f"out {number}", f"err {number}") if number % 3 else ("echo", number) for number in range(500)]
    ids = link.calls(*calls)
    for number, attempt_id in enumerate(ids):
        assert link.finish_of(attempt_id, timeout_s=30).state == "succeeded"
        heard = link.of(attempt_id)
        if number % 3:
            assert (heard.output(1), heard.output(2)) == (f"out {number}\n".encode(), f"err {number}".encode())
        else:
            assert link.result_of(attempt_id) == number
            assert not heard.chunks


def test_everything_that_is_written_is_the_calls_output(link: FakeLink) -> None:
    attempt_id = link.call("say_everywhere")
    assert link.finish_of(attempt_id).state == "succeeded"
    assert sorted(link.of(attempt_id).output().split(b"\n")) == [b"", b"c", b"child", b"os", b"print", b"\xff buffer"]


def test_ten_megabytes_of_output_arrive(link: FakeLink) -> None:
    attempt_id = link.call("flood", 10_000_000)
    assert link.finish_of(attempt_id, timeout_s=30).stdout_bytes == 10_000_000
    assert link.of(attempt_id).output() == (b"x" * 99 + b"\n") * 100_000


def test_logging_and_warnings_are_output(link: FakeLink) -> None:
    attempt_id = link.call("complain")
    link.finish_of(attempt_id)
    assert b"a log line" in link.of(attempt_id).output(2)
    assert b"UserWarning: a warning" in link.of(attempt_id).output(2)


@pytest.mark.parametrize("together", [False, True])
def test_a_warning_is_the_output_of_every_call_that_warns(link: FakeLink, *, together: bool) -> None:
    for function in ("complain", "acomplain") * 2:
        attempt_id = link.call(function, shared=together)
        link.finish_of(attempt_id)
        assert link.of(attempt_id).output(2).count(b"UserWarning: a warning") == 1


def test_output_comes_while_the_function_runs(link: FakeLink, shared: Setup) -> None:
    go = shared.place() / "go"
    attempt_id = link.call("slow_talk", str(go))
    link.output_has(attempt_id, b"early\n")
    assert link.started(attempt_id).pid
    assert link.of(attempt_id).output() == b"early\n"
    go.touch()
    link.finish_of(attempt_id)
    assert link.of(attempt_id).output() == b"early\nlate\n"


def test_an_exception_is_named_and_its_traceback_shows_the_functions_code_only(link: FakeLink) -> None:
    attempt_id = link.call("boom")
    finished = link.finish_of(attempt_id)
    assert (finished.state, finished.reason, finished.message) == ("failed", "raised", "ValueError: bad thing")
    text = link.of(attempt_id).output(2).decode()
    assert "KeyError: 'first'" in text
    assert "raise ValueError(text) from error" in text
    assert "host" not in text


@pytest.mark.parametrize(
    ("function", "args", "message"),
    [
        ("leave", (3, "soft"), "SystemExit: 3"),
        ("interrupt", (), "KeyboardInterrupt"),
        ("recurse", (), "RecursionError: maximum recursion depth exceeded"),
        ("add", (1, "2"), "TypeError: unsupported operand type(s) for +: 'int' and 'str'"),
        ("add", (), "TypeError: add() missing 1 required positional argument: 'a'"),
    ],
)
def test_whatever_is_raised_is_a_failure(link: FakeLink, function: str, args: tuple[Any, ...], message: str) -> None:
    kwargs = {"hard": False} if function == "leave" else {}
    finished = link.run_call(function, *args[: 1 if kwargs else None], kwargs=kwargs)
    assert (finished.state, finished.reason) == ("failed", "raised")
    assert finished.message.startswith(message)


def test_memory_beyond_the_profile_is_a_memory_error(link: FakeLink) -> None:
    finished = link.run_call("eat", 1_000_000_000, profile="small")
    assert (finished.state, finished.reason, finished.message) == ("failed", "raised", "MemoryError")


def test_a_segfault_costs_its_host_alone(link: FakeLink) -> None:
    before = link.result_of(link.call("pid"))
    attempt_id = link.call("crash")
    finished = link.finish_of(attempt_id)
    assert (finished.state, finished.reason, finished.signal) == ("failed", "signal", signal.SIGSEGV)
    assert finished.message == "killed by SIGSEGV"
    assert finished.pid == before
    assert b"in crash" in link.of(attempt_id).output(2)
    assert link.result_of(link.call("add", 1, 1)) == 2


@pytest.mark.parametrize("code", [0, 3])
def test_leaving_the_process_is_a_failure_also_with_exit_code_0(link: FakeLink, code: int) -> None:
    attempt_id = link.call("leave", code)
    finished = link.finish_of(attempt_id)
    assert (finished.state, finished.reason, finished.exit_code) == ("failed", "exit_code", code)
    assert finished.message == f"ended its process with exit code {code} instead of returning"
    assert link.of(attempt_id).output() in {b"going\n", b""}


def test_what_ends_its_host_ends_itself_only(link: FakeLink) -> None:
    finished = link.run_call("kill_group")
    assert (finished.state, finished.reason, finished.signal) == ("failed", "signal", signal.SIGKILL)
    ids = link.calls(*[("echo", number) if number % 10 else ("crash",) for number in range(60)])
    states = [link.finish_of(attempt_id, timeout_s=30).reason for attempt_id in ids]
    assert states == ["" if number % 10 else "signal" for number in range(60)]


@pytest.mark.parametrize("what", ["object", "generator", "large", "huge", "keys", "endless"])
def test_what_cannot_be_sent_is_a_bad_result(link: FakeLink, what: str) -> None:
    finished = link.run_call("unsendable", what)
    assert (finished.state, finished.reason) == ("failed", "bad_result")
    assert not finished.HasField("result")
    assert finished.message.startswith("what it returned")


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("retry", ("failed", "retry", None, False)),
        ("later", ("failed", "retry", 2_500_000, False)),
        ("snooze", ("failed", "snoozed", 7_000_000, True)),
        ("cancel", ("cancelled", "cancelled", None, False)),
    ],
)
def test_a_function_may_say_how_it_goes_on(link: FakeLink, how: str, expected: tuple[Any, ...]) -> None:
    attempt_id = link.call("ask", how)
    finished = link.finish_of(attempt_id)
    again_in_us = finished.again_in_us if finished.HasField("again_in_us") else None
    assert (finished.state, finished.reason, again_in_us, finished.snoozed) == expected
    assert link.of(attempt_id).output(1) == b"asking\n"
    assert not link.of(attempt_id).output(2)
    assert how != "cancel" or finished.message == "no point"


def test_a_function_knows_who_it_is(link: FakeLink) -> None:
    attempt_id = link.call("who", number=2, max_attempts=5, queue="night", timeout_us=60_000_000)
    *values, deadline_us = link.result_of(attempt_id)
    assert values == [f"t{attempt_id}", 2, 5, "who", "night"]
    assert deadline_us == link.finish_of(attempt_id).started_at_us + 60_000_000


def test_progress_is_told_a_few_times_and_the_last_one_in_any_case(link: FakeLink) -> None:
    attempt_id = link.call("advance", 10_000)
    link.finish_of(attempt_id)
    until(lambda: link.of(attempt_id).progress, what="progress was told")
    told = link.of(attempt_id).progress
    assert (told[-1].done, told[-1].total, told[-1].text) == (10_000, 10_000, "rows")
    assert len(told) < 20


def test_progress_that_is_no_number_is_passed_over(link: FakeLink) -> None:
    attempt_id = link.call("lose_count")
    assert link.result_of(attempt_id) == "done"
    assert not link.of(attempt_id).progress


def test_the_newest_progress_is_told_while_the_function_goes_on(link: FakeLink) -> None:
    attempt_id = link.call("advance", 3, 1000.0)
    until(lambda: [each for each in link.of(attempt_id).progress if each.done == 3], what="the last one was told")
    stop(link, attempt_id, 10)
    assert link.finish_of(attempt_id).state == "cancelled"


def test_a_call_that_is_cancelled_may_clean_up(link: FakeLink) -> None:
    attempt_id = link.call("nap", 1000.0)
    link.output_has(attempt_id, b"asleep")
    stop(link, attempt_id, 10)
    finished = link.finish_of(attempt_id)
    assert (finished.state, finished.reason) == ("cancelled", "cancelled")
    assert link.of(attempt_id).output() == b"asleep\ncleaning up\n"
    assert not link.of(attempt_id).output(2)


def test_a_call_that_takes_too_long_is_timed_out(link: FakeLink) -> None:
    attempt_id = link.call("nap", 1000.0, timeout_us=200_000, grace_us=10_000_000)
    finished = link.finish_of(attempt_id)
    assert (finished.state, finished.reason) == ("timed_out", "timeout")
    assert finished.message == "ran longer than 0.2 s"
    assert link.of(attempt_id).output() == b"asleep\ncleaning up\n"


@pytest.mark.parametrize("function", ["spin", "stubborn"])
@pytest.mark.parametrize("way", ["timeout", "cancel"])
def test_what_does_not_end_when_asked_is_killed_after_the_grace(link: FakeLink, function: str, way: str) -> None:
    limits = {"timeout_us": 200_000, "grace_us": 200_000} if way == "timeout" else {}
    attempt_id = link.call(function, **limits)
    until(lambda: link.of(attempt_id).output(), what="it runs")
    if way == "cancel":
        stop(link, attempt_id, 0.2)
    finished = link.finish_of(attempt_id)
    assert (finished.state, finished.signal) == ("timed_out" if way == "timeout" else "cancelled", signal.SIGKILL)
    assert link.result_of(link.call("add", 1, 1)) == 2


def test_what_waits_behind_a_slow_call_goes_elsewhere(link: FakeLink) -> None:
    link.finish_of(link.calls(*[("echo", number) for number in range(300)])[-1], timeout_s=30)
    ids = link.calls(*[("echo", 1)] * 50, ("nap", 1000.0), *[("echo", 2)] * 50)
    assert [link.result_of(ids[place]) for place in range(101) if place != 50] == [1] * 50 + [2] * 50
    stop(link, ids[50], 10)
    assert link.finish_of(ids[50]).state == "cancelled"


def test_children_left_behind_are_ended_and_counted(link: FakeLink, shared: Setup) -> None:
    path = shared.place() / "pid"
    finished = link.run_call("breed", str(path))
    assert (finished.state, finished.leftovers) == ("succeeded", 2)
    assert gone(path)


def test_a_fork_that_comes_back_runs_nothing_of_ours(link: FakeLink) -> None:
    attempt_id = link.call("fork_and_return")
    assert link.result_of(attempt_id) == "both"
    assert len(link.of(attempt_id).finished) == 1
    assert link.result_of(link.call("add", 1, 1)) == 2


@pytest.mark.parametrize("function", ["close_output", "close_stdout"])
def test_closed_output_is_there_again_for_the_next_call(link: FakeLink, function: str) -> None:
    assert link.run_call(function).state == "succeeded"
    attempt_id = link.call("say", "still", "here")
    assert link.finish_of(attempt_id).state == "succeeded"
    assert (link.of(attempt_id).output(1), link.of(attempt_id).output(2)) == (b"still\n", b"here")


def test_who_closes_our_descriptors_is_told_so(link: FakeLink) -> None:
    finished = link.run_call("close_all")
    assert (finished.state, finished.reason) == ("failed", "exit_code")
    assert "descriptors" in finished.message
    assert link.result_of(link.call("add", 1, 1)) == 2


def test_folder_umask_signals_and_streams_are_as_they_were_for_the_next_call(link: FakeLink) -> None:
    link.run_call("litter")
    assert link.result_of(link.call("surroundings"))[:3] == ["/", 0o022, ""]
    attempt_id = link.call("nap", 1000.0)
    link.output_has(attempt_id, b"asleep")
    stop(link, attempt_id, 10)
    assert link.finish_of(attempt_id).state == "cancelled"


def test_a_host_with_a_thread_left_behind_takes_no_more_calls(link: FakeLink) -> None:
    assert link.result_of(link.call("thread")) != link.result_of(link.call("pid"))


@pytest.mark.parametrize(
    "text", ["no json", '[["Ended",[1]]]', '[["Run",[1,["x"],"/",{},0,false]]]', "[" * 5000, '[["Paused",[1,1,1,1,1]]]']
)
def test_a_function_that_speaks_for_its_host_loses_it(link: FakeLink, text: str) -> None:
    finished = link.run_call("lie", text)
    assert (finished.state, finished.reason, finished.signal) == ("failed", "signal", signal.SIGKILL)
    assert link.result_of(link.call("add", 1, 1)) == 2


def test_a_call_stands_still_and_goes_on_and_its_clock_with_it(link: FakeLink) -> None:
    attempt_id = link.call("nap", 0.3, timeout_us=5_000_000)
    link.output_has(attempt_id, b"asleep")
    assert link.pause(attempt_id).on
    pid = link.started(attempt_id).pid
    standing = procs.look(pid)
    assert standing
    assert standing.state == "T"
    assert not link.pause(attempt_id, on=False).on
    assert link.result_of(attempt_id) == "slept"
    assert link.finish_of(attempt_id).paused_us > 0


def test_a_call_that_stands_still_can_be_cancelled(link: FakeLink) -> None:
    attempt_id = link.call("nap", 1000.0)
    link.output_has(attempt_id, b"asleep")
    assert link.pause(attempt_id).on
    stop(link, attempt_id, 10)
    assert link.finish_of(attempt_id).state == "cancelled"
    assert b"cleaning up" in link.of(attempt_id).output()


def test_a_host_that_is_killed_ends_its_call(link: FakeLink) -> None:
    attempt_id = link.call("nap", 1000.0)
    pid = link.started(attempt_id).pid
    os.kill(pid, signal.SIGKILL)
    finished = link.finish_of(attempt_id)
    assert (finished.state, finished.reason, finished.signal) == ("failed", "signal", signal.SIGKILL)


def test_calls_that_are_stopped_or_recalled_at_any_moment_end_once_and_truthfully(link: FakeLink) -> None:
    link.again = False
    try:
        ids = link.calls(*[("echo", number) for number in range(600)])
        over = [link.of(attempt_id) for attempt_id in ids]
        until(lambda: over[100].finished or over[100].returned, timeout_s=30, what="some have run")
        for attempt_id in ids[101::3]:
            stop(link, attempt_id, 10)
        link.send(recalls=ids[102::3])
        until(lambda: all(heard.finished or heard.returned for heard in over), timeout_s=30, what="all ended")
    finally:
        link.again = True
    for number, heard in enumerate(over):
        assert len(heard.finished) + heard.returned == 1
        state = heard.finished[0].state if heard.finished else "returned"
        allowed = {"succeeded", "returned"} if number < 101 else {"succeeded", "returned", "cancelled"}
        assert state in allowed, number
        assert state != "cancelled" or heard.finished[0].reason == "cancelled"


def test_calls_whose_hosts_are_killed_again_and_again_end_once_each(link: FakeLink, shared: Setup) -> None:
    ids = link.calls(*[("echo", number) for number in range(1500)])
    for place in range(100, 1400, 250):
        link.finish_of(ids[place], timeout_s=30)
        with contextlib.suppress(ProcessLookupError):
            os.kill(link.finish_of(ids[place]).pid, signal.SIGKILL)
    ends = [link.finish_of(attempt_id, timeout_s=30) for attempt_id in ids]
    assert {(end.state, end.signal) for end in ends} <= {("succeeded", 0), ("failed", signal.SIGKILL)}
    assert sum(end.state == "failed" for end in ends) <= 6
    assert all(len(link.of(attempt_id).finished) == 1 for attempt_id in ids)
    assert link.result_of(ids[-1]) == 1499


def test_a_call_that_ends_while_it_is_being_stopped_leaves_a_host_that_works(link: FakeLink) -> None:
    for seconds in (0.005, 0.01, 0.015, 0.02):
        attempt_id = link.call("nap", seconds)
        until(lambda at=attempt_id: link.of(at).started or link.of(at).finished, what="it runs, or has ended")
        link.send(pauses=[link_pb2.Pause(attempt_id=attempt_id, on=True)])
        until(lambda at=attempt_id: link.of(at).paused or link.of(at).finished, what="it stands still, or has ended")
        link.send(pauses=[link_pb2.Pause(attempt_id=attempt_id, on=False)])
        assert link.result_of(attempt_id) == "slept"
    assert link.result_of(link.call("add", 1, 2)) == 3


def test_threads_and_handlers_of_the_code_itself_stay(link: FakeLink, shared: Setup) -> None:
    folder = shared.place()
    code = "import os, signal, threading\nfrom tsched import task\n"
    code += "threading.Thread(target=threading.Event().wait).start()\n"
    code += "signal.signal(signal.SIGUSR1, lambda *_: None)\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    code += "@task(name='pid')\ndef pid(): return os.getpid()\n"
    code += "@task(name='nap')\ndef nap():\n    import time\n    print('asleep')\n    time.sleep(1000)\n"
    (folder / "threaded.py").write_text(code)
    link.know(mine(), mine(name="threaded", path=str(folder), modules=["threaded"]))
    assert len({link.result_of(link.call("pid", source="threaded")) for _ in range(3)}) == 1
    attempt_id = link.call("nap", source="threaded")
    link.output_has(attempt_id, b"asleep")
    stop(link, attempt_id, 100)
    assert link.finish_of(attempt_id).state == "cancelled"
