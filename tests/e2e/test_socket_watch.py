"""The sockets of a running service are made again when they vanish, and nothing of anybody else's is touched."""

import os
import shutil
import socket
import subprocess
import sys

import pytest

from support.wait import until


def descriptors(service):
    return len(os.listdir(f"/proc/{service.pid}/fd"))


def answers(service):
    return until(lambda: service.cli("list", check=False).code == 0, timeout_s=30)


@pytest.fixture
def own_folder(service):
    """The service, started anew with its public socket beside the executors' one, in its own folder."""
    service.stop()
    del service.env["TSCHED_SOCKET"]
    service.cli("status", check=False)
    [service.socket] = [path / "tsched.sock" for path in [runtime_dir(service)]]
    service.start()
    return service


def runtime_dir(service):
    code = "from tsched.proto import endpoint; print(endpoint.runtime_dir(endpoint.default_state_dir()))"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], env=service.env, capture_output=True, text=True, check=True
    )
    return type(service.base)(done.stdout.strip())


def test_a_removed_socket_is_made_again_five_times_and_costs_no_descriptor(service):
    follower = service.spawn(
        "run", "--", "sh", "-c", f"echo a; while [ ! -e {service.base}/go ]; do sleep 0.05; done; echo b"
    )
    assert follower.stdout.readline() == b"a\n"
    service.socket.unlink()
    until(service.socket.exists)
    answers(service)
    before = descriptors(service)
    for _ in range(5):
        service.socket.unlink()
        until(service.socket.exists)
        answers(service)
    (service.base / "go").touch()
    assert follower.communicate(timeout=60)[0] == b"b\n"
    assert follower.stderr.read() == b"" if not follower.stderr.closed else True
    until(lambda: descriptors(service) <= before, what="no descriptor more than before")


@pytest.mark.parametrize("how", ["rm -r", "mv"])
def test_with_its_folder_gone_everything_is_made_again_and_executors_come_back(own_folder, how, witness):
    service = own_folder
    folder = service.socket.parent
    for round_ in range(3):
        if how == "mv":
            folder.rename(service.base / f"away{round_}")
        else:
            shutil.rmtree(folder, ignore_errors=True)  # it is made again while it goes
        until(lambda: service.socket.exists() and (folder / "link.sock").exists(), timeout_s=30)
        answers(service)
    assert folder.stat().st_mode & 0o777 == 0o700
    for each in service.json("status")["executors"]:
        os.kill(each["pid"], 9)
    assert service.cli("run", "--", "true").code == 0
    other = [sys.executable, "-P", "-m", "tsched.supervisor", "--state-dir", str(service.base / "o")]
    done = subprocess.run(
        [*other, "--socket", str(service.socket)], env=service.env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "already listens" in done.stderr


def test_what_somebody_else_put_there_stays_and_the_socket_comes_back_when_it_goes(service):
    with socket.socket(socket.AF_UNIX) as rival:
        rival.bind(str(service.base / "rival"))
        rival.listen()
        os.rename(service.base / "rival", service.socket)
        until(lambda: "socket_vanished" in service.log())
        assert service.log().count("socket_vanished") == 1
        theirs = service.socket.stat().st_ino
        service.signal(0)
        assert service.socket.stat().st_ino == theirs
    service.socket.unlink()
    answers(service)
    assert "socket_made_again" in service.log()


def test_a_lock_that_was_removed_is_taken_again(service):
    lock = service.socket.with_name(service.socket.name + ".lock")
    lock.unlink()
    until(lambda: lock.exists() and lock.read_text().split() == [str(service.pid)])
    done = subprocess.run(
        [
            sys.executable,
            "-P",
            "-m",
            "tsched.supervisor",
            "--state-dir",
            str(service.base / "o"),
            "--socket",
            str(service.socket),
        ],
        env=service.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "already listens" in done.stderr


def test_a_busy_folder_around_the_socket_wakes_nobody(service):
    def switches():
        with open(f"/proc/{service.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("voluntary_ctxt"))

    answers(service)
    until(lambda: len(service.json("status")["executors"]) == 2)
    before = switches()
    for number in range(500):
        (service.base / f"busy{number}").touch()
    assert switches() - before < 100


def test_nothing_of_it_is_left_after_a_clean_stop(service):
    folder = runtime_dir(service)
    assert folder.exists()
    service.stop()
    assert not folder.exists()
    assert not service.socket.exists()
    assert not service.socket.with_name(service.socket.name + ".lock").exists()
