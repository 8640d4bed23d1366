"""What a command gets, and what is kept of what it does: as a user of one's own, and as one without privileges."""

from __future__ import annotations

import os
import random
import shlex
import signal
import stat
import sys
from typing import TYPE_CHECKING

import pytest

from support.fake_link import FakeLink, Setup, room

if TYPE_CHECKING:
    from pathlib import Path


def out(link: FakeLink, command: str | list[str], **fields: object) -> bytes:
    """What a successful command writes to stdout."""
    (attempt_id,) = link.give(command, **fields)
    finished = link.finish_of(attempt_id)
    assert (finished.state, finished.exit_code) == ("succeeded", 0), finished
    return link.of(attempt_id).output()


def test_both_streams_are_kept_apart_and_byte_exact(link: FakeLink) -> None:
    (attempt_id,) = link.give("printf 'out\\n'; printf 'no newline' >&2")
    finished = link.finish_of(attempt_id)
    assert link.of(attempt_id).output(1) == b"out\n"
    assert link.of(attempt_id).output(2) == b"no newline"
    assert (finished.stdout_bytes, finished.stderr_bytes, finished.dropped_bytes) == (4, 10, 0)


def test_binary_output_of_a_megabyte_comes_back_as_it_was(link: FakeLink) -> None:
    code = "import random,sys; sys.stdout.buffer.write(random.Random(7).randbytes(1_000_003))"
    assert out(link, [sys.executable, "-c", code]) == random.Random(7).randbytes(1_000_003)


def test_invalid_utf8_and_nul_bytes_are_no_problem(link: FakeLink) -> None:
    assert out(link, r"printf '\377\000\303('") == b"\xff\x00\xc3("


def test_a_line_without_an_end_is_kept_whole(link: FakeLink) -> None:
    assert out(link, "head -c 3000000 /dev/zero | tr '\\0' x") == b"x" * 3_000_000


def test_chunks_are_numbered_in_the_order_the_streams_were_read(link: FakeLink) -> None:
    (attempt_id,) = link.give("for i in 1 2 3; do echo out$i; sleep 0.02; echo err$i >&2; sleep 0.02; done")
    link.finish_of(attempt_id)
    chunks = link.of(attempt_id).chunks.values()
    assert b"".join(chunk.data for chunk in chunks) == b"out1\nerr1\nout2\nerr2\nout3\nerr3\n"
    assert [chunk.stream for chunk in chunks] == [1, 2, 1, 2, 1, 2]


def test_output_comes_while_the_command_runs(link: FakeLink, place: Path) -> None:
    go = place / "go"
    (attempt_id,) = link.give(f"echo early; while ! [ -e {go} ]; do sleep 0.01; done; echo late")
    link.output_has(attempt_id, b"early\n")
    assert link.of(attempt_id).output() == b"early\n"
    go.touch()
    link.finish_of(attempt_id)
    assert link.of(attempt_id).output() == b"early\nlate\n"


@pytest.mark.parametrize("word", ["two words", "", "quo'te\"", "new\nline", "ünï ☃", "*", "$HOME", "-n"])
def test_arguments_arrive_as_they_were_given(link: FakeLink, word: str) -> None:
    assert out(link, ["printf", "%s|", "a", word]) == f"a|{word}|".encode()


def test_a_megabyte_of_arguments_arrives(link: FakeLink) -> None:
    words = [str(number % 10) * 100_000 for number in range(10)]
    assert out(link, ["printf", "%s", *words]) == "".join(words).encode()


def test_a_shell_string_is_run_by_the_shell(link: FakeLink) -> None:
    assert out(link, "echo $((6 * 7)) | tr 4 5") == b"52\n"


def test_stdin_is_what_was_submitted(link: FakeLink) -> None:
    data = random.Random(3).randbytes(2_000_000)
    assert out(link, ["cat"], stdin=data) == data


def test_stdin_cannot_be_changed_by_the_command(link: FakeLink) -> None:
    assert out(link, "(echo x >> /proc/self/fd/0) 2>/dev/null || cat", stdin=b"as given") == b"as given"


def test_without_stdin_there_is_nothing_to_read(link: FakeLink) -> None:
    assert out(link, ["cat"]) == b""


def test_the_environment_is_what_was_given_and_who_it_is(link: FakeLink, shared: Setup) -> None:
    given = {"PATH": os.environ["PATH"], "ODD": "a=b c\nd"}
    text = out(link, ["env", "-0"], env=given, queue="night", number=3, scheduled_for_us=1_795_351_104_250_000)
    environment = dict(entry.split("=", 1) for entry in text.decode().split("\0") if entry)
    task_id = environment.pop("TSCHED_TASK_ID")
    assert task_id.startswith("t")
    assert environment == {
        **given,
        "TSCHED_ATTEMPT": "3",
        "TSCHED_QUEUE": "night",
        "TSCHED_SCHEDULED_FOR": "2026-11-22T12:38:24.250000Z",
        "TSCHED_SOCKET": "/nowhere/tsched.sock",
        "TSCHED_EXECUTOR": shared.boot["executor_id"],
    }


def test_nothing_of_the_services_own_environment_reaches_a_command() -> None:
    service = {"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "2", "LISTEN_FDS": "1", "LISTEN_PID": "3"}
    service |= {"INVOCATION_ID": "i", "TSCHED_SCHEDULED_FOR": "never", "ANYTHING": "x"}
    with room("env", *(f"{name}={value}" for name, value in service.items())) as setup:
        for command in (["env", "-0"], "cat /proc/self/environ"):
            text = out(setup.link, command, env={"PATH": os.environ["PATH"]}, queue="q")
            names = {entry.partition("=")[0] for entry in text.decode().split("\0") if entry}
            assert names - {"PWD"} == {
                "PATH",
                "TSCHED_ATTEMPT",
                "TSCHED_EXECUTOR",
                "TSCHED_QUEUE",
                "TSCHED_SOCKET",
                "TSCHED_TASK_ID",
            }


def test_programs_are_found_on_the_path_of_the_task(link: FakeLink, place: Path) -> None:
    tool = place / "my-tool"
    tool.write_text("#!/bin/sh\necho mine\n")
    tool.chmod(0o755)
    assert out(link, ["my-tool"], env={"PATH": f"/nowhere:{place}"}) == b"mine\n"


def test_the_working_folder_and_the_umask_are_those_asked_for(link: FakeLink, place: Path) -> None:
    assert out(link, "umask; pwd; touch made", cwd=str(place), umask=0o027) == f"0027\n{place}\n".encode()
    assert stat.S_IMODE((place / "made").stat().st_mode) == 0o640


def test_a_command_has_three_descriptors_a_session_of_its_own_and_no_ignored_signals(link: FakeLink) -> None:
    code = (
        "import os,signal; print(sorted(map(int, os.listdir('/proc/self/fd')))[:-1], os.getsid(0) == os.getpid(),"
        "[hex(int(l.split()[1], 16) & ~(3 << 31)) for l in open('/proc/self/status') if l.startswith(('SigIgn', 'SigBlk'))])"
    )
    found = out(link, [sys.executable, "-I", "-S", "-c", code]).decode()
    # Python itself ignores SIGPIPE and SIGXFSZ; 32 and 33 are the C library's own, and whoever spawns may leave them ignored.
    assert found == "[0, 1, 2] True ['0x0', '0x1001000']\n"


@pytest.mark.parametrize("code", [1, 2, 77, 126, 127, 255])
def test_an_exit_code_is_reported_as_it_is(link: FakeLink, code: int) -> None:
    finished = link.run(f"exit {code}")
    assert (finished.state, finished.reason, finished.exit_code) == ("failed", "exit_code", code)
    assert not finished.HasField("signal")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGPIPE])
def test_a_deadly_signal_is_reported_as_it_is(link: FakeLink, number: signal.Signals) -> None:
    finished = link.run(f"kill -{int(number)} $$")
    assert (finished.state, finished.reason, finished.signal) == ("failed", "signal", number)
    assert not finished.HasField("exit_code")
    assert number.name in finished.message


def test_a_program_that_is_not_there_is_not_found(link: FakeLink) -> None:
    finished = link.run(["no-such-program", "x"])
    assert (finished.state, finished.reason, finished.exit_code) == ("failed", "not_found", 127)
    assert "no-such-program" in finished.message
    assert not finished.HasField("started_at_us")


def test_a_missing_interpreter_is_named(link: FakeLink, place: Path) -> None:
    script = place / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    finished = link.run([str(script)])
    assert (finished.reason, finished.exit_code) == ("not_found", 127)
    assert "interpreter" in finished.message


@pytest.mark.parametrize("program", ["/etc/passwd", "/tmp"])
def test_what_is_no_program_is_not_executable(link: FakeLink, program: str) -> None:
    finished = link.run([program])
    assert (finished.state, finished.reason, finished.exit_code) == ("failed", "not_executable", 126)
    assert program in finished.message


def test_a_working_folder_that_is_gone_is_named(link: FakeLink) -> None:
    finished = link.run("true", cwd="/no/such/folder")
    assert (finished.state, finished.reason) == ("failed", "cwd_unusable")
    assert "/no/such/folder" in finished.message
    assert not finished.HasField("exit_code")


def test_an_argument_the_kernel_refuses_fails_the_task_only(link: FakeLink) -> None:
    finished = link.run(["true", "x" * 200_000])
    assert (finished.state, finished.reason) == ("failed", "spawn_failed")
    assert out(link, ["echo", "alive"]) == b"alive\n"


def test_an_unknown_profile_fails_the_task_only(link: FakeLink) -> None:
    finished = link.run("true", profile="nowhere")
    assert (finished.state, finished.reason) == ("failed", "spawn_failed")
    assert "nowhere" in finished.message


def test_processor_time_and_memory_are_measured(link: FakeLink) -> None:
    code = "x = bytearray(80_000_000); sum(range(2_000_000))"
    finished = link.run(f"{shlex.quote(sys.executable)} -I -S -c {shlex.quote(code)}")
    assert finished.cpu_s > 0.02
    assert 80_000_000 < finished.peak_bytes < 150_000_000
    assert finished.started_at_us < finished.finished_at_us


def test_memory_below_what_can_be_measured_is_left_open_rather_than_wrong(link: FakeLink) -> None:
    assert not link.run(["true"]).HasField("peak_bytes")


def test_three_hundred_short_tasks_all_end_with_their_own_output(link: FakeLink) -> None:
    before = link.messages
    ids = link.give(*(f"echo {number}" for number in range(300)))
    assert all(link.finish_of(attempt_id, timeout_s=20).state == "succeeded" for attempt_id in ids)
    assert [link.of(attempt_id).output() for attempt_id in ids] == [f"{number}\n".encode() for number in range(300)]
    assert link.messages - before < 300, "tasks share messages"
