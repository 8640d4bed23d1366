"""Where the service lives: its folders and sockets, and the locks that make them its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from . import folder
from .lock import Lock


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Where the service lives."""

    state_dir: Path
    socket: Path
    link_socket: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one socket stands."""

    path: Path
    lock: Lock
    prepare: Callable[[], object]
    """Makes the folder of the socket when it is missing; raises Refusal, OSError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """All that is held while the service runs: whoever finds it free may take over."""

    paths: Paths
    state_lock: Lock
    public: Place
    link: Place

    @property
    def locks(self) -> dict[str, Lock]:
        """Each lock by its name."""
        return {"state": self.state_lock, "public": self.public.lock, "link": self.link.lock}

    def leave(self) -> None:
        """Give everything up, and take away what only a running service needs."""
        for place in (self.public, self.link):
            place.lock.remove()
        folder.remove_runtime_dir(self.paths.state_dir)
        self.state_lock.close()


def take(paths: Paths, inherited: Mapping[str, int]) -> Places:
    """Make, check and lock it all. Raises Refusal STATE_DIR_UNUSABLE, SOCKET_UNUSABLE, ALREADY_RUNNING."""
    with _undone() as taken:
        # Whoever looks for the service finds its socket here, whatever their environment says.
        state = folder.prepare_state_dir(paths.state_dir, told=str(paths.socket), inherited=inherited.get("state"))
        taken.append(state)
        folder.prepare_runtime_dir(paths.state_dir)
        places = []
        for name, path in (("public", paths.socket), ("link", paths.link_socket)):
            lock = folder.prepare_socket(path, inherited=inherited.get(name))
            taken.append(lock)
            places.append(Place(path=path, lock=lock, prepare=folder.preparing(path, paths.state_dir)))
    return Places(paths=paths, state_lock=state, public=places[0], link=places[1])


@contextmanager
def _undone() -> Iterator[list[Lock]]:
    """Let go of what was taken when the rest cannot be had."""
    taken: list[Lock] = []
    try:
        yield taken
    except BaseException:
        for lock in taken:
            with suppress(OSError):
                lock.close()
        raise
