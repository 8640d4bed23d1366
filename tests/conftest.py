"""What every test stands on: nothing it started outlives it, and a failed one shows what its service said."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

from support import procs, world
from support.fake_api import FakeApi
from support.service import Service
from support.system import Account, System, accounts
from support.wait import until
from support.witness import Witness

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

SETTLE_S = 2.0
S = TypeVar("S", bound=Service)
SHOWN_LOG_BYTES = 20_000

failed = pytest.StashKey[bool]()
services = pytest.StashKey[list[Service]]()


@pytest.fixture(scope="session", autouse=True)
def _subreaper() -> Iterator[None]:
    """Everything that loses its parent falls to the tests; at the end nothing may be left."""
    procs.become_subreaper()
    yield
    procs.shared.clear()
    left = procs.sweep()
    assert not left, f"left at the end of all tests: {left}"


@pytest.fixture(autouse=True)
def _nothing_left(_subreaper: None) -> Iterator[None]:
    """A test that ends while something it started still runs has failed."""
    yield
    try:
        until(lambda: not procs.ours(), timeout_s=SETTLE_S)
    except AssertionError:
        pytest.fail(f"the test left processes behind: {procs.sweep()}", pytrace=False)
    finally:
        procs.reap()


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeApi]:
    """A scripted supervisor, where the command line of this process looks for it."""
    monkeypatch.setenv("TSCHED_SOCKET", str(tmp_path / "s"))
    fake = FakeApi(tmp_path / "s")
    yield fake
    fake.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        item.stash[failed] = True
        for service in item.stash.get(services, []):
            report.sections.append(("service log", service.log()[-SHOWN_LOG_BYTES:]))
    return report


@contextmanager
def _service(make: Callable[[Path], S], request: pytest.FixtureRequest) -> Iterator[S]:
    base = Path(tempfile.mkdtemp(prefix="ts-"))
    service = make(base)
    item = request.node
    item.stash.setdefault(services, []).append(service)
    started = False
    try:
        service.start()
        started = True
        yield service
    finally:
        try:
            service.close(force=not started or item.stash.get(failed, False))
        finally:
            shutil.rmtree(base, ignore_errors=True)


@pytest.fixture
def make_service(request: pytest.FixtureRequest) -> Iterator[Callable[..., Service]]:
    """Starts services: `make_service(config="[executors]\\ncount = 1\\n")`."""
    with ExitStack() as stack:
        yield lambda config="": stack.enter_context(_service(lambda base: Service(base, config), request))


@pytest.fixture(scope="session")
def everywhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An environment that all users of this machine can reach; made by whichever worker comes first."""
    if why := world.why_not():
        pytest.skip(why)
    with world.shared(tmp_path_factory.getbasetemp()) as env:
        yield env


@pytest.fixture(scope="session")
def people(everywhere: Path) -> Iterator[tuple[Account, Account, Account]]:
    """Two users of a service of several users, and one who may not use it."""
    with accounts() as made:
        yield made


@pytest.fixture
def make_system(everywhere: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., System]]:
    """Starts services of several users."""
    with ExitStack() as stack:
        yield lambda config="": stack.enter_context(_service(lambda base: System(base, everywhere, config), request))


@pytest.fixture
def service(make_service: Callable[..., Service]) -> Service:
    """A running supervisor on a new state folder; `doctor` must find no problem in it at the end."""
    return make_service()


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    """A file that commands testify to."""
    return Witness(tmp_path / "witness")
