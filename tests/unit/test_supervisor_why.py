"""What a task is said to wait for, and why it ended."""

from dataclasses import replace

import pytest

from tsched.store import model
from tsched.supervisor.why import Around, Seen, causes

NOW_US = 1_800_000_000_000_000
ROW = model.TaskRow(
    seq=1,
    id="t",
    name="",
    kind="command",
    queue="q",
    priority=0,
    state="ready",
    created_at_us=NOW_US,
    due_at_us=NOW_US,
    started_at_us=None,
    finished_at_us=None,
    paused_at_us=None,
    attempt=0,
    max_attempts=1,
    exit_code=None,
    signal=None,
    reason="",
    message="",
    lateness_us=None,
    scheduled_for_us=None,
    schedule=None,
    retry_of=None,
    timeout_us=None,
    grace_us=0,
    on_lost="fail",
    profile="default",
    output_cap_bytes=65_536,
    cancel_requested_at_us=None,
    attempt_id=None,
    shared=False,
    retry_delay_us=1,
    waits_for=0,
    owner="",
    progress=None,
    payload=None,
)
ATTEMPT = model.AttemptRow(
    attempt_id=7,
    number=1,
    state="running",
    executor="e" * 32,
    claimed_at_us=NOW_US,
    started_at_us=NOW_US,
    finished_at_us=None,
    pid=1,
    exit_code=None,
    signal=None,
    reason="",
    message="",
    cpu_s=None,
    peak_bytes=None,
    lateness_us=None,
    stdout_bytes=0,
    stderr_bytes=0,
    dropped_bytes=0,
    leftovers=0,
    paused_at_us=None,
    paused_us=0,
    truncated=False,
)
AROUND = Around(now_us=NOW_US, draining=False, attached=True, places=2, busy=["a", "b"])
BLOCKED = {
    "state": "blocked",
    "waits_for": 2,
    "parents": [
        model.ParentRow(id="p", condition="ok", state="running", met=False),
        model.ParentRow(id="q", condition="any", state="succeeded", met=True),
        model.ParentRow(id="r", condition="fail", state="held", met=False),
    ],
}


def told(around=AROUND, *, newest=None, parents=(), ahead=0, **row):
    return causes(Seen(row=replace(ROW, **row), attempt=newest, parents=parents, ahead=ahead), around)


def kinds(*args, **values):
    return [each.kind for each in told(*args, **values)]


def test_a_blocked_task_names_each_task_that_has_not_ended_and_what_it_is_now():
    first, second = told(**BLOCKED)
    assert (first.kind, first.task, second.task) == ("dependency", "p", "r")
    assert "running" in first.message
    assert "held" in second.message


def test_what_has_to_happen_first_is_told_first():
    row = {**BLOCKED, "state": "held", "due_at_us": NOW_US + 5}
    assert kinds(replace(AROUND, draining=True), **row) == ["draining", "held", "dependency", "dependency", "due"]


def test_a_task_that_is_due_later_says_when():
    [cause] = told(state="scheduled", due_at_us=NOW_US + 5)
    assert (cause.kind, cause.until_us) == ("due", NOW_US + 5)


def test_a_task_between_two_attempts_says_what_became_of_the_last_and_how_many_may_follow():
    ended = replace(ATTEMPT, state="failed", reason="exit_code")
    [cause] = told(state="retrying", attempt=1, newest=ended, max_attempts=3, due_at_us=NOW_US + 5)
    assert (cause.kind, cause.until_us) == ("retry", NOW_US + 5)
    assert "exit_code" in cause.message


@pytest.mark.parametrize(
    ("around", "ahead", "words"),
    [
        (AROUND, 0, ["all 2 slots", "a, b", "next of its queue"]),
        (replace(AROUND, busy=list("abcdefgh")), 3, ["a, b, c, d, e and 3 more", "3 other tasks"]),
        (replace(AROUND, busy=["a"]), 1, ["1 other task of its queue comes before it"]),
    ],
)
def test_a_ready_task_says_who_has_the_slots_and_who_comes_before_it(around, ahead, words):
    [cause] = told(around, ahead=ahead)
    assert cause.kind == "slot"
    assert all(word in cause.message for word in words), cause.message


def test_a_task_that_an_executor_has_not_started_says_that_the_slots_are_those_of_all_executors():
    [cause] = told(state="running", newest=replace(ATTEMPT, state="claimed"))
    assert cause.kind == "slot"
    assert cause.message.endswith("; the executors have 2 slots together")


def test_where_no_executor_is_attached_that_is_the_cause():
    assert kinds(replace(AROUND, attached=False)) == ["executor"]


@pytest.mark.parametrize(
    ("row", "attempt", "kind"),
    [
        ({}, ATTEMPT, "running"),
        ({}, replace(ATTEMPT, state="claimed"), "slot"),
        ({"paused_at_us": NOW_US}, ATTEMPT, "paused"),
        ({"cancel_requested_at_us": NOW_US}, replace(ATTEMPT, state="stopping"), "stopping"),
    ],
)
def test_a_running_task_says_how_it_is(row, attempt, kind):
    assert kinds(state="running", newest=attempt, **row) == [kind]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"state": "succeeded"}, "succeeded"),
        ({"state": "failed", "reason": "exit_code", "attempt": 3}, "in 3 attempts (exit_code)"),
        ({"state": "failed", "reason": "raised", "message": "ValueError: x"}, "(raised: ValueError: x)"),
        ({"state": "cancelled", "reason": "cancelled"}, "was cancelled"),
    ],
)
def test_an_ended_task_says_why(row, words):
    [cause] = told(**row)
    assert cause.kind == "ended"
    assert words in cause.message


def test_a_skipped_task_names_the_task_that_made_it_so():
    parents = [
        model.ParentRow(id="p", condition="ok", state="succeeded", met=True),
        model.ParentRow(id="q", condition="ok", state="failed", met=False),
    ]
    [cause] = told(state="skipped", reason="dependency", message="for q", parents=parents)
    assert (cause.kind, cause.task, cause.message) == ("ended", "q", "for q")
