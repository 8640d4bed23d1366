"""What the ending of an attempt means to those who wait: its followers, and the desk when the task goes on."""

from __future__ import annotations

from ..proto.values import TaskState
from ..store import model
from . import log
from .desk import Desk
from .news import News


def announce(end: model.Ended, desk: Desk, news: News) -> None:
    """Log the end, wake the followers, and have the task's next attempt seen to."""
    logger = log.get(task=end.task_id, attempt=end.attempt)
    logger.info("attempt_ended", task_state=end.state, reason=end.reason, exit_code=end.exit_code, signal=end.signal)
    if end.state == TaskState.READY:
        desk.ready(end.queue)
    elif end.state in (TaskState.SCHEDULED, TaskState.RETRYING):
        desk.scheduled(end.due_at_us)
    news.ring(end.task_id)
