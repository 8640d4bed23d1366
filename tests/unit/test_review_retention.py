"""Forgetting goes on after the store was busy for once."""

import asyncio
from concurrent.futures import Future

from tsched.proto.clock import SystemClock
from tsched.store import StoreBusy
from tsched.supervisor import config, retention
from tsched.supervisor.final_answers import FinalAnswers


class BusyOnce:
    """A store that is locked by another program at the first write."""

    def __init__(self):
        self.writes = 0
        self.pruned = asyncio.Event()

    def write(self, _command):
        self.writes += 1
        answer = Future()
        if self.writes == 1:
            answer.set_exception(StoreBusy("locked"))
        else:
            answer.set_result([])
            self.pruned.set()
        return answer


def test_a_busy_store_is_pruned_the_next_time(monkeypatch):
    monkeypatch.setattr(retention, "EVERY_S", 0.0)

    async def story():
        store = BusyOnce()
        work = retention.Retention(store, SystemClock(), config.load(None), FinalAnswers())
        work.start()
        await asyncio.wait_for(store.pruned.wait(), 10)
        work.stop()

    asyncio.run(story())
