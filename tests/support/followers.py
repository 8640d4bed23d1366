"""Followers of one task, many in one process: a program of its own, so that a test can stop or kill them.

    python followers.py SOCKET TASK COUNT read|never

It says `ready` when output reaches all of them. `read`: then for each, when the task has ended, how many bytes it was
given and their digest. `never`: nothing more is read and nothing more said.
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
from pathlib import Path
from typing import Any

import grpc

from tsched.proto import api_pb2 as api
from tsched.proto import endpoint
from tsched.proto.api_pb2_grpc import TasksStub


async def follow(stub: Any, task: str, ready: asyncio.Barrier) -> str:
    """Read all; what it came to."""
    digest, length = hashlib.sha256(), 0
    async for piece in stub.Logs(api.LogsRequest(id=task, follow=True)):
        if not length:
            await ready.wait()
        length += len(piece.data)
        digest.update(piece.data)
    return f"{length} {digest.hexdigest()}"


async def ignore(stub: Any, task: str, ready: asyncio.Barrier) -> str:
    """Open it, and never read."""
    call = stub.Logs(api.LogsRequest(id=task, follow=True))
    await call.initial_metadata()
    await ready.wait()
    await asyncio.get_running_loop().create_future()
    return ""


async def main(socket: str, task: str, count: str, how: str) -> None:
    """Follow, say what came of it."""
    ready = asyncio.Barrier(int(count) + 1)
    one = follow if how == "read" else ignore
    async with grpc.aio.insecure_channel(endpoint.target(Path(socket)), endpoint.CHANNEL_OPTIONS) as channel:
        stub = TasksStub(channel)
        following = [asyncio.ensure_future(one(stub, task, ready)) for _ in range(int(count))]
        await ready.wait()
        print("ready", flush=True)
        for line in await asyncio.gather(*following):
            print(line, flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
