"""What is told to the service manager, on a real datagram socket, and what of its environment means nothing."""

import os
import socket

import pytest

from support.keep import FakeClock
from tsched.supervisor.notify import Manager


def listener(address):
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    made.bind(address)
    made.settimeout(5)
    return made


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_each_word_is_one_datagram_as_sd_notify_says(tmp_path, kind):
    named = str(tmp_path / "n") if kind == "path" else f"@tsched-test-{os.getpid()}"
    address = named if kind == "path" else "\0" + named[1:]
    with listener(address) as heard:
        manager = Manager({"NOTIFY_SOCKET": named}, FakeClock())
        manager.ready("Serving")
        manager.reloading()
        manager.alive()
        manager.stopping("Over")
        assert heard.recv(4096) == b"READY=1\nSTATUS=Serving"
        assert heard.recv(4096) == b"RELOADING=1\nMONOTONIC_USEC=1800000000000000\nSTATUS=Reloading"
        assert heard.recv(4096) == b"WATCHDOG=1"
        assert heard.recv(4096) == b"STOPPING=1\nSTATUS=Over"
    assert manager.name == "systemd"


@pytest.mark.parametrize(
    "named", ["", "relative", "/", "@", "/no/such/socket", "vsock:2:1", "/dev/null", "@" + "x" * 300]
)
def test_a_socket_that_is_none_is_no_reason_to_fail(named):
    manager = Manager({"NOTIFY_SOCKET": named}, FakeClock())
    manager.ready("Serving")
    with manager.long_work():
        manager.alive()


@pytest.mark.parametrize(
    ("environment", "period"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "3000000"}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": ""}, 3.0),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-3"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "9" * 400}, None),
    ],
)
def test_the_watchdog_is_heeded_when_it_is_meant_for_this_process(environment, period):
    assert Manager(environment, FakeClock()).watchdog_s == period


def test_who_started_us_is_not_told_by_what_every_shell_inherits():
    assert Manager({"INVOCATION_ID": "aa", "JOURNAL_STREAM": "1:2"}, FakeClock()).name == ""
    assert Manager({"SYSTEMD_EXEC_PID": str(os.getpid())}, FakeClock()).name == "systemd"
