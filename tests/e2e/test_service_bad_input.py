"""What a service is started with, and what is thrown at its sockets: one clear line, nothing lost, alive afterwards."""

import os
import signal
import socket
import subprocess
import sys

import pytest

from support import procs
from support.wait import until


def supervisor(service, *args, **env):
    """A second supervisor beside the service's; its exit code and its only line."""
    argv = [sys.executable, "-P", "-m", "tsched.supervisor", *args]
    return subprocess.run(argv, env={**service.env, **env}, capture_output=True, text=True, timeout=30, check=False)


def refused(done, code, *words):
    assert done.returncode == code, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("tsched: ")
    for word in words:
        assert word in done.stderr
    return True


def alive(service):
    return service.cli("run", "--", "echo", "alive").stdout == b"alive\n"


def test_a_second_supervisor_on_the_same_state_folder_is_refused_and_told_who_is_there(service):
    done = supervisor(service, "--state-dir", str(service.state_dir), "--socket", str(service.base / "other"))
    assert refused(done, 1, "already runs", str(service.state_dir), str(service.pid))
    assert alive(service)


def test_a_refusal_that_a_full_disk_does_not_take_is_no_crash(service):
    argv = [sys.executable, "-P", "-m", "tsched.supervisor", "--state-dir", str(service.state_dir)]
    argv += ["--socket", str(service.base / "other"), "--log-dir", str(service.base / "logs")]
    with open("/dev/full", "w") as full:
        code = subprocess.run(argv, env=service.env, stderr=full, timeout=30, check=False).returncode
    told = "".join(path.read_text() for path in (service.base / "logs").glob("*"))
    assert code == 1
    assert "uncaught" not in told
    assert alive(service)


def test_a_second_supervisor_on_the_same_socket_is_refused_and_does_not_steal_it(service):
    done = supervisor(service, "--state-dir", str(service.base / "other"), "--socket", str(service.socket))
    assert refused(done, 1, "already listens", str(service.socket), str(service.pid))
    assert alive(service)


@pytest.mark.parametrize("length", [108, 200])
def test_a_socket_path_that_is_too_long_is_refused_early(service, length):
    path = str(service.base) + "/" + "s" * (length - len(str(service.base)) - 1)
    assert refused(supervisor(service, "--state-dir", str(service.base / "x"), "--socket", path), 2, f"{length} bytes")


def test_a_regular_file_at_the_socket_path_is_left_alone(service):
    path = service.base / "precious"
    path.write_text("mine")
    done = supervisor(service, "--state-dir", str(service.base / "x"), "--socket", str(path))
    assert refused(done, 2, str(path), "not a socket")
    assert path.read_text() == "mine"


def test_a_state_folder_that_cannot_be_made_is_refused(service):
    (service.base / "file").touch()
    done = supervisor(service, "--state-dir", str(service.base / "file" / "state"), "--socket", str(service.base / "o"))
    assert refused(done, 2, "file/state", "Not a directory")


def test_a_read_only_state_folder_is_refused(service):
    folder = service.base / "ro"
    folder.mkdir(mode=0o500)
    argv = [
        sys.executable,
        "-P",
        "-m",
        "tsched.supervisor",
        "--state-dir",
        str(folder),
        "--socket",
        str(service.base / "o"),
    ]
    if os.geteuid() == 0:  # who writes wherever a mount lets him
        argv = ["unshare", "-m", "sh", "-c", f'mount -t tmpfs -o ro,mode=700 none {folder} && exec "$@"', "sh", *argv]
    done = subprocess.run(argv, env=service.env, capture_output=True, text=True, timeout=30, check=False)
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip(f"cannot mount here: {done.stderr.strip()}")
    assert refused(done, 2, str(folder))


def test_a_state_folder_that_others_may_write_is_refused(service):
    folder = service.base / "open"
    folder.mkdir()
    folder.chmod(0o777)
    done = supervisor(service, "--state-dir", str(folder), "--socket", str(service.base / "o"))
    assert refused(done, 2, str(folder), "can be written by others")


def test_a_database_that_is_none_is_refused_by_name_and_left_as_it_was(service):
    folder = service.base / "damaged"
    folder.mkdir(mode=0o700)
    (folder / "tsched.db").write_bytes(b"this is no database" * 500)
    done = supervisor(service, "--state-dir", str(folder), "--socket", str(service.base / "o"))
    assert refused(done, 125, "tsched.db")
    assert (folder / "tsched.db").read_bytes() == b"this is no database" * 500


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[service\n", ("line 1",)),
        ('[service]\nlog_level = "info"\nlog_levle = "x"\n', ("line 3", "log_levle", "unknown")),
        ("[executors]\ncount = 1000\n", ("line 2", "executors.count", "0 to 64")),
    ],
)
def test_a_mistake_in_the_configuration_is_named_with_its_line(service, text, words):
    path = service.base / "bad.toml"
    path.write_text(text)
    done = supervisor(service, "--config", str(path), "--state-dir", str(service.base / "x"))
    assert refused(done, 2, str(path), *words)


@pytest.mark.parametrize("which", ["public", "link"])
@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x00" * 70_000,
        os.urandom(5000),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 400,
    ],
)
def test_garbage_on_a_socket_harms_nobody(service, which, garbage):
    [link] = service.base.glob("tsched-*/link.sock")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(service.socket if which == "public" else link))
        try:
            client.sendall(garbage)
            client.shutdown(socket.SHUT_WR)
            client.settimeout(5)
            while client.recv(65536):
                pass
        except (BrokenPipeError, ConnectionResetError):
            pass
    assert alive(service)


def test_a_client_that_vanishes_while_following_ends_nothing_and_frees_its_task(service, witness):
    body = "head -c 200000000 /dev/zero; echo over"
    config = service.spawn("run", "--", "sh", "-c", witness.command("flood", body), stdout=subprocess.PIPE)
    witness.wait_start("flood")
    config.stdout.read(1_000_000)
    config.send_signal(signal.SIGKILL)
    config.communicate()
    [task] = service.json("list")
    assert service.cli("wait", task["id"]).code == 0
    assert witness.ends("flood")
    shown = service.task(task["id"])["attempts"][0]
    assert shown["stdout_bytes"] == 200_000_005
    assert shown["dropped_bytes"] == 200_000_005 - 64 * 1024 * 1024
    assert service.cli("logs", task["id"], "--tail", "1").stdout.endswith(b"\0over\n")


def test_followers_who_vanish_or_never_read_leave_the_service_as_it_was(service):
    gate = service.base / "gate"
    os.mkfifo(gate)
    task = service.cli("schedule", "--command", f"seq 1 200000; read go < {gate}; echo end").word
    until(lambda: service.task(task)["state"] == "running")
    followers = [service.spawn("logs", "-f", task) for _ in range(6)]
    for follower in followers[:3]:
        follower.stdout.read(10)
        follower.kill()
    gate.write_text("go\n")
    assert service.cli("wait", task).code == 0
    assert alive(service)
    assert not procs.zombies(service.pid)
