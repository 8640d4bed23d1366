"""A plugin in one file: copy it into the library folder, then `tsched call greetings::hello '"Ada"'`."""

from __future__ import annotations

import asyncio

from tsched import current, task


@task
def hello(name: str, *, times: int = 1) -> str:
    """Greet somebody."""
    return " ".join([f"Hello, {name}!"] * times)


@task(retries=2, timeout=60)
async def countdown(start: int = 3) -> str:
    """Count down, a second for each number; `tsched wait` shows how far it is."""
    for left in range(start, 0, -1):
        print(f"{left}...")
        current().progress(start - left, f"{left} to go", total=start)
        await asyncio.sleep(1)
    return "liftoff"
