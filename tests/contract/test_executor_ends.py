"""How tasks end, by themselves or not, and that nothing of them is left then."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from support import procs
from support.fake_link import DEFAULT_PROFILE, FakeLink, Setup, plain_user, room
from support.wait import until
from tsched.proto import link_pb2

if TYPE_CHECKING:
    from pathlib import Path

IGNORER = "trap '' TERM; echo ready; while :; do sleep 100; done"
# Forgets its environment, its session and its parent.
DAEMON = "env -i PATH=$PATH setsid sh -c '(sleep 1000 & echo $! > {0}) & ' & until [ -s {0} ]; do sleep 0.01; done; "


@pytest.fixture
def daemon(place: Path) -> tuple[str, Path]:
    """A command that leaves a daemon behind, and the file with the daemon's pid."""
    return DAEMON.format(place / "pid"), place / "pid"


def stop(link: FakeLink, attempt_id: int, grace_s: float, reason: str = "cancelled") -> None:
    order = link_pb2.Stop(attempt_id=attempt_id, state="cancelled", reason=reason, grace_us=int(grace_s * 1e6))
    link.send(stops=[order])


def gone(path: Path) -> bool:
    return not procs.alive(int(path.read_text()))


def test_a_time_limit_ends_a_task_and_says_so(link: FakeLink) -> None:
    finished = link.run("sleep 100", timeout_us=150_000, grace_us=5_000_000)
    assert (finished.state, finished.reason, finished.signal) == ("timed_out", "timeout", signal.SIGTERM)
    assert finished.message == "ran longer than 0.15 s"
    assert 0.15 <= (finished.finished_at_us - finished.started_at_us) / 1e6 < 1.15


def test_a_task_within_its_time_limit_is_left_alone(link: FakeLink) -> None:
    assert link.run("sleep 0.1", timeout_us=60_000_000).state == "succeeded"


def test_a_task_may_clean_up_within_its_grace_and_its_code_is_kept(link: FakeLink) -> None:
    (attempt_id,) = link.give("trap 'echo cleaned; exit 7' TERM; echo ready; while :; do sleep 0.01; done")
    link.output_has(attempt_id, b"ready")
    stop(link, attempt_id, 10)
    finished = link.finish_of(attempt_id)
    assert (finished.state, finished.reason, finished.exit_code) == ("cancelled", "cancelled", 7)
    assert link.of(attempt_id).output() == b"ready\ncleaned\n"


def test_the_children_of_a_shell_get_the_grace_too(link: FakeLink) -> None:
    worker = "trap 'sleep 0.2; echo cleaned; exit 0' TERM; echo ready; while :; do sleep 0.01; done"
    (attempt_id,) = link.give(f"sh -c {shlex.quote(worker)}; echo never")
    link.output_has(attempt_id, b"ready")
    stop(link, attempt_id, 10)
    finished = link.finish_of(attempt_id)
    assert (finished.state, finished.signal) == ("cancelled", signal.SIGTERM)
    assert link.of(attempt_id).output() == b"ready\ncleaned\n"


def test_who_ignores_term_is_killed_after_the_grace(link: FakeLink) -> None:
    (attempt_id,) = link.give(IGNORER)
    link.output_has(attempt_id, b"ready")
    stop(link, attempt_id, 0.2)
    finished = link.finish_of(attempt_id)
    assert (finished.state, finished.signal) == ("cancelled", signal.SIGKILL)


def test_a_second_stop_shortens_the_grace(link: FakeLink) -> None:
    (attempt_id,) = link.give(IGNORER)
    link.output_has(attempt_id, b"ready")
    stop(link, attempt_id, 1000)
    stop(link, attempt_id, 2000)
    stop(link, attempt_id, 0)
    finished = link.finish_of(attempt_id, timeout_s=2)
    assert (finished.state, finished.signal) == ("cancelled", signal.SIGKILL)


def test_the_first_reason_to_stop_is_the_one_that_counts(link: FakeLink) -> None:
    (attempt_id,) = link.give(IGNORER, timeout_us=100_000, grace_us=1_000_000_000)
    link.output_has(attempt_id, b"ready")
    stop(link, attempt_id, 1000, "shutdown")
    stop(link, attempt_id, 0, "cancelled")
    assert link.finish_of(attempt_id).reason in {"shutdown", "timeout"}


def test_a_stopped_process_is_woken_to_end(link: FakeLink) -> None:
    (attempt_id,) = link.give("echo ready; kill -STOP $$")
    link.output_has(attempt_id, b"ready")
    stop(link, attempt_id, 100)
    assert link.finish_of(attempt_id).signal == signal.SIGTERM


def test_a_result_that_was_there_first_wins(link: FakeLink) -> None:
    (attempt_id,) = link.give("true")
    assert link.finish_of(attempt_id).state == "succeeded"
    stop(link, attempt_id, 0)
    assert link.run("true").state == "succeeded"
    assert len(link.of(attempt_id).finished) == 1


def test_leftovers_are_ended_and_counted(link: FakeLink) -> None:
    finished = link.run("sleep 1000 & sleep 1000 & setsid sleep 1000 & exit 4")
    assert (finished.state, finished.exit_code, finished.leftovers) == ("failed", 4, 3)


def test_a_daemon_that_forgot_everything_is_ended_with_its_task(link: FakeLink, daemon: tuple[str, Path]) -> None:
    command, pid = daemon
    finished = link.run(command + "exit 0")
    assert (finished.state, finished.leftovers) == ("succeeded", 1)
    assert gone(pid)


def test_a_daemon_is_ended_when_its_task_is_stopped(link: FakeLink, daemon: tuple[str, Path]) -> None:
    command, pid = daemon
    (attempt_id,) = link.give(command + IGNORER)
    link.output_has(attempt_id, b"ready")
    stop(link, attempt_id, 0.1)
    assert link.finish_of(attempt_id).state == "cancelled"
    assert gone(pid)


def test_a_child_that_holds_the_pipe_does_not_delay_the_end(link: FakeLink) -> None:
    finished = link.run("sleep 1000 & echo done", timeout_s=2)
    assert (finished.state, finished.leftovers) == ("succeeded", 1)
    assert finished.stdout_bytes == 5


def test_thirty_children_end_with_their_task(link: FakeLink) -> None:
    (attempt_id,) = link.give("for i in $(seq 30); do setsid sh -c 'sleep 1000' & done; echo ready; wait")
    link.output_has(attempt_id, b"ready")
    stop(link, attempt_id, 0)
    assert link.finish_of(attempt_id).state == "cancelled"


def test_a_task_that_hops_from_process_to_process_is_caught(link: FakeLink) -> None:
    hopper = (
        "import os,time; os.setsid(); os.write(1, b'ready\\n')\n"
        "while True:\n if os.fork(): os._exit(0)\n os.setsid(); time.sleep(0.0005)"
    )
    command = f"{shlex.quote(sys.executable)} -I -S -c {shlex.quote(hopper)} & sleep 1000"
    (attempt_id,) = link.give(command)
    link.output_has(attempt_id, b"ready")
    stop(link, attempt_id, 0)
    assert link.finish_of(attempt_id).state == "cancelled"


@pytest.mark.skipif(os.getuid() != 0, reason="counts all processes of a user, who should have no others")
def test_a_fork_bomb_within_the_limits_of_a_user_is_ended() -> None:
    bomb = "import os\nos.write(1, b'ready')\nwhile True:\n  try: os.fork() or os.setsid()\n  except OSError: pass"
    limited = {**DEFAULT_PROFILE, "limits": {"processes": 150}}
    with room(*plain_user(), profiles=[limited]) as setup:
        link = setup.link
        (attempt_id,) = link.give([sys.executable, "-I", "-S", "-c", bomb])
        link.output_has(attempt_id, b"ready")
        until(lambda: len(procs.tree(setup.pid)) > 60)
        stop(link, attempt_id, 0)
        assert link.finish_of(attempt_id).state == "cancelled"
        assert setup.settled()


def test_dead_children_of_a_long_task_are_reaped_while_it_runs(link: FakeLink, shared: Setup, place: Path) -> None:
    (attempt_id,) = link.give("for i in $(seq 20); do (setsid true &); done; echo ready; read never", stdin=b"")
    link.output_has(attempt_id, b"ready")
    link.finish_of(attempt_id)
    until(lambda: not procs.zombies(shared.pid), what="no zombie below the executor")


def test_a_task_that_kills_its_runner_is_lost_and_nothing_is_left(link: FakeLink, daemon: tuple[str, Path]) -> None:
    command, pid = daemon
    finished = link.run(command + "sleep 1000 & kill -9 $PPID; sleep 1000")
    assert (finished.state, finished.reason) == ("lost", "runner_died")
    assert not finished.HasField("exit_code")
    assert gone(pid)
    assert link.run("true").state == "succeeded"


def test_a_runner_killed_by_its_task_harms_no_other_task(link: FakeLink, place: Path) -> None:
    (other,) = link.give(f"echo ready; until [ -e {place}/go ]; do sleep 0.01; done; echo done")
    link.output_has(other, b"ready")
    assert link.run("kill -9 $PPID; sleep 1000").state == "lost"
    (place / "go").touch()
    assert link.finish_of(other).state == "succeeded"
    assert link.of(other).output() == b"ready\ndone\n"


def test_output_written_before_the_runner_died_is_kept(link: FakeLink) -> None:
    (attempt_id,) = link.give("echo before; kill -9 $PPID; sleep 1000")
    assert link.finish_of(attempt_id).state == "lost"
    assert link.of(attempt_id).output() == b"before\n"


def test_a_task_that_stops_its_runner_ends_all_the_same(link: FakeLink) -> None:
    finished = link.run("kill -STOP $PPID; exit 3")
    assert (finished.state, finished.exit_code) == ("failed", 3)


def test_a_task_that_keeps_stopping_its_runner_can_be_cancelled(link: FakeLink, daemon: tuple[str, Path]) -> None:
    command, pid = daemon
    nuisance = "trap '' TERM; (while :; do kill -STOP $PPID; done) & "
    (attempt_id,) = link.give(f"{command} {nuisance} echo ready; while :; do kill -STOP $PPID; done")
    link.output_has(attempt_id, b"ready")
    stop(link, attempt_id, 0.3)
    finished = link.finish_of(attempt_id)
    assert (finished.state, finished.reason) == ("cancelled", "cancelled")
    assert gone(pid)


def test_a_forgotten_task_ends_in_silence(link: FakeLink, shared: Setup) -> None:
    (attempt_id,) = link.give(IGNORER)
    link.output_has(attempt_id, b"ready")
    link.send(forget=[attempt_id])
    until(shared.settled)
    assert link.run("true").state == "succeeded"
    assert not link.of(attempt_id).finished
