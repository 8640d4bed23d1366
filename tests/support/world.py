"""tsched where every user can reach it: an environment of the system's own Python, for the service of several users.

What is installed beside the tests is copied there, because the interpreter that runs them may lie in root's home.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
PYTHON = Path("/usr/bin/python3")
PARTS = ("cli", "client", "executor", "proto", "store", "supervisor")
FILES = ("__init__.py", "__main__.py", "testing.py", "py.typed", "config.toml")
SCRIPT = "#!{python} -P\nfrom tsched.cli.main import main\nmain()\n"


def why_not() -> str:
    """What keeps this machine from it; empty: nothing."""
    if os.geteuid() != 0:
        return "only root can run tasks as other users"
    missing = [each for each in ("useradd", "userdel", "setpriv") if shutil.which(each) is None]
    if missing:
        return f"this machine has no {missing[0]}"
    asked = [str(PYTHON), "-c", "import sys, venv; print('%d.%d' % sys.version_info[:2])"]
    found = subprocess.run(asked, check=False, capture_output=True, text=True).stdout.strip() if PYTHON.exists() else ""
    wanted = f"{sys.version_info.major}.{sys.version_info.minor}"
    return "" if found == wanted else f"{PYTHON} is {found or 'not there'}, and what is installed is for {wanted}"


@contextmanager
def shared(run: Path) -> Iterator[Path]:
    """The environment, made once for all workers of this run, and removed by whoever leaves last."""
    run = run.parent if run.name.startswith("popen-") else run
    folder = Path(tempfile.gettempdir()) / f"tsx-world-{run.name}"
    with _sole(run):
        folder.mkdir(mode=0o755, exist_ok=True)
        if not (folder / "env").exists():
            _make(folder / "env")
        (folder / f"user-{os.getpid()}").touch()
    try:
        yield folder / "env"
    finally:
        with _sole(run):
            (folder / f"user-{os.getpid()}").unlink()
            if not any(folder.glob("user-*")):
                shutil.rmtree(folder)


@contextmanager
def _sole(run: Path) -> Iterator[None]:
    """One process of this run at a time."""
    with (run / "world.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make(env: Path) -> None:
    umask = os.umask(0o022)
    try:
        subprocess.run([PYTHON, "-m", "venv", "--without-pip", env], check=True)
        [packages] = env.glob("lib/python*/site-packages")
        for name in _needed("tsched", set()):
            _copy(metadata.distribution(name), packages)
        for part in PARTS:
            shutil.copytree(ROOT / part, packages / "tsched" / part)
        for file in FILES:
            shutil.copy2(ROOT / file, packages / "tsched" / file)
        script = env / "bin/tsched"
        script.write_text(SCRIPT.format(python=env / "bin/python"))
        script.chmod(0o755)
    finally:
        os.umask(umask)


def _needed(name: str, seen: set[str]) -> set[str]:
    """The distributions that one needs to run, all the way down."""
    for line in metadata.requires(name) or []:
        requirement = Requirement(line)
        wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if wanted and requirement.name not in seen:
            seen.add(requirement.name)
            _needed(requirement.name, seen)
    return seen


def _copy(distribution: metadata.Distribution, to: Path) -> None:
    for file in distribution.files or []:
        source = Path(str(distribution.locate_file(file)))
        if ".." not in file.parts and source.is_file():
            (to / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, to / file)  # with its time, by which what is compiled of it is known
