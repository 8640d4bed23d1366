"""Where the service lives: its folders and sockets, and the locks that make them its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ..proto import endpoint
from . import folder
from .lock import Lock

LINKS_LIMIT = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Where the service lives."""

    state_dir: Path
    socket: Path
    link_socket: Path
    runtime_dir: Path
    """The private folder of all sockets but perhaps the public one."""
    system: bool = False
    """Whether this is the service of several users: they come to `socket`, and from there to `inner_socket`."""

    @classmethod
    def of_user(cls, state_dir: Path, socket: Path) -> Paths:
        """Of somebody's own service."""
        runtime_dir, link_socket = endpoint.runtime_dir(state_dir), endpoint.link_socket(state_dir)
        return cls(state_dir=state_dir, socket=socket, link_socket=link_socket, runtime_dir=runtime_dir)

    @classmethod
    def of_system(cls, state_dir: Path, socket: Path) -> Paths:
        """Of a service of several users."""
        private = endpoint.private_dir(socket)
        link_socket = private / endpoint.LINK_SOCKET_NAME
        return cls(state_dir=state_dir, socket=socket, link_socket=link_socket, runtime_dir=private, system=True)

    @property
    def inner_socket(self) -> Path:
        """Where gRPC listens behind the acceptor."""
        return self.runtime_dir / endpoint.INNER_SOCKET_NAME


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
    inner: Place | None = None
    """Of a service of several users: behind the public one."""
    former_links: Sequence[Path] = ()
    """Where executors of former supervisors look for us, that lived in another environment."""

    @property
    def locks(self) -> dict[str, Lock]:
        """Each lock by its name."""
        inner = {"inner": self.inner.lock} if self.inner else {}
        return {"state": self.state_lock, "public": self.public.lock, "link": self.link.lock, **inner}

    def tell(self, former_links: Sequence[Path]) -> None:
        """Note in the state folder where we listen, and where else executors look."""
        self.state_lock.tell(_told(self.paths, former_links))

    def leave(self) -> None:
        """Give everything up, and take away what only a running service needs."""
        for place in filter(None, (self.public, self.link, self.inner)):
            place.lock.remove()
        folder.remove_runtime_dir(self.paths.runtime_dir)
        self.state_lock.close()


def take(paths: Paths, inherited: Mapping[str, int]) -> Places:
    """Make, check and lock it all. Raises Refusal STATE_DIR_UNUSABLE, SOCKET_UNUSABLE, ALREADY_RUNNING."""
    with _undone() as taken:
        # Whoever looks for the service finds its socket here, whatever their environment says.
        told = _told(paths, ())
        if paths.system:
            folder.check_secret(paths.state_dir)
        state = folder.prepare_state_dir(paths.state_dir, told=told, inherited=inherited.get("state"))
        taken.append(state)
        if paths.system:
            folder.prepare_public_dir(paths.socket.parent)
        folder.prepare_runtime_dir(paths.runtime_dir)
        places: dict[str, Place] = {}
        for name, path in _sockets(paths).items():
            lock = folder.prepare_socket(path, inherited=inherited.get(name))
            taken.append(lock)
            places[name] = Place(path=path, lock=lock, prepare=_preparing(path, paths))
    former = [Path(line) for line in state.former.split("\n")[1:] if line and line != str(paths.link_socket)]
    return Places(paths=paths, state_lock=state, former_links=former[:LINKS_LIMIT], **places)


def _sockets(paths: Paths) -> dict[str, Path]:
    inner = {"inner": paths.inner_socket} if paths.system else {}
    return {"public": paths.socket, "link": paths.link_socket, **inner}


def _preparing(path: Path, paths: Paths) -> Callable[[], object]:
    if not paths.system:
        return folder.preparing(path, paths.runtime_dir)

    def prepare() -> None:
        folder.prepare_public_dir(paths.socket.parent)
        folder.prepare_runtime_dir(paths.runtime_dir)

    return prepare


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
