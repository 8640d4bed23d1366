"""Where the service lives: its folders and sockets, and the locks that make them its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from . import folder
from .lock import Lock

LINKS_LIMIT = 3


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
    former_links: Sequence[Path] = ()
    """Where executors of former supervisors look for us, that lived in another environment."""

    @property
    def locks(self) -> dict[str, Lock]:
        """Each lock by its name."""
        return {"state": self.state_lock, "public": self.public.lock, "link": self.link.lock}

    def tell(self, former_links: Sequence[Path]) -> None:
        """Note in the state folder where we listen, and where else executors look."""
        self.state_lock.tell(_told(self.paths, former_links))

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
        told = _told(paths, ())
        state = folder.prepare_state_dir(paths.state_dir, told=told, inherited=inherited.get("state"))
        taken.append(state)
        folder.prepare_runtime_dir(paths.state_dir)
        places = []
        for name, path in (("public", paths.socket), ("link", paths.link_socket)):
            lock = folder.prepare_socket(path, inherited=inherited.get(name))
            taken.append(lock)
            places.append(Place(path=path, lock=lock, prepare=folder.preparing(path, paths.state_dir)))
    former = [Path(line) for line in state.former.split("\n")[1:] if line and line != str(paths.link_socket)]
    return Places(paths=paths, state_lock=state, public=places[0], link=places[1], former_links=former[:LINKS_LIMIT])


def _told(paths: Paths, former_links: Sequence[Path]) -> str:
    return "\n".join(map(str, (paths.socket, paths.link_socket, *former_links)))


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
