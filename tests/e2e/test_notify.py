"""A real supervisor under a service manager that listens."""

import os
import signal
import socket
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from support.wait import until
from tsched.proto import managed


class Manager:
    """The manager's end of NOTIFY_SOCKET, always listening, as systemd is."""

    def __init__(self, address):
        self.lines = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self):
        while data := self._socket.recv(4096):
            self.lines += data.decode().splitlines()

    def hear(self, word, times=1):
        """Waits until the word has come so often; all lines so far."""
        until(lambda: sum(line.startswith(word) for line in self.lines) >= times, timeout_s=20, what=word)
        return list(self.lines)

    def beats(self):
        return self.lines.count("WATCHDOG=1")

    def close(self):
        self._socket.shutdown(socket.SHUT_RD)
        self._thread.join()
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def managed_service(service, request):
    """The service, started anew below a manager."""
    named = str(service.base / "n") if request.param == "path" else f"@tsched-{os.getpid()}-{os.urandom(4).hex()}"
    manager = Manager(named if request.param == "path" else "\0" + named[1:])
    service.stop()
    service.env |= {"NOTIFY_SOCKET": named, "WATCHDOG_USEC": "600000", "INVOCATION_ID": "aa", "JOURNAL_STREAM": "8:9"}
    service.start()
    yield service, manager
    if service.running:
        service.stop()
    manager.close()


def test_it_says_that_it_is_ready_lives_reloads_and_stops(managed_service):
    service, manager = managed_service
    assert manager.hear("READY=1")[0] == "READY=1"
    manager.hear("WATCHDOG=1", times=3)
    assert service.json("status")["managed_by"] == "systemd"
    service.cli("config", "reload")
    said = [line.partition("=")[0] for line in manager.hear("READY=1", times=2) if line != "WATCHDOG=1"]
    assert said[:6] == ["READY", "STATUS", "RELOADING", "MONOTONIC_USEC", "STATUS", "READY"]
    manager.hear("WATCHDOG=1", times=manager.beats() + 2)
    service.signal(signal.SIGTERM)
    assert service.wait() == 0
    manager.hear("STOPPING=1")


def test_nothing_of_it_reaches_executors_or_tasks(managed_service):
    service, _ = managed_service
    shown = service.cli("run", "--", "env").text
    environments = [Path(f"/proc/{each['pid']}/environ").read_text() for each in service.json("status")["executors"]]
    for name in managed.VARIABLES:
        assert all(f"{name}=" not in text for text in [shown, *environments])


def test_a_writer_that_does_not_answer_silences_the_watchdog_until_it_does(managed_service):
    service, manager = managed_service
    manager.hear("WATCHDOG=1")
    with closing(sqlite3.connect(service.state_dir / "output.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        before = manager.beats()
        # The loop lives all the while: it answers, and more often than the watchdog is due.
        for _ in range(4):
            assert service.cli("status").code == 0
        assert manager.beats() <= before + 1
        other.execute("ROLLBACK")
    manager.hear("WATCHDOG=1", times=before + 2)


@pytest.mark.parametrize("named", ["/nowhere/n", "relative", "@", "/dev/null"])
def test_a_manager_that_is_not_there_stops_nothing(service, named):
    service.stop()
    service.env |= {"NOTIFY_SOCKET": named, "WATCHDOG_USEC": "100000", "WATCHDOG_PID": "x"}
    service.start()
    assert service.cli("run", "--", "true").code == 0
