"""The supervisor process: `python -m tsched.supervisor`."""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

# Before gRPC is imported anywhere: its fork handlers kill children between fork and exec.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

from .. import __version__
from ..proto import endpoint
from ..proto.clock import SystemClock
from ..proto.errors import EXIT_OK, EXIT_TSCHED_FAILED, Refusal
from ..store import Store
from ..store.cipher import PlainCipher
from . import config, folder, log
from .service import Paths, Service

PR_SET_CHILD_SUBREAPER = 36


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until told to stop. Returns the exit code."""
    options = _parser().parse_args(arguments)
    os.umask(0o077)
    try:
        return asyncio.run(_serve(options))
    except Refusal as refusal:
        _tell(options.ready_fd, {"error": {"reason": refusal.reason, "message": refusal.message, "hint": refusal.hint}})
        print(f"tsched: {refusal.message} ({refusal.hint})", file=sys.stderr)  # noqa: T201
        return refusal.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tsched up", description="Run the service in the foreground.")
    parser.add_argument("--config", type=Path)
    parser.add_argument("--state-dir", type=Path)
    parser.add_argument("--socket", type=Path)
    parser.add_argument("--ready-fd", type=int, help=argparse.SUPPRESS)
    return parser


async def _serve(options: argparse.Namespace) -> int:
    settings = config.load(_config_path(options.config))
    paths = _paths(options)
    # Held until the process ends: whoever finds them free may take over.
    locks = [folder.prepare_state_dir(paths.state_dir)]
    folder.prepare_runtime_dir(paths.state_dir)
    locks += [folder.prepare_socket(path) for path in (paths.socket, paths.link_socket)]
    store = Store.open(paths.state_dir, PlainCipher(), SystemClock())
    log.setup(settings.service_log_level)
    release_stderr = log.capture_stderr()
    try:
        return await _run(store, settings, paths, options.ready_fd)
    finally:
        store.close()
        log.get().info("stopped")
        release_stderr()
        for path in (paths.socket, paths.link_socket):
            path.unlink(missing_ok=True)
        for lock in locks:
            os.close(lock)


async def _run(store: Store, settings: config.Config, paths: Paths, ready_fd: int | None) -> int:
    _become_subreaper()
    service = Service(store, SystemClock(), settings, paths)
    log.get().info("starting", version=__version__, pid=os.getpid())
    await service.start()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, service.terminate)
    loop.add_signal_handler(signal.SIGINT, service.down, settings.service_stop_timeout_s)
    _tell(ready_fd, "ready")
    await service.stopped()
    return EXIT_TSCHED_FAILED if service.fault else EXIT_OK


def _config_path(asked: Path | None) -> Path | None:
    """The file to read: the one asked for, or the user's own where there is one."""
    if asked is not None:
        return asked
    default = endpoint.default_config_path()
    return default if "TSCHED_CONFIG" in os.environ or default.exists() else None


def _paths(options: argparse.Namespace) -> Paths:
    state_dir = (options.state_dir or endpoint.default_state_dir()).absolute()
    asked = options.socket or os.environ.get("TSCHED_SOCKET")
    socket = Path(asked).absolute() if asked else endpoint.default_socket(state_dir)
    return Paths(state_dir=state_dir, socket=socket, link_socket=endpoint.link_socket(state_dir))


def _become_subreaper() -> None:
    """Have what falls out of a dead executor fall to us."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _tell(descriptor: int | None, what: object) -> None:
    """Tell whoever started us in the background how it went."""
    if descriptor is not None:
        line = what if isinstance(what, str) else json.dumps(what)
        os.write(descriptor, f"{line}\n".encode())
        os.close(descriptor)


if __name__ == "__main__":
    sys.exit(main())
