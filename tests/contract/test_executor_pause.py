"""A running task stands still, all of it, and goes on as if nothing had been."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support import procs
from support.fake_link import FakeLink, room
from support.wait import until
from tsched.proto import link_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

TICK = "while :; do echo x >> {}; sleep 0.01; done"
STANDING = set("TtZXD")  # D: the parent of a vforked child that stands still before its exec


def ticker(place: Path, name: str) -> str:
    """A command that writes on and on into the file of that name."""
    return TICK.format(place / name)


def python(code: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", code]


def below(link: FakeLink, attempt_id: int) -> list[procs.Proc]:
    """Everything below the runner of an attempt."""
    main = procs.look(link.started(attempt_id).pid)
    assert main
    return procs.tree(main.ppid)


def moving(link: FakeLink, attempt_id: int) -> list[str]:
    return [str(proc) for proc in below(link, attempt_id) if proc.state not in STANDING]


def size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def grows(*paths: Path) -> None:
    """Each of the files is being written to."""
    for path in paths:
        before = size(path)
        until(lambda path=path, before=before: size(path) > before, what=f"{path.name} grows")


def stand(link: FakeLink, *paths: Path) -> Callable[[], None]:
    """A check that none of the files has grown since, while another task ran and ended."""
    sizes = [size(path) for path in paths]

    def check() -> None:
        assert link.run("sleep 0.05").state == "succeeded"
        assert [size(path) for path in paths] == sizes

    return check


def stop(link: FakeLink, attempt_id: int, grace_s: float) -> None:
    order = link_pb2.Stop(attempt_id=attempt_id, state="cancelled", reason="cancelled", grace_us=int(grace_s * 1e6))
    link.send(stops=[order])


def end(link: FakeLink, attempt_id: int) -> link_pb2.Finished:
    stop(link, attempt_id, 0)
    return link.finish_of(attempt_id)


def test_the_whole_tree_stands_still_and_goes_on(link: FakeLink, place: Path) -> None:
    daemon = f"env -i PATH=$PATH setsid sh -c {shlex.quote(ticker(place, 'daemon'))} & "
    (attempt_id,) = link.give(f"({daemon}); ({ticker(place, 'child')}) & {ticker(place, 'main')}")
    files = [place / "daemon", place / "child", place / "main"]
    grows(*files)
    paused = link.pause(attempt_id)
    assert (paused.on, paused.paused_us) == (True, 0)
    assert moving(link, attempt_id) == []
    assert len(below(link, attempt_id)) >= 3
    stand(link, *files)()
    assert moving(link, attempt_id) == []
    resumed = link.pause(attempt_id, on=False)
    assert not resumed.on
    assert resumed.paused_us > 50_000
    assert paused.at_us + resumed.paused_us == pytest.approx(resumed.at_us, abs=20_000)
    grows(*files)
    assert end(link, attempt_id).paused_us == resumed.paused_us


def test_a_task_that_forks_all_the_time_does_not_slip_through(link: FakeLink, place: Path) -> None:
    forks = (
        f"import os,sys\nwitness = os.open({str(place / 'forks')!r}, os.O_CREAT | os.O_APPEND | os.O_WRONLY)\n"
        "for _ in range(4): os.fork()\n"
        "while True:\n"
        "  if os.fork(): os.waitpid(-1, 0)\n"
        "  elif os.fork(): os._exit(0)\n"
        "  else: os.setsid(); os.write(witness, b'x'); os._exit(0)"
    )
    (attempt_id,) = link.give(python(forks))
    for _ in range(5):
        grows(place / "forks")
        assert link.pause(attempt_id).on
        assert moving(link, attempt_id) == []
        stand(link, place / "forks")()
        assert not link.pause(attempt_id, on=False).on
    assert end(link, attempt_id).state == "cancelled"


def test_a_task_that_hops_from_process_to_process_stands_still(link: FakeLink, place: Path) -> None:
    hopper = (
        f"import os\nwitness = os.open({str(place / 'hops')!r}, os.O_CREAT | os.O_APPEND | os.O_WRONLY)\n"
        "while True:\n  if os.fork(): os._exit(0)\n  os.setsid(); os.write(witness, b'x')"
    )
    (attempt_id,) = link.give(f"{shlex.join(python(hopper))} & sleep 1000")
    for _ in range(3):
        grows(place / "hops")
        assert link.pause(attempt_id).on
        assert moving(link, attempt_id) == []
        stand(link, place / "hops")()
        assert not link.pause(attempt_id, on=False).on
    assert end(link, attempt_id).state == "cancelled"


def test_many_threads_stand_still(link: FakeLink, place: Path) -> None:
    code = (
        "import threading,time\n"
        f"def tick():\n  with open({str(place / 'ticks')!r}, 'ab', 0) as f:\n    while True: f.write(b'x')\n"
        "for _ in range(8): threading.Thread(target=tick).start()"
    )
    (attempt_id,) = link.give(python(code))
    grows(place / "ticks")
    assert link.pause(attempt_id).on
    stand(link, place / "ticks")()
    link.pause(attempt_id, on=False)
    grows(place / "ticks")
    end(link, attempt_id)


def test_the_time_limit_counts_only_the_time_it_runs(link: FakeLink, place: Path) -> None:
    (attempt_id,) = link.give(ticker(place, "main"), timeout_us=600_000, grace_us=0)
    grows(place / "main")
    link.pause(attempt_id)
    assert link.run("sleep 1").state == "succeeded"
    assert not link.of(attempt_id).finished
    link.pause(attempt_id, on=False)
    grows(place / "main")
    finished = link.finish_of(attempt_id)
    assert finished.state == "timed_out"
    assert finished.paused_us > 1_000_000
    ran_us = finished.finished_at_us - finished.started_at_us - finished.paused_us
    assert 590_000 < ran_us < 1_600_000


def test_pauses_add_up(link: FakeLink, place: Path) -> None:
    (attempt_id,) = link.give(ticker(place, "main"))
    grows(place / "main")
    first, again = link.pause(attempt_id), link.pause(attempt_id)
    assert first == again, "one that stands still already is not changed"
    off, still_off = link.pause(attempt_id, on=False), link.pause(attempt_id, on=False)
    assert off == still_off
    second = link.pause(attempt_id)
    assert (second.on, second.paused_us) == (True, off.paused_us)
    total = link.pause(attempt_id, on=False).paused_us
    assert total > off.paused_us > 0
    assert end(link, attempt_id).paused_us == total


def test_resuming_what_was_never_paused_changes_nothing(link: FakeLink, place: Path) -> None:
    (attempt_id,) = link.give(ticker(place, "main"))
    grows(place / "main")
    answer = link.pause(attempt_id, on=False)
    assert (answer.on, answer.paused_us, answer.at_us) == (False, 0, link.started(attempt_id).started_at_us)
    assert end(link, attempt_id).paused_us == 0


def test_each_of_many_orders_in_one_breath_is_answered_once(link: FakeLink, place: Path) -> None:
    (attempt_id,) = link.give(ticker(place, "main"))
    grows(place / "main")
    orders = [link_pb2.Pause(attempt_id=attempt_id, on=on) for on in [True, False] * 20]
    link.send(pauses=orders)
    heard = link.of(attempt_id)
    until(lambda: len(heard.paused) == len(orders), what="each order has an answer")
    assert not heard.paused[-1].on
    assert link.pause(attempt_id).on
    assert not link.pause(attempt_id, on=False).on
    assert len(heard.paused) == len(orders) + 2
    grows(place / "main")
    end(link, attempt_id)


def test_a_paused_task_that_is_cancelled_is_woken_to_clean_up(link: FakeLink) -> None:
    (attempt_id,) = link.give("trap 'echo cleaned; exit 7' TERM; echo ready; while :; do sleep 0.01; done")
    link.output_has(attempt_id, b"ready")
    link.pause(attempt_id)
    stop(link, attempt_id, 60)
    finished = link.finish_of(attempt_id, timeout_s=2)
    assert (finished.state, finished.exit_code) == ("cancelled", 7)
    assert finished.paused_us > 0
    assert link.of(attempt_id).output() == b"ready\ncleaned\n"
    assert [paused.on for paused in link.of(attempt_id).paused] == [True, False]


def test_a_paused_task_that_ignores_term_ends_with_its_grace(link: FakeLink) -> None:
    (attempt_id,) = link.give("trap '' TERM; setsid sleep 1000 & echo ready; while :; do sleep 100; done")
    link.output_has(attempt_id, b"ready")
    link.pause(attempt_id)
    stop(link, attempt_id, 0.2)
    finished = link.finish_of(attempt_id, timeout_s=1.2)
    assert (finished.state, finished.signal) == ("cancelled", signal.SIGKILL)


def test_a_paused_task_is_killed_without_grace(link: FakeLink) -> None:
    (attempt_id,) = link.give("sleep 1000 & echo ready; sleep 1000")
    link.output_has(attempt_id, b"ready")
    link.pause(attempt_id)
    finished = end(link, attempt_id)
    assert (finished.state, finished.signal) == ("cancelled", signal.SIGKILL)
    assert finished.paused_us > 0


def test_a_task_that_is_being_stopped_cannot_be_paused(link: FakeLink) -> None:
    (attempt_id,) = link.give("trap '' TERM; echo ready; while :; do sleep 0.01; done")
    link.output_has(attempt_id, b"ready")
    stop(link, attempt_id, 60)
    assert not link.pause(attempt_id).on
    end(link, attempt_id)


def test_a_task_that_is_woken_from_outside_is_stopped_again(link: FakeLink, place: Path) -> None:
    (attempt_id,) = link.give(ticker(place, "main"))
    grows(place / "main")
    link.pause(attempt_id)
    pid = link.started(attempt_id).pid
    os.kill(pid, signal.SIGCONT)
    until(lambda: moving(link, attempt_id) == [], what="it stands still again")
    assert link.run("true").state == "succeeded"
    assert not link.pause(attempt_id, on=False).on
    grows(place / "main")
    end(link, attempt_id)


def test_a_child_woken_from_outside_can_be_resumed_with_the_rest(link: FakeLink, place: Path) -> None:
    (attempt_id,) = link.give(f"({ticker(place, 'child')}) & {ticker(place, 'main')}")
    grows(place / "child", place / "main")
    link.pause(attempt_id)
    for proc in below(link, attempt_id)[1:]:
        procs.kill(proc, signal.SIGCONT)
    link.pause(attempt_id, on=False)
    grows(place / "child", place / "main")
    end(link, attempt_id)


def test_a_paused_program_killed_from_outside_has_ended(link: FakeLink) -> None:
    (attempt_id,) = link.give("setsid sleep 1000 & echo ready; sleep 1000")
    link.output_has(attempt_id, b"ready")
    link.pause(attempt_id)
    os.kill(link.started(attempt_id).pid, signal.SIGKILL)
    finished = link.finish_of(attempt_id)
    assert (finished.state, finished.reason, finished.signal) == ("failed", "signal", signal.SIGKILL)
    assert finished.leftovers >= 1
    assert finished.paused_us > 0


def test_a_paused_task_whose_runner_dies_is_lost_with_all_of_it(link: FakeLink) -> None:
    (attempt_id,) = link.give("setsid sleep 1000 & echo ready; sleep 1000")
    link.output_has(attempt_id, b"ready")
    link.pause(attempt_id)
    found = below(link, attempt_id)
    main = procs.look(link.started(attempt_id).pid)
    assert main
    os.kill(main.ppid, signal.SIGKILL)
    finished = link.finish_of(attempt_id)
    assert (finished.state, finished.reason) == ("lost", "runner_died")
    assert finished.paused_us > 0
    assert [str(proc) for proc in found if procs.alive(proc.pid)] == []


def test_children_the_task_itself_had_stopped_stay_stopped(link: FakeLink, place: Path) -> None:
    script = f"({ticker(place, 'child')}) & kill -STOP $!; echo $! > {place}/pid; {ticker(place, 'main')}"
    (attempt_id,) = link.give(script)
    grows(place / "main")
    child = int((place / "pid").read_text())
    until(lambda: (found := procs.look(child)) and found.state == "T")
    link.pause(attempt_id)
    link.pause(attempt_id, on=False)
    grows(place / "main")
    assert procs.look(child).state == "T"
    os.kill(child, signal.SIGCONT)
    grows(place / "child")
    end(link, attempt_id)


def test_a_shell_with_job_control_waits_on_for_its_child(link: FakeLink, place: Path) -> None:
    gate = f"until [ -e {place}/go ]; do echo x >> {place}/ticks; sleep 0.01; done"
    (attempt_id,) = link.give(["bash", "-c", f"set -m; sh -c {shlex.quote(gate)}; echo after"])
    for _ in range(5):
        grows(place / "ticks")
        assert link.pause(attempt_id).on
        assert not link.pause(attempt_id, on=False).on
    assert link.of(attempt_id).output() == b""
    (place / "go").touch()
    finished = link.finish_of(attempt_id)
    assert (finished.state, finished.leftovers) == ("succeeded", 0)
    assert link.of(attempt_id).output() == b"after\n"


def test_output_written_before_a_pause_comes_while_it_stands(link: FakeLink) -> None:
    (attempt_id,) = link.give("echo early; while :; do sleep 0.01; done")
    link.started(attempt_id)
    link.pause(attempt_id)
    link.output_has(attempt_id, b"early")
    end(link, attempt_id)


def test_a_pause_after_the_end_is_no_matter(link: FakeLink) -> None:
    (attempt_id,) = link.give("true")
    link.finish_of(attempt_id)
    link.send(pauses=[link_pb2.Pause(attempt_id=each, on=True) for each in (attempt_id, 999_999)])
    assert link.run("true").state == "succeeded"
    assert not link.of(attempt_id).paused


def test_pauses_that_meet_the_start_or_the_end_leave_nobody_standing(link: FakeLink) -> None:
    for _ in range(30):
        (attempt_id,) = link.give("true")
        link.send(pauses=[link_pb2.Pause(attempt_id=attempt_id, on=True)])
        heard = link.of(attempt_id)
        until(lambda heard=heard: heard.paused or heard.finished)
        link.send(pauses=[link_pb2.Pause(attempt_id=attempt_id, on=False)])
        assert link.finish_of(attempt_id).state == "succeeded"


def test_a_task_without_a_slot_is_answered_that_it_does_not_stand_still() -> None:
    with room(slots=1) as setup:
        link = setup.link
        link.ack_runners = False
        until(lambda: link.credits == 1)
        (attempt_id,) = link.give("true")
        assert not link.pause(attempt_id).on
        until(lambda: link.runners)
        link.send(runner_acks=list(link.runners))
        assert link.finish_of(attempt_id).state == "succeeded"


def test_after_a_broken_link_it_is_said_again_how_it_is(tmp_path: Path) -> None:
    with room(slots=2) as setup:
        link = setup.link
        ids = link.give(*[ticker(tmp_path, name) for name in ("stands", "stood")])
        grows(tmp_path / "stands", tmp_path / "stood")
        said = [link.pause(attempt_id) for attempt_id in ids]
        said[1] = link.pause(ids[1], on=False)
        link.stop()
        link.start()
        until(lambda: link.of(ids[0]).paused[1:] and link.of(ids[1]).paused[2:])
        again = [link.of(attempt_id).paused[-1] for attempt_id in ids]
        assert [each.answer for each in again] == [False, False], "nobody asked"
        for each in said:
            each.ClearField("answer")
        assert again == said
        assert moving(link, ids[0]) == []
        for attempt_id in ids:
            end(link, attempt_id)


def test_a_resume_over_a_new_link_wakes_what_an_old_one_paused(tmp_path: Path) -> None:
    with room(slots=1) as setup:
        link = setup.link
        (attempt_id,) = link.give(ticker(tmp_path, "main"))
        grows(tmp_path / "main")
        link.pause(attempt_id)
        link.stop()
        link.start()
        until(lambda: len(link.sessions) == 2)
        link.pause(attempt_id, on=False)
        grows(tmp_path / "main")
        end(link, attempt_id)


def test_others_run_while_one_stands_still(link: FakeLink, place: Path) -> None:
    (attempt_id,) = link.give(ticker(place, "main"))
    grows(place / "main")
    link.pause(attempt_id)
    assert all(link.finish_of(each).state == "succeeded" for each in link.give(*["true"] * 20))
    assert moving(link, attempt_id) == []
    end(link, attempt_id)
