"""The Python side with a real service: the examples as they stand, the fixture for users, restarts, cancels, many calls."""

from __future__ import annotations

import asyncio
import importlib
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

import tsched
from support.wait import until
from tsched import TaskFailed, chain, group, task
from tsched.testing import inline, service

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples" / "python"
SAID = {
    "typed_task.py": """\
word_count is called here as ever: Succeeds at its third attempt.
{'be': 2, 'to': 2}
['6 words\\n'] succeeded
attempt 3
{'a': 1, 'b': 1}
[{'x': 1}, {'y': 2}]
raised - ValueError: no such user
""",
    "workflow.py": """\
4
6
5
OSError: torn ['failed', 'skipped']
""",
    "async_code.py": """\
49 succeeded
328350
failed ['said\\n']
['async_code.fetch']
""",
}

FUNCTIONS = '''
import os, time
from tsched import current, task

@task
def add(a: int, b: int = 2) -> int:
    return a + b

@task
def long(seconds: float) -> str:
    current().progress(40, "rows")
    print("begun", flush=True)
    time.sleep(seconds)
    return "slept"

@task
def crash() -> None:
    os.abort()

@task
def inner(n: int) -> int:
    """Submits a call itself, from where it runs."""
    return add.delay(n, n).result(timeout=30)
'''


@task(name="funcs.add")
def add(a: int, b: int = 2) -> int:
    raise NotImplementedError


@task(name="funcs.long")
def long(seconds: float) -> str:
    raise NotImplementedError


@task(name="funcs.crash")
def crash() -> None:
    raise NotImplementedError


@task(name="funcs.inner")
def inner(n: int) -> int:
    raise NotImplementedError


@pytest.fixture
def served(tmp_path):
    (tmp_path / "funcs.py").write_text(FUNCTIONS)
    with service(modules=["funcs"], path=tmp_path, config="[executors]\ncount = 1\n") as served:
        yield served
        sys.stderr.write(served.log())


def test_the_examples_say_what_they_promise():
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(SAID)
    with service(modules=[Path(name).stem for name in SAID], path=EXAMPLES) as served:
        for name, said in SAID.items():
            done = subprocess.run(
                [sys.executable, name], cwd=EXAMPLES, env=served.env, capture_output=True, text=True, check=False
            )
            assert (done.stdout, done.returncode) == (said, 0), done.stderr + served.log()


def test_calls_results_failures_and_what_is_refused(served):
    handle = add.delay(1)
    assert (handle.result(timeout=30), handle.status(), handle.info().function) == (3, "succeeded", "funcs.add")
    assert served.client.results(add.map((n, n) for n in range(500)), timeout=60) == [2 * n for n in range(500)]
    with pytest.raises(TaskFailed) as caught:
        crash.delay().result(timeout=30)
    assert (caught.value.reason, caught.value.message) == ("signal", "killed by SIGABRT")
    for call, reason in (
        (lambda: add.delay("1"), "bad_arguments"),
        (lambda: add.delay(1, 2, 3), "bad_arguments"),
        (lambda: served.client.submit("funcs.addd", 1), "no_such_function"),
        (lambda: add.options(after=["999"]).delay(1), "no_such_task"),
    ):
        with pytest.raises(tsched.TschedError) as refused:
            call()
        assert refused.value.reason == reason
    assert "funcs.add" in [each.name for each in served.client.functions()]
    assert {each.name: each.state for each in served.client.plugins()}["tests"] == "loaded"


def test_workflows_over_one_request(served):
    assert chain(add.s(1), group(add.s(10), add.s(20)), served_total()).delay().result(timeout=30) == 36
    workflow = chain(crash.s(), add.s()).delay()
    with pytest.raises(TaskFailed, match="SIGABRT"):
        workflow.result(timeout=30)
    assert list(workflow.wait(timeout=30).values()) == ["failed", "skipped"]


def served_total():
    """A built-in function of the service, by its name."""
    return tsched.Signature("sum_list", (), {}, {})


def test_a_running_call_tells_its_progress_and_is_cancelled(served):
    handle = long.delay(60.0)
    assert next(handle.logs(follow=True)) == "begun\n"
    until(lambda: handle.progress() is not None)
    assert (handle.progress().done, handle.progress().text) == (40, "rows")
    handle.cancel(grace=0)
    assert handle.wait(timeout=30) == "cancelled"
    with pytest.raises(TaskFailed) as caught:
        handle.result()
    assert caught.value.state == "cancelled"


def test_who_waits_hears_of_the_result_over_the_supervisors_death(served):
    handle = long.delay(1.5)
    assert next(handle.logs(follow=True)) == "begun\n"
    served.kill()
    served.start()
    assert handle.result(timeout=60) == "slept"


def test_functions_submit_calls_themselves(served):
    assert inner.delay(4).result(timeout=60) == 8


def test_async_code_runs_beside_itself(served):
    async def scenario():
        handles = await add.amap((n, n) for n in range(100))
        results = await asyncio.gather(*handles)
        slow = await long.adelay(60.0)
        with pytest.raises(TimeoutError):
            await slow.result(timeout=0.2)
        await slow.cancel(grace=0)
        return results, await slow.wait(timeout=30), [each.id async for each in served.async_client.wait(*handles)]

    results, ended, ids = asyncio.run(scenario())
    assert (results, ended, len(ids)) == ([2 * n for n in range(100)], "cancelled", 100)


def test_nothing_is_left_of_a_service_of_a_test(tmp_path):
    with service(config="[executors]\ncount = 2\n") as served:
        served.client.shell("setsid sleep 600 & sleep 600")
        until(lambda: len(psutil.Process(served.pid).children(recursive=True)) >= 4)
        processes = psutil.Process(served.pid).children(recursive=True)
    assert not served.folder.exists()
    assert not [each for each in processes if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]


# What a test without a service sees is what one with a service would.

WAYS = """
import sys
from tsched import Cancel, Retry, Snooze, current, task

class OwnError(Exception): pass

@task(retries=1, retry_delay=0.05)
def fails(): raise ValueError("no\\nway")

@task
async def fails_async(): raise OwnError("x")

@task(retries=1)
def again(): raise Retry(in_=0.05)

@task(retries=1, retry_delay=0.05)
def again_as_ever(): raise Retry

@task
def snoozes():
    if current().attempt < 3: raise Snooze(0.05)
    return [current().attempt, current().max_attempts]

@task(retries=3)
def gives_up(): raise Cancel("no such user")

@task
def cannot_be_sent(): return object()

@task
def too_large(): return b"x" * (5 << 20)

@task
def leaves(): sys.exit(3)

@task(queue="io")
def knows(): return [current().attempt, current().max_attempts, current().function, current().queue]

@task
def same(value): return value
"""


def ways(module):
    """Everything that may become of calls, by a word for it."""
    gave_up = module.gives_up.delay()
    yield "gives_up", gave_up
    names = "fails fails_async again again_as_ever snoozes cannot_be_sent too_large leaves knows"
    yield from ((name, getattr(module, name).delay()) for name in names.split())
    yield from zip(
        ("first", "skipped", "skipped too"),
        chain(module.gives_up.s(), *[module.same.s()] * 2).delay().parts,
        strict=True,
    )
    yield "result of none", module.same.options(after=[(gave_up, "fail")]).delay(gave_up)
    yield "results of some", module.same.options(after=[(gave_up, "any")]).delay([gave_up, module.same.s(1)])
    yield "skipped as it went well", module.same.options(after=[(module.same.delay(1), "fail")]).delay(1)
    yield "nothing gathered", chain(group(), module.same.s()).delay().parts[-1]
    yield "values", module.same.delay({"a": [1, 2.5, None, b"x", True, "s", float("inf"), 2**63]})


def told(handle):
    """All that can be known of an ended task, but times."""
    handle.wait(timeout=60)
    info = handle.info()
    try:
        result = handle.result()
    except TaskFailed as failed:
        result = str(failed)
    attempts = [(each.state, each.reason, each.message) for each in handle.attempts()]
    return info.state, info.reason, info.message, info.max_attempts, attempts, result


def test_what_becomes_of_calls_is_the_same_inline_as_in_a_service(tmp_path, monkeypatch):
    (tmp_path / "ways_of_calls.py").write_text(WAYS)
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("ways_of_calls")
    with inline():
        here = {name: told(handle) for name, handle in ways(module)}
    with service(modules=["ways_of_calls"], path=tmp_path):
        there = {name: told(handle) for name, handle in ways(module)}
    assert here == there


CONFTEST = 'pytest_plugins = ["tsched.testing"]\n'
USERS_TEST = """
import subprocess, sys
import pytest
from jobs import double

@pytest.fixture
def tsched_functions():
    return {"modules": ["jobs"]}

def test_with_a_real_service(tsched_service):
    assert double.delay(4).result(timeout=30) == 8
    shown = subprocess.check_output([sys.executable, "-m", "tsched", "call", "jobs.double", "21"], text=True)
    assert shown == "42\\n"

def test_without(tsched_inline):
    assert double.delay(4).result() == 8

def test_by_hand(tsched_manual):
    handle = double.delay(4)
    assert tsched_manual.drain() == 1
    assert handle.result() == 8
"""


def test_users_have_fixtures(tmp_path):
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "jobs.py").write_text(
        "from tsched import task\n\n@task\ndef double(n: int) -> int:\n    return 2 * n\n"
    )
    (tmp_path / "test_users.py").write_text(USERS_TEST)
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"]
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert "3 passed" in done.stdout, done.stdout + done.stderr
