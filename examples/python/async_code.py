"""Async code: many calls beside each other, submitted and awaited without a thread.

How to have a service know these functions is told in typed_task.py.
"""

import asyncio

from tsched import AsyncClient, task


@task
async def fetch(number: int) -> int:
    """Async functions share a process: a thousand of them may wait at the same time."""
    await asyncio.sleep(0.2)
    return number * number


async def main() -> None:
    """Submit calls, and await what they come to."""
    handle = await fetch.adelay(7)
    print(await handle, await handle.status())

    handles = await fetch.amap((number,) for number in range(100))
    print(sum(await asyncio.gather(*handles)))

    async with AsyncClient() as client:  # where the command line would look; AsyncClient(socket) is another one
        command = await client.shell("echo said; exit 3")
        print(await command.wait(timeout=30), [line async for line in command.logs()])
        print([info.function async for info in client.list(states=["succeeded"])][:1])


if __name__ == "__main__":
    asyncio.run(main())
