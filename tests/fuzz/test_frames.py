"""What comes up from the process of somebody's function: frames, and what they say. Nobody there is trusted.

The hosts are real and stand still; what they would say is put into their mouths.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import os
import signal
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import strategies as st

from support.floors import Said, give, open_floor
from support.fuzz import SOME, fuzzed
from support.messages import damaged
from tsched.executor.boot import Boot
from tsched.executor.frames import REPORTS, FrameError, Unpacker, pack
from tsched.executor.host_messages import Ended, Loaded, Progress, Ready, Wrote
from tsched.executor.messages import TYPES, Up
from tsched.executor.sanity import HOWS, sane

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tsched.executor.floor import Floor
    from tsched.executor.hosts import Host

CALL = 1
numbers = st.sampled_from([0, 1, -1, 2, 2**31, 2**62, 2**63, 10**400, 1e9, 1e300, float("nan"), float("inf"), True])
texts = st.text(max_size=6) | st.sampled_from(["\ud800", "a\udcff", "\0"])
fields: Any = st.recursive(
    st.none() | numbers | texts,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["@bytes", "@map", "a", "\ud800"]), inner, max_size=1)
    ),
    max_leaves=3,
)


def mostly(*likely: Any) -> Any:
    """One of these, or now and then anything."""
    return st.integers(0, 9).flatmap(
        lambda roll: fields if roll == 0 else st.sampled_from(likely) if roll < 8 else numbers
    )


attempt_ids = mostly(CALL)
times = mostly(0, 1, 2**61)
ends = st.builds(
    Ended,
    attempt_ids,
    mostly(*sorted(HOWS)),
    fields | st.just(None),
    mostly("", "why"),
    *(times for _ in range(4)),
    mostly(None, 0.5, 1),
    mostly(None, 1),
    mostly(0, 1),
    *(st.booleans() | fields for _ in range(2)),
    st.sampled_from([False, None, 0]),  # a tired host would have to be replaced by another
)
a_report = (
    ends
    | st.builds(Progress, attempt_ids, mostly(1, 2.5), mostly(None, 3.5), mostly("rows"), times)
    | st.builds(Wrote, attempt_ids, mostly(1, 2), texts)
    | st.builds(Up, numbers, numbers, numbers, st.lists(texts | numbers, max_size=2) | fields)
    | st.sampled_from([Ready(), Loaded()])
)
frame = st.lists(a_report, max_size=3).map(lambda some: pack(REPORTS, some))
strange = st.builds(
    lambda name, values: len(body := json.dumps([[name, values]]).encode()).to_bytes(4, "big") + body,
    st.sampled_from([*TYPES, "Nope"]) | fields,
    fields | st.lists(fields, max_size=14),
)


class Place(NamedTuple):
    """A floor with a host of async calls and one of sync ones, which stand still."""

    loop: asyncio.AbstractEventLoop
    floor: Floor
    said: Said
    hosts: list[Host]
    killed: list[Host]
    numbers: Iterator[int]


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    loop = asyncio.new_event_loop()
    opened = open_floor(monkeypatch)

    async def begin() -> Place:
        floor, said = await opened.__aenter__()
        said.hold_burials.set()
        for shared in (False, True):
            give(floor, 10 + shared, *(("anap", 0.0) if shared else ("echo",)), shared=shared)
            floor.fill()
            await said.ended(10 + shared)
        hosts = list(floor.pool.hosts())
        for host in hosts:
            os.kill(host.pid, signal.SIGSTOP)
        return Place(loop, floor, said, hosts, [], itertools.count(100))

    place = loop.run_until_complete(begin())
    loop.set_exception_handler(lambda _loop, told: pytest.fail(str(told)))
    for host in place.hosts:
        monkeypatch.setattr(host, "kill", lambda host=host: place.killed.append(host))
    yield place

    async def end() -> None:
        monkeypatch.undo()
        for host in place.hosts:
            os.kill(host.pid, signal.SIGKILL)
        await place.said.until(lambda: all(host.dead for host in place.hosts))
        give(place.floor, 99, "echo", 5)
        place.floor.fill()
        await place.said.ended(99)
        assert place.said.finished[99].state == "succeeded"
        await opened.__aexit__(None, None, None)

    loop.run_until_complete(end())
    loop.close()


@fuzzed(many=SOME, reports=st.lists(a_report, min_size=1, max_size=3), which=st.integers(0, 1))
def test_whatever_a_host_says_it_is_heard_or_the_host_is_ended(place: Place, reports: list[Any], which: int) -> None:
    place.loop.run_until_complete(_hear(place, place.hosts[which], reports))


async def _hear(place: Place, host: Host, reports: list[Any]) -> None:
    number = next(place.numbers)
    named = [each._replace(attempt_id=number) if getattr(each, "attempt_id", 0) == CALL else each for each in reports]
    end = Ended(number, "returned", None, "", 0, 0, 0, 0, 0.0, 0, 0, False, False, False)
    give(place.floor, number, "anap" if host.kind.shared else "echo", 1.0, shared=host.kind.shared)
    place.floor.fill()
    assert number in host.calls
    try:
        for report in Unpacker(REPORTS).feed(pack(REPORTS, named)):
            host.port._hear(report)
            await asyncio.sleep(0)
    finally:
        if number not in place.said.finished:
            host.port._hear(end)
        host.tired = False
        host.take_back()
    assert number in place.said.finished, named
    assert place.said.finished.pop(number).SerializeToString()
    told, place.said.progress[:] = list(place.said.progress), []
    assert not any(math.isnan(each.done) for each in told), "no database takes one"


@fuzzed(data=frame | damaged(frame) | strange | st.binary(max_size=40), cuts=st.lists(st.integers(0, 200), max_size=4))
def test_frames_however_cut_are_reports_or_called_none(data: bytes, cuts: list[int]) -> None:
    unpacker, heard = Unpacker(REPORTS), []
    places = [0, *sorted(min(each, len(data)) for each in cuts), len(data)]
    try:
        for begin, end in itertools.pairwise(places):
            heard += unpacker.feed(data[begin:end])
    except FrameError:
        return
    assert all(sane(each) in (True, False) for each in heard)


SECRET = "5ec2e7" * 8
boots = st.fixed_dictionaries(
    {},
    optional={
        "executor_id": fields,
        "secret": st.just(SECRET),
        "data_key": st.sampled_from([SECRET, SECRET + "x", SECRET[:-1] + "g"]) | fields,
        "link": st.just("/l") | fields,
        "socket": fields,
        "slots": fields,
        "shell": fields,
        "runner_idle_s": fields,
        "profiles": fields | st.just([{"name": "low", "nice": 3}]),
        "version": fields,
        "other": fields,
    },
)


@fuzzed(many=SOME, values=boots, cut=st.integers(0, 400))
def test_what_an_executor_is_told_at_birth_is_taken_or_not_and_no_secret_is_shown(values: Any, cut: int) -> None:
    for data in (json.dumps(values).encode(), json.dumps(values).encode()[:cut]):
        read, write = os.pipe()
        os.write(write, data)
        os.close(write)
        try:
            boot = Boot.read(read)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            told = str(error)
        else:
            told = repr(boot)
        assert SECRET not in told
