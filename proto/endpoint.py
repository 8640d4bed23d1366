"""Where things are: state folder, sockets, and the options of the channels between processes.

A Unix socket path holds at most 107 bytes (sun_path of unix(7) less its NUL), so long state folders get their socket
under a short runtime folder, named by a digest of the state folder: the default follows from that folder alone.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from .errors import Refusal, RefusalReason

SOCKET_NAME = "tsched.sock"
LINK_SOCKET_NAME = "link.sock"
INNER_SOCKET_NAME = "inner.sock"
SOCKET_PATH_LIMIT = 107
SYSTEM_STATE_DIR = Path("/var/lib/tsched")
SYSTEM_SOCKET = Path("/run/tsched/tsched.sock")
SYSTEM_CONFIG = Path("/etc/tsched/config.toml")
"""Where the machine's service of several users lives, `tsched up --system`."""
MESSAGE_LIMIT = 8 * 1024 * 1024
ANSWER_LIMIT = 2 * MESSAGE_LIMIT
"""Of what a supervisor sends: it may hold the arguments of a call and its result, each as large as it may be."""

AGE_GRACE_S = 10.0
"""How long what runs on a connection may go on that has reached its age."""

Options = list[tuple[str, int]]
CHANNEL_OPTIONS: Options = [
    ("grpc.max_receive_message_length", ANSWER_LIMIT),
    ("grpc.max_send_message_length", MESSAGE_LIMIT),
    ("grpc.initial_reconnect_backoff_ms", 100),
    # In truth how long one attempt to connect may take, up to the other side's first frame: a dead socket is noticed at
    # once whatever this is, and a busy machine may need seconds.
    ("grpc.min_reconnect_backoff_ms", 20_000),
    ("grpc.max_reconnect_backoff_ms", 500),
]
BLOCKING_CHANNEL_OPTIONS: Options = [
    *CHANNEL_OPTIONS,
    # grpc.experimental.ChannelOptions: a stream is read by the thread that iterates over it. One more in between took a
    # millisecond of a call there and back.
    ("SingleThreadedUnaryStream", 1),
]
SERVER_OPTIONS: Options = [
    ("grpc.max_receive_message_length", MESSAGE_LIMIT),
    ("grpc.max_send_message_length", ANSWER_LIMIT),
    ("grpc.so_reuseport", 0),
]
# A network that is gone says nothing: whoever follows asks now and then whether the service is still there.
TCP_CHANNEL_OPTIONS: Options = [
    ("grpc.enable_http_proxy", 0),  # an address that is named is gone to, whatever the environment says of proxies
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.ping_timeout_ms", 20_000),  # without it a minute, whatever keepalive_timeout_ms says
    ("grpc.http2.max_pings_without_data", 0),
]
TCP_SERVER_OPTIONS: Options = [
    *SERVER_OPTIONS,
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
]


def tcp_server_options(age_s: float | None) -> Options:
    """Those of a server on TCP; with an age no connection gets much older."""
    if age_s is None:
        return TCP_SERVER_OPTIONS
    grace_s = min(age_s, AGE_GRACE_S)
    age = [("grpc.max_connection_age_ms", age_s), ("grpc.max_connection_age_grace_ms", grace_s)]
    return [*TCP_SERVER_OPTIONS, *((name, int(length_s * 1000)) for name, length_s in age)]


def default_state_dir() -> Path:
    """TSCHED_STATE_DIR, else XDG_STATE_HOME/tsched, else ~/.local/state/tsched."""
    explicit = os.environ.get("TSCHED_STATE_DIR")
    if explicit:
        return Path(explicit).absolute()
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "tsched"


def default_config_path() -> Path:
    """TSCHED_CONFIG, else XDG_CONFIG_HOME/tsched/config.toml, else ~/.config/tsched/config.toml."""
    explicit = os.environ.get("TSCHED_CONFIG")
    if explicit:
        return Path(explicit).absolute()
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "tsched" / "config.toml"


def is_there(path: Path) -> bool:
    """Whether something is there, or may be: what is kept from us is told by whoever reads it."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def runtime_dir(state_dir: Path) -> Path:
    """The 0700 folder of the sockets of a state folder: XDG_RUNTIME_DIR (else /tmp/tsched-UID) / tsched-DIGEST."""
    base = os.environ.get("XDG_RUNTIME_DIR")
    root = Path(base) if base and os.path.isdir(base) else Path(f"/tmp/tsched-{os.getuid()}")  # noqa: S108
    digest = hashlib.sha256(os.fsencode(os.path.realpath(state_dir))).hexdigest()[:12]
    return root / f"tsched-{digest}"


def default_socket(state_dir: Path) -> Path:
    """The public socket that belongs to a state folder."""
    return runtime_dir(state_dir) / SOCKET_NAME


def link_socket(state_dir: Path) -> Path:
    """The executors' own socket."""
    return runtime_dir(state_dir) / LINK_SOCKET_NAME


def private_dir(socket: Path) -> Path:
    """The 0700 folder of the other sockets of a service of several users, which lies beside the public one."""
    return Path(f"{socket}.private")


def check_socket_path(path: Path) -> Path:
    """The path, when it fits into a Unix socket address."""
    length = len(os.fsencode(path))
    if length > SOCKET_PATH_LIMIT:
        raise Refusal(
            RefusalReason.SOCKET_UNUSABLE,
            f"socket path is {length} bytes long, at most {SOCKET_PATH_LIMIT} fit: {path}",
            "choose a shorter path with --socket",
        )
    return path


def target(socket: Path) -> str:
    """The gRPC address of a socket path."""
    return f"unix:{socket}"
