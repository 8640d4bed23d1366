from tsched.proto import call_pb2 as _call_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FromExecutor(_message.Message):
    __slots__ = ("hello", "claim", "runners", "started", "chunks", "finished", "returned", "kept", "logs", "paused", "progress", "claim_shared")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    CLAIM_FIELD_NUMBER: _ClassVar[int]
    RUNNERS_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    FINISHED_FIELD_NUMBER: _ClassVar[int]
    RETURNED_FIELD_NUMBER: _ClassVar[int]
    KEPT_FIELD_NUMBER: _ClassVar[int]
    LOGS_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    CLAIM_SHARED_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    claim: int
    runners: _containers.RepeatedCompositeFieldContainer[RunnerUp]
    started: _containers.RepeatedCompositeFieldContainer[Started]
    chunks: _containers.RepeatedCompositeFieldContainer[Chunk]
    finished: _containers.RepeatedCompositeFieldContainer[Finished]
    returned: _containers.RepeatedScalarFieldContainer[int]
    kept: _containers.RepeatedScalarFieldContainer[int]
    logs: _containers.RepeatedCompositeFieldContainer[LogLine]
    paused: _containers.RepeatedCompositeFieldContainer[Paused]
    progress: _containers.RepeatedCompositeFieldContainer[Progress]
    claim_shared: int
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., claim: _Optional[int] = ..., runners: _Optional[_Iterable[_Union[RunnerUp, _Mapping]]] = ..., started: _Optional[_Iterable[_Union[Started, _Mapping]]] = ..., chunks: _Optional[_Iterable[_Union[Chunk, _Mapping]]] = ..., finished: _Optional[_Iterable[_Union[Finished, _Mapping]]] = ..., returned: _Optional[_Iterable[int]] = ..., kept: _Optional[_Iterable[int]] = ..., logs: _Optional[_Iterable[_Union[LogLine, _Mapping]]] = ..., paused: _Optional[_Iterable[_Union[Paused, _Mapping]]] = ..., progress: _Optional[_Iterable[_Union[Progress, _Mapping]]] = ..., claim_shared: _Optional[int] = ...) -> None: ...

class ToExecutor(_message.Message):
    __slots__ = ("welcome", "assignments", "runner_acks", "chunk_acks", "finish_acks", "recalls", "stops", "taps", "drain", "pauses", "sources", "forget")
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    ASSIGNMENTS_FIELD_NUMBER: _ClassVar[int]
    RUNNER_ACKS_FIELD_NUMBER: _ClassVar[int]
    CHUNK_ACKS_FIELD_NUMBER: _ClassVar[int]
    FINISH_ACKS_FIELD_NUMBER: _ClassVar[int]
    RECALLS_FIELD_NUMBER: _ClassVar[int]
    STOPS_FIELD_NUMBER: _ClassVar[int]
    TAPS_FIELD_NUMBER: _ClassVar[int]
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    PAUSES_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    FORGET_FIELD_NUMBER: _ClassVar[int]
    welcome: Welcome
    assignments: _containers.RepeatedCompositeFieldContainer[Assignment]
    runner_acks: _containers.RepeatedScalarFieldContainer[int]
    chunk_acks: _containers.RepeatedCompositeFieldContainer[ChunkAck]
    finish_acks: _containers.RepeatedScalarFieldContainer[int]
    recalls: _containers.RepeatedScalarFieldContainer[int]
    stops: _containers.RepeatedCompositeFieldContainer[Stop]
    taps: _containers.RepeatedCompositeFieldContainer[Tap]
    drain: bool
    pauses: _containers.RepeatedCompositeFieldContainer[Pause]
    sources: Sources
    forget: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, welcome: _Optional[_Union[Welcome, _Mapping]] = ..., assignments: _Optional[_Iterable[_Union[Assignment, _Mapping]]] = ..., runner_acks: _Optional[_Iterable[int]] = ..., chunk_acks: _Optional[_Iterable[_Union[ChunkAck, _Mapping]]] = ..., finish_acks: _Optional[_Iterable[int]] = ..., recalls: _Optional[_Iterable[int]] = ..., stops: _Optional[_Iterable[_Union[Stop, _Mapping]]] = ..., taps: _Optional[_Iterable[_Union[Tap, _Mapping]]] = ..., drain: bool = ..., pauses: _Optional[_Iterable[_Union[Pause, _Mapping]]] = ..., sources: _Optional[_Union[Sources, _Mapping]] = ..., forget: _Optional[_Iterable[int]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("executor_id", "secret", "version", "pid", "held", "runners", "slots", "shared")
    EXECUTOR_ID_FIELD_NUMBER: _ClassVar[int]
    SECRET_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    RUNNERS_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    SHARED_FIELD_NUMBER: _ClassVar[int]
    executor_id: str
    secret: str
    version: str
    pid: int
    held: _containers.RepeatedScalarFieldContainer[int]
    runners: _containers.RepeatedCompositeFieldContainer[RunnerUp]
    slots: int
    shared: int
    def __init__(self, executor_id: _Optional[str] = ..., secret: _Optional[str] = ..., version: _Optional[str] = ..., pid: _Optional[int] = ..., held: _Optional[_Iterable[int]] = ..., runners: _Optional[_Iterable[_Union[RunnerUp, _Mapping]]] = ..., slots: _Optional[int] = ..., shared: _Optional[int] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RunnerUp(_message.Message):
    __slots__ = ("pid", "start_ticks", "mount_namespace")
    PID_FIELD_NUMBER: _ClassVar[int]
    START_TICKS_FIELD_NUMBER: _ClassVar[int]
    MOUNT_NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    pid: int
    start_ticks: int
    mount_namespace: int
    def __init__(self, pid: _Optional[int] = ..., start_ticks: _Optional[int] = ..., mount_namespace: _Optional[int] = ...) -> None: ...

class Source(_message.Message):
    __slots__ = ("name", "generation", "kind", "python", "path", "modules")
    NAME_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    PYTHON_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    MODULES_FIELD_NUMBER: _ClassVar[int]
    name: str
    generation: int
    kind: str
    python: str
    path: str
    modules: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., generation: _Optional[int] = ..., kind: _Optional[str] = ..., python: _Optional[str] = ..., path: _Optional[str] = ..., modules: _Optional[_Iterable[str]] = ...) -> None: ...

class Sources(_message.Message):
    __slots__ = ("sources",)
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    sources: _containers.RepeatedCompositeFieldContainer[Source]
    def __init__(self, sources: _Optional[_Iterable[_Union[Source, _Mapping]]] = ...) -> None: ...

class Payload(_message.Message):
    __slots__ = ("shell", "args", "cwd", "env", "stdin", "umask", "call")
    class EnvEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SHELL_FIELD_NUMBER: _ClassVar[int]
    ARGS_FIELD_NUMBER: _ClassVar[int]
    CWD_FIELD_NUMBER: _ClassVar[int]
    ENV_FIELD_NUMBER: _ClassVar[int]
    STDIN_FIELD_NUMBER: _ClassVar[int]
    UMASK_FIELD_NUMBER: _ClassVar[int]
    CALL_FIELD_NUMBER: _ClassVar[int]
    shell: str
    args: _containers.RepeatedScalarFieldContainer[str]
    cwd: str
    env: _containers.ScalarMap[str, str]
    stdin: bytes
    umask: int
    call: _call_pb2.Call
    def __init__(self, shell: _Optional[str] = ..., args: _Optional[_Iterable[str]] = ..., cwd: _Optional[str] = ..., env: _Optional[_Mapping[str, str]] = ..., stdin: _Optional[bytes] = ..., umask: _Optional[int] = ..., call: _Optional[_Union[_call_pb2.Call, _Mapping]] = ...) -> None: ...

class Assignment(_message.Message):
    __slots__ = ("attempt_id", "task_id", "number", "queue", "payload", "timeout_us", "grace_us", "due_at_us", "scheduled_for_us", "profile", "output_cap_bytes", "tapped", "source", "generation", "shared", "max_attempts", "uid")
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_US_FIELD_NUMBER: _ClassVar[int]
    GRACE_US_FIELD_NUMBER: _ClassVar[int]
    DUE_AT_US_FIELD_NUMBER: _ClassVar[int]
    SCHEDULED_FOR_US_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_CAP_BYTES_FIELD_NUMBER: _ClassVar[int]
    TAPPED_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    SHARED_FIELD_NUMBER: _ClassVar[int]
    MAX_ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    UID_FIELD_NUMBER: _ClassVar[int]
    attempt_id: int
    task_id: str
    number: int
    queue: str
    payload: Payload
    timeout_us: int
    grace_us: int
    due_at_us: int
    scheduled_for_us: int
    profile: str
    output_cap_bytes: int
    tapped: bool
    source: str
    generation: int
    shared: bool
    max_attempts: int
    uid: int
    def __init__(self, attempt_id: _Optional[int] = ..., task_id: _Optional[str] = ..., number: _Optional[int] = ..., queue: _Optional[str] = ..., payload: _Optional[_Union[Payload, _Mapping]] = ..., timeout_us: _Optional[int] = ..., grace_us: _Optional[int] = ..., due_at_us: _Optional[int] = ..., scheduled_for_us: _Optional[int] = ..., profile: _Optional[str] = ..., output_cap_bytes: _Optional[int] = ..., tapped: bool = ..., source: _Optional[str] = ..., generation: _Optional[int] = ..., shared: bool = ..., max_attempts: _Optional[int] = ..., uid: _Optional[int] = ...) -> None: ...

class Started(_message.Message):
    __slots__ = ("attempt_id", "pid", "start_ticks", "started_at_us")
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    START_TICKS_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_US_FIELD_NUMBER: _ClassVar[int]
    attempt_id: int
    pid: int
    start_ticks: int
    started_at_us: int
    def __init__(self, attempt_id: _Optional[int] = ..., pid: _Optional[int] = ..., start_ticks: _Optional[int] = ..., started_at_us: _Optional[int] = ...) -> None: ...

class Chunk(_message.Message):
    __slots__ = ("attempt_id", "number", "stream", "offset", "length", "data", "passing", "sealed")
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    PASSING_FIELD_NUMBER: _ClassVar[int]
    SEALED_FIELD_NUMBER: _ClassVar[int]
    attempt_id: int
    number: int
    stream: int
    offset: int
    length: int
    data: bytes
    passing: bool
    sealed: bool
    def __init__(self, attempt_id: _Optional[int] = ..., number: _Optional[int] = ..., stream: _Optional[int] = ..., offset: _Optional[int] = ..., length: _Optional[int] = ..., data: _Optional[bytes] = ..., passing: bool = ..., sealed: bool = ...) -> None: ...

class ChunkAck(_message.Message):
    __slots__ = ("attempt_id", "number")
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    attempt_id: int
    number: int
    def __init__(self, attempt_id: _Optional[int] = ..., number: _Optional[int] = ...) -> None: ...

class Finished(_message.Message):
    __slots__ = ("attempt_id", "state", "exit_code", "signal", "reason", "message", "started_at_us", "finished_at_us", "cpu_s", "peak_bytes", "stdout_bytes", "stderr_bytes", "dropped_bytes", "leftovers", "pid", "paused_us", "result", "again_in_us", "snoozed")
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_US_FIELD_NUMBER: _ClassVar[int]
    FINISHED_AT_US_FIELD_NUMBER: _ClassVar[int]
    CPU_S_FIELD_NUMBER: _ClassVar[int]
    PEAK_BYTES_FIELD_NUMBER: _ClassVar[int]
    STDOUT_BYTES_FIELD_NUMBER: _ClassVar[int]
    STDERR_BYTES_FIELD_NUMBER: _ClassVar[int]
    DROPPED_BYTES_FIELD_NUMBER: _ClassVar[int]
    LEFTOVERS_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    PAUSED_US_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    AGAIN_IN_US_FIELD_NUMBER: _ClassVar[int]
    SNOOZED_FIELD_NUMBER: _ClassVar[int]
    attempt_id: int
    state: str
    exit_code: int
    signal: int
    reason: str
    message: str
    started_at_us: int
    finished_at_us: int
    cpu_s: float
    peak_bytes: int
    stdout_bytes: int
    stderr_bytes: int
    dropped_bytes: int
    leftovers: int
    pid: int
    paused_us: int
    result: bytes
    again_in_us: int
    snoozed: bool
    def __init__(self, attempt_id: _Optional[int] = ..., state: _Optional[str] = ..., exit_code: _Optional[int] = ..., signal: _Optional[int] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., started_at_us: _Optional[int] = ..., finished_at_us: _Optional[int] = ..., cpu_s: _Optional[float] = ..., peak_bytes: _Optional[int] = ..., stdout_bytes: _Optional[int] = ..., stderr_bytes: _Optional[int] = ..., dropped_bytes: _Optional[int] = ..., leftovers: _Optional[int] = ..., pid: _Optional[int] = ..., paused_us: _Optional[int] = ..., result: _Optional[bytes] = ..., again_in_us: _Optional[int] = ..., snoozed: bool = ...) -> None: ...

class Stop(_message.Message):
    __slots__ = ("attempt_id", "state", "reason", "grace_us")
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    GRACE_US_FIELD_NUMBER: _ClassVar[int]
    attempt_id: int
    state: str
    reason: str
    grace_us: int
    def __init__(self, attempt_id: _Optional[int] = ..., state: _Optional[str] = ..., reason: _Optional[str] = ..., grace_us: _Optional[int] = ...) -> None: ...

class Pause(_message.Message):
    __slots__ = ("attempt_id", "on")
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    ON_FIELD_NUMBER: _ClassVar[int]
    attempt_id: int
    on: bool
    def __init__(self, attempt_id: _Optional[int] = ..., on: bool = ...) -> None: ...

class Paused(_message.Message):
    __slots__ = ("attempt_id", "on", "at_us", "paused_us", "answer")
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    ON_FIELD_NUMBER: _ClassVar[int]
    AT_US_FIELD_NUMBER: _ClassVar[int]
    PAUSED_US_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    attempt_id: int
    on: bool
    at_us: int
    paused_us: int
    answer: bool
    def __init__(self, attempt_id: _Optional[int] = ..., on: bool = ..., at_us: _Optional[int] = ..., paused_us: _Optional[int] = ..., answer: bool = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("attempt_id", "done", "total", "text", "at_us")
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    AT_US_FIELD_NUMBER: _ClassVar[int]
    attempt_id: int
    done: float
    total: float
    text: str
    at_us: int
    def __init__(self, attempt_id: _Optional[int] = ..., done: _Optional[float] = ..., total: _Optional[float] = ..., text: _Optional[str] = ..., at_us: _Optional[int] = ...) -> None: ...

class Tap(_message.Message):
    __slots__ = ("attempt_id", "on")
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    ON_FIELD_NUMBER: _ClassVar[int]
    attempt_id: int
    on: bool
    def __init__(self, attempt_id: _Optional[int] = ..., on: bool = ...) -> None: ...

class LogLine(_message.Message):
    __slots__ = ("level", "event", "fields")
    class FieldsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    level: str
    event: str
    fields: _containers.ScalarMap[str, str]
    def __init__(self, level: _Optional[str] = ..., event: _Optional[str] = ..., fields: _Optional[_Mapping[str, str]] = ...) -> None: ...
