"""The plugins of examples/plugins in a real service: what its README says is what happens."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from support.functions import ROOT, cc, rustc
from support.service import Service
from support.wait import until

EXAMPLES = ROOT / "examples" / "plugins"


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A library folder with all examples that can be built here."""
    shutil.copy(EXAMPLES / "python" / "greetings.py", tmp_path)
    shutil.copytree(EXAMPLES / "python" / "texts", tmp_path / "texts", ignore=shutil.ignore_patterns("__pycache__"))
    for language, compiler in (("c", f"CC={cc()}"), ("rust", f"RUSTC={rustc()}")):
        if not compiler.endswith("=None"):
            make = ["make", "-C", EXAMPLES / language, f"OUT={tmp_path}", compiler]
            subprocess.run(make, check=True, capture_output=True)
    return tmp_path


def test_the_examples_run(library: Path, make_service: Callable[..., Service]) -> None:
    service = make_service(config=f"[library]\nfolder = {str(library)!r}\n")
    calls = {
        ("greetings::hello", '"Ada"', "--kw", "times=2"): "Hello, Ada! Hello, Ada!",
        ("texts::longest", '"one two three"'): "three",
    }
    if cc():
        calls[("samples::sorted", "[3, 1, 2]")] = [1, 2, 3]
        calls[("samples::nap", "20")] = 20
    if rustc():
        calls[("rusty::reverse", '"Gr\u00f6\u00dfe"')] = "e\u00df\u00f6rG"
    assert {words: service.cli("call", *words).lines[-1] for words in calls} == calls


def test_a_native_call_that_asks_whether_it_is_being_ended_ends_by_itself(
    tmp_path: Path, make_service: Callable[..., Service]
) -> None:
    compiler = cc() or pytest.skip("there is no C compiler (cc) here")
    source = tmp_path / "c"
    shutil.copytree(EXAMPLES / "c", source)
    lines = (source / "samples.c").read_text()
    (source / "samples.c").write_text(lines.replace("nap, TSCHED_ASYNC}", "nap, 0}"))
    make = ["make", "-C", source, f"OUT={tmp_path}", f"CC={compiler}", f"INCLUDE={ROOT / 'executor'}"]
    subprocess.run(make, check=True, capture_output=True)
    service = make_service(config=f"[library]\nfolder = {str(tmp_path)!r}\n")
    task = service.cli("call", "-d", "samples::nap", "600000").word
    until(lambda: service.task(task)["progress"], what="it runs")
    service.cli("cancel", task)
    service.cli("wait", task, check=False)
    ended = service.task(task)
    assert (ended["state"], ended["reason"]) == ("cancelled", "cancelled")
    output = service.cli("logs", task)
    assert output.stdout.startswith(b"slept for ")
    assert b"Exception ignored" not in output.stderr
