"""Calls of async functions: many in one host, told apart, and what one that gets stuck costs the others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support import procs
from support.fake_link import FakeLink, Setup, link_pb2, plain_user, room, shared_room
from support.functions import INCLUDE, ROOT, cc
from support.wait import until

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = str(Path(procs.__file__).parent)
MINE = link_pb2.Source(
    name="mine", generation=1, kind="functions", python=sys.executable, path=FOLDER, modules=["victims"]
)


@pytest.fixture(scope="module")
def shared() -> Iterator[Setup]:
    with shared_room() as setup:
        setup.link.know(MINE)
        yield setup


def stop(link: FakeLink, attempt_id: int, grace_s: float) -> None:
    what = link_pb2.Stop(attempt_id=attempt_id, state="cancelled", reason="cancelled", grace_us=int(grace_s * 1e6))
    link.send(stops=[what])


def test_a_thousand_sleeps_of_a_second_end_within_three_in_one_host(link: FakeLink) -> None:
    link.result_of(link.call("anap", 0.0, shared=True))
    began_s = time.monotonic()
    ids = link.calls(*[("anap", 1.0)] * 1000, shared=True)
    assert [link.result_of(attempt_id, timeout_s=20) for attempt_id in ids] == [1.0] * 1000
    assert time.monotonic() - began_s < 3
    assert len({link.finish_of(attempt_id).pid for attempt_id in ids}) == 1


def test_a_hundred_calls_at_a_time_have_each_their_own_output(link: FakeLink) -> None:
    ids = link.calls(*[("atalk", f"n{number}", 10) for number in range(100)], shared=True)
    for number, attempt_id in enumerate(ids):
        assert link.result_of(attempt_id, timeout_s=20) == f"n{number}"
        lines = [line for turn in range(10) for line in (f"n{number}.{turn}", f"n{number}.{turn}.thread")]
        assert link.of(attempt_id).output(1).decode().split("\n") == [*lines, ""]
        assert link.of(attempt_id).output(2).decode().split("\n") == [*lines[::2], ""]


def test_what_is_no_character_is_written_as_its_escape(link: FakeLink) -> None:
    attempt_id = link.call("write_no_character", shared=True)
    assert link.result_of(attempt_id) == "done"
    assert link.of(attempt_id).output(1) == b"a\\ud800b\n"


def test_what_a_child_writes_is_the_output_of_a_call_that_is_alone_and_blocks_nobody(link: FakeLink) -> None:
    attempt_id = link.call("achild", 300_000, shared=True)
    assert link.result_of(attempt_id) == 0
    assert link.of(attempt_id).output() == bytes(300_000)
    ids = link.calls(*[("achild", 300_000)] * 3, shared=True)
    assert [link.result_of(attempt_id) for attempt_id in ids] == [0, 0, 0]


def test_async_calls_take_no_slot(link: FakeLink, shared: Setup) -> None:
    ids = link.calls(*[("anap", 1000.0)] * 50, shared=True)
    for attempt_id in ids:
        link.started(attempt_id)
    assert link.run("true").state == "succeeded"
    assert link.result_of(link.call("add", 1, 2)) == 3
    for attempt_id in ids:
        stop(link, attempt_id, 10)
    assert {link.finish_of(attempt_id).state for attempt_id in ids} == {"cancelled"}


def test_an_async_call_that_is_cancelled_cleans_up(link: FakeLink) -> None:
    attempt_id = link.call("acleanup", shared=True)
    link.started(attempt_id)
    stop(link, attempt_id, 10)
    finished = link.finish_of(attempt_id)
    assert (finished.state, finished.reason) == ("cancelled", "cancelled")
    assert link.of(attempt_id).output() == b"cleaned up\n"


def test_an_async_call_that_takes_too_long_is_timed_out(link: FakeLink) -> None:
    finished = link.run_call("acleanup", shared=True, timeout_us=100_000, grace_us=10_000_000)
    assert (finished.state, finished.reason) == ("timed_out", "timeout")


def test_what_an_async_function_raises_is_a_failure(link: FakeLink) -> None:
    attempt_id = link.call("aboom", shared=True)
    finished = link.finish_of(attempt_id)
    assert (finished.state, finished.reason, finished.message) == ("failed", "raised", "ValueError: async")
    assert b"in aboom" in link.of(attempt_id).output(2)


@pytest.mark.parametrize("function", ["astuck", "astubborn"])
def test_who_does_not_end_when_asked_costs_its_host_and_the_others_are_lost(link: FakeLink, function: str) -> None:
    guilty = link.call(function, shared=True, timeout_us=300_000, grace_us=200_000)
    others = link.calls(*[("anap", 1000.0)] * 3, shared=True)
    finished = link.finish_of(guilty)
    assert (finished.state, finished.reason) == ("timed_out", "timeout")
    for attempt_id in others:
        finished = link.finish_of(attempt_id)
        assert (finished.state, finished.reason) == ("lost", "runner_died")
    assert link.result_of(link.call("anap", 0.0, shared=True)) == 0.0


def test_threads_that_a_call_leaves_behind_are_in_nobodys_way(link: FakeLink) -> None:
    """They can be ended with their process only: it takes no more calls, and what runs in it goes on."""
    other = link.call("anap", 1.0, shared=True)
    link.started(other)
    stuck = link.calls(*[("astuck_aside",)] * 40, shared=True)
    for attempt_id in stuck:
        link.started(attempt_id)
    for attempt_id in stuck:
        stop(link, attempt_id, 10)
    left = {link.finish_of(attempt_id).pid for attempt_id in stuck}
    asked = link.call("aside", shared=True)
    assert {link.result_of(asked)}.isdisjoint(left)
    assert link.result_of(other) == 1.0
    assert left == {link.finish_of(other).pid}


def test_a_host_that_crashes_loses_all_its_calls(link: FakeLink) -> None:
    ids = link.calls(*[("anap", 1000.0)] * 3, ("acrash",), shared=True)
    for attempt_id in ids:
        finished = link.finish_of(attempt_id)
        assert (finished.state, finished.reason) == ("lost", "runner_died")


def test_a_call_that_crashes_alone_in_its_host_is_known_to_have_done_it(link: FakeLink) -> None:
    finished = link.finish_of(link.call("acrash", shared=True))
    assert (finished.state, finished.reason, finished.signal) == ("failed", "signal", 11)


def test_the_progress_of_async_calls_is_told_apart(link: FakeLink) -> None:
    ids = link.calls(*[("aadvance", number) for number in range(1, 30)], shared=True)
    for number, attempt_id in enumerate(ids, 1):
        link.finish_of(attempt_id)
        until(lambda attempt_id=attempt_id: link.of(attempt_id).progress, what="progress was told")
        assert link.of(attempt_id).progress[-1].done == number


def test_what_an_async_call_started_beside_itself_ends_with_it(link: FakeLink) -> None:
    assert link.finish_of(link.call("aleave_task", shared=True)).state == "succeeded"
    assert link.result_of(link.call("aended", shared=True)) == "yes"


def test_an_async_call_cannot_stand_still_and_says_so(link: FakeLink) -> None:
    attempt_id = link.call("anap", 1000.0, shared=True)
    link.started(attempt_id)
    assert not link.pause(attempt_id).on
    stop(link, attempt_id, 10)
    assert link.finish_of(attempt_id).state == "cancelled"


def test_sync_and_async_functions_run_where_the_other_was_meant(link: FakeLink) -> None:
    assert link.result_of(link.call("anap", 0.0)) == 0.0
    assert link.result_of(link.call("add", 1, 2, shared=True)) == 3


# -- sources


def test_a_function_that_nobody_has_ends_so(link: FakeLink) -> None:
    for attempt_id in (link.call("no_such"), link.call("x", source="nobody"), link.call("x", source="")):
        finished = link.finish_of(attempt_id)
        assert (finished.state, finished.reason) == ("failed", "no_such_function")


@pytest.mark.parametrize("is_async", [False, True])
def test_code_that_cannot_be_loaded_is_named_with_its_output(link: FakeLink, shared: Setup, is_async: bool) -> None:
    folder = shared.place()
    (folder / "broken_one.py").write_text("print('loading')\nraise OSError('no disk')\n")
    (folder / "fatal_one.py").write_text("import os\nos._exit(9)\n")
    broken, fatal = (
        link_pb2.Source(name=name, kind="functions", python=sys.executable, path=str(folder), modules=[f"{name}_one"])
        for name in ("broken", "fatal")
    )
    link.know(MINE, broken, fatal)
    attempt_id = link.call("x", source="broken", shared=is_async)
    finished = link.finish_of(attempt_id)
    assert (finished.state, finished.reason) == ("failed", "source_failed")
    assert "OSError: no disk" in finished.message
    assert link.of(attempt_id).output(1) == b"loading\n"
    finished = link.run_call("x", source="fatal", shared=is_async)
    assert (finished.state, finished.reason) == ("failed", "source_failed")
    assert "exit code 9" in finished.message


@pytest.mark.parametrize("python", ["/no/such/python", "/bin/false"])
def test_an_interpreter_that_does_not_start_is_named(link: FakeLink, python: str) -> None:
    link.know(MINE, link_pb2.Source(name="strange", kind="functions", python=python, path="/", modules=["x"]))
    ids = [*link.calls(*[("x",)] * 5, source="strange"), *link.calls(*[("x",)] * 5, source="strange", shared=True)]
    for attempt_id in ids:
        finished = link.finish_of(attempt_id)
        assert (finished.state, finished.reason) == ("failed", "source_failed")
    assert python != "/no/such/python" or "/no/such/python cannot be started" in finished.message


def test_new_calls_run_the_new_code_and_running_ones_finish_on_the_old(link: FakeLink, shared: Setup) -> None:
    folder, go = shared.place(), shared.place() / "go"
    code = "import os, time\nfrom tsched import task\n@task(name='v')\ndef v(path=''):\n"
    code += "    while path and not os.path.exists(path): time.sleep(0.01)\n    return {}\n"

    def publish(generation: int) -> None:
        (folder / "versions.py").write_text(code.format(generation))
        values = {"name": "versions", "kind": "functions", "python": sys.executable, "path": str(folder)}
        link.know(MINE, link_pb2.Source(**values, modules=["versions"], generation=generation))

    publish(1)
    old = link.call("v", str(go), source="versions")
    old_pid = link.started(old).pid
    assert link.result_of(link.call("v", source="versions")) == 1
    publish(2)
    assert link.result_of(link.call("v", source="versions")) == 2
    go.touch()
    assert link.result_of(old) == 1
    until(lambda: not procs.alive(old_pid), what="the host of the old code has left")


def test_a_foreign_interpreter_without_tsched_runs_functions(link: FakeLink, shared: Setup) -> None:
    place = shared.place()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place / "venv")], check=True)
    site = next((place / "venv" / "lib").iterdir()) / "site-packages"
    (site / "only_there.py").write_text("answer = 42\n")
    code = "import only_there, sys\nfrom tsched import task\n@task(name='look')\ndef look():\n"
    code += "    return [only_there.answer, sys.prefix, 'grpc' in sys.modules, 'google.protobuf' in sys.modules]\n"
    (place / "theirs.py").write_text(code)
    python = str(place / "venv" / "bin" / "python")
    link.know(
        MINE, link_pb2.Source(name="theirs", kind="functions", python=python, path=str(place), modules=["theirs"])
    )
    found = link.result_of(link.call("look", source="theirs"), timeout_s=20)
    assert found == [42, str(place / "venv"), False, False]


# -- deaths


def test_when_the_executor_is_killed_its_hosts_die_with_it() -> None:
    with room() as setup:
        setup.link.know(MINE)
        started = [setup.link.started(setup.link.call("nap", 1000.0)).pid]
        started.append(setup.link.started(setup.link.call("anap", 1000.0, shared=True)).pid)
        os.kill(setup.pid, signal.SIGKILL)
        setup.wait_for_end()
        until(lambda: not [pid for pid in started if procs.alive(pid)], what="the hosts are gone")


def test_a_function_that_kills_the_executor_ends_with_it() -> None:
    with room() as setup:
        setup.link.know(MINE)
        setup.link.call("kill_parent_group")
        assert setup.wait_for_end() == -signal.SIGKILL


def test_another_supervisor_goes_on_with_calls_that_run() -> None:
    with room() as setup:
        link = setup.link
        link.know(MINE)
        go = setup.place() / "go"
        slow, sleeper = link.call("slow_talk", str(go)), link.call("anap", 0.5, shared=True)
        link.started(slow)
        link.started(sleeper)
        link.stop()
        link.start()
        until(lambda: len(link.hellos) == 2, what="the executor is back")
        assert set(link.hellos[-1].held) == {slow, sleeper}
        go.touch()
        assert link.finish_of(slow).state == "succeeded"
        assert link.result_of(sleeper) == 0.5
        assert link.of(slow).output() == b"early\nlate\n"
        assert link.result_of(link.call("add", 1, 2)) == 3


def test_calls_that_wait_are_given_back_when_the_executor_drains() -> None:
    with room(slots=1) as setup:
        link = setup.link
        link.know(MINE)
        link.again = False
        link.finish_of(link.calls(*[("echo", number) for number in range(200)])[-1], timeout_s=20)
        first, *others = link.calls(("nap", 1.0), *[("echo", number) for number in range(30)])
        link.started(first)
        link.send(drain=True)
        assert link.result_of(first) == "slept"
        setup.wait_for_end()
        for attempt_id in others:
            assert (
                len(link.of(attempt_id).finished) + link.of(attempt_id).returned + (attempt_id not in link.assigned)
                == 1
            )


# -- native functions, and an executor without privileges


@pytest.fixture(scope="module")
def samples(shared: Setup) -> link_pb2.Source:
    compiler = cc() or pytest.skip("there is no C compiler (cc) here")
    folder = shared.place()
    make = ["make", "-C", ROOT / "examples" / "plugins" / "c", f"OUT={folder}", f"CC={compiler}"]
    subprocess.run(make, check=True, capture_output=True)
    path = str(folder / "libsamples.so")
    return link_pb2.Source(name="samples", generation=1, kind="native", python=sys.executable, path=path)


def test_native_functions_run_in_hosts_too(link: FakeLink, samples: link_pb2.Source) -> None:
    link.know(MINE, samples)
    assert link.result_of(link.call("samples::add", 1, 2, 3, source="samples")) == 6
    assert link.result_of(link.call("samples::upper", "abc", source="samples")) == "ABC"
    finished = link.run_call("samples::upper", 5, source="samples")
    assert (finished.state, finished.reason) == ("failed", "raised")
    finished = link.run_call("samples::upper", source="samples", kwargs={"text": "x"})
    assert (finished.state, finished.reason) == ("failed", "bad_arguments")


def test_native_functions_that_wait_run_beside_each_other(link: FakeLink, samples: link_pb2.Source) -> None:
    link.know(MINE, samples)
    ids = link.calls(*[("samples::nap", 300)] * 40, source="samples", shared=True)
    for attempt_id in ids:
        link.result_of(attempt_id)
    ends = [link.finish_of(attempt_id) for attempt_id in ids]
    assert max(end.started_at_us for end in ends) < min(end.finished_at_us for end in ends)


DEAF = """
#include <unistd.h>
#include "tsched_plugin.h"
static void deaf(const tsched_call *call) { for (;;) pause(); }
static void tidy(const tsched_call *call)
{
    while (!call->cancelled(call)) usleep(10000);
    usleep(500000);
    call->fail(call, "tidied up", 9);
}
static const tsched_function functions[] = {
    {"deaf", NULL, NULL, deaf, TSCHED_ASYNC}, {"tidy", NULL, NULL, tidy, TSCHED_ASYNC},
};
static const tsched_plugin plugin = {TSCHED_PLUGIN_ABI, 2, functions};
const tsched_plugin *init_plugin(void) { return &plugin; }
"""


@pytest.fixture(scope="module")
def waiting(shared: Setup) -> link_pb2.Source:
    compiler = cc() or pytest.skip("there is no C compiler (cc) here")
    path = shared.place() / "libwaiting.so"
    words = [compiler, "-shared", "-fPIC", f"-I{INCLUDE}", "-o", path, "-x", "c", "-"]
    subprocess.run(words, input=DEAF, text=True, check=True)
    return link_pb2.Source(name="waiting", generation=1, kind="native", python=sys.executable, path=str(path))


def test_a_native_async_call_that_does_not_end_when_asked_is_killed_with_its_host(
    link: FakeLink, waiting: link_pb2.Source
) -> None:
    link.know(MINE, waiting)
    options = {"source": "waiting", "shared": True, "timeout_us": 100_000, "grace_us": 300_000}
    finished = link.finish_of(link.call("waiting::deaf", **options))
    assert (finished.state, finished.reason) == ("timed_out", "timeout")
    assert finished.finished_at_us - finished.started_at_us >= 400_000
    assert not procs.alive(finished.pid)


def test_a_native_async_call_has_its_grace_to_clean_up_and_the_others_go_on(
    link: FakeLink, waiting: link_pb2.Source
) -> None:
    link.know(MINE, waiting)
    tidy, other = link.calls(*[("waiting::tidy",)] * 2, source="waiting", shared=True)
    for attempt_id in (tidy, other):
        link.started(attempt_id)
    asked_at_s = time.monotonic()
    stop(link, tidy, 10)
    finished = link.finish_of(tidy)
    assert (finished.state, finished.reason) == ("cancelled", "cancelled")
    assert time.monotonic() - asked_at_s >= 0.5
    assert procs.alive(finished.pid)
    stop(link, other, 10)
    assert link.finish_of(other).state == "cancelled"


def test_without_privileges_functions_run_and_what_they_leave_behind_is_ended() -> None:
    with room(*plain_user()) as setup:
        link = setup.link
        setup.folder.chmod(0o755)
        link.know(MINE)
        path = setup.place() / "pid"
        finished = link.run_call("breed", str(path))
        assert (finished.state, finished.leftovers) == ("succeeded", 2)
        crashed = link.call("breed_and_crash", str(path) + "2")
        assert link.finish_of(crashed).reason == "signal"
        left = int(Path(str(path) + "2").read_text())
        assert not procs.alive(left)
