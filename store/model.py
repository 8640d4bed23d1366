"""What goes into the store and comes out of it: frozen values, instants and lengths in microseconds."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """On whose behalf the store is asked: as the audit calls them, and what is theirs.

    `owner` marks their tasks; who does not see all sees no others. `queued_limit`: most tasks of theirs that wait, 0
    for any number.
    """

    name: str
    role: str
    where: str
    owner: str = ""
    sees_all: bool = False
    queued_limit: int = 0


SERVICE = Who(name="service", role="service", where="", sees_all=True)
"""Nobody's behalf: the service itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """A task to wait for: its id, or its index among the drafts of the same submission, and how it has to end."""

    task: str | int
    condition: str
    wants_result: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A task as it is submitted.

    `content` holds canonical bytes of everything the user asked for; only a digest of it is kept, to tell a repeated
    submission from another one with the same id or key. `hold`: it waits to be released, whatever `state` says.
    `shared`: many such tasks run beside each other in one runner. `retry_delay_us` is that before the second attempt.
    """

    id: str | None
    key: str | None
    name: str
    kind: str = "command"
    queue: str
    priority: int
    state: str
    due_at_us: int
    payload: bytes
    content: bytes
    timeout_us: int | None
    grace_us: int
    on_lost: str
    profile: str
    output_cap_bytes: int
    max_attempts: int = 1
    hold: bool = False
    retry_of: str | None = None
    shared: bool = False
    retry_delay_us: int = 1_000_000
    dependencies: tuple[Dependency, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """What became of a draft; `existed` when the same submission was here already."""

    id: str
    existed: bool
    state: str
    due_at_us: int
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """What to change of a waiting task; None leaves it as it is, `timeout_us` 0 takes the limit away.

    `state` moves a task between `ready` and `scheduled`; one that waits for something else keeps its state.
    `dependencies`, named by their ids, come instead of all it has.
    """

    name: str | None = None
    priority: int | None = None
    due_at_us: int | None = None
    timeout_us: int | None = None
    grace_us: int | None = None
    payload: bytes | None = None
    state: str | None = None
    dependencies: tuple[Dependency, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far an attempt said that it is; without `total` nobody knows how far that is."""

    done: float
    total: float | None
    text: str
    at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRow:
    """A task as it is now.

    `started_at_us`, `paused_at_us`, `lateness_us`, `exit_code` and `signal` are those of its newest attempt; `reason`
    and `message` too, unless the task ended for a reason of its own; `progress` too. `attempt_id` is its live attempt.
    `payload` is None where it was not asked for, or cannot be opened. `waits_for`: so many tasks have to end first.
    """

    seq: int
    id: str
    name: str
    kind: str
    queue: str
    priority: int
    state: str
    created_at_us: int
    due_at_us: int
    started_at_us: int | None
    finished_at_us: int | None
    paused_at_us: int | None
    attempt: int
    max_attempts: int
    exit_code: int | None
    signal: int | None
    reason: str
    message: str
    lateness_us: int | None
    scheduled_for_us: int | None
    schedule: str | None
    retry_of: str | None
    timeout_us: int | None
    grace_us: int
    on_lost: str
    profile: str
    output_cap_bytes: int
    cancel_requested_at_us: int | None
    attempt_id: int | None
    shared: bool
    retry_delay_us: int
    waits_for: int
    owner: str
    progress: Progress | None
    payload: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentRow:
    """A task that another waits for, or waited for; `state` is None when it is gone."""

    id: str
    condition: str
    state: str | None
    met: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphEdge:
    """`child` waits for `parent`, or waited."""

    parent: str
    child: str
    condition: str
    met: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Tasks that hang together, parents before their children; `truncated`: there are more."""

    tasks: list[TaskRow]
    edges: list[GraphEdge]
    truncated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRow:
    """One try of a task: still since `paused_at_us`, before for `paused_us`. `truncated`: its output is a prefix."""

    attempt_id: int
    number: int
    state: str
    executor: str
    claimed_at_us: int
    started_at_us: int | None
    finished_at_us: int | None
    pid: int | None
    exit_code: int | None
    signal: int | None
    reason: str
    message: str
    cpu_s: float | None
    peak_bytes: int | None
    lateness_us: int | None
    stdout_bytes: int
    stderr_bytes: int
    dropped_bytes: int
    leftovers: int
    paused_at_us: int | None
    paused_us: int
    truncated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """A task is gone; the output of these attempts is to follow."""

    attempt_ids: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A task whose state changed because one that it waited for ended."""

    task_id: str
    state: str
    queue: str
    shared: bool
    due_at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """A cancel is durable. With an attempt: its executor has to end it first."""

    row: TaskRow
    attempt_id: int | None
    executor: str | None
    grace_us: int
    children: tuple[Child, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A task given to an executor, with all it needs to run it.

    `results` has one place for each task it waited for, in their order: what that returned, or None where it is not
    wanted or not there. It is empty where nothing is wanted.
    """

    attempt_id: int
    number: int
    task_id: str
    queue: str
    payload: bytes
    timeout_us: int | None
    grace_us: int
    due_at_us: int
    scheduled_for_us: int | None
    profile: str
    output_cap_bytes: int
    kind: str
    shared: bool
    max_attempts: int
    owner: str = ""
    results: tuple[bytes | None, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StartReport:
    """An attempt has started."""

    attempt_id: int
    executor: str
    pid: int
    start_ticks: int
    started_at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseReport:
    """An attempt stands still since `at_us` (`on`), or went on then; before, it stood still for `paused_us` in all."""

    attempt_id: int
    executor: str
    on: bool
    at_us: int
    paused_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressReport:
    """How far an attempt is, as it says itself."""

    attempt_id: int
    executor: str
    done: float
    total: float | None
    text: str
    at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishReport:
    """An attempt has ended, and everything it started is gone. `paused_us`: how long it stood still, where known.

    `result` is what a function returned: None for none at all. One that asks to be tried again fails, and says
    `again_in_us`; when it `snoozed`, the attempt does not count.
    """

    attempt_id: int
    executor: str
    state: str
    exit_code: int | None
    signal: int | None
    reason: str
    message: str
    started_at_us: int | None
    finished_at_us: int
    cpu_s: float | None
    peak_bytes: int | None
    stdout_bytes: int
    stderr_bytes: int
    dropped_bytes: int
    leftovers: int
    pid: int | None
    paused_us: int | None = None
    result: bytes | None = None
    again_in_us: int | None = None
    snoozed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What the end of an attempt made of its task: `state`, `due_at_us` and `reason` are the task's now.

    `children` are those that waited: all that a batch of ends changed is told with its last.
    """

    attempt_id: int
    task_id: str
    state: str
    attempt: int
    queue: str
    due_at_us: int
    reason: str
    exit_code: int | None
    signal: int | None
    shared: bool = False
    children: tuple[Child, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveAttempt:
    """An attempt an executor holds; `cancel`: it is to be ended."""

    attempt_id: int
    number: int
    task_id: str
    shared: bool
    state: str
    grace_us: int
    cancel: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorRow:
    """A process that carries attempts; `state` is `present` or `gone`.

    `data_key` seals its output; None: nothing does, or it was not asked for.
    """

    id: str
    secret_hash: bytes
    pid: int
    start_ticks: int
    boot_id: str
    version: str
    started_at_us: int
    state: str
    data_key: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerRow:
    """The mark of a runner; `mount_namespace` is 0 where it has none of its own."""

    pid: int
    start_ticks: int
    mount_namespace: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkRow:
    """Output as it was read: `offset` and `length` in clear bytes of its stream.

    `sealed`: `data` is sealed under the data key of the attempt's executor.
    """

    attempt_id: int
    number: int
    stream: int
    offset: int
    length: int
    data: bytes
    sealed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """Something that happened to a task. `state` is the task's after it; for `attempt_ended` the attempt's."""

    cursor: int
    at_us: int
    task: str
    event: str
    state: str
    attempt: int
    reason: str
    queue: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventBounds:
    """The cursors there are: the smallest that is kept (`newest` + 1 when none is) and the last that was given."""

    oldest: int
    newest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """Something that was done, or refused."""

    number: int
    at_us: int
    who: str
    role: str
    where: str
    what: str
    object: str
    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something `check` noticed. `severity` is `problem` or `notice`."""

    severity: str
    object: str
    message: str
    hint: str
