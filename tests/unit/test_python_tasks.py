"""Functions that are declared with @task: what becomes of them, their names, what importing costs."""

from __future__ import annotations

import asyncio
import copy
import inspect
import math
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import tsched
from tsched import Cancelled, Retry, Snooze, current, task
from tsched.client.context import Context, entered
from tsched.client.registry import registered

ROOT = Path(__file__).resolve().parent.parent.parent


@task
def add(a: int, b: int = 2) -> int:
    """Adds."""
    return a + b


@task(name="shout", queue="io", retries=3, retry_delay=timedelta(seconds=2), timeout=10, priority=5, profile="small")
async def loud(word: str) -> str:
    return word.upper()


def context(**fields):
    given = {"id": "7", "attempt": 1, "max_attempts": 3, "function": "f", "queue": "default", "deadline_us": None}
    return Context(**{**given, "report": lambda *_: None, "cancelled": lambda: False, **fields})


# What a task is.


def test_a_task_is_called_as_the_function_it_was():
    assert add(1) == 3
    assert asyncio.run(loud("a")) == "A"


def test_an_async_task_that_is_not_awaited_runs_nothing():
    with pytest.warns(RuntimeWarning, match="never awaited"):
        loud("a")


def test_a_task_looks_like_the_function_it_was():
    assert (add.__name__, add.__doc__, add.__module__) == ("add", "Adds.", __name__)
    assert add.__wrapped__ is add.function
    assert str(inspect.signature(add)) == "(a: 'int', b: 'int' = 2) -> 'int'"


def test_a_task_is_copied_as_functions_are():
    assert copy.deepcopy(add) is add


def test_its_author_chooses_for_all_its_calls():
    assert loud.options == ("io", 3, 2.0, 10.0, 5, "small")
    assert loud.options._asdict() == {
        "queue": "io", "retries": 3, "retry_delay": 2.0, "timeout": 10.0, "priority": 5, "profile": "small",
    }  # fmt: skip
    assert add.options == (None,) * 6


def test_tasks_are_known_by_the_name_that_was_given_else_by_module_and_function():
    assert (add.name, add.given_name, add.is_async) == (f"{__name__}.add", None, False)
    assert (loud.name, loud.given_name, loud.is_async) == ("shout", "shout", True)
    assert registered()["shout"] is loud
    assert registered()[f"{__name__}.add"] is add


@pytest.mark.parametrize(
    ("how", "name"), [(["{folder}/jobs.py"], "jobs.work"), (["-m", "pack.jobs"], "pack.jobs.work")]
)
def test_a_function_of_a_program_goes_by_the_name_under_which_others_import_it(tmp_path, how, name):
    (tmp_path / "pack").mkdir()
    for path in (tmp_path / "jobs.py", tmp_path / "pack" / "jobs.py"):
        path.write_text("from tsched import task\n@task\ndef work(): pass\nprint(work.name)\n")
    words = [word.format(folder=tmp_path) for word in how]
    assert subprocess.check_output([sys.executable, *words], text=True, cwd=tmp_path).strip() == name


def test_a_name_that_two_functions_want_is_refused_with_both_places():
    task(name="mine")(add.function)
    with pytest.raises(ValueError, match=r"two tasks are called 'mine': .*\.add and .*\.loud"):
        task(name="mine")(loud.function)


def test_a_module_that_is_loaded_anew_declares_its_tasks_anew():
    first, second = task(add.function), task(add.function)
    assert registered()[add.name] is second is not first


@pytest.mark.parametrize("thing", [7, int, lambda: (yield), "add"])
def test_what_is_no_function_that_returns_is_no_task(thing):
    with pytest.raises(TypeError):
        task(thing)


@pytest.mark.parametrize("options", [{"retries": -1}, {"timeout": -1}, {"retry_delay": float("nan")}, {"retries": 1.5}])
def test_options_that_make_no_sense_are_refused_where_they_are_written(options):
    with pytest.raises(ValueError):  # noqa: PT011 - the message is for people
        task(**options)


def test_an_interpreter_without_our_libraries_declares_tasks_and_says_what_it_cannot_do(tmp_path):
    (tmp_path / "tsched").symlink_to(ROOT)
    program = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
from tsched import task

@task
def work(): return 7

assert work() == 7
try:
    work.delay()
except RuntimeError as error:
    print(error)
"""
    said = subprocess.check_output([sys.executable, "-I", "-S", "-c", program], text=True)
    assert "can run tasks, but not submit calls: it has no google" in said


# What it knows of itself.


def test_no_task_runs_outside_of_one():
    with pytest.raises(RuntimeError, match="no task runs here"):
        current()


def test_a_function_learns_what_it_runs_for_also_behind_an_await():
    async def asked():
        await asyncio.sleep(0)
        return current().id

    with entered(context()):
        assert asyncio.run(asked()) == "7"
    with pytest.raises(RuntimeError):
        current()


def test_progress_is_reported_out_of_a_hundred_unless_it_is_said_otherwise():
    told = []
    here = context(report=lambda *said: told.append(said))
    here.progress(40, "rows")
    here.progress(3, total=7)
    here.progress(12, total=None)
    assert told == [(40.0, 100.0, "rows"), (3.0, 7.0, ""), (12.0, None, "")]


def test_a_deadline_is_an_instant_with_a_time_zone():
    assert context().deadline is None
    assert context(deadline_us=1_500_000).deadline == datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)


def test_a_function_that_is_being_ended_is_told_past_what_catches_errors():
    context().check()
    with pytest.raises(Cancelled):
        context(cancelled=lambda: True).check()
    assert not issubclass(Cancelled, Exception)


def test_lengths_of_time_are_seconds_or_timedeltas_and_nothing_else():
    assert (Retry().in_, Retry(2).in_, Snooze(timedelta(minutes=1)).seconds) == (None, 2.0, 60.0)
    for wrong in (-1, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="length of time"):
            Snooze(wrong)


# What importing costs.


def loaded(code: str) -> set[str]:
    """Modules that are there after this, and are not without."""
    shown = "import sys; print(*sys.modules)"
    before, after = (
        subprocess.check_output([sys.executable, "-P", "-c", c], text=True) for c in (shown, f"{code}; {shown}")
    )
    return set(after.split()) - set(before.split())


def test_importing_tsched_loads_nothing():
    assert loaded("import tsched") <= {"tsched", "__future__"}


def test_declaring_tasks_loads_no_more_than_typing_does():
    names = "task, current, Retry, Snooze, Cancel, Cancelled, Context, Task"
    heavy = loaded(f"from tsched import {names}") - loaded("import typing, functools, contextlib, contextvars, os")
    assert {name for name in heavy if not name.startswith("tsched")} <= {
        "__future__",
        "importlib",
        "importlib._bootstrap",
        "importlib._bootstrap_external",
        "warnings",
    }
    assert not {name for name in heavy if name.startswith("tsched.")} - {
        *("tsched.client", "tsched.client.context", "tsched.client.flow", "tsched.client.registry"),
    }  # fmt: skip


def test_every_public_name_is_there():
    for name in tsched.__all__:
        assert getattr(tsched, name) is not None
    assert set(tsched.__all__) <= set(dir(tsched))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        tsched.nothing  # noqa: B018


def test_a_method_is_refused_where_it_is_declared() -> None:
    """Nobody else has its self. Python 3.11 wraps what is raised there."""
    with pytest.raises((TypeError, RuntimeError)) as caught:

        class Shop:
            @task
            def order(self, uid: int) -> int:
                return uid

    told = caught.value.__cause__ or caught.value
    assert str(told).endswith("Shop.order is a method, whose self stays here")


def test_a_task_may_be_an_attribute_of_a_class_it_was_not_declared_in() -> None:
    declared = task(name="elsewhere")(_double)

    class Shop:
        double = declared

    assert Shop.double(2) == 4


def _double(number: int) -> int:
    return 2 * number


def test_progress_that_is_no_number_is_passed_over_and_a_total_that_is_none_is_unknown():
    """It can be neither stored nor shown."""
    told = []
    running = context(report=lambda *said: told.append(said))
    running.progress(math.nan, "0 of 0")
    running.progress(3, "rows", total=math.nan)
    running.progress(math.inf, "rows", total=4)
    assert told == [(3.0, None, "rows"), (math.inf, 4.0, "rows")]
