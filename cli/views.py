"""What people are shown: tasks, one task, the service, the doctor's findings. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..client.as_json import known
from ..client.doing import value, work
from ..proto import durations
from ..proto.clock import SECOND_US
from ..proto.values import AttemptState, Condition, EndReason, TaskState
from . import colour, escape, exits, table, zones

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ..proto import api_pb2 as api

    Paint = Callable[[str], str]
    """Colours the states in a text."""

HEAD = ("ID", "STATE", "WHEN", "RESULT", "NAME", "COMMAND")
_NAME = HEAD.index("NAME")
RESULT_COLUMNS = 200
PROGRESS_COLUMNS = 30
PARENTS_SHOWN = 10


def tasks(shown: Sequence[api.Task], *, now_us: int, columns: int | None, paint: Paint = str) -> str:
    """Tasks as a table, the column of names only where there are any."""
    rows = [_row(task, now_us) for task in shown]
    keep = [place for place in range(len(HEAD)) if place != _NAME or any(row[_NAME] for row in rows)]
    kept_rows = [[row[place] for place in keep] for row in rows]
    return table.render([HEAD[place] for place in keep], kept_rows, columns, {"STATE": paint})


def _row(task: api.Task, now_us: int) -> list[str]:
    how = exits.result(task) or _brief_progress(task)
    return [task.id, _state(task), _when(task, now_us), how, task.name, work(task)]


def _state(task: api.Task) -> str:
    if task.cancel_requested and not TaskState(task.state).final:
        return "stopping"
    return colour.PAUSED if _paused(task) else task.state


def _brief_progress(task: api.Task) -> str:
    return escape.fit(escape.line(progress(task.progress)), PROGRESS_COLUMNS) if task.HasField("progress") else ""


def progress(shown: api.Progress) -> str:
    """How far it says that it is: `40% rows`, or `400 rows` where nobody knows of how many."""
    done = f"{shown.done:g}"
    if shown.HasField("total"):
        done = f"{shown.done / shown.total:.0%}" if shown.total > 0 else f"{shown.done:g} of {shown.total:g}"
    return f"{done} {shown.text}".rstrip()


def _paused(task: api.Task) -> bool:
    return task.state == TaskState.RUNNING and task.HasField("paused_at_us")


def _when(task: api.Task, now_us: int) -> str:
    """What a person wants to know of the time: how long to go, how long at it, how long ago."""
    if task.HasField("finished_at_us"):
        return f"{_length(now_us - task.finished_at_us)} ago"
    if _paused(task):
        return f"for {_length(now_us - task.paused_at_us)}"
    if task.state == TaskState.RUNNING and task.HasField("started_at_us"):
        return f"for {_length(now_us - task.started_at_us)}"
    if task.state in (TaskState.SCHEDULED, TaskState.RETRYING) and task.due_at_us > now_us:
        return f"in {_length(task.due_at_us - now_us)}"
    return ""


def _length(length_us: int) -> str:
    """A length of time, rounded down: to tenths of a second, from ten seconds on to seconds."""
    tenths = max(0, length_us) // (SECOND_US // 10)
    return f"{tenths / 10:g} s" if tenths < 10 * 10 else durations.human(length_us // SECOND_US * SECOND_US)


def task(shown: api.Task, *, paint: Paint = str) -> str:
    """Everything about one task."""
    pairs = [
        ("id", shown.id),
        ("name", shown.name),
        ("state", _state(shown)),
        ("paused since", _instant(known(shown, "paused_at_us"))),
        ("waits for", _waits_for(shown)),
        ("result", exits.result(shown)),
        ("returned", _returned(shown)),
        ("message", shown.message),
        ("progress", progress(shown.progress) if shown.HasField("progress") else ""),
        ("function" if shown.HasField("call") else "command", work(shown)),
        ("after", _after(shown)),
        ("retry of", shown.retry_of),
        ("retries", _retries(shown)),
        ("folder", shown.cwd),
        ("queue", shown.queue),
        ("priority", str(shown.priority)),
        ("owner", shown.owner),
        ("created", _instant(shown.created_at_us)),
        ("due", _instant(shown.due_at_us)),
        ("started", _instant(known(shown, "started_at_us"))),
        ("finished", _instant(known(shown, "finished_at_us"))),
        ("timeout", durations.compact(shown.timeout_us) if shown.timeout_us else ""),
        ("grace", durations.compact(shown.grace_us)),
        ("on lost", shown.on_lost),
        ("profile", shown.profile),
        ("umask", f"{shown.umask:03o}" if shown.HasField("umask") else ""),
        ("variables", " ".join(shown.env_names)),
    ]
    parts = [table.fields([(name, value) for name, value in pairs if value], {"state": paint})]
    return "\n\n".join(parts + [_attempt(attempt, paint) for attempt in shown.attempts])


def _waits_for(shown: api.Task) -> str:
    if shown.state == TaskState.HELD:
        return f"tsched release {shown.id}"
    waits = shown.waits_for and not TaskState(shown.state).final
    return f"{shown.waits_for} task{'s' * (shown.waits_for > 1)}" if waits else ""


def _returned(shown: api.Task) -> str:
    """What a function returned, or the begin of it."""
    if not shown.HasField("result"):
        return ""
    import json

    return escape.fit(json.dumps(value(shown.result), ensure_ascii=False), RESULT_COLUMNS)


def _after(shown: api.Task) -> str:
    """The tasks it waits or waited for, the first of many: `1 (succeeded), 2:fail (running)`."""
    named = [f"{condition(each.id, each.condition)} ({each.state or 'gone'})" for each in shown.after[:PARENTS_SHOWN]]
    more = len(shown.after) - len(named)
    return ", ".join(named + [f"{more} more"] * (more > 0))


def condition(id: str, word: str) -> str:  # noqa: A002 - the word of the contract
    """A task and how it has to end, as --after takes them; `ok` goes without saying."""
    return id if word in ("", Condition.OK) else f"{id}:{word}"


def _retries(shown: api.Task) -> str:
    if shown.max_attempts <= 1:
        return ""
    delay = f", the first after {durations.compact(shown.retry_delay_us)}" if shown.HasField("retry_delay_us") else ""
    return f"{shown.max_attempts - 1}{delay}"


def _attempt(attempt: api.Attempt, paint: Paint) -> str:
    ran_us = attempt.finished_at_us - attempt.started_at_us if attempt.HasField("finished_at_us") else None
    pairs = [
        ("attempt", f"{attempt.number} {attempt.state}"),
        ("reason", attempt.reason),
        ("message", attempt.message),
        ("exit code", str(attempt.exit_code) if attempt.HasField("exit_code") else ""),
        ("signal", exits.signal_name(attempt.signal) if attempt.HasField("signal") else ""),
        ("pid", str(attempt.pid) if attempt.HasField("pid") else ""),
        ("started", _instant(known(attempt, "started_at_us"))),
        ("ran for", durations.human(max(0, ran_us)) if ran_us is not None and attempt.started_at_us else ""),
        ("paused since", _instant(known(attempt, "paused_at_us"))),
        ("was paused", durations.human(attempt.paused_us) if attempt.paused_us else ""),
        ("late by", f"{attempt.lateness_s * 1000:.1f} ms" if attempt.HasField("lateness_s") else ""),
        ("cpu", f"{attempt.cpu_s:.3f} s" if attempt.HasField("cpu_s") else ""),
        ("memory", f"{attempt.peak_bytes / 2**20:.1f} MiB" if attempt.HasField("peak_bytes") else ""),
        ("output", _output(attempt)),
        ("leftovers", f"{attempt.leftovers} processes were ended" if attempt.leftovers else ""),
    ]
    return table.fields([(name, value) for name, value in pairs if value], {"attempt": paint})


def _output(attempt: api.Attempt) -> str:
    """How much it wrote, as far as that is known: at its end, and not when its executor died."""
    if not AttemptState(attempt.state).final:
        return ""
    counted = f"stdout {attempt.stdout_bytes} bytes, stderr {attempt.stderr_bytes} bytes"
    dropped = f"{attempt.dropped_bytes} not kept" if attempt.dropped_bytes else ""
    died = "runner" if attempt.reason == EndReason.RUNNER_DIED else "executor"
    cut = f"cut off: its {died} died" if attempt.truncated else ""
    known = attempt.stdout_bytes or attempt.stderr_bytes or not cut
    return ", ".join(filter(None, [counted if known else "", dropped, cut]))


def _instant(at_us: int | None) -> str:
    if at_us is None:
        return ""
    return zones.at(at_us, zones.local_or_utc()).isoformat(" ", "milliseconds")


def status(shown: api.StatusResponse, *, now_us: int, columns: int | None, paused: int = 0, paint: Paint = str) -> str:
    """The service at a glance; `paused` of the tasks that run stand still."""
    pairs = [
        ("tsched", f"{shown.version}, supervisor {shown.pid}, up {_length(now_us - shown.started_at_us)}"),
        ("state in", shown.state_dir),
        ("socket", shown.socket),
        ("mode", "several users: tasks run as who submitted them" if shown.several_users else ""),
        ("listens on", shown.addr),
        ("logs in", shown.log_dir),
        ("managed by", shown.managed_by),
        ("encryption", shown.encryption),
        ("tasks", _counts(shown.tasks, paused)),
        ("next due", f"in {_length(shown.next_due_at_us - now_us)}" if shown.HasField("next_due_at_us") else ""),
        ("stopping", "yes: no new task is taken" if shown.draining else ""),
    ]
    text = table.fields([(name, value) for name, value in pairs if value], {"tasks": paint})
    return f"{text}\n\n{_executors(shown.executors, columns)}" if shown.executors else text


def _counts(in_state: Mapping[str, int], paused: int) -> str:
    counts = dict(in_state)
    paused = min(paused, counts.get(TaskState.RUNNING, 0))  # they were counted a moment later
    if paused:
        counts |= {TaskState.RUNNING: counts[TaskState.RUNNING] - paused, colour.PAUSED: paused}
    return ", ".join(f"{count} {state}" for state, count in sorted(counts.items()) if count) or "none"


def _executors(shown: Sequence[api.ExecutorStatus], columns: int | None) -> str:
    rows = [[str(each.pid), each.state, f"{each.running}/{each.slots}", each.version, each.id] for each in shown]
    return table.render(("EXECUTOR", "STATE", "RUNNING", "VERSION", "ID"), rows, columns)


def diagnosis(answer: api.DoctorResponse) -> str:
    """What the doctor found, a line each, and what it looked at."""
    problems = any(each.severity == "problem" for each in answer.findings)
    lines = [] if problems else ["no problems"]
    lines += [f"{each.severity}: {each.object}: {each.message}{_hint(each)}" for each in answer.findings]
    lines += [f"checked: {each}" for each in answer.checked]
    return "\n".join(map(escape.line, lines))


def _hint(finding: api.Finding) -> str:
    return f" ({finding.hint})" if finding.hint else ""
