"""From what a user asks for to what is stored: checks and defaults. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..proto import api_pb2, checks, link_pb2
from ..proto.clock import SECOND_US
from ..proto.errors import Refusal, RefusalReason
from ..proto.values import OnLost, TaskState
from ..store import model
from .config import Config

DEFAULT_QUEUE = "default"
UMASK_LIMIT = 0o777
OUTPUT_CAP_RANGE = (65_536, 1 << 34)


class Drafter:
    """Makes drafts of the tasks of one request, which may have much in common."""

    def __init__(self, common: api_pb2.TaskSpec, *, now_us: int, config: Config) -> None:
        """Raises Refusal BAD_VALUE when tasks shall have an id in common."""
        if common.id or common.key:
            raise Refusal(RefusalReason.BAD_VALUE, "tasks cannot have an id or a key in common", "give each its own")
        self._inherited = inherited(common.submitter_env, config.tasks_environment)
        self._common = api_pb2.TaskSpec()
        self._common.CopyFrom(common)
        self._common.ClearField("submitter_env")
        self._now_us = now_us
        self._config = config

    def draft(self, spec: api_pb2.TaskSpec) -> model.Draft:
        """What to store for a submission. Raises Refusal naming the field that cannot be."""
        if spec.id:
            checks.check_id(spec.id)
        asked = self._asked(spec)
        due_at_us = due_of(asked, self._now_us)
        return model.Draft(
            id=spec.id or None,
            key=spec.key or None,
            name=checks.check_name(asked.name),
            kind="command",
            queue=_queue(asked.queue),
            priority=checks.check_priority(asked.priority),
            state=waiting_state(due_at_us, self._now_us),
            due_at_us=due_at_us,
            payload=self._payload(asked, spec).SerializeToString(),
            content=asked.SerializeToString(deterministic=True),
            timeout_us=_timeout(asked, self._config),
            grace_us=_grace(asked, self._config),
            on_lost=_on_lost(asked.on_lost),
            profile=_profile(asked.profile, self._config),
            output_cap_bytes=_output_cap(asked, self._config),
            hold=asked.hold,
        )

    def _asked(self, spec: api_pb2.TaskSpec) -> api_pb2.TaskSpec:
        """Everything that was asked for, less what names the submission and what comes from its surroundings."""
        asked = api_pb2.TaskSpec()
        asked.CopyFrom(self._common)
        if spec.HasField("command"):
            asked.ClearField("command")  # merging would join the words of both
        asked.MergeFrom(spec)
        for field in ("id", "key", "submitter_env"):
            asked.ClearField(field)
        return asked

    def _payload(self, asked: api_pb2.TaskSpec, spec: api_pb2.TaskSpec) -> link_pb2.Payload:
        checks.check_cwd(asked.cwd)
        checks.check_env(asked.env)
        payload = link_pb2.Payload(cwd=asked.cwd, env=self._inherited)
        if spec.submitter_env:
            payload.env.update(inherited(spec.submitter_env, self._config.tasks_environment))
        payload.env.update(asked.env)
        set_command(payload, asked.command)
        if asked.HasField("stdin"):
            payload.stdin = checks.check_stdin(asked.stdin)
        if asked.HasField("umask"):
            payload.umask = checks.check_range(asked.umask, "umask", 0, UMASK_LIMIT)
        return payload


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


def _timeout(spec: api_pb2.TaskSpec, config: Config) -> int | None:
    if not spec.HasField("timeout_us"):
        return round(config.tasks_timeout_s * SECOND_US) or None
    checks.check_duration_us(spec.timeout_us, "timeout", *checks.TIMEOUT_RANGE_US)
    return spec.timeout_us


def _grace(spec: api_pb2.TaskSpec, config: Config) -> int:
    if not spec.HasField("grace_us"):
        return round(config.tasks_grace_s * SECOND_US)
    checks.check_duration_us(spec.grace_us, "grace", *checks.GRACE_RANGE_US)
    return spec.grace_us


def _on_lost(word: str) -> str:
    try:
        return OnLost(word or OnLost.FAIL)
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
