"""A service that is told to stop ends, whatever its executors and its log are doing."""

import os
import signal
import subprocess
import sys

from support.wait import until


def _gone(service, pid):
    return any(line["event"] == "executor_gone" and line.get("pid") == pid for line in service.log_lines())


def test_stops_while_dead_executors_are_still_being_seen_to(make_service):
    service = make_service("[executors]\ncount = 2\nslots = 1\n[service]\nstop_timeout_s = 0\n")
    pids = [executor["pid"] for executor in service.json("status")["executors"]]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        until(lambda pid=pid: _gone(service, pid))
    service.signal(signal.SIGINT)
    assert service.wait() == 0


def test_an_executor_that_dies_young_is_replaced(make_service):
    service = make_service("[executors]\ncount = 1\nslots = 1\n")
    [executor] = service.json("status")["executors"]
    os.kill(executor["pid"], signal.SIGKILL)
    assert service.cli("run", "--", "echo", "again").word == "again"


def test_down_is_heard_also_by_a_service_that_stops_already(make_service):
    service = make_service("[executors]\ncount = 1\nslots = 1\n[service]\nstop_timeout_s = 600\n")
    task = service.cli("run", "-d", "--", "sleep", "1000").word
    until(lambda: service.task(task)["state"] == "running")
    service.signal(signal.SIGTERM)
    until(lambda: "stopping" in service.log())
    service.cli("down", "--drain", "0")
    assert service.wait() == 0
    service.start()
    assert service.task(task)["reason"] == "shutdown"


FULL_LOG = """
import sys
from tsched.supervisor import log
log.setup("info")
log.get().error("nobody hears this")
"""

LOUD = """
import asyncio, sys
from tsched.supervisor import log

async def main():
    log.setup("info")
    release = log.capture_stderr()
    for _ in range(5000):
        print("x" * 60, file=sys.stderr)
    release()

asyncio.run(main())
"""

SECRET = """
import os, pty, sys
pid, fd = pty.fork()
if pid:
    shown = b""
    try:
        while data := os.read(fd, 65536):
            shown += data
    except OSError:
        pass
    os.waitpid(pid, 0)
    sys.stdout.buffer.write(shown)
else:
    from tsched.supervisor import log
    log.setup("info")
    def handle(command):
        raise LookupError("gone")
    try:
        handle("".join(["top", "-", "secret"]))
    except LookupError:
        log.get().exception("handler_failed")
    os._exit(0)
"""


def _python(text, **options):
    return subprocess.run([sys.executable, "-P", "-c", text], check=True, timeout=30, **options)


def test_a_full_disk_under_the_log_is_no_reason_to_fail():
    with open("/dev/full", "wb") as full:
        _python(FULL_LOG, stderr=full)


def test_more_on_stderr_than_its_pipe_holds_stops_nothing():
    _python(LOUD, stderr=subprocess.DEVNULL)


def test_a_failure_shown_on_a_terminal_tells_no_values():
    shown = _python(SECRET, stdout=subprocess.PIPE).stdout
    assert b"LookupError" in shown
    assert b"top-secret" not in shown
