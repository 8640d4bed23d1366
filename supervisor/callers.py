"""Who calls, and how much they may: from what a connection shows of itself to a name and a role. Pure.

Where nobody in between could say anything false: the service's own socket lies in a folder that only its user enters;
a certificate was checked by TLS; and a socket in front of the private folder names its caller by where it is bound.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from enum import IntEnum
from urllib.parse import unquote

from ..proto.checks import quoted
from ..proto.errors import Refusal, RefusalReason

URI_PREFIX = "tsched://"
CLIENT_URI = re.compile(r"tsched://client/[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)
TCP_NAME = "tcp"
PEER_NAME = re.compile(r"p\.(?P<uid>0|[1-9][0-9]{0,9})\.(?P<pid>[1-9][0-9]{0,9})\.[0-9]{1,20}", re.ASCII)
UNIX = "unix:"


class Role(IntEnum):
    """What a caller may do: all that a lesser one may, and more."""

    NONE = 0
    VIEWER = 1
    SUBMITTER = 2
    ADMIN = 3

    @property
    def word(self) -> str:
        """As it is written in config.toml and told."""
        return self.name.lower()


ROLES = {role.word: role for role in Role}


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """One who calls. `where`: the way they came. `is_own`: the user who runs the service."""

    name: str
    role: Role
    where: str
    uid: int | None = None
    is_own: bool = False

    @property
    def owner(self) -> str:
        """How the store calls them: the service's own user, whose was all that was there before others came, is ''."""
        return "" if self.is_own else self.name

    @property
    def is_free(self) -> bool:
        """Whether they see everything, and have no limits."""
        return self.role is Role.ADMIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What [access] of config.toml says of callers over TCP."""

    tcp_role: Role
    tls_role: Role
    clients: Mapping[str, Role]


CURRENT: ContextVar[Caller | None] = ContextVar("caller", default=None)
"""Whose call is being answered; None outside of any: the service itself."""


def own(where: str = "unix") -> Caller:
    """The user who runs the service."""
    uid = os.geteuid()
    return Caller(name=f"uid:{uid}", role=Role.ADMIN, where=where, uid=uid, is_own=True)


def sees(name: str) -> bool:
    """Whether what belongs to the caller of this name is there at all for whoever calls now."""
    caller = CURRENT.get()
    return caller is None or caller.is_free or caller.name == name


def shown(owner: str) -> str:
    """The name of an owner in the store."""
    return owner or f"uid:{os.geteuid()}"


def of_tcp(peer: str, access: Access) -> Caller:
    """One who came over TCP and showed nothing."""
    return Caller(name=TCP_NAME, role=access.tcp_role, where=_tcp(peer))


def of_certificate(peer: str, uris: Sequence[str], access: Access) -> Caller:
    """One who showed a certificate with these URIs: exactly one of ours has to be there. Raises UNAUTHENTICATED."""
    ours = [uri for uri in uris if uri.lower().startswith(URI_PREFIX)]
    if len(ours) != 1 or not CLIENT_URI.fullmatch(ours[0]):
        found = f"has {', '.join(map(quoted, ours))}" if ours else "has none"
        message = f"a client's certificate names it by one URI tsched://client/NAME; this one {found}"
        raise unknown(message, "tsched cert init makes such certificates")
    return Caller(name=ours[0], role=access.clients.get(ours[0], access.tls_role), where=_tcp(peer))


def of_peer(peer: str, folder: str, is_admin: Callable[[int], bool]) -> Caller:
    """One whom the acceptor brought: it binds its end to FOLDER/p.UID.PID.N, where nobody else can bind anything.

    Raises UNAUTHENTICATED for whoever is bound elsewhere, or nowhere.
    """
    path = unquote(peer.removeprefix(UNIX)) if peer.startswith(UNIX) else ""
    place, _, name = path.rpartition("/")
    found = PEER_NAME.fullmatch(name)
    if found is None or place != folder:
        raise unknown("this connection did not come through the service's socket", "connect to that one")
    uid, where = int(found["uid"]), f"unix pid {found['pid']}"
    if uid == os.geteuid():
        return own(where)
    role = Role.ADMIN if is_admin(uid) else Role.SUBMITTER
    return Caller(name=f"uid:{uid}", role=role, where=where, uid=uid)


def unknown(message: str, hint: str) -> Refusal:
    """Nobody knows who this is."""
    return Refusal(RefusalReason.UNAUTHENTICATED, message, hint)


def _tcp(peer: str) -> str:
    """`ipv4:127.0.0.1:5` and `ipv6:%5B::1%5D:5`, as people write them."""
    kind, _, address = unquote(peer).partition(":")
    return f"tcp {address}" if kind in ("ipv4", "ipv6") else "tcp"
