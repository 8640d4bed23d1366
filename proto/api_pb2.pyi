from google.protobuf import any_pb2 as _any_pb2
from tsched.proto import call_pb2 as _call_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Argv(_message.Message):
    __slots__ = ("args",)
    ARGS_FIELD_NUMBER: _ClassVar[int]
    args: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, args: _Optional[_Iterable[str]] = ...) -> None: ...

class Command(_message.Message):
    __slots__ = ("shell", "argv")
    SHELL_FIELD_NUMBER: _ClassVar[int]
    ARGV_FIELD_NUMBER: _ClassVar[int]
    shell: str
    argv: Argv
    def __init__(self, shell: _Optional[str] = ..., argv: _Optional[_Union[Argv, _Mapping]] = ...) -> None: ...

class TaskSpec(_message.Message):
    __slots__ = ("id", "key", "name", "command", "queue", "priority", "due_at_us", "delay_us", "cwd", "submitter_env", "env", "stdin", "umask", "timeout_us", "grace_us", "on_lost", "profile", "output_cap_bytes", "hold", "call", "after", "retries", "retry_delay_us")
    class SubmitterEnvEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class EnvEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    DUE_AT_US_FIELD_NUMBER: _ClassVar[int]
    DELAY_US_FIELD_NUMBER: _ClassVar[int]
    CWD_FIELD_NUMBER: _ClassVar[int]
    SUBMITTER_ENV_FIELD_NUMBER: _ClassVar[int]
    ENV_FIELD_NUMBER: _ClassVar[int]
    STDIN_FIELD_NUMBER: _ClassVar[int]
    UMASK_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_US_FIELD_NUMBER: _ClassVar[int]
    GRACE_US_FIELD_NUMBER: _ClassVar[int]
    ON_LOST_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_CAP_BYTES_FIELD_NUMBER: _ClassVar[int]
    HOLD_FIELD_NUMBER: _ClassVar[int]
    CALL_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    RETRIES_FIELD_NUMBER: _ClassVar[int]
    RETRY_DELAY_US_FIELD_NUMBER: _ClassVar[int]
    id: str
    key: str
    name: str
    command: Command
    queue: str
    priority: int
    due_at_us: int
    delay_us: int
    cwd: str
    submitter_env: _containers.ScalarMap[str, str]
    env: _containers.ScalarMap[str, str]
    stdin: bytes
    umask: int
    timeout_us: int
    grace_us: int
    on_lost: str
    profile: str
    output_cap_bytes: int
    hold: bool
    call: _call_pb2.Call
    after: _containers.RepeatedCompositeFieldContainer[Dependency]
    retries: int
    retry_delay_us: int
    def __init__(self, id: _Optional[str] = ..., key: _Optional[str] = ..., name: _Optional[str] = ..., command: _Optional[_Union[Command, _Mapping]] = ..., queue: _Optional[str] = ..., priority: _Optional[int] = ..., due_at_us: _Optional[int] = ..., delay_us: _Optional[int] = ..., cwd: _Optional[str] = ..., submitter_env: _Optional[_Mapping[str, str]] = ..., env: _Optional[_Mapping[str, str]] = ..., stdin: _Optional[bytes] = ..., umask: _Optional[int] = ..., timeout_us: _Optional[int] = ..., grace_us: _Optional[int] = ..., on_lost: _Optional[str] = ..., profile: _Optional[str] = ..., output_cap_bytes: _Optional[int] = ..., hold: bool = ..., call: _Optional[_Union[_call_pb2.Call, _Mapping]] = ..., after: _Optional[_Iterable[_Union[Dependency, _Mapping]]] = ..., retries: _Optional[int] = ..., retry_delay_us: _Optional[int] = ...) -> None: ...

class TaskRef(_message.Message):
    __slots__ = ("id", "index")
    ID_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    id: str
    index: int
    def __init__(self, id: _Optional[str] = ..., index: _Optional[int] = ...) -> None: ...

class Dependency(_message.Message):
    __slots__ = ("task", "condition")
    TASK_FIELD_NUMBER: _ClassVar[int]
    CONDITION_FIELD_NUMBER: _ClassVar[int]
    task: TaskRef
    condition: str
    def __init__(self, task: _Optional[_Union[TaskRef, _Mapping]] = ..., condition: _Optional[str] = ...) -> None: ...

class Dependencies(_message.Message):
    __slots__ = ("after",)
    AFTER_FIELD_NUMBER: _ClassVar[int]
    after: _containers.RepeatedCompositeFieldContainer[Dependency]
    def __init__(self, after: _Optional[_Iterable[_Union[Dependency, _Mapping]]] = ...) -> None: ...

class Parent(_message.Message):
    __slots__ = ("id", "condition", "state", "met")
    ID_FIELD_NUMBER: _ClassVar[int]
    CONDITION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    MET_FIELD_NUMBER: _ClassVar[int]
    id: str
    condition: str
    state: str
    met: bool
    def __init__(self, id: _Optional[str] = ..., condition: _Optional[str] = ..., state: _Optional[str] = ..., met: bool = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("done", "total", "text", "at_us")
    DONE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    AT_US_FIELD_NUMBER: _ClassVar[int]
    done: float
    total: float
    text: str
    at_us: int
    def __init__(self, done: _Optional[float] = ..., total: _Optional[float] = ..., text: _Optional[str] = ..., at_us: _Optional[int] = ...) -> None: ...

class SubmitRequest(_message.Message):
    __slots__ = ("tasks", "common")
    TASKS_FIELD_NUMBER: _ClassVar[int]
    COMMON_FIELD_NUMBER: _ClassVar[int]
    tasks: _containers.RepeatedCompositeFieldContainer[TaskSpec]
    common: TaskSpec
    def __init__(self, tasks: _Optional[_Iterable[_Union[TaskSpec, _Mapping]]] = ..., common: _Optional[_Union[TaskSpec, _Mapping]] = ...) -> None: ...

class Submitted(_message.Message):
    __slots__ = ("id", "existed", "state", "due_at_us")
    ID_FIELD_NUMBER: _ClassVar[int]
    EXISTED_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    DUE_AT_US_FIELD_NUMBER: _ClassVar[int]
    id: str
    existed: bool
    state: str
    due_at_us: int
    def __init__(self, id: _Optional[str] = ..., existed: bool = ..., state: _Optional[str] = ..., due_at_us: _Optional[int] = ...) -> None: ...

class SubmitResponse(_message.Message):
    __slots__ = ("tasks",)
    TASKS_FIELD_NUMBER: _ClassVar[int]
    tasks: _containers.RepeatedCompositeFieldContainer[Submitted]
    def __init__(self, tasks: _Optional[_Iterable[_Union[Submitted, _Mapping]]] = ...) -> None: ...

class RunRequest(_message.Message):
    __slots__ = ("task",)
    TASK_FIELD_NUMBER: _ClassVar[int]
    task: TaskSpec
    def __init__(self, task: _Optional[_Union[TaskSpec, _Mapping]] = ...) -> None: ...

class RunEvent(_message.Message):
    __slots__ = ("submitted", "output", "ended")
    SUBMITTED_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    ENDED_FIELD_NUMBER: _ClassVar[int]
    submitted: Submitted
    output: Output
    ended: Task
    def __init__(self, submitted: _Optional[_Union[Submitted, _Mapping]] = ..., output: _Optional[_Union[Output, _Mapping]] = ..., ended: _Optional[_Union[Task, _Mapping]] = ...) -> None: ...

class Attempt(_message.Message):
    __slots__ = ("number", "state", "executor", "claimed_at_us", "started_at_us", "finished_at_us", "pid", "exit_code", "signal", "reason", "message", "cpu_s", "peak_bytes", "lateness_s", "stdout_bytes", "stderr_bytes", "dropped_bytes", "leftovers", "truncated", "paused_at_us", "paused_us")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    EXECUTOR_FIELD_NUMBER: _ClassVar[int]
    CLAIMED_AT_US_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_US_FIELD_NUMBER: _ClassVar[int]
    FINISHED_AT_US_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    CPU_S_FIELD_NUMBER: _ClassVar[int]
    PEAK_BYTES_FIELD_NUMBER: _ClassVar[int]
    LATENESS_S_FIELD_NUMBER: _ClassVar[int]
    STDOUT_BYTES_FIELD_NUMBER: _ClassVar[int]
    STDERR_BYTES_FIELD_NUMBER: _ClassVar[int]
    DROPPED_BYTES_FIELD_NUMBER: _ClassVar[int]
    LEFTOVERS_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    PAUSED_AT_US_FIELD_NUMBER: _ClassVar[int]
    PAUSED_US_FIELD_NUMBER: _ClassVar[int]
    number: int
    state: str
    executor: str
    claimed_at_us: int
    started_at_us: int
    finished_at_us: int
    pid: int
    exit_code: int
    signal: int
    reason: str
    message: str
    cpu_s: float
    peak_bytes: int
    lateness_s: float
    stdout_bytes: int
    stderr_bytes: int
    dropped_bytes: int
    leftovers: int
    truncated: bool
    paused_at_us: int
    paused_us: int
    def __init__(self, number: _Optional[int] = ..., state: _Optional[str] = ..., executor: _Optional[str] = ..., claimed_at_us: _Optional[int] = ..., started_at_us: _Optional[int] = ..., finished_at_us: _Optional[int] = ..., pid: _Optional[int] = ..., exit_code: _Optional[int] = ..., signal: _Optional[int] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., cpu_s: _Optional[float] = ..., peak_bytes: _Optional[int] = ..., lateness_s: _Optional[float] = ..., stdout_bytes: _Optional[int] = ..., stderr_bytes: _Optional[int] = ..., dropped_bytes: _Optional[int] = ..., leftovers: _Optional[int] = ..., truncated: bool = ..., paused_at_us: _Optional[int] = ..., paused_us: _Optional[int] = ...) -> None: ...

class Task(_message.Message):
    __slots__ = ("id", "name", "state", "command", "queue", "priority", "created_at_us", "due_at_us", "started_at_us", "finished_at_us", "attempt", "max_attempts", "exit_code", "signal", "reason", "message", "lateness_s", "scheduled_for_us", "schedule", "retry_of", "cwd", "timeout_us", "grace_us", "on_lost", "profile", "umask", "cancel_requested", "attempts", "env_names", "paused_at_us", "call", "after", "progress", "result", "retry_delay_us", "waits_for", "owner")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_US_FIELD_NUMBER: _ClassVar[int]
    DUE_AT_US_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_US_FIELD_NUMBER: _ClassVar[int]
    FINISHED_AT_US_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    MAX_ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    LATENESS_S_FIELD_NUMBER: _ClassVar[int]
    SCHEDULED_FOR_US_FIELD_NUMBER: _ClassVar[int]
    SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    RETRY_OF_FIELD_NUMBER: _ClassVar[int]
    CWD_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_US_FIELD_NUMBER: _ClassVar[int]
    GRACE_US_FIELD_NUMBER: _ClassVar[int]
    ON_LOST_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    UMASK_FIELD_NUMBER: _ClassVar[int]
    CANCEL_REQUESTED_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    ENV_NAMES_FIELD_NUMBER: _ClassVar[int]
    PAUSED_AT_US_FIELD_NUMBER: _ClassVar[int]
    CALL_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    RETRY_DELAY_US_FIELD_NUMBER: _ClassVar[int]
    WAITS_FOR_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    state: str
    command: Command
    queue: str
    priority: int
    created_at_us: int
    due_at_us: int
    started_at_us: int
    finished_at_us: int
    attempt: int
    max_attempts: int
    exit_code: int
    signal: int
    reason: str
    message: str
    lateness_s: float
    scheduled_for_us: int
    schedule: str
    retry_of: str
    cwd: str
    timeout_us: int
    grace_us: int
    on_lost: str
    profile: str
    umask: int
    cancel_requested: bool
    attempts: _containers.RepeatedCompositeFieldContainer[Attempt]
    env_names: _containers.RepeatedScalarFieldContainer[str]
    paused_at_us: int
    call: _call_pb2.Call
    after: _containers.RepeatedCompositeFieldContainer[Parent]
    progress: Progress
    result: _any_pb2.Any
    retry_delay_us: int
    waits_for: int
    owner: str
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., state: _Optional[str] = ..., command: _Optional[_Union[Command, _Mapping]] = ..., queue: _Optional[str] = ..., priority: _Optional[int] = ..., created_at_us: _Optional[int] = ..., due_at_us: _Optional[int] = ..., started_at_us: _Optional[int] = ..., finished_at_us: _Optional[int] = ..., attempt: _Optional[int] = ..., max_attempts: _Optional[int] = ..., exit_code: _Optional[int] = ..., signal: _Optional[int] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., lateness_s: _Optional[float] = ..., scheduled_for_us: _Optional[int] = ..., schedule: _Optional[str] = ..., retry_of: _Optional[str] = ..., cwd: _Optional[str] = ..., timeout_us: _Optional[int] = ..., grace_us: _Optional[int] = ..., on_lost: _Optional[str] = ..., profile: _Optional[str] = ..., umask: _Optional[int] = ..., cancel_requested: bool = ..., attempts: _Optional[_Iterable[_Union[Attempt, _Mapping]]] = ..., env_names: _Optional[_Iterable[str]] = ..., paused_at_us: _Optional[int] = ..., call: _Optional[_Union[_call_pb2.Call, _Mapping]] = ..., after: _Optional[_Iterable[_Union[Parent, _Mapping]]] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ..., result: _Optional[_Union[_any_pb2.Any, _Mapping]] = ..., retry_delay_us: _Optional[int] = ..., waits_for: _Optional[int] = ..., owner: _Optional[str] = ...) -> None: ...

class GetRequest(_message.Message):
    __slots__ = ("id", "result")
    ID_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    id: str
    result: bool
    def __init__(self, id: _Optional[str] = ..., result: bool = ...) -> None: ...

class ListRequest(_message.Message):
    __slots__ = ("states", "queue", "page_size", "page_token", "since_us")
    STATES_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SINCE_US_FIELD_NUMBER: _ClassVar[int]
    states: _containers.RepeatedScalarFieldContainer[str]
    queue: str
    page_size: int
    page_token: str
    since_us: int
    def __init__(self, states: _Optional[_Iterable[str]] = ..., queue: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., since_us: _Optional[int] = ...) -> None: ...

class ListResponse(_message.Message):
    __slots__ = ("tasks", "next_page_token")
    TASKS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    tasks: _containers.RepeatedCompositeFieldContainer[Task]
    next_page_token: str
    def __init__(self, tasks: _Optional[_Iterable[_Union[Task, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ModifyRequest(_message.Message):
    __slots__ = ("id", "name", "command", "priority", "due_at_us", "delay_us", "timeout_us", "grace_us", "cwd", "call", "after")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    DUE_AT_US_FIELD_NUMBER: _ClassVar[int]
    DELAY_US_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_US_FIELD_NUMBER: _ClassVar[int]
    GRACE_US_FIELD_NUMBER: _ClassVar[int]
    CWD_FIELD_NUMBER: _ClassVar[int]
    CALL_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    command: Command
    priority: int
    due_at_us: int
    delay_us: int
    timeout_us: int
    grace_us: int
    cwd: str
    call: _call_pb2.Call
    after: Dependencies
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., command: _Optional[_Union[Command, _Mapping]] = ..., priority: _Optional[int] = ..., due_at_us: _Optional[int] = ..., delay_us: _Optional[int] = ..., timeout_us: _Optional[int] = ..., grace_us: _Optional[int] = ..., cwd: _Optional[str] = ..., call: _Optional[_Union[_call_pb2.Call, _Mapping]] = ..., after: _Optional[_Union[Dependencies, _Mapping]] = ...) -> None: ...

class DeleteRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class DeleteResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CancelRequest(_message.Message):
    __slots__ = ("id", "grace_us")
    ID_FIELD_NUMBER: _ClassVar[int]
    GRACE_US_FIELD_NUMBER: _ClassVar[int]
    id: str
    grace_us: int
    def __init__(self, id: _Optional[str] = ..., grace_us: _Optional[int] = ...) -> None: ...

class RetryRequest(_message.Message):
    __slots__ = ("id", "key")
    ID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    id: str
    key: str
    def __init__(self, id: _Optional[str] = ..., key: _Optional[str] = ...) -> None: ...

class HoldRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class ReleaseRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class PauseRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class ResumeRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class WaitRequest(_message.Message):
    __slots__ = ("ids", "outcomes", "results", "progress")
    IDS_FIELD_NUMBER: _ClassVar[int]
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[str]
    outcomes: bool
    results: bool
    progress: bool
    def __init__(self, ids: _Optional[_Iterable[str]] = ..., outcomes: bool = ..., results: bool = ..., progress: bool = ...) -> None: ...

class TaskBatch(_message.Message):
    __slots__ = ("tasks", "progress")
    TASKS_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    tasks: _containers.RepeatedCompositeFieldContainer[Task]
    progress: _containers.RepeatedCompositeFieldContainer[TaskProgress]
    def __init__(self, tasks: _Optional[_Iterable[_Union[Task, _Mapping]]] = ..., progress: _Optional[_Iterable[_Union[TaskProgress, _Mapping]]] = ...) -> None: ...

class TaskProgress(_message.Message):
    __slots__ = ("id", "attempt", "progress")
    ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    id: str
    attempt: int
    progress: Progress
    def __init__(self, id: _Optional[str] = ..., attempt: _Optional[int] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ...) -> None: ...

class WhyRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class WhyResponse(_message.Message):
    __slots__ = ("task", "causes")
    TASK_FIELD_NUMBER: _ClassVar[int]
    CAUSES_FIELD_NUMBER: _ClassVar[int]
    task: Task
    causes: _containers.RepeatedCompositeFieldContainer[Cause]
    def __init__(self, task: _Optional[_Union[Task, _Mapping]] = ..., causes: _Optional[_Iterable[_Union[Cause, _Mapping]]] = ...) -> None: ...

class Cause(_message.Message):
    __slots__ = ("kind", "message", "task", "until_us")
    KIND_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    UNTIL_US_FIELD_NUMBER: _ClassVar[int]
    kind: str
    message: str
    task: str
    until_us: int
    def __init__(self, kind: _Optional[str] = ..., message: _Optional[str] = ..., task: _Optional[str] = ..., until_us: _Optional[int] = ...) -> None: ...

class GraphRequest(_message.Message):
    __slots__ = ("ids", "limit")
    IDS_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[str]
    limit: int
    def __init__(self, ids: _Optional[_Iterable[str]] = ..., limit: _Optional[int] = ...) -> None: ...

class GraphResponse(_message.Message):
    __slots__ = ("nodes", "edges", "truncated")
    NODES_FIELD_NUMBER: _ClassVar[int]
    EDGES_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    nodes: _containers.RepeatedCompositeFieldContainer[Node]
    edges: _containers.RepeatedCompositeFieldContainer[Edge]
    truncated: bool
    def __init__(self, nodes: _Optional[_Iterable[_Union[Node, _Mapping]]] = ..., edges: _Optional[_Iterable[_Union[Edge, _Mapping]]] = ..., truncated: bool = ...) -> None: ...

class Node(_message.Message):
    __slots__ = ("id", "label", "state")
    ID_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    id: str
    label: str
    state: str
    def __init__(self, id: _Optional[str] = ..., label: _Optional[str] = ..., state: _Optional[str] = ...) -> None: ...

class Edge(_message.Message):
    __slots__ = ("parent", "child", "condition", "met")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    CHILD_FIELD_NUMBER: _ClassVar[int]
    CONDITION_FIELD_NUMBER: _ClassVar[int]
    MET_FIELD_NUMBER: _ClassVar[int]
    parent: str
    child: str
    condition: str
    met: bool
    def __init__(self, parent: _Optional[str] = ..., child: _Optional[str] = ..., condition: _Optional[str] = ..., met: bool = ...) -> None: ...

class FunctionsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class FunctionsResponse(_message.Message):
    __slots__ = ("functions",)
    FUNCTIONS_FIELD_NUMBER: _ClassVar[int]
    functions: _containers.RepeatedCompositeFieldContainer[Function]
    def __init__(self, functions: _Optional[_Iterable[_Union[Function, _Mapping]]] = ...) -> None: ...

class Function(_message.Message):
    __slots__ = ("name", "is_async", "signature", "doc", "source", "queue", "priority", "timeout_us", "retries", "retry_delay_us", "profile", "native", "alias")
    NAME_FIELD_NUMBER: _ClassVar[int]
    IS_ASYNC_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    DOC_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_US_FIELD_NUMBER: _ClassVar[int]
    RETRIES_FIELD_NUMBER: _ClassVar[int]
    RETRY_DELAY_US_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    NATIVE_FIELD_NUMBER: _ClassVar[int]
    ALIAS_FIELD_NUMBER: _ClassVar[int]
    name: str
    is_async: bool
    signature: str
    doc: str
    source: str
    queue: str
    priority: int
    timeout_us: int
    retries: int
    retry_delay_us: int
    profile: str
    native: bool
    alias: str
    def __init__(self, name: _Optional[str] = ..., is_async: bool = ..., signature: _Optional[str] = ..., doc: _Optional[str] = ..., source: _Optional[str] = ..., queue: _Optional[str] = ..., priority: _Optional[int] = ..., timeout_us: _Optional[int] = ..., retries: _Optional[int] = ..., retry_delay_us: _Optional[int] = ..., profile: _Optional[str] = ..., native: bool = ..., alias: _Optional[str] = ...) -> None: ...

class PluginsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PluginRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class PluginsResponse(_message.Message):
    __slots__ = ("plugins",)
    PLUGINS_FIELD_NUMBER: _ClassVar[int]
    plugins: _containers.RepeatedCompositeFieldContainer[Plugin]
    def __init__(self, plugins: _Optional[_Iterable[_Union[Plugin, _Mapping]]] = ...) -> None: ...

class Plugin(_message.Message):
    __slots__ = ("name", "kind", "path", "state", "message", "functions", "generation", "loaded_at_us")
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    FUNCTIONS_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    LOADED_AT_US_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: str
    path: str
    state: str
    message: str
    functions: _containers.RepeatedScalarFieldContainer[str]
    generation: int
    loaded_at_us: int
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[str] = ..., path: _Optional[str] = ..., state: _Optional[str] = ..., message: _Optional[str] = ..., functions: _Optional[_Iterable[str]] = ..., generation: _Optional[int] = ..., loaded_at_us: _Optional[int] = ...) -> None: ...

class LogsRequest(_message.Message):
    __slots__ = ("id", "follow", "stream", "attempt", "tail_bytes", "tail_lines")
    ID_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    TAIL_BYTES_FIELD_NUMBER: _ClassVar[int]
    TAIL_LINES_FIELD_NUMBER: _ClassVar[int]
    id: str
    follow: bool
    stream: str
    attempt: int
    tail_bytes: int
    tail_lines: int
    def __init__(self, id: _Optional[str] = ..., follow: bool = ..., stream: _Optional[str] = ..., attempt: _Optional[int] = ..., tail_bytes: _Optional[int] = ..., tail_lines: _Optional[int] = ...) -> None: ...

class Output(_message.Message):
    __slots__ = ("stream", "offset", "data", "gap_bytes", "truncated")
    STREAM_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    GAP_BYTES_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    stream: str
    offset: int
    data: bytes
    gap_bytes: int
    truncated: bool
    def __init__(self, stream: _Optional[str] = ..., offset: _Optional[int] = ..., data: _Optional[bytes] = ..., gap_bytes: _Optional[int] = ..., truncated: bool = ...) -> None: ...

class EventsRequest(_message.Message):
    __slots__ = ("after", "only_new", "follow", "ids")
    AFTER_FIELD_NUMBER: _ClassVar[int]
    ONLY_NEW_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    after: int
    only_new: bool
    follow: bool
    ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, after: _Optional[int] = ..., only_new: bool = ..., follow: bool = ..., ids: _Optional[_Iterable[str]] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("cursor", "at_us", "task", "event", "state", "attempt", "reason", "queue")
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    AT_US_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    cursor: int
    at_us: int
    task: str
    event: str
    state: str
    attempt: int
    reason: str
    queue: str
    def __init__(self, cursor: _Optional[int] = ..., at_us: _Optional[int] = ..., task: _Optional[str] = ..., event: _Optional[str] = ..., state: _Optional[str] = ..., attempt: _Optional[int] = ..., reason: _Optional[str] = ..., queue: _Optional[str] = ...) -> None: ...

class EventBatch(_message.Message):
    __slots__ = ("events", "cursor")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[Event]
    cursor: int
    def __init__(self, events: _Optional[_Iterable[_Union[Event, _Mapping]]] = ..., cursor: _Optional[int] = ...) -> None: ...

class StatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StatusResponse(_message.Message):
    __slots__ = ("version", "pid", "started_at_us", "state_dir", "socket", "tasks", "executors", "draining", "next_due_at_us", "managed_by", "log_dir", "addr", "encryption", "several_users")
    class TasksEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_US_FIELD_NUMBER: _ClassVar[int]
    STATE_DIR_FIELD_NUMBER: _ClassVar[int]
    SOCKET_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    EXECUTORS_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    NEXT_DUE_AT_US_FIELD_NUMBER: _ClassVar[int]
    MANAGED_BY_FIELD_NUMBER: _ClassVar[int]
    LOG_DIR_FIELD_NUMBER: _ClassVar[int]
    ADDR_FIELD_NUMBER: _ClassVar[int]
    ENCRYPTION_FIELD_NUMBER: _ClassVar[int]
    SEVERAL_USERS_FIELD_NUMBER: _ClassVar[int]
    version: str
    pid: int
    started_at_us: int
    state_dir: str
    socket: str
    tasks: _containers.ScalarMap[str, int]
    executors: _containers.RepeatedCompositeFieldContainer[ExecutorStatus]
    draining: bool
    next_due_at_us: int
    managed_by: str
    log_dir: str
    addr: str
    encryption: str
    several_users: bool
    def __init__(self, version: _Optional[str] = ..., pid: _Optional[int] = ..., started_at_us: _Optional[int] = ..., state_dir: _Optional[str] = ..., socket: _Optional[str] = ..., tasks: _Optional[_Mapping[str, int]] = ..., executors: _Optional[_Iterable[_Union[ExecutorStatus, _Mapping]]] = ..., draining: bool = ..., next_due_at_us: _Optional[int] = ..., managed_by: _Optional[str] = ..., log_dir: _Optional[str] = ..., addr: _Optional[str] = ..., encryption: _Optional[str] = ..., several_users: bool = ...) -> None: ...

class ExecutorStatus(_message.Message):
    __slots__ = ("id", "pid", "state", "slots", "running", "version")
    ID_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    id: str
    pid: int
    state: str
    slots: int
    running: int
    version: str
    def __init__(self, id: _Optional[str] = ..., pid: _Optional[int] = ..., state: _Optional[str] = ..., slots: _Optional[int] = ..., running: _Optional[int] = ..., version: _Optional[str] = ...) -> None: ...

class DoctorRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Finding(_message.Message):
    __slots__ = ("severity", "object", "message", "hint")
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    HINT_FIELD_NUMBER: _ClassVar[int]
    severity: str
    object: str
    message: str
    hint: str
    def __init__(self, severity: _Optional[str] = ..., object: _Optional[str] = ..., message: _Optional[str] = ..., hint: _Optional[str] = ...) -> None: ...

class DoctorResponse(_message.Message):
    __slots__ = ("findings", "checked")
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    CHECKED_FIELD_NUMBER: _ClassVar[int]
    findings: _containers.RepeatedCompositeFieldContainer[Finding]
    checked: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, findings: _Optional[_Iterable[_Union[Finding, _Mapping]]] = ..., checked: _Optional[_Iterable[str]] = ...) -> None: ...

class ShutdownRequest(_message.Message):
    __slots__ = ("drain_us",)
    DRAIN_US_FIELD_NUMBER: _ClassVar[int]
    drain_us: int
    def __init__(self, drain_us: _Optional[int] = ...) -> None: ...

class ShutdownResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ReloadRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ReloadResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class KeyStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class KeyStatusResponse(_message.Message):
    __slots__ = ("encryption", "origin", "keys", "fields", "clear_output", "progress")
    class FieldsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    ENCRYPTION_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    CLEAR_OUTPUT_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    encryption: str
    origin: str
    keys: _containers.RepeatedScalarFieldContainer[str]
    fields: _containers.ScalarMap[str, int]
    clear_output: bool
    progress: KeyProgress
    def __init__(self, encryption: _Optional[str] = ..., origin: _Optional[str] = ..., keys: _Optional[_Iterable[str]] = ..., fields: _Optional[_Mapping[str, int]] = ..., clear_output: bool = ..., progress: _Optional[_Union[KeyProgress, _Mapping]] = ...) -> None: ...

class RotateKeyRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class KeyProgress(_message.Message):
    __slots__ = ("key", "step", "steps_done", "steps", "fields", "damaged", "done")
    KEY_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    STEPS_DONE_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    DAMAGED_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    key: str
    step: str
    steps_done: int
    steps: int
    fields: int
    damaged: int
    done: bool
    def __init__(self, key: _Optional[str] = ..., step: _Optional[str] = ..., steps_done: _Optional[int] = ..., steps: _Optional[int] = ..., fields: _Optional[int] = ..., damaged: _Optional[int] = ..., done: bool = ...) -> None: ...

class AuditRequest(_message.Message):
    __slots__ = ("since_us", "who", "what", "limit", "before")
    SINCE_US_FIELD_NUMBER: _ClassVar[int]
    WHO_FIELD_NUMBER: _ClassVar[int]
    WHAT_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    since_us: int
    who: str
    what: str
    limit: int
    before: int
    def __init__(self, since_us: _Optional[int] = ..., who: _Optional[str] = ..., what: _Optional[str] = ..., limit: _Optional[int] = ..., before: _Optional[int] = ...) -> None: ...

class AuditResponse(_message.Message):
    __slots__ = ("entries",)
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[AuditEntry]
    def __init__(self, entries: _Optional[_Iterable[_Union[AuditEntry, _Mapping]]] = ...) -> None: ...

class AuditEntry(_message.Message):
    __slots__ = ("number", "at_us", "who", "role", "where", "what", "object", "outcome")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    AT_US_FIELD_NUMBER: _ClassVar[int]
    WHO_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    WHERE_FIELD_NUMBER: _ClassVar[int]
    WHAT_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    number: int
    at_us: int
    who: str
    role: str
    where: str
    what: str
    object: str
    outcome: str
    def __init__(self, number: _Optional[int] = ..., at_us: _Optional[int] = ..., who: _Optional[str] = ..., role: _Optional[str] = ..., where: _Optional[str] = ..., what: _Optional[str] = ..., object: _Optional[str] = ..., outcome: _Optional[str] = ...) -> None: ...
