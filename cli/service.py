"""Verbs for the service itself: up, down, status, doctor."""

from __future__ import annotations

import os
import select
from contextlib import suppress
from typing import TYPE_CHECKING

from ..proto.clock import SystemClock
from ..proto.errors import EXIT_CONFLICT, EXIT_OK, Refusal, RefusalReason
from ..proto.values import TaskState
from . import colour, connect, console, launch, parser, views

if TYPE_CHECKING:
    from argparse import Namespace

    from ..client.connection import Connection
    from ..proto import api_pb2 as api

OWN = ("--library-dir", "--addr", "--tls-cert", "--tls-key", "--tls-ca-cert")


def _up_arguments(to: parser.Parser) -> None:
    to.add_argument("-d", "--detach", action="store_true", help="in the background; returns when it is ready")
    to.add_argument("--cli", action="store_true", help="open a shell beside it, and end it with that")
    to.add_argument("--config", metavar="FILE", type=parser.path, help="configuration (TSCHED_CONFIG)")
    to.add_argument("--library-dir", metavar="DIR", type=parser.path, help="folder of plugins (config: [library])")
    to.add_argument(
        "--replace",
        action="store_true",
        help="have a running one begin anew in its own process, with the program and configuration on disk",
    )
    to.add_argument(
        "--addr",
        metavar="HOST:PORT",
        help="listen on TCP, too; without TLS on 127.0.0.1 only, where every user of this machine can run commands "
        "as you",
    )
    to.add_argument("--tls-cert", metavar="FILE", type=parser.path, help="the certificate to show there (PEM)")
    to.add_argument("--tls-key", metavar="FILE", type=parser.path, help="its private key")
    to.add_argument(
        "--tls-ca-cert", metavar="FILE", type=parser.path, help="let in only whose certificate was signed by this one"
    )


def _up(args: Namespace) -> int:
    if args.cli and (args.detach or args.replace):
        raise Refusal(RefusalReason.BAD_USAGE, "--cli is for a supervisor that ends with its shell", "tsched shell")
    if args.replace and connect.there(connect.way(args), args):
        return _replace(args)
    if args.system and os.geteuid() != 0:
        message = "only root can run the service of several users"
        raise Refusal(RefusalReason.BAD_USAGE, message, "sudo tsched up --system; one of your own: tsched up -d")
    state_dir, socket = connect.state_dir(args), connect.socket_path(args)
    if args.system:
        state_dir, socket = connect.system_places(args)
    if not args.detach and not args.cli:
        launch.in_place(state_dir, socket, args.config, _own(args))
    started = launch.detached(state_dir, socket, args.config, _own(args))
    if args.cli:
        return _with_shell(started, args)
    if args.json:
        console.put_json({"pid": started.pid, "state_dir": str(state_dir), "socket": str(socket)})
    else:
        console.put(f"supervisor {started.pid} is ready on {socket}, state in {state_dir}")
    return EXIT_OK


def _own(args: Namespace) -> list[str]:
    """What the supervisor is told besides where it is."""
    return [*["--system"] * args.system, *(word for flag, value in _given(args) for word in (flag, value))]


def _given(args: Namespace) -> list[tuple[str, str]]:
    values = [(flag, getattr(args, flag.removeprefix("--").replace("-", "_"))) for flag in OWN]
    return [(flag, str(value)) for flag, value in values if value is not None]


def _with_shell(started: launch.Started, args: Namespace) -> int:
    """Open a shell, and end the supervisor when it is left; its exit code."""
    from . import shell

    console.say(f"supervisor {started.pid} is ready on {started.socket}; it ends with this shell")
    flags = ["--socket", str(started.socket), "--state-dir", str(started.state_dir), *["--json"] * args.json]
    process = _pidfd(started.pid)
    try:
        return shell.open_on(flags, started.state_dir)
    finally:
        _end(started, process)


def _end(started: launch.Started, process: int | None) -> None:
    """Stop that supervisor, unless it has been already."""
    if process is None or _has_ended(process, timeout_ms=0):
        return
    from ..client.connection import Connection

    console.say("stopping the supervisor; running tasks may finish for a while")
    with Connection(started.socket) as client, suppress(Refusal):
        client.shutdown()
    _await_end(process)


def _replace(args: Namespace) -> int:
    from . import anew

    with connect.connect(args) as client:
        renewed = anew.renew(client)
    for flag in [*(["--config"] if args.config is not None else []), *(flag for flag, _ in _given(args))]:
        console.say(f"{flag} was not heeded: a service that begins anew keeps the words it was started with")
    anew.put(renewed, as_json=args.json)
    return EXIT_OK


def _down_arguments(to: parser.Parser) -> None:
    to.add_argument("--drain", metavar="DUR", type=parser.limit, help="how long running tasks may go on")


def _down(args: Namespace) -> int:
    with connect.connect(args) as client:
        pid = client.status().pid
        process = None if connect.is_remote(args) else _pidfd(pid)  # elsewhere the number is somebody else's
        client.shutdown(drain_us=args.drain)
        if connect.is_remote(args):
            client.await_end()
    _await_end(process)
    if args.json:
        console.put_json({"stopped": pid})
    else:
        console.put(f"supervisor {pid} has stopped")
    return EXIT_OK


def _pidfd(pid: int) -> int | None:
    """A descriptor of the process; None when it is gone already."""
    with suppress(ProcessLookupError):
        return os.pidfd_open(pid)
    return None


def _await_end(pidfd: int | None) -> None:
    if pidfd is not None:
        _has_ended(pidfd, timeout_ms=None)
        os.close(pidfd)


def _has_ended(pidfd: int, *, timeout_ms: int | None) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(timeout_ms))


def no_arguments(to: parser.Parser) -> None:
    """Take nothing but what every verb takes."""


def _status(args: Namespace) -> int:
    with connect.connect(args) as client:
        status = client.status()
        paused = 0 if args.json else _paused(client, status)
    if args.json:
        from ..client import as_json

        console.put_json(as_json.status(status))
    else:
        now_us, paint = SystemClock().now_us(), colour.painter(args)
        console.put(views.status(status, now_us=now_us, columns=console.columns(), paused=paused, paint=paint))
    return EXIT_OK


def _paused(client: Connection, status: api.StatusResponse) -> int:
    """How many of those that run stand still; no more run than there are places."""
    if not status.tasks.get(TaskState.RUNNING):
        return 0
    return sum(task.HasField("paused_at_us") for task in client.tasks(states=[TaskState.RUNNING]))


def _doctor(args: Namespace) -> int:
    """Exits with 1 when there is a problem."""
    with connect.connect(args) as client:
        answer = client.doctor()
    if args.json:
        from ..client import as_json

        console.put_json(as_json.diagnosis(answer))
    else:
        console.put(views.diagnosis(answer))
    return EXIT_CONFLICT if any(finding.severity == "problem" for finding in answer.findings) else EXIT_OK


VERBS = {
    "up": parser.Verb(arguments=_up_arguments, run=_up, local=True),
    "down": parser.Verb(arguments=_down_arguments, run=_down),
    "status": parser.Verb(arguments=colour.add_flag, run=_status),
    "doctor": parser.Verb(arguments=no_arguments, run=_doctor),
}
