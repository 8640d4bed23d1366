"""The side of functions, in child processes as it is meant to be: interpreters, descriptions, calls, compilers."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
BEGIN = ROOT / "executor" / "begin.py"
INCLUDE = ROOT / "executor"
TIMEOUT_S = 60

# What a test wants to say in the interpreter of the functions: `functions` are there.
_CHILD = """
import json, os, runpy, sys
runpy.run_path(sys.argv[1], run_name="begin")
from tsched.executor.sources import load, look
source = json.loads(sys.argv[2])
"""


@functools.cache
def others() -> list[str]:
    """Interpreters beside our own that are new enough, by version."""
    found = sorted(Path.home().glob(".pyenv/versions/3.*/bin/python"), key=_version)
    return [str(each) for each in found if _version(each) >= (3, 11) and _version(each)[:2] != sys.version_info[:2]]


def interpreters() -> list[str]:
    """Our own interpreter and the others."""
    return [sys.executable, *others()]


def rustc() -> str | None:
    """The Rust compiler; make runs with a bare PATH in places."""
    return shutil.which("rustc", path=f"{os.environ.get('PATH', '')}:{Path.home() / '.cargo/bin'}")


def cc() -> str | None:
    """The C compiler."""
    return shutil.which("cc")


def source(kind: str, name: str = "it", path: Path | str = "", modules: list[str] | None = None) -> dict[str, Any]:
    """A source as the link has it."""
    return {
        "name": name,
        "generation": 1,
        "kind": kind,
        "python": sys.executable,
        "path": str(path),
        "modules": modules or [],
    }


def describe(of: dict[str, Any], python: str = sys.executable) -> tuple[dict[str, Any], str]:
    """What the source is said to have, and what came on stderr meanwhile."""
    child = subprocess.run(
        [python, "-X", "utf8", str(BEGIN), "describe"],
        input=json.dumps(of),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=True,
    )
    return json.loads(child.stdout), child.stderr


def names(described: dict[str, Any]) -> list[str]:
    """Of the functions that were found."""
    return [each["name"] for each in described["functions"]]


def said_in(of: dict[str, Any], code: str, python: str = sys.executable) -> str:
    """What the code prints in an interpreter that may lack tsched; it has `source`, `load` and `look`."""
    child = running(of, code, python)
    assert child.returncode == 0, child.stderr
    return child.stdout.strip()


def running(of: dict[str, Any], code: str, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    """The same, however it ends."""
    words = [python, "-I", "-X", "utf8", "-c", _CHILD + code, str(BEGIN), json.dumps(of)]
    return subprocess.run(words, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)


def _version(python: Path) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", python.parent.parent.name)))
