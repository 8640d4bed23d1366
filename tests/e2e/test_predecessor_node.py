"""A client of the predecessor in another language, from its own contract and nothing of ours, against a real service."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from support import ports

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "clients" / "node"
INSTALL_S = 90
RUN_S = 60
INSTALL = ["npm", "install", "--prefer-offline", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
SUCCESS, PENDING = "SUCCESS", "PENDING"


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """The example, installed."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("node and npm are not here: the predecessor's contract is not tried from another language")
    folder = tmp_path_factory.mktemp("node") / "client"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("node_modules"))
    try:
        done = subprocess.run(INSTALL, cwd=folder, capture_output=True, text=True, timeout=INSTALL_S, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm did not install the example's packages within {INSTALL_S} s")
    if done.returncode != 0:
        pytest.skip(f"npm cannot install the example's packages: {done.stderr.strip().splitlines()[-1:]}")
    return folder / "client.js"


@pytest.mark.parametrize("way", ["unix", "tcp"])
def test_it_works_unchanged(make_service, client, way):
    port = ports.free()
    service = make_service(f'[service]\naddr = "127.0.0.1:{port}"\n')
    target = f"unix:{service.socket}" if way == "unix" else f"127.0.0.1:{port}"
    done = subprocess.run(["node", client, target], capture_output=True, text=True, timeout=RUN_S, check=False)
    assert done.returncode == 0, done.stderr
    told = {line["step"]: line["answer"] for line in map(json.loads, done.stdout.splitlines())}
    results = {step: (answer["status"], answer["result"]) for step, answer in told.items() if isinstance(answer, dict)}
    assert json.loads(results.pop("nested")[1]) == {"bytes": {"@bytes": "aGk="}, "list": [1, 2.5, True, None]}
    assert results == {
        "add": (SUCCESS, "3"),
        "echo": (SUCCESS, "zwölf"),
        "async": (PENDING, ""),
        "waits": (PENDING, ""),
        "after both": (SUCCESS, "11"),
        "result": (SUCCESS, "7"),
        "finished": (SUCCESS, "null"),
    }
    assert {step: answer for step, answer in told.items() if isinstance(answer, str)} == {
        "no such method": "NOT_FOUND",
        "bad arguments": "INVALID_ARGUMENT",
        "no such dependency": "FAILED_PRECONDITION",
        "no such task": "NOT_FOUND",
    }
