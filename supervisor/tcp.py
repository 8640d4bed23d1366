"""The way in by TCP: opened after the socket, closed with it, and there again after a reload."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable

import grpc

from ..proto.errors import Refusal, RefusalReason
from . import log
from .background import Background
from .listen import Way

RETRY_S = 5.0


class TcpDoor:
    """One TCP address and the server behind it."""

    def __init__(self, way: Way, make_server: Callable[[], grpc.aio.Server], background: Background) -> None:
        self._listen = way.listen
        self._certificates = way.certificates
        self._make_server = make_server
        self._background = background
        self._server: grpc.aio.Server | None = None
        self._closed = False

    @property
    def address(self) -> str:
        """Where it listens; empty while it does not."""
        return self._listen.address if self._server is not None else ""

    def check(self) -> None:
        """Raises Refusal SOCKET_UNUSABLE where nobody could listen now, and says why."""
        family = socket.AF_INET6 if ":" in self._listen.host else socket.AF_INET
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as gRPC does
                probe.bind((self._listen.host, self._listen.port))
                probe.listen(1)
        except OSError as error:
            raise self._unusable(os.strerror(error.errno) if error.errno else str(error)) from None

    async def open(self) -> None:
        """Let callers in. Raises Refusal SOCKET_UNUSABLE."""
        self.check()
        server = self._make_server()
        try:
            self._bind(server)
            await server.start()
        except RuntimeError as error:
            await server.stop(0)
            raise self._unusable(str(error)) from None
        self._server = server
        if self._closed:
            await self.close(0)

    async def open_again(self) -> None:
        """As `open`, where we have listened before: whoever took the port meanwhile ends nothing of ours."""
        try:
            await self.open()
        except Refusal as refusal:
            log.get(addr=self._listen.address).error("tcp_unusable", error=refusal.message, again_in_s=RETRY_S)
            self._background.spawn(self._keep_trying())

    async def _keep_trying(self) -> None:
        while not self._closed and self._server is None:
            await asyncio.sleep(RETRY_S)
            try:
                await self.open()
                log.get(addr=self._listen.address).warning("tcp_open_again")
            except Refusal:
                continue

    async def close(self, grace_s: float) -> None:
        """Let nobody in any more; those who are in get this long. Harmless when repeated."""
        self._closed = True
        server, self._server = self._server, None
        if server is not None:
            await server.stop(grace_s)

    def _bind(self, server: grpc.aio.Server) -> None:
        if self._certificates is None:
            server.add_insecure_port(self._listen.address)
        else:
            server.add_secure_port(self._listen.address, self._certificates.credentials())

    def _unusable(self, why: str) -> Refusal:
        message = f"cannot listen at {self._listen.address}: {why}"
        return Refusal(RefusalReason.SOCKET_UNUSABLE, message, "choose another with --addr")
