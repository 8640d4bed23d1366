"""The tests' own guard: what a test starts and leaves is seen, ended and reported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support import procs
from support.wait import until

# A daemon as nasty as they come: a new session, a parent that is gone, a cleared environment.
ESCAPE = "setsid env -i /bin/sh -c 'sleep 1000' >/dev/null 2>&1 & sleep 0.01"

LEAVES_ONE = f"""
import subprocess
def test_leaves_one():
    subprocess.run(["/bin/sh", "-c", {ESCAPE!r}], check=True)
"""


def test_a_process_that_escaped_its_parent_is_still_ours() -> None:
    subprocess.run(["/bin/sh", "-c", ESCAPE], check=True)
    found = until(lambda: [proc for proc in procs.ours() if "sleep 1000" in proc.command])
    assert procs.sweep()
    assert not [proc for proc in found if procs.alive(proc.pid)]


def test_an_orphan_that_ended_is_a_zombie_until_somebody_reaps() -> None:
    subprocess.run(["/bin/sh", "-c", "setsid sleep 0.05 &"], check=True)
    until(lambda: procs.zombies(os.getpid()))
    procs.reap()
    assert not procs.zombies(os.getpid())


def test_a_signal_never_reaches_another_process_with_the_same_pid() -> None:
    child = subprocess.Popen(["sleep", "1000"])
    proc = procs.look(child.pid)
    assert proc
    procs.kill(procs.Proc(proc.pid, proc.start_ticks - 1, proc.ppid, proc.state, proc.command))
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(0.1)
    procs.kill(proc)
    assert child.wait(5) == -9


def test_a_test_that_leaves_a_process_behind_fails(tmp_path: Path) -> None:
    here = Path(__file__).resolve().parent.parent
    (tmp_path / "test_one.py").write_text(LEAVES_ONE)
    (tmp_path / "conftest.py").write_text((here / "conftest.py").read_text())
    run = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-o", f"pythonpath={here}", str(tmp_path)]
    done = subprocess.run(run, check=False, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert "left processes behind" in done.stdout
    assert "sleep 1000" in done.stdout
