"""The programs of bench/ work; what they measure is looked at by people, and never here."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"
PROGRAMS = [
    "calls",
    "claim_scale",
    "commands",
    "encryption",
    "idle_wakeups",
    "lateness",
    "latency",
    "memory",
    "submit",
    "throughput",
]
HELPERS = {"peers", "private", "support"}


def test_every_program_of_the_folder_is_tried():
    assert {path.stem for path in BENCH.glob("*.py")} == set(PROGRAMS) | HELPERS


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_runs_to_its_end_and_writes_what_it_measured(name, tmp_path):
    env = {**os.environ, "BENCH_QUICK": "1", "BENCH_RESULTS": str(tmp_path)}
    argv = [sys.executable, str(BENCH / f"{name}.py")]
    done = subprocess.run(argv, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [raw] = tmp_path.glob("*.json")
    kept = json.loads(raw.read_text())
    assert kept["rounds"]
    assert kept["machine"]["cores"]
    assert all(target["what"] in done.stdout for target in kept["targets"])
