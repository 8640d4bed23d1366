"""The way to the supervisor: which one, whether somebody listens, and starting one where a user may expect it."""

from __future__ import annotations

import os
import socket as sockets
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..client import place
from ..client.tls import Tls
from ..client.ways import SocketWay, Way
from ..proto import endpoint, presence
from ..proto.errors import Refusal, RefusalReason
from . import console

if TYPE_CHECKING:
    from argparse import Namespace

    from ..client.connection import Connection

START_S = 30.0
"""How long to wait for a supervisor that somebody else is just starting."""


def state_dir(args: Namespace) -> Path:
    """The state folder that is meant. Raises Refusal STATE_DIR_UNUSABLE for a name that SQLite cannot be given."""
    return place.folder_of(args.state_dir)


def socket_path(args: Namespace) -> Path:
    """The socket that is meant: --socket, else that of --state-dir, else TSCHED_SOCKET, else that of the default."""
    return place.meant(_named(args), args.state_dir)


def system_places(args: Namespace) -> tuple[Path, Path]:
    """State folder and socket of the service of several users, for whoever starts it or has it started."""
    state_dir = args.state_dir or os.environ.get("TSCHED_STATE_DIR") or endpoint.SYSTEM_STATE_DIR
    socket = args.socket or os.environ.get("TSCHED_SOCKET") or endpoint.SYSTEM_SOCKET
    return place.folder_of(state_dir).absolute(), endpoint.check_socket_path(Path(socket).absolute())


def _named(args: Namespace) -> Path | None:
    """The socket that was named, by its path or as that of all users."""
    return args.socket or (endpoint.SYSTEM_SOCKET if args.system else None)


def may_start(args: Namespace) -> bool:
    """Whether a missing supervisor is started: for a user's own folder, not where one was named, nor in a task."""
    named = _named(args) or args.state_dir or os.environ.get("TSCHED_SOCKET") or is_remote(args)
    return not named and not os.environ.get("TSCHED_TASK_ID")


def is_remote(args: Namespace) -> bool:
    """Whether the service is gone to by TCP."""
    return not args.local and bool(args.addr or place.address_meant(_named(args), args.state_dir))


def is_far(args: Namespace) -> bool:
    """Whether the service is on another machine, where this one's folders and variables mean nothing."""
    return is_remote(args) and way(args).is_far


def connect(args: Namespace) -> Connection:
    """A client of the running supervisor. Raises Refusal NO_SUPERVISOR, SOCKET_UNUSABLE, or TLS_FAILED."""
    going = way(args)
    if not there(going, args):
        raise _nobody(going, args)
    return _client(going)


def connect_or_start(args: Namespace, *, lasting: bool = False) -> Connection:
    """A client of the supervisor, started when none runs and that is expected.

    `lasting`: it is wanted for what is due later; where a reboot would end that, it is said, once.
    """
    going = way(args)
    if not there(going, args):
        if not may_start(args):
            raise _nobody(going, args)
        _start(args, Path(str(going)), lasting=lasting)
    if lasting:
        from . import reboot

        reboot.warn_once(args)
    return _client(going)


def way(args: Namespace) -> Way:
    """The way that is meant: an address, or a socket; or where the one who holds the state folder says it listens.

    Raises Refusal for what contradicts itself, is no address, or names a file that is no good.
    """
    if args.local:
        return SocketWay(place.socket_of(_named(args), args.state_dir))
    files = Tls(args.tls_ca_cert or "", args.tls_cert, args.tls_key)
    return place.way_of(_named(args), args.state_dir, args.addr, files if any(files) else None)


def there(going: Way, args: Namespace) -> bool:
    """Whether somebody listens; one who holds the lock and does not yet is waited for: it starts, or begins anew.

    Raises Refusal NO_SUPERVISOR for an address where nobody does, with why.
    """
    if not isinstance(going, SocketWay):
        going.check_there()
        return True
    return listening(going.path) or presence.await_return(going.path, _locks(going.path, args), START_S)


def there_now(args: Namespace) -> bool:
    """Whether somebody listens just now."""
    going = way(args)
    return listening(going.path) if isinstance(going, SocketWay) else there(going, args)


def _locks(path: Path, args: Namespace) -> list[Path]:
    locks = [presence.socket_lock(path)]
    return [*locks, presence.state_lock(state_dir(args))] if place.by_folder(_named(args), args.state_dir) else locks


def _client(going: Way) -> Connection:
    if not isinstance(going, SocketWay):
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # what it has to say of handshakes is said by us, in one line
    from ..client.connection import Connection

    return Connection(going)


def _start(args: Namespace, path: Path, *, lasting: bool) -> None:
    from . import launch, reboot

    try:
        started = launch.detached(state_dir(args), path)
    except Refusal as refusal:
        if refusal.reason is not RefusalReason.ALREADY_RUNNING:
            raise
        _await_other(path, refusal)
    else:
        remark = reboot.at_start(args) if lasting else ""
        if presence.accepts(endpoint.SYSTEM_SOCKET):
            remark += "; the service of this machine is another: tsched VERB --system"
        console.say(f"started a supervisor (pid {started.pid}, state in {started.state_dir}){remark}")


def _await_other(path: Path, taken: Refusal) -> None:
    """Somebody else was quicker: theirs is ours."""
    try:
        with _client(SocketWay(path)) as client:
            client.await_ready(START_S)
    except Refusal:
        raise taken from None


def listening(path: Path) -> bool:
    """Whether somebody listens. Asked without gRPC, which is dear to load and slow to give up."""
    try:
        with sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM) as probe:
            probe.setblocking(False)
            probe.connect(os.fspath(path))
    except BlockingIOError:  # its queue is full: it is busy, and there
        return True
    except (FileNotFoundError, NotADirectoryError):
        return False
    except ConnectionRefusedError:
        _check_is_socket(path)
        return False
    except OSError as error:
        message = f"cannot use the socket {path}: {error.strerror or error}"
        raise Refusal(RefusalReason.SOCKET_UNUSABLE, message, _who_may(path)) from None
    return True


def _who_may(path: Path) -> str:
    """What to do where the socket is kept from us."""
    with suppress(OSError, KeyError):
        found = os.stat(path)
        if found.st_uid == 0 and found.st_mode & stat.S_IWGRP:
            import grp

            return f"it is for the group {grp.getgrgid(found.st_gid).gr_name}: root can put you into that"
        if found.st_uid == 0:
            return "it is for root alone"
    return "is it yours?"


def _check_is_socket(path: Path) -> None:
    if not stat.S_ISSOCK(os.stat(path).st_mode):
        message = f"{path} exists and is not a socket"
        raise Refusal(RefusalReason.SOCKET_UNUSABLE, message, "move it away, or choose another with --socket")


def _nobody(going: Way, args: Namespace) -> Refusal:
    words = ["tsched up -d", *["--system"] * args.system]
    words += [f"--socket {args.socket}"] if args.socket else []
    words += [f"--state-dir {args.state_dir}"] if args.state_dir else []
    return Refusal(RefusalReason.NO_SUPERVISOR, f"no supervisor listens on {going}", f"start one: {' '.join(words)}")
