"""What brings callers to a private socket: its end of each connection is bound to the name it is told."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@asynccontextmanager
async def acceptor(front: Path, private: Path, name: Path | None) -> AsyncIterator[None]:
    """Lets in whoever comes to `front`, under `name`; without one, bound to nothing."""
    pumps: set[asyncio.Task[None]] = set()

    async def bring(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        end = _bound(name)
        await asyncio.get_running_loop().sock_connect(end, str(private))
        inner_reader, inner_writer = await asyncio.open_unix_connection(sock=end)
        for source, sink in ((reader, inner_writer), (inner_reader, writer)):
            pumps.add(asyncio.create_task(_pump(source, sink)))

    server = await asyncio.start_unix_server(bring, front)
    try:
        yield
    finally:
        server.close()
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)


def _bound(name: Path | None) -> socket.socket:
    end = socket.socket(socket.AF_UNIX)
    end.setblocking(False)
    if name is not None:
        name.unlink(missing_ok=True)
        end.bind(str(name))
    return end


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(65_536):
            sink.write(data)
            await sink.drain()
    finally:
        sink.close()
