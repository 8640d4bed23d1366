"""Running a program in a mount namespace of its own, where a folder is a small file system."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
ENTRIES = (("unshare", "-m"), ("unshare", "-Urm"))
SCRIPT = 'mount -t tmpfs -o "$1" none "$2" && shift 2 && exec "$@"'


@cache
def entry() -> tuple[str, ...] | None:
    """How a mount namespace is entered here; None where that, a mount or a remount in it is not allowed."""
    if shutil.which("unshare") is None:
        return None
    for command in ENTRIES:
        trial = "mount -t tmpfs none /mnt && mount -o remount,size=64m /mnt"
        tried = subprocess.run([*command, "sh", "-c", trial], check=False, capture_output=True)
        if tried.returncode == 0:
            return command
    return None


def run_in(folder: Path, options: str, module: str, *args: str) -> str:
    """What `python -m MODULE FOLDER ARGS` prints, where the folder is a new tmpfs. Fails when it fails."""
    command = [sys.executable, "-m", module, str(folder), *args]
    ran = subprocess.run(
        [*(entry() or ()), "sh", "-c", SCRIPT, "sh", options, str(folder), *command],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def remount(folder: Path, options: str) -> None:
    """Change the file system under a folder, from inside."""
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)
