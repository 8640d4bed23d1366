"""What the ending of an attempt means to those who wait: its followers, and the desk when the task goes on."""

from __future__ import annotations

from ..proto.values import TaskState
from ..store import model
from . import log
from .desk import Desk
from .news import News


def announce(end: model.Ended, desk: Desk, news: News, *, executor: str) -> None:
    """Log the end, wake the followers, and have the task's next attempt seen to."""
    _log(end, executor)
    if end.state == TaskState.READY:
        desk.ready(end.queue)
    elif end.state in (TaskState.SCHEDULED, TaskState.RETRYING):
        desk.scheduled(end.due_at_us)
    news.ring(end.task_id)


def _log(end: model.Ended, executor: str) -> None:
    """A success is a step of level debug: there may be a thousand a second."""
    values = {"exit_code": end.exit_code, "signal": end.signal}
    about = {"task": end.task_id, "attempt": end.attempt, "executor": executor}
    if end.state == TaskState.SUCCEEDED:
        log.step("attempt_ended", **about, task_state=end.state, reason=end.reason, **values)
    else:
        log.get(**about).info("attempt_ended", task_state=end.state, reason=end.reason, **values)
