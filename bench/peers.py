"""Libraries that do what tsched's functions do, each with workers of its own beside the measuring program.

Each context manager gives a function that has so many no-op calls made, waits until all results are stored, and
fetches them. A library that is not here is no error: whoever asks says so (pip install 'tsched[bench]').
"""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

RESULT = "pong"
WARM_UP = 20
POLL_S = 0.02
LIMIT_S = 300.0
STOP_S = 20.0
WORKERS = os.cpu_count() or 1

Calls = Callable[[int], None]
"""Returns when so many results were fetched."""

# As it comes: WAL, and SQLite's own synchronous=FULL: each enqueueing, each result is on the disk.
HUEY = """
from huey import SqliteHuey
huey = SqliteHuey(filename={path!r})
@huey.task()
def ping():
    return "pong"
"""
# As it comes: WAL, and synchronous=NORMAL: a power cut may take the last answers back.
FLEXIQ = """
from flexiq import Queue
queue = Queue(db_path={path!r})
@queue.task()
def ping():
    return "pong"
"""


def is_here(library: str) -> bool:
    return importlib.util.find_spec(library) is not None


@contextmanager
def huey(kind: str) -> Iterator[Calls]:
    """Its consumer, with workers that are a `process` or a `thread` each, one for each processor."""
    words = ["-m", "huey.bin.huey_consumer", "peer.huey", "-q", "-k", kind, "-w", str(WORKERS)]
    with _worker(HUEY, words) as peer:

        def calls(count: int) -> None:
            results = [peer.ping() for _ in range(count)]
            end = time.monotonic() + LIMIT_S
            while peer.huey.result_count() < count:
                assert time.monotonic() < end, "huey's results do not come"
                time.sleep(POLL_S)
            assert all(result.get(preserve=True) == RESULT for result in results)
            peer.huey.storage.flush_results()

        calls(WARM_UP)
        yield calls


@contextmanager
def flexiq() -> Iterator[Calls]:
    """Its worker, with a pool of processes."""
    words = ["-m", "flexiq.cli", "worker", "--app", "peer:queue", "--pool", "prefork"]
    with _worker(FLEXIQ, words) as peer:

        def calls(count: int) -> None:
            jobs = peer.ping.map([()] * count)
            assert all(job.result(timeout=LIMIT_S) == RESULT for job in jobs)

        calls(WARM_UP)
        yield calls


@contextmanager
def _worker(source: str, words: list[str]) -> Iterator[ModuleType]:
    """The library's own workers on a new database, and its module here."""
    with tempfile.TemporaryDirectory(prefix="peer-") as folder:
        (Path(folder) / "peer.py").write_text(source.format(path=f"{folder}/peer.db"))
        peer = _loaded(Path(folder) / "peer.py")
        with (Path(folder) / "log").open("wb") as log:
            # A process of FlexiQ's pool knows nothing of the virtual environment that it was started from.
            paths = os.pathsep.join([folder, sysconfig.get_path("purelib")])
            env = {**os.environ, "PYTHONPATH": paths, "FLEXIQ_LOG_LEVEL": "WARNING"}  # huey has -q
            process = subprocess.Popen([sys.executable, *words], cwd=folder, env=env, stdout=log, stderr=log)
        try:
            yield peer
        except BaseException:
            print((Path(folder) / "log").read_text(errors="replace")[-2000:], file=sys.stderr)
            raise
        finally:
            _end(process)


def _loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("peer", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
