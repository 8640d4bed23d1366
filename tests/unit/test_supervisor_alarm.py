"""The alarm: at its instant, not before, and at once when the instant has passed."""

import asyncio

from tsched.proto.clock import SystemClock
from tsched.supervisor.alarm import WallAlarm


def rung_after(due_in_us):
    """Wall time of the ring less the instant asked for, in microseconds."""

    async def run():
        rung = asyncio.Event()
        alarm = WallAlarm(asyncio.get_running_loop(), rung.set)
        due_us = SystemClock().now_us() + due_in_us
        alarm.set(due_us)
        await asyncio.wait_for(rung.wait(), 10)
        late_us = SystemClock().now_us() - due_us
        alarm.close()
        return late_us

    return asyncio.run(run())


def test_it_never_rings_early():
    assert all(rung_after(due_in_us) >= 0 for due_in_us in (1, 999, 30_000, 123_457))


def test_an_instant_that_has_passed_rings_at_once():
    assert rung_after(-3_600_000_000) >= 3_600_000_000


def test_no_instant_rings_not():
    async def run():
        rung = asyncio.Event()
        alarm = WallAlarm(asyncio.get_running_loop(), rung.set)
        alarm.set(SystemClock().now_us() + 20_000)
        alarm.set(None)
        witness = asyncio.Event()
        WallAlarm(asyncio.get_running_loop(), witness.set).set(SystemClock().now_us() + 60_000)
        await asyncio.wait_for(witness.wait(), 10)
        return rung.is_set()

    assert not asyncio.run(run())
