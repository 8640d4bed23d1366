"""From what a user asks for to what is stored: checks and defaults. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ..proto import api_pb2, call_pb2, checks, link_pb2
from ..proto.clock import SECOND_US
from ..proto.errors import Refusal, RefusalReason
from ..proto.values import OnLost, TaskState
from ..store import model
from .after import dependencies
from .config import Config

if TYPE_CHECKING:
    from .catalogue import Catalogue
    from .entries import Entry

DEFAULT_QUEUE = "default"
NAMING = frozenset({"id", "key"})
"""What a task says of itself that changes nothing of what is to be done."""
DEFAULT_RETRY_DELAY_US = SECOND_US
WHERE_CALLS_RUN = "/"
"""The folder of a call that names none."""
UMASK_LIMIT = 0o777
OUTPUT_CAP_RANGE = (65_536, 1 << 34)


class Drafter:
    """Makes drafts of the tasks of one request, which may have much in common."""

    def __init__(
        self, common: api_pb2.TaskSpec, *, now_us: int, config: Config, catalogue: Catalogue, tasks: int = 1
    ) -> None:
        """`tasks`: so many the request has. Raises Refusal BAD_VALUE when they shall have an id in common."""
        if common.id or common.key:
            raise Refusal(RefusalReason.BAD_VALUE, "tasks cannot have an id or a key in common", "give each its own")
        self._surroundings = link_pb2.Payload(env=inherited(common.submitter_env, config.tasks_environment))
        self._common = api_pb2.TaskSpec()
        self._common.CopyFrom(common)
        self._common.ClearField("submitter_env")
        self._now_us = now_us
        self._config = config
        self._catalogue = catalogue
        self._tasks = tasks
        self._usual: model.Draft | None = None
        """Of a task that says nothing of its own but its name."""
        self._drafts = 0
        self._waited_for = 0
        self._size = 0

    def draft(self, spec: api_pb2.TaskSpec) -> model.Draft:
        """What to store for a submission. Raises Refusal naming the field that cannot be, and which task's it is."""
        self._drafts += 1
        try:
            return self._draft(spec)
        except Refusal as refusal:
            if refusal.reason is RefusalReason.TOO_LARGE or (which := self._which(spec)) is None:
                raise
            raise Refusal(refusal.reason, f"{which}: {refusal.message}", refusal.hint) from None

    def _which(self, spec: api_pb2.TaskSpec) -> str | None:
        """What to call a task that is one of several; what a list does with each of its lines goes without saying."""
        if self._tasks == 1:
            return None
        if spec.name:
            return f"task {checks.quoted(spec.name)}"
        return f"call {self._drafts} of {self._tasks}" if spec.HasField("call") else None

    def _draft(self, spec: api_pb2.TaskSpec) -> model.Draft:
        if spec.id:
            checks.check_id(spec.id)
        if any(field.name not in NAMING for field, _ in spec.ListFields()):
            return self._drafted(spec)
        if self._usual is None:
            self._usual = self._drafted(spec)
            return self._usual
        self._count(len(self._usual.payload), len(self._usual.dependencies))
        return replace(self._usual, id=spec.id or None, key=spec.key or None)

    def _drafted(self, spec: api_pb2.TaskSpec) -> model.Draft:
        asked = self._asked(spec)
        entry = self._entry(asked)
        due_at_us = due_of(asked, self._now_us)
        payload = self._payload(asked, spec).SerializeToString()
        self._count(len(payload), len(asked.after))
        return model.Draft(
            id=spec.id or None,
            key=spec.key or None,
            name=checks.check_name(asked.name),
            kind="command" if entry is None else "function",
            shared=entry is not None and entry.is_async,
            queue=_queue(asked.queue or (entry and entry.queue) or ""),
            priority=_priority(asked, entry),
            state=waiting_state(due_at_us, self._now_us),
            due_at_us=due_at_us,
            payload=payload,
            content=asked.SerializeToString(deterministic=True),
            timeout_us=_timeout(asked, entry, self._config),
            grace_us=_grace(asked, self._config),
            on_lost=_on_lost(asked.on_lost or (OnLost.FAIL if entry is None else OnLost.RETRY)),
            profile=_profile(asked.profile or (entry and entry.profile) or "", self._config),
            output_cap_bytes=_output_cap(asked, self._config),
            max_attempts=1 + _retries(asked, entry),
            retry_delay_us=_retry_delay(asked, entry),
            dependencies=self._dependencies(asked),
            hold=asked.hold,
        )

    def _entry(self, asked: api_pb2.TaskSpec) -> Entry | None:
        """The function that is to be called, None for a command. Raises Refusal NO_SUCH_FUNCTION, BAD_ARGUMENTS."""
        if not asked.HasField("call"):
            return None
        if asked.HasField("command"):
            hint = "give a command or a call, one of them"
            raise Refusal(RefusalReason.BAD_COMMAND, "a task cannot both run a command and call a function", hint)
        if asked.HasField("stdin"):
            hint = "give it as an argument"
            raise Refusal(RefusalReason.BAD_VALUE, "a function is not given anything on its standard input", hint)
        return checked_entry(asked.call, self._catalogue)

    def _count(self, size: int, dependencies: int) -> None:
        """Note one task more. Raises Refusal TOO_LARGE when all of them are too much."""
        self._size = checks.check_submission_size(self._size + size)
        self._waited_for = checks.check_dependency_count(self._waited_for + dependencies)

    def _dependencies(self, asked: api_pb2.TaskSpec) -> tuple[model.Dependency, ...]:
        call = asked.call if asked.HasField("call") else None
        return dependencies(asked.after, call, tasks=self._tasks)

    def _asked(self, spec: api_pb2.TaskSpec) -> api_pb2.TaskSpec:
        """Everything that was asked for, less what names the submission and what comes from its surroundings."""
        asked = api_pb2.TaskSpec()
        asked.CopyFrom(self._common)
        if spec.HasField("command") or spec.HasField("call"):
            asked.ClearField("command")  # merging would join the words of both
            asked.ClearField("call")
        if spec.after:
            asked.ClearField("after")
        asked.MergeFrom(spec)
        for field in ("id", "key", "submitter_env"):
            asked.ClearField(field)
        return asked

    def _payload(self, asked: api_pb2.TaskSpec, spec: api_pb2.TaskSpec) -> link_pb2.Payload:
        cwd = asked.cwd or (WHERE_CALLS_RUN if asked.HasField("call") else "")
        checks.check_cwd(cwd)
        checks.check_env(asked.env)
        payload = link_pb2.Payload()
        payload.CopyFrom(self._surroundings)
        payload.cwd = cwd
        if spec.submitter_env:
            payload.env.update(inherited(spec.submitter_env, self._config.tasks_environment))
        if asked.env:
            payload.env.update(asked.env)
        if asked.HasField("call"):
            payload.call.CopyFrom(asked.call)
        else:
            set_command(payload, asked.command)
        if asked.HasField("stdin"):
            payload.stdin = checks.check_stdin(asked.stdin)
        if asked.HasField("umask"):
            payload.umask = checks.check_range(asked.umask, "umask", 0, UMASK_LIMIT)
        return payload


def checked_entry(call: call_pb2.Call, catalogue: Catalogue) -> Entry:
    """The function of a call that it can take. Raises Refusal NO_SUCH_FUNCTION, BAD_ARGUMENTS."""
    entry = catalogue.find(call.function)
    entry.check(call)
    return entry


def waiting_state(due_at_us: int, now_us: int) -> str:
    """The state of a task that is due then and waits for nothing else."""
    return TaskState.READY if due_at_us <= now_us else TaskState.SCHEDULED


def due_of(spec: api_pb2.TaskSpec | api_pb2.ModifyRequest, now_us: int) -> int:
    """The instant a request names, as an instant; now when it names none."""
    which = spec.WhichOneof("due")
    if which == "due_at_us":
        checks.check_due_us(spec.due_at_us, now_us)
        return spec.due_at_us
    if which == "delay_us":
        checks.check_duration_us(spec.delay_us, "delay", 0, checks.AHEAD_LIMIT_US)
        return now_us + spec.delay_us
    return now_us


def grace_of(request: api_pb2.ModifyRequest | api_pb2.CancelRequest) -> int | None:
    """The grace a request names, None when it names none."""
    if not request.HasField("grace_us"):
        return None
    return checks.check_duration_us(request.grace_us, "grace", *checks.GRACE_RANGE_US)


def set_command(payload: link_pb2.Payload, command: api_pb2.Command) -> None:
    """Put a checked command into a payload, in place of the one it has."""
    shell, args = (None, list(command.argv.args)) if command.WhichOneof("form") == "argv" else (command.shell, None)
    checks.check_command(shell, args)
    payload.shell = shell or ""
    del payload.args[:]
    payload.args.extend(args or ())


def inherited(environment: Mapping[str, str], allowed: Iterable[str]) -> dict[str, str]:
    """Those variables that the allow-list names; a trailing * stands for any ending."""
    exact = {name for name in allowed if not name.endswith("*")}
    starts = tuple(name[:-1] for name in allowed if name.endswith("*"))
    return {
        name: value
        for name, value in environment.items()
        if (name in exact or (starts and name.startswith(starts))) and "\0" not in value
    }


def _queue(name: str) -> str:
    return checks.check_queue(name) if name else DEFAULT_QUEUE


def _priority(spec: api_pb2.TaskSpec, entry: Entry | None) -> int:
    if spec.HasField("priority"):
        return checks.check_priority(spec.priority)
    return (entry and entry.priority) or 0


def _timeout(spec: api_pb2.TaskSpec, entry: Entry | None, config: Config) -> int | None:
    if spec.HasField("timeout_us"):
        return checks.check_duration_us(spec.timeout_us, "timeout", *checks.TIMEOUT_RANGE_US)
    if entry is not None and entry.timeout_us is not None:
        return entry.timeout_us or None
    return round(config.tasks_timeout_s * SECOND_US) or None


def _retries(spec: api_pb2.TaskSpec, entry: Entry | None) -> int:
    if spec.HasField("retries"):
        return checks.check_range(spec.retries, "the number of retries", *checks.RETRIES_RANGE)
    return min((entry and entry.retries) or 0, checks.RETRIES_RANGE[1])


def _retry_delay(spec: api_pb2.TaskSpec, entry: Entry | None) -> int:
    least, most = checks.RETRY_DELAY_RANGE_US
    if spec.HasField("retry_delay_us"):
        return checks.check_duration_us(spec.retry_delay_us, "the delay of a retry", least, most)
    if entry is None or entry.retry_delay_us is None:
        return DEFAULT_RETRY_DELAY_US
    return max(least, min(entry.retry_delay_us, most))


def _grace(spec: api_pb2.TaskSpec, config: Config) -> int:
    if not spec.HasField("grace_us"):
        return round(config.tasks_grace_s * SECOND_US)
    checks.check_duration_us(spec.grace_us, "grace", *checks.GRACE_RANGE_US)
    return spec.grace_us


def _on_lost(word: str) -> str:
    try:
        return OnLost(word)
    except ValueError:
        raise Refusal(RefusalReason.BAD_VALUE, f"no such policy: {word!r}", f"use {', '.join(OnLost)}") from None


def _profile(name: str, config: Config) -> str:
    profile = name or "default"
    if profile not in config.profiles:
        known = ", ".join(sorted(config.profiles))
        raise Refusal(RefusalReason.BAD_VALUE, f"no such profile: {profile!r}", f"there are {known}")
    return profile


def _output_cap(spec: api_pb2.TaskSpec, config: Config) -> int:
    if not spec.HasField("output_cap_bytes"):
        return config.tasks_output_cap_bytes
    return checks.check_range(spec.output_cap_bytes, "output cap", *OUTPUT_CAP_RANGE)
