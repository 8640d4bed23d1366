"""The supervisor process: `python -m tsched.supervisor`."""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

# Before gRPC is imported anywhere: its fork handlers kill children between fork and exec.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

from .. import __version__
from ..proto import endpoint
from ..proto.clock import SystemClock
from ..proto.cores import no_core_dump
from ..proto.errors import EXIT_OK, EXIT_TSCHED_FAILED, EXIT_USAGE, Refusal
from ..store import Store
from . import config, listen, log, places, preflight, reload, system, vault
from .log_files import Limits, LogFiles
from .notify import Manager
from .parts import World
from .places import Paths, Places
from .reload import Handover
from .service import Service

PR_SET_CHILD_SUBREAPER = 36
GARBAGE = 20_000
"""So many new objects are looked through for garbage at a time: most of ours go without."""
CLOSE_S = 5.0
"""Longest wait for the store before this process begins anew; what it has answered is durable without it."""
FIRST_LOG = "supervisor.log"
"""Where a service in the background writes until its log files are open."""

TLS_FLAGS = {
    "--tls-cert": "the certificate to show there",
    "--tls-key": "its private key",
    "--tls-ca-cert": "whoever signed the certificates that clients have to show",
}
FILES = ("tls_cert", "tls_key", "tls_ca_cert")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until told to stop. Returns the exit code."""
    options = _parser().parse_args(arguments)
    handover = reload.received(os.environ)
    os.umask(0o077)
    if options.check or options.check_config:
        return _check(options)
    try:
        return asyncio.run(_serve(options, handover or Handover()))
    except Refusal as refusal:
        _tell(options.ready_fd, {"error": {"reason": refusal.reason, "message": refusal.message, "hint": refusal.hint}})
        if handover is not None:
            log.ready().critical("not_started", reason=refusal.reason, error=refusal.message, hint=refusal.hint)
        else:
            line = f"tsched: {refusal.message} ({refusal.hint})\n"
            with suppress(OSError):  # a log on a full disk; who started this was told above
                os.write(2, line.encode(errors="backslashreplace"))
        return refusal.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tsched up", description="Run the service in the foreground.")
    parser.add_argument("--config", type=Path)
    parser.add_argument("--state-dir", type=Path)
    parser.add_argument("--socket", type=Path)
    parser.add_argument("--library-dir", type=Path, help="the folder of plugins")
    parser.add_argument("--addr", default="", help="listen on TCP, too: HOST:PORT")
    for name, about in TLS_FLAGS.items():
        parser.add_argument(name, type=Path, help=about)
    parser.add_argument("--log-dir", type=Path, help="write the log there instead of on stderr")
    parser.add_argument("--system", action="store_true", help="for several users: tasks run as who submitted them")
    parser.add_argument("--check", action="store_true", help="say what would keep it from starting, and touch nothing")
    parser.add_argument("--check-config", action="store_true", help="say what is wrong with the configuration")
    parser.add_argument(reload.READY_FLAG, type=int, help=argparse.SUPPRESS)
    return parser


def _tcp_flags(options: argparse.Namespace) -> listen.Wish:
    files = {name: str(path.absolute()) for name in FILES if (path := getattr(options, name)) is not None}
    return listen.Wish(addr=options.addr, **files)


def _check(options: argparse.Namespace) -> int:
    paths = _paths(options) if options.check else None
    found = preflight.report(_config_path(options), paths, _tcp_flags(options))
    print(json.dumps(found))  # noqa: T201
    return EXIT_USAGE if found["problems"] else EXIT_OK


async def _serve(options: argparse.Namespace, handover: Handover) -> int:
    if options.system:
        system.check(_config_path(options))
    settings = config.load(_config_path(options))
    lines = log.setup(settings.service_log_level)
    lines.files = _log_files(settings, options.log_dir, lines)
    tcp = listen.prepared(_tcp_flags(options), settings)
    held = places.take(_paths(options), handover.locks)
    try:
        if options.log_dir and not handover.pid:
            _empty_first_log(held.paths.state_dir)
        world = replace(_open_store(options, settings, held, lines, handover), tcp=tcp)
        return await _live(world, options, handover, lines)
    finally:
        held.leave()


def _open_store(
    options: argparse.Namespace, settings: config.Config, held: Places, lines: log.Lines, handover: Handover
) -> World:
    clock = SystemClock()
    manager = Manager(os.environ, clock)
    with manager.long_work():
        found = vault.prepared(held.paths.state_dir, settings)
        store = Store.open(held.paths.state_dir, found.cipher, clock)
        try:
            found.begin(store)
        except BaseException:
            store.close()
            raise
    return World(
        store=store,
        vault=found,
        clock=clock,
        config=settings,
        places=held,
        manager=manager,
        log_dir=lines.files.folder if lines.files else None,
        library_dir=options.library_dir.absolute() if options.library_dir else None,
        is_back=bool(handover.pid),
        executor_logs=handover.executor_logs,
        open_files=(handover.open_files or system.more_descriptors()) if held.paths.system else 0,
    )


async def _live(world: World, options: argparse.Namespace, handover: Handover, lines: log.Lines) -> int:
    release_stderr = log.capture_stderr()
    try:
        service = await _run(world, options, handover, lines)
        if leaving := service.handover is not None:
            release_stderr()
            await _begin_anew(world, service)
        return EXIT_TSCHED_FAILED if service.fault or leaving else EXIT_OK
    finally:
        world.store.close()
        log.get().info("stopped")
        release_stderr()


async def _run(world: World, options: argparse.Namespace, handover: Handover, lines: log.Lines) -> Service:
    """Run the service until it has stopped, or leaves to the next program."""
    _become_subreaper()
    no_core_dump()
    gc.freeze()  # what was imported stays, and need not be looked through again and again
    gc.set_threshold(GARBAGE)
    service = Service(world)
    _take_orders(service, handover)
    log.get().info("starting", version=__version__, pid=os.getpid(), **_former(handover))
    await service.start()
    _tell(options.ready_fd, "ready")
    if options.log_dir and lines.files:
        log.get().info("log_goes_on", folder=str(lines.files.folder))
        lines.quiet = True
    await service.stopped()
    return service


def _take_orders(service: Service, handover: Handover) -> None:
    """Heed signals, those that waited for us too, before anything is started that would inherit their mask."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, service.terminate)
    loop.add_signal_handler(signal.SIGINT, service.interrupt)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup says so
        loop.add_signal_handler(signal.SIGHUP, _hang_up_or_reload(service))
    reload.heed_orders()
    if handover.stop is not None:
        drain_s, end_tasks = handover.stop
        service.stop(drain_s, end_tasks=end_tasks)


def _hang_up_or_reload(service: Service) -> Callable[[], None]:
    """A terminal that is gone ends what ran on it; without one, SIGHUP asks a service to reload."""
    had_terminal = os.isatty(0)
    return lambda: service.terminate() if had_terminal and not os.isatty(0) else service.reload_soon()


def _former(handover: Handover) -> dict[str, str]:
    return {"after": handover.version} if handover.version else {}


async def _begin_anew(world: World, service: Service) -> None:
    """Become the program that is on disk now; returns only where that cannot be."""
    await _hear_without_loop(service)
    if (heirloom := service.handover) is None:
        return
    closing = threading.Thread(target=world.store.close, daemon=True)
    closing.start()
    closing.join(CLOSE_S)
    locks = {name: lock.descriptor for name, lock in world.places.locks.items()}
    try:
        # Asked for last: what was signalled until now goes with it.
        reload.become(replace(service.handover or heirloom, pid=os.getpid(), locks=locks, open_files=world.open_files))
    except OSError as error:
        log.get().critical("not_started", error=f"{sys.executable}: {error.strerror}")


async def _hear_without_loop(service: Service) -> None:
    """Have signals noted by the service while its loop does not turn any more; the loop would hear them never."""
    for _ in range(2):  # it hears what has come in one turn, and tells it in the next
        await asyncio.sleep(0)
    signal.signal(signal.SIGTERM, lambda *_: service.terminate())
    signal.signal(signal.SIGINT, lambda *_: service.interrupt())


def _log_files(settings: config.Config, log_dir: Path | None, lines: log.Lines) -> LogFiles | None:
    folder = Path(settings.logs_folder) if settings.logs_folder else log_dir
    limits = Limits(
        rotate_bytes=settings.logs_rotate_bytes,
        keep_days=settings.logs_keep_days,
        keep_files=settings.logs_keep_files,
    )
    return LogFiles(folder.absolute(), limits, lines.trouble) if folder else None


def _empty_first_log(state_dir: Path) -> None:
    """Begin supervisor.log anew, if that is where stderr goes: it holds one start, and what a crash prints."""
    with suppress(OSError):
        if os.path.samestat(os.fstat(2), (state_dir / FIRST_LOG).lstat()):
            os.ftruncate(2, 0)


def _config_path(options: argparse.Namespace) -> Path | None:
    """The file to read: the one asked for, or the user's own, or the machine's, where there is one."""
    if options.config is not None:
        return Path(options.config)
    named = os.environ.get("TSCHED_CONFIG")
    default = endpoint.SYSTEM_CONFIG if options.system and not named else endpoint.default_config_path()
    return default if os.environ.get("TSCHED_CONFIG") or endpoint.is_there(default) else None


def _paths(options: argparse.Namespace) -> Paths:
    asked = options.socket or os.environ.get("TSCHED_SOCKET")
    if options.system:
        named = options.state_dir or os.environ.get("TSCHED_STATE_DIR") or endpoint.SYSTEM_STATE_DIR
        return Paths.of_system(Path(named).absolute(), Path(asked or endpoint.SYSTEM_SOCKET).absolute())
    state_dir = (options.state_dir or endpoint.default_state_dir()).absolute()
    return Paths.of_user(state_dir, Path(asked).absolute() if asked else endpoint.default_socket(state_dir))


def _become_subreaper() -> None:
    """Have what falls out of a dead executor fall to us."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _tell(descriptor: int | None, what: object) -> None:
    """Tell whoever started us in the background how it went, if they are still there."""
    if descriptor is not None:
        line = what if isinstance(what, str) else json.dumps(what)
        with suppress(OSError):
            os.write(descriptor, f"{line}\n".encode())
            os.close(descriptor)


if __name__ == "__main__":
    sys.exit(main())
