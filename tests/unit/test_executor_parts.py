"""The small parts of the executor: frames, verdicts, orders, spawn errors, boot."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from typing import TYPE_CHECKING, Any

import pytest

from tsched.executor import verdict
from tsched.executor.boot import Boot
from tsched.executor.frames import ORDERS, REPORTS, Codec, Unpacker, pack
from tsched.executor.host_messages import Ready
from tsched.executor.messages import Exited, Run, Started, Term
from tsched.executor.order import mark, run_order, stdin_file
from tsched.executor.port import Port
from tsched.executor.spawn import SpawnError, explain, locate
from tsched.executor.verdict import Ending
from tsched.proto.link_pb2 import Assignment, Payload
from tsched.proto.profiles import Profile

if TYPE_CHECKING:
    from pathlib import Path

BOOT = Boot.of_dict(
    {
        "executor_id": "abc",
        "secret": "hush",
        "link": "/l",
        "socket": "/s",
        "slots": 4,
        "shell": "/bin/sh",
        "runner_idle_s": 60.0,
        "profiles": [{"name": "low", "nice": 3}],
        "version": "1",
    }
)


def run(argv: list[str], cwd: str = "/", **env: str) -> Run:
    return Run(1, argv, cwd, env, 0o22, False)


@pytest.mark.parametrize("codec", [ORDERS, REPORTS])
def test_messages_arrive_whole_whatever_the_pieces(codec: Codec) -> None:
    messages = [
        run(["a", "ü\n\0", "\udcff"], X="1"),
        Term(1),
        Started(1, 2, 3, 4, 5),
        Exited(1, 2, 3, 4, -9, 2, 3, 0.5, None, 0, True, False),
    ]
    data = pack(codec, messages[:3]) + pack(codec, messages[3:])
    unpacker = Unpacker(codec)
    assert [message for byte in data for message in unpacker.feed(bytes([byte]))] == messages
    assert Unpacker(codec).feed(data) == messages


@pytest.mark.parametrize(
    ("returncode", "expected"),
    [
        (0, ("succeeded", "", 0, None)),
        (3, ("failed", "exit_code", 3, None)),
        (-11, ("failed", "signal", None, 11)),
        (-64, ("failed", "signal", None, 64)),
    ],
)
def test_a_program_that_ends_by_itself_is_judged_by_its_code(returncode: int, expected: tuple[Any, ...]) -> None:
    found = verdict.exited(returncode, None)
    assert (found.state, found.reason, found.exit_code, found.signal) == expected


@pytest.mark.parametrize("returncode", [0, 5, -15])
def test_a_program_that_was_stopped_ends_as_it_was_stopped_and_keeps_its_code(returncode: int) -> None:
    found = verdict.exited(returncode, Ending("cancelled", "shutdown", "told to"))
    assert (found.state, found.reason, found.message) == ("cancelled", "shutdown", "told to")
    assert returncode in {found.exit_code, -(found.signal or 1)}


def test_an_order_names_shell_environment_and_umask() -> None:
    given = Assignment(
        attempt_id=5, task_id="7", number=2, queue="q", payload=Payload(shell="x y", cwd="/c", env={"A": "b"})
    )
    order = run_order(given, BOOT)
    assert order.argv == ["/bin/sh", "-c", "x y"]
    assert (order.attempt_id, order.cwd, order.umask, order.stdin) == (5, "/c", 0o022, False)
    assert order.env["A"] == "b"
    assert set(mark(given, BOOT)) <= {f"{name}={value}".encode() for name, value in order.env.items()}
    assert "TSCHED_SCHEDULED_FOR" not in order.env


def test_a_user_cannot_take_the_mark_off() -> None:
    payload = Payload(args=["x"], env={"TSCHED_EXECUTOR": "other"}, umask=0)
    order = run_order(Assignment(task_id="7", payload=payload), BOOT)
    assert order.env["TSCHED_EXECUTOR"] == "abc"
    assert (order.argv, order.umask) == (["x"], 0)


def test_stdin_can_be_read_and_not_be_written() -> None:
    fd = stdin_file(b"data")
    try:
        with pytest.raises(PermissionError):
            os.write(fd, b"x")
        assert os.read(fd, 10) == b"data"
    finally:
        os.close(fd)


def test_the_path_is_searched_from_the_working_folder_of_the_task(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    tool = tmp_path / "bin" / "tool"
    tool.touch(0o755)
    assert locate(run(["tool"], cwd=str(tmp_path), PATH="/nowhere:bin")) == str(tool)
    assert locate(run(["./tool"], PATH="")) == "./tool"


def test_a_file_that_cannot_be_run_is_not_the_same_as_none(tmp_path: Path) -> None:
    (tmp_path / "text").touch(0o644)
    with pytest.raises(SpawnError) as refused:
        locate(run(["text"], PATH=str(tmp_path)))
    assert (refused.value.reason, refused.value.exit_code) == ("not_executable", 126)
    with pytest.raises(SpawnError) as refused:
        locate(run(["nothing"], PATH=str(tmp_path)))
    assert (refused.value.reason, refused.value.exit_code) == ("not_found", 127)


@pytest.mark.parametrize(
    ("number", "cwd", "reason"),
    [
        (errno.ENOENT, "/", "not_found"),
        (errno.ENOEXEC, "/", "not_executable"),
        (errno.EAGAIN, "/", "spawn_failed"),
        (errno.ENOENT, "/no/such", "cwd_unusable"),
    ],
)
def test_errors_are_explained(number: int, cwd: str, reason: str) -> None:
    assert explain(OSError(number, os.strerror(number)), run(["/x"], cwd=cwd)).reason == reason


def test_a_boot_record_shows_no_secret() -> None:
    assert "hush" not in repr(BOOT)
    assert BOOT.profiles == {"low": Profile(name="low", nice=3)}


def test_a_port_that_is_let_go_by_whoever_hears_says_no_more() -> None:
    async def run() -> None:
        ours, theirs = socket.socketpair()
        heard: list[Any] = []
        with theirs:
            port: Port = Port(
                asyncio.get_running_loop(), ours, lambda report: (heard.append(report), port.close()), lambda: None
            )
            theirs.sendall(pack(REPORTS, [Ready()]))
            theirs.sendall(pack(REPORTS, [Ready()]))
            port.read_rest()
            port.close()
        assert heard

    asyncio.run(run())
