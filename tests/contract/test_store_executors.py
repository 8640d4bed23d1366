"""Executors and the marks of their runners are there before they carry work, and until they are proven gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.keep import Keep, kept
from tsched.store import executors, model

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def keep(tmp_path: Path) -> Iterator[Keep]:
    with kept(tmp_path) as keep:
        yield keep


def row(name: str, started_at_us: int = 5) -> model.ExecutorRow:
    return model.ExecutorRow(
        id=name,
        secret_hash=b"\x00\x01",
        pid=12,
        start_ticks=34,
        boot_id="boot",
        version="1",
        started_at_us=started_at_us,
        state="present",
    )


def test_a_registered_executor_is_present_as_it_was_registered(keep: Keep) -> None:
    keep.do(executors.register, row=row("b", 7))
    keep.do(executors.register, row=row("a", 5))
    keep.reopen()
    assert keep.ask(executors.executor, id="b") == row("b", 7)
    assert keep.ask(executors.present_executors) == [row("a", 5), row("b", 7)]
    assert keep.ask(executors.executor, id="c") is None


def test_one_that_is_gone_is_present_no_more(keep: Keep) -> None:
    keep.do(executors.register, row=row("a"))
    for _ in range(2):
        keep.do(executors.gone, id="a", now_us=9)
    assert keep.ask(executors.present_executors) == []
    assert keep.ask(executors.executor, id="a").state == "gone"


def test_marks_are_kept_once_each_until_their_executor_is_gone(keep: Keep) -> None:
    for name in ("a", "b"):
        keep.do(executors.register, row=row(name))
    first, second, reused = (
        model.RunnerRow(pid=1, start_ticks=10, mount_namespace=0),
        model.RunnerRow(pid=2, start_ticks=20, mount_namespace=4026531840),
        model.RunnerRow(pid=1, start_ticks=99, mount_namespace=0),
    )
    keep.do(executors.runner_up, executor="a", runners=[first, second], now_us=1)
    keep.do(executors.runner_up, executor="a", runners=[second, reused], now_us=2)
    keep.do(executors.runner_up, executor="b", runners=[first], now_us=1)
    assert keep.ask(executors.runners_of, executor="a") == [first, second, reused]
    keep.do(executors.gone, id="a", now_us=3)
    assert keep.ask(executors.runners_of, executor="a") == []
    assert keep.ask(executors.runners_of, executor="b") == [first]


def test_a_runner_of_an_unknown_executor_is_a_bug(keep: Keep) -> None:
    runner = model.RunnerRow(pid=1, start_ticks=10, mount_namespace=0)
    with pytest.raises(Exception, match="FOREIGN KEY"):
        keep.do(executors.runner_up, executor="nobody", runners=[runner], now_us=1)
