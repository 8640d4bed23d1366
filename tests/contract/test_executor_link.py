"""What an executor and its supervisor owe each other: credits, acknowledgements, and both when the link breaks."""

from __future__ import annotations

import os
import resource
import shutil
import signal
from typing import TYPE_CHECKING

import grpc
import pytest

from support import procs
from support.fake_link import DEFAULT_PROFILE, FakeLink, Setup, room
from support.wait import until
from tsched.executor.home import EXIT_HOMELESS
from tsched.executor.runner import TASKS_PER_RUNNER
from tsched.proto import link_pb2
from tsched.proto import procs as product

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SLOTS = 2


@pytest.fixture
def one() -> Iterator[Setup]:
    with room(slots=SLOTS) as setup:
        yield setup


@pytest.fixture
def link(one: Setup) -> FakeLink:
    return one.link


def gate(path: Path) -> str:
    """A shell command that waits for the file."""
    return f"until [ -e {path} ]; do sleep 0.01; done"


def claimed(link: FakeLink) -> int:
    """All that was asked for and not given."""
    with link.lock:
        return link.credits


def test_it_says_who_it_is_and_asks_for_as_much_as_it_has_slots(one: Setup, link: FakeLink) -> None:
    until(lambda: claimed(link) == SLOTS)
    (hello,) = link.hellos
    assert (hello.executor_id, hello.secret) == (one.boot["executor_id"], one.boot["secret"])
    assert (hello.pid, hello.slots, list(hello.held)) == (one.pid, SLOTS, [])


def test_no_more_is_asked_for_than_there_are_slots_while_tasks_take_long(link: FakeLink, tmp_path: Path) -> None:
    ids = link.give(*[gate(tmp_path / "go")] * 5)
    for attempt_id in ids[:SLOTS]:
        link.started(attempt_id)
    assert claimed(link) == 0
    (tmp_path / "go").touch()
    assert all(link.finish_of(attempt_id).state == "succeeded" for attempt_id in ids)
    until(lambda: claimed(link) >= SLOTS)


def test_where_runs_are_quick_more_is_asked_for_than_there_are_slots(link: FakeLink) -> None:
    for attempt_id in link.give(*["true"] * 200):
        link.finish_of(attempt_id)
    assert max(link.claims) > SLOTS


def test_tasks_held_ahead_in_vain_are_given_back(link: FakeLink, tmp_path: Path) -> None:
    link.again = False
    for attempt_id in link.give(*["true"] * 40):
        until(lambda attempt_id=attempt_id: link.of(attempt_id).finished or link.of(attempt_id).returned)
    ids = link.give(*[gate(tmp_path / "go")] * 60)
    until(lambda: sum(link.of(each).returned for each in ids) + len(link.waiting) == len(ids) - SLOTS)
    until(lambda: claimed(link) == 0)
    until(lambda: sum(bool(link.of(each).started) for each in ids) == SLOTS)
    running = [each for each in ids if link.of(each).started]
    (tmp_path / "go").touch()
    for attempt_id in running:
        link.finish_of(attempt_id)
    assert not any(link.of(each).finished for each in ids if link.of(each).returned)


def test_a_recalled_task_is_given_back_or_kept(link: FakeLink, tmp_path: Path) -> None:
    until(lambda: claimed(link) == SLOTS)
    link.credits = SLOTS + 1  # one more than it has asked for
    link.again = False
    ids = link.give(*[gate(tmp_path / "go")] * (SLOTS + 1))
    for attempt_id in ids[:SLOTS]:
        link.started(attempt_id)
    link.send(recalls=ids)
    until(lambda: [link.of(each).kept for each in ids[:SLOTS]] == [1] * SLOTS)
    until(lambda: link.of(ids[-1]).returned == 1)
    (tmp_path / "go").touch()
    assert all(link.finish_of(attempt_id).state == "succeeded" for attempt_id in ids[:SLOTS])
    assert not link.of(ids[-1]).started


def test_a_task_stopped_before_its_start_ends_without_having_run(link: FakeLink, tmp_path: Path) -> None:
    until(lambda: claimed(link) == SLOTS)
    link.ack_runners = False
    link.credits = SLOTS + 1
    ids = link.give(gate(tmp_path / "go"), gate(tmp_path / "go"), f"touch {tmp_path}/ran")

    def stopped() -> list[link_pb2.Finished]:
        """One that has waited for long is given back and given again; a stop may fall in between."""
        link.send(stops=[link_pb2.Stop(attempt_id=ids[2], state="cancelled", reason="cancelled", grace_us=0)])
        return link.of(ids[2]).finished

    finished = until(stopped)[0]
    assert (finished.state, finished.reason) == ("cancelled", "cancelled")
    assert not finished.HasField("started_at_us")
    (tmp_path / "go").touch()
    link.send(runner_acks=one_runners(link))
    link.ack_runners = True
    for attempt_id in ids[:2]:
        link.finish_of(attempt_id)
    assert not (tmp_path / "ran").exists()


def one_runners(link: FakeLink) -> list[int]:
    return list(link.runners)


def test_no_task_starts_before_the_mark_of_its_runner_is_stored(link: FakeLink) -> None:
    link.ack_runners = False
    (attempt_id,) = link.give("true")
    until(lambda: link.runners)
    until(lambda: claimed(link) == SLOTS - 1)
    assert not link.of(attempt_id).started
    until(lambda: procs.children(link_pid(link)))
    link.ack_runners = True
    until(lambda: _acknowledge_all(link, attempt_id))
    assert link.finish_of(attempt_id).state == "succeeded"


def _acknowledge_all(link: FakeLink, attempt_id: int) -> bool:
    link.send(runner_acks=one_runners(link))
    return bool(link.of(attempt_id).finished)


def link_pid(link: FakeLink) -> int:
    return link.hellos[-1].pid


def test_the_mark_of_a_runner_is_its_own(one: Setup, link: FakeLink) -> None:
    assert link.run("true").state == "succeeded"
    for runner in link.runners.values():
        found = procs.look(runner.pid)
        assert found
        assert found.start_ticks == runner.start_ticks
        own = product.mount_namespace(runner.pid)
        assert runner.mount_namespace in {0, own}
        assert own != product.mount_namespace(os.getpid()) or runner.mount_namespace == 0


def test_a_finish_is_held_until_it_is_acknowledged(link: FakeLink) -> None:
    link.ack_finishes = False
    (attempt_id,) = link.give("echo out")
    link.finish_of(attempt_id)
    link.stop()
    link.ack_finishes = True
    link.start()
    until(lambda: len(link.of(attempt_id).finished) == 2)
    first, second = link.of(attempt_id).finished
    assert first == second
    assert list(link.hellos[-1].held) == [attempt_id]
    link.stop()
    link.start()
    until(lambda: len(link.hellos) == 3)
    assert list(link.hellos[-1].held) == []


def test_a_task_runs_on_while_the_link_is_broken_and_its_output_is_complete_once(
    link: FakeLink, tmp_path: Path
) -> None:
    script = f"for i in $(seq 2000); do echo $i; [ $i != 1000 ] || {{ echo half >&2; {gate(tmp_path / 'go')}; }}; done"
    link.ack_chunks = False
    (attempt_id,) = link.give(script)
    link.output_has(attempt_id, b"half", stream=2)
    pid = link.started(attempt_id).pid
    link.stop()
    (tmp_path / "go").touch()
    until(lambda: not procs.alive(pid), what="the command has ended without a supervisor")
    link.ack_chunks = True
    link.start()
    finished = link.finish_of(attempt_id)
    expected = b"".join(b"%d\n" % number for number in range(1, 2001))
    assert link.of(attempt_id).output() == expected
    assert (finished.state, finished.stdout_bytes, finished.stderr_bytes) == ("succeeded", len(expected), 5)
    assert link.of(attempt_id).repeated_chunks > 0
    assert len({started.pid for started in link.of(attempt_id).started}) == 1


def test_it_attaches_again_within_a_second_and_asks_anew(one: Setup, link: FakeLink) -> None:
    until(lambda: link.hellos)
    for count in range(2, 5):
        link.stop()
        link.start()
        until(lambda count=count: len(link.hellos) == count, timeout_s=1)
        until(lambda: claimed(link) == SLOTS)
    assert link.run("true").state == "succeeded"


def test_an_executor_with_a_task_outlives_its_supervisor_for_longer_than_an_idle_one_waits(
    one: Setup, link: FakeLink, tmp_path: Path
) -> None:
    (attempt_id,) = link.give(gate(tmp_path / "go"))
    link.started(attempt_id)
    link.stop()
    idle = Setup()
    idle.start()
    try:
        assert idle.wait_for_end() == 0, "nobody wants it, and it has nothing to keep"
    finally:
        idle.close()
    assert procs.alive(one.pid)
    (tmp_path / "go").touch()
    link.start()
    assert link.finish_of(attempt_id).state == "succeeded"


def test_an_executor_whose_home_is_gone_ends_what_it_has_and_leaves(tmp_path: Path) -> None:
    with room(home=str(tmp_path / "home"), homeless_s=0.2) as setup:
        (tmp_path / "home").mkdir()
        link = setup.link
        link.ack_finishes = False
        link.run("true")
        cleaner = f"trap 'echo > {tmp_path}/cleaned; exit 0' TERM; setsid sleep 1000 & echo ready; "
        sleeper = "echo ready; sleep 1000"
        running, paused = link.give(cleaner + "while :; do sleep 0.01; done", sleeper, grace_us=5_000_000)
        for attempt_id in (running, paused):
            link.output_has(attempt_id, b"ready")
        link.pause(paused)
        link.stop()
        (tmp_path / "home").rmdir()
        assert setup.wait_for_end() == EXIT_HOMELESS
        assert (tmp_path / "cleaned").exists(), "tasks had their grace"
        assert [str(found) for found in procs.ours()] == []


def test_without_a_home_of_its_own_it_is_the_folder_of_its_link() -> None:
    with room(homeless_s=0.2) as setup:
        (attempt_id,) = setup.link.give("echo ready; sleep 1000")
        setup.link.output_has(attempt_id, b"ready")
        setup.link.stop()
        shutil.rmtree(setup.folder)
        assert setup.wait_for_end() == EXIT_HOMELESS
        setup.complaints.parent.mkdir()
        setup.complaints.touch()


def test_an_executor_that_is_refused_leaves() -> None:
    setup = Setup()
    setup.link.refuse = grpc.StatusCode.UNAUTHENTICATED
    try:
        setup.link.start()
        setup.start()
        assert setup.wait_for_end(3) == 0
    finally:
        setup.close()


def test_a_drained_executor_finishes_gives_back_and_leaves(one: Setup, link: FakeLink, tmp_path: Path) -> None:
    until(lambda: claimed(link) == SLOTS)
    link.credits = SLOTS + 2
    link.again = False
    ids = link.give(*[gate(tmp_path / "go")] * (SLOTS + 2))
    for attempt_id in ids[:SLOTS]:
        link.started(attempt_id)
    link.send(drain=True)
    until(lambda: [link.of(each).returned for each in ids] == [0] * SLOTS + [1, 1])
    assert one.process.poll() is None
    (tmp_path / "go").touch()
    assert one.wait_for_end() == 0
    assert all(link.of(attempt_id).finished for attempt_id in ids[:SLOTS])


def test_an_idle_drained_executor_leaves_at_once(one: Setup, link: FakeLink) -> None:
    until(lambda: claimed(link) == SLOTS)
    link.send(drain=True)
    assert one.wait_for_end(3) == 0


def test_sigterm_ends_an_idle_executor_only(one: Setup, link: FakeLink, tmp_path: Path) -> None:
    (attempt_id,) = link.give(gate(tmp_path / "go"))
    link.started(attempt_id)
    os.kill(one.pid, signal.SIGTERM)
    assert link.run("true").state == "succeeded"
    (tmp_path / "go").touch()
    link.finish_of(attempt_id)
    until(lambda: os.kill(one.pid, signal.SIGTERM) or one.process.poll() is not None)
    assert one.process.returncode == 0


def test_a_killed_executor_takes_its_runners_along(one: Setup, link: FakeLink) -> None:
    (attempt_id,) = link.give("echo ready; sleep 1000")
    link.output_has(attempt_id, b"ready")
    runners = one.runner_pids()
    assert runners
    os.kill(one.pid, signal.SIGKILL)
    one.wait_for_end()
    until(lambda: not [pid for pid in runners if procs.alive(pid)], timeout_s=2)
    until(procs.ours)  # what it ran falls to the supervisor, which these tests play, a moment later
    procs.sweep()


def test_what_a_killed_executor_left_is_found_by_its_marks_and_ended(one: Setup, link: FakeLink) -> None:
    (attempt_id,) = link.give("setsid sleep 1000 & env -i setsid sleep 1000 & echo ready; sleep 1000")
    link.output_has(attempt_id, b"ready")
    os.kill(one.pid, signal.SIGKILL)
    one.wait_for_end()
    namespaces = {runner.mount_namespace for runner in link.runners.values()}
    nonce = str(one.boot["executor_id"])
    assert product.end_marked(nonce, namespaces, own_children=True, timeout_s=5, known=procs.shared) == []
    assert procs.ours() == []


def test_want_of_descriptors_delays_tasks_and_fails_none(one: Setup, link: FakeLink) -> None:
    assert link.run("true").state == "succeeded"
    before = resource.prlimit(one.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(one.pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{one.pid}/fd")), before[1]))
    ids = link.give(*["true"] * 5)
    until(lambda: all(link.of(each).returned for each in ids[:SLOTS]))
    resource.prlimit(one.pid, resource.RLIMIT_NOFILE, before)
    assert all(link.finish_of(each).state == "succeeded" for each in ids)
    assert "task_not_started" in {line.event for line in link.logs}


@pytest.mark.slow
def test_a_runner_is_replaced_after_a_thousand_tasks(one: Setup, link: FakeLink) -> None:
    assert link.run("true").state == "succeeded"
    ids = link.give(*["true"] * 2 * (TASKS_PER_RUNNER + 10))
    assert all(link.finish_of(attempt_id, timeout_s=60).state == "succeeded" for attempt_id in ids)
    assert len(link.runners) > SLOTS


def test_an_idle_runner_is_let_go_and_one_is_kept_warm() -> None:
    with room(slots=3, runner_idle_s=0.3) as setup:
        for attempt_id in setup.link.give(*["sleep 0.1"] * 3):
            setup.link.finish_of(attempt_id)
        assert len(setup.runner_pids()) == 3
        until(lambda: len(setup.runner_pids()) == 1)
        assert setup.link.run("true").state == "succeeded"


def test_tasks_do_not_inherit_what_the_service_was_told_to_ignore() -> None:
    with room("sh", "-c", """trap '' TERM HUP INT; exec "$@" """, "sh") as setup:
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            assert setup.link.run(f"kill -{int(number)} $$").signal == number


def test_tasks_of_a_profile_run_under_it() -> None:
    low = {**DEFAULT_PROFILE, "name": "low", "nice": 7, "io_class": "idle", "cpu_affinity": [0, 4095]}
    low["limits"] = {"open_files": 99, "core_bytes": 0, "file_size_bytes": 4096}
    with room(slots=1, profiles=[DEFAULT_PROFILE, low]) as setup:
        link = setup.link
        command = "nice; ulimit -n; ulimit -Hn; ulimit -c; taskset -cp $$ | sed 's/.*: //'; ionice"
        (attempt_id,) = link.give(command, profile="low")
        link.finish_of(attempt_id)
        assert link.of(attempt_id).output().decode().split() == ["7", "99", "99", "0", "0", "idle"]
        assert link.run("head -c 5000 /dev/zero > $HOME/x", env={"HOME": str(setup.folder)}, profile="low").exit_code
        (attempt_id,) = link.give("nice")
        link.finish_of(attempt_id)
        assert link.of(attempt_id).output() == b"0\n"


def test_a_limit_above_what_is_allowed_is_lowered_and_a_lack_is_logged() -> None:
    high = {**DEFAULT_PROFILE, "nice": -5, "cpu_affinity": [4095], "limits": {"open_files": 10**9}}
    with room(profiles=[high]) as setup:
        (attempt_id,) = setup.link.give("nice; ulimit -Hn")
        setup.link.finish_of(attempt_id)
        niceness, files = setup.link.of(attempt_id).output().split()
        assert int(niceness) >= 0
        assert int(files) <= 10**9
        until(lambda: [line.event for line in setup.link.logs] == ["profile_not_fully_applied"])
