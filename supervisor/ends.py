"""What the ending of an attempt means to those who wait: its followers, and the desk when the task goes on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..proto.values import TaskState
from ..store import model
from . import log
from .news import News
from .planner import Lane

if TYPE_CHECKING:
    from .desk import Desk


def announce(end: model.Ended, desk: Desk, news: News, *, executor: str) -> None:
    """Log the end, wake the followers, and have the task's next attempt seen to."""
    _log(end, executor)
    if end.state == TaskState.READY:
        desk.ready(Lane(end.queue, end.shared))
    elif end.state == TaskState.RETRYING:
        desk.scheduled(end.due_at_us)
    news.ring(end.task_id)
    announce_children(end.children, desk, news)


def announce_children(children: Sequence[model.Child], desk: Desk, news: News) -> None:
    """Have those seen to that waited for a task which has ended: they go on, or will never run."""
    for lane in {Lane(each.queue, each.shared) for each in children if each.state == TaskState.READY}:
        desk.ready(lane)
    due = [each.due_at_us for each in children if each.state in (TaskState.SCHEDULED, TaskState.RETRYING)]
    if due:
        desk.scheduled(min(due))
    for each in children:
        if each.state == TaskState.SKIPPED:
            log.step("skipped", task=each.task_id)
            news.ring(each.task_id)


def _log(end: model.Ended, executor: str) -> None:
    """A success is a step of level debug: there may be thousands a second."""
    if end.state == TaskState.SUCCEEDED and not log.tells_steps():
        return
    values = {"exit_code": end.exit_code, "signal": end.signal}
    about = {"task": end.task_id, "attempt": end.attempt, "executor": executor}
    if end.state == TaskState.SUCCEEDED:
        log.step("attempt_ended", **about, task_state=end.state, reason=end.reason, **values)
    else:
        log.get(**about).info("attempt_ended", task_state=end.state, reason=end.reason, **values)
