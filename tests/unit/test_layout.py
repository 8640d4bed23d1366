"""What the lie of the land promises: to users who import us, to the wheel, to the libraries' oldest versions."""

from __future__ import annotations

import fnmatch
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import grpc
import pytest

from tsched.proto.errors import TABLE, RefusalReason

ROOT = Path(__file__).resolve().parent.parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUPTOOLS = PYPROJECT["tool"]["setuptools"]
ROOMS = [ROOT / name.removeprefix("tsched.") for name in SETUPTOOLS["packages"] if name.count(".") == 1]
NOT_SHIPPED = {"generate.sh"}


def loaded_by(module: str) -> set[str]:
    """Top-level modules that are there once `module` is imported in a new interpreter."""
    code = f"import {module}, sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    return set(subprocess.check_output([sys.executable, "-P", "-c", code], text=True).split())


@pytest.mark.parametrize("module", ["tsched", "tsched.executor.runner"])
def test_importing_it_does_not_load_grpc(module: str) -> None:
    assert not loaded_by(module) & {"grpc", "google", "sqlite3"}


@pytest.mark.parametrize("reason", RefusalReason)
def test_every_refusal_reason_has_a_status_that_exists(reason: RefusalReason) -> None:
    status, exit_code = TABLE[reason]
    assert status in grpc.StatusCode.__members__
    assert 0 < exit_code < 126, "126 and above belong to the commands that were run"


def test_every_package_of_the_rooms_is_in_the_wheel() -> None:
    found = {".".join(("tsched", *path.parent.relative_to(ROOT).parts)) for path in in_rooms("*.py")}
    assert found | {"tsched"} == set(SETUPTOOLS["packages"])


def test_every_file_of_the_rooms_is_in_the_wheel() -> None:
    others = [path for path in in_rooms("*") if path.is_file() and path.suffix != ".py"]
    forgotten = [path for path in others if path.name not in NOT_SHIPPED and not shipped(path)]
    assert not forgotten


def in_rooms(pattern: str) -> list[Path]:
    return [path for room in ROOMS for path in room.rglob(pattern) if "__pycache__" not in path.parts]


def shipped(path: Path) -> bool:
    """Whether a package-data pattern of any package above the file names it."""
    for package, patterns in SETUPTOOLS["package-data"].items():
        folder = ROOT.joinpath(*package.split(".")[1:])
        if folder in path.parents:
            inside = str(path.relative_to(folder))
            if any(fnmatch.fnmatch(inside, pattern) for pattern in patterns):
                return True
    return False


def lowest(library: str) -> tuple[int, ...]:
    """The lower bound that pyproject.toml gives for a library."""
    (bound,) = (
        line.partition(">=")[2] for line in PYPROJECT["project"]["dependencies"] if line.startswith(f"{library}>=")
    )
    return tuple(map(int, bound.split(".")))


@pytest.mark.parametrize("generated", sorted(ROOT.glob("proto/*_pb2.py")), ids=lambda path: path.name)
def test_generated_code_runs_with_the_oldest_libraries_allowed(generated: Path) -> None:
    messages = re.search(r"Protobuf Python Version: ([\d.]+)", generated.read_text())
    services = re.search(
        r"GRPC_GENERATED_VERSION = '([\d.]+)'", generated.with_name(f"{generated.stem}_grpc.py").read_text()
    )
    assert messages
    assert services
    assert tuple(map(int, messages[1].split("."))) <= lowest("protobuf")
    assert tuple(map(int, services[1].split(".")))[:2] <= lowest("grpcio")
