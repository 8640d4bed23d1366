"""What `run` makes of its standard input: everything that is there, nothing that never comes, and no guess in between."""

import os
import pty
import subprocess
import sys

import pytest

READ = (
    "import sys; from tsched.cli import main, stdin; stdin.IDLE_S, stdin.SLOW_S = 0.1, {slow_s}; "
    "data = stdin.inherited(); sys.stdout.buffer.write(b'NONE' if data is None else data)"
)
COMMAND = [sys.executable, "-P", "-c"]


def read(stdin, slow_s=0.2):
    done = subprocess.run([*COMMAND, READ.format(slow_s=slow_s)], check=False, capture_output=True, stdin=stdin)
    return done.stdout, done.stderr


def read_piped(producer, slow_s):
    """What is read from a neighbour in a pipeline, who need not end."""
    ours, theirs = os.pipe()
    process = subprocess.Popen(["sh", "-c", producer], stdout=theirs, start_new_session=True)
    os.close(theirs)
    try:
        return read(ours, slow_s)
    finally:
        os.close(ours)
        os.killpg(process.pid, 9)
        process.wait()


def test_a_file_is_read_from_where_it_stands(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"skipped" + b"\0\xff" * 100_000)
    with path.open("rb") as file:
        os.lseek(file.fileno(), 7, os.SEEK_SET)
        assert read(file) == (b"\0\xff" * 100_000, b"")


@pytest.mark.parametrize("device", ["/dev/null", "/dev/zero", "/dev/tty0"])
def test_a_device_gives_nothing(device):
    if not os.access(device, os.R_OK):
        pytest.skip(f"no {device}")
    with open(device, "rb") as file:
        assert read(file) == (b"NONE", b"")


def test_a_terminal_gives_nothing():
    ours, theirs = pty.openpty()
    try:
        assert read(theirs) == (b"NONE", b"")
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_pipe_whose_writer_has_left_gives_nothing():
    ours, theirs = os.pipe()
    os.close(theirs)
    assert read(ours) == (b"NONE", b"")
    os.close(ours)


def test_a_pipe_that_only_an_ancestor_could_write_is_not_waited_for():
    ours, theirs = os.pipe()
    out, err = read(ours, slow_s=3600)
    os.close(ours)
    os.close(theirs)
    assert out == b"NONE"
    assert b"nobody writes to stdin" in err


def test_a_socket_that_nobody_writes_is_not_waited_for():
    import socket

    ours, theirs = socket.socketpair()
    with ours, theirs:
        out, err = read(ours, slow_s=3600)
    assert out == b"NONE"
    assert b"nobody writes to stdin" in err


def test_a_slow_neighbour_in_the_pipe_is_waited_for():
    out, err = read_piped("(sleep 0.5; echo late; sleep 0.2; echo later)", slow_s=3600)
    assert out == b"late\nlater\n"
    assert b"waiting for stdin" in err


def test_a_neighbour_that_never_writes_ends_in_a_refusal_and_not_in_a_run_without_input():
    out, err = read_piped("sleep 3600", slow_s=0.2)
    assert out == b""
    assert b"nothing came on stdin" in err
