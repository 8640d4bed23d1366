"""What keeps the service from starting, found without touching anything. The other half is that this program loads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from .. import __version__
from ..proto import endpoint
from ..proto.errors import Refusal
from ..store import opening
from . import config, folder, listen, system, vault
from .places import Paths


def report(config_path: Path | None, paths: Paths | None, flags: listen.Wish) -> dict[str, Any]:
    """All that is wrong with the configuration, and with the folders where they are given."""
    loaded: list[config.Config] = []
    checks: list[Callable[[], object]] = [
        lambda: loaded.append(config.load(config_path)),
        lambda: [listen.prepared(flags, each) for each in loaded],
    ]
    if paths is not None and paths.system:
        checks += [partial(system.check, config_path), partial(folder.check_secret, paths.state_dir)]
    if paths is not None:
        checks += [
            partial(folder.check_state_dir, paths.state_dir),
            partial(endpoint.check_socket_path, paths.socket),
            partial(opening.check, paths.state_dir),
            lambda: _check_key(paths.state_dir, loaded),
        ]
    refusals = list(_refusals(checks))
    mistakes = [each for refusal in refusals if isinstance(refusal, config.BadConfig) for each in refusal.mistakes]
    return {
        "version": __version__,
        "config": str(config_path) if config_path else None,
        "stop_timeout_s": loaded[0].service_stop_timeout_s if loaded else None,
        "problems": [{"reason": each.reason, "message": each.message, "hint": each.hint} for each in refusals],
        "mistakes": [{"line": each.line, "key": each.key, "message": each.what} for each in mistakes],
    }


def _check_key(state_dir: Path, loaded: list[config.Config]) -> None:
    for each in loaded:
        vault.check(state_dir, each)


def _refusals(checks: list[Callable[[], object]]) -> Iterator[Refusal]:
    for check in checks:
        try:
            check()
        except Refusal as refusal:
            yield refusal
