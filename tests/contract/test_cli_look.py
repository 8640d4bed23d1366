"""`list` asks for what was named, a page at a time, and loads nothing that it does not need."""

import json
import re
import subprocess
import sys

import pytest

from support.fake_api import answering
from tsched.cli import main
from tsched.proto import api_pb2 as api
from tsched.proto.clock import SystemClock

HEAVY = {
    "prompt_toolkit",
    "tomllib",
    "tqdm",
    "shtab",
    "structlog",
    "sqlite_utils",
    "sqlite3",
    "rich",
    "cryptography",
    "psutil",
    "dateutil",
    "grpc_status",
}


def said(capfd, *words):
    code = main.run(words)
    out, err = capfd.readouterr()
    return code, out, err


def paged(total):
    """A handler for List over so many tasks, newest first."""

    def handle(request, _context):
        first = int(request.page_token or total)
        rest = max(0, first - request.page_size)
        tasks = [api.Task(id=str(number), state="ready") for number in range(first, rest, -1)]
        return api.ListResponse(tasks=tasks, next_page_token=str(rest) if rest else "")

    return handle


def test_the_filters_reach_the_supervisor(fake, capfd):
    fake.on["List"] = answering(api.ListResponse())
    before_us = SystemClock().now_us()
    words = ["list", "--state", "ready,held", "--state", "running", "--queue", "q", "--since", "2h"]
    assert said(capfd, *words) == (0, "", "tsched: no tasks\n")
    assert said(capfd, "list", "--json")[1] == "[]\n"
    request, bare = fake.requests("List")
    assert (list(request.states), request.queue) == (["ready", "held", "running"], "q")
    assert 0 <= request.since_us - (before_us - 7_200_000_000) < 60_000_000
    assert not bare.HasField("since_us")


def test_a_limit_above_a_page_is_reached_page_by_page(fake, capfd):
    fake.on["List"] = paged(2500)
    code, out, err = said(capfd, "list", "--json", "--limit", "2400")
    assert (code, [each["id"] for each in json.loads(out)]) == (0, [str(number) for number in range(2500, 100, -1)])
    assert "more than 2400" in err
    assert [request.page_size for request in fake.requests("List")] == [1000] * 3
    code, out, err = said(capfd, "list", "--limit", "0")
    assert (len(out.splitlines()), err) == (2501, "")


def test_a_time_that_is_still_to_come_is_refused(fake, capfd):
    code, out, err = said(capfd, "list", "--since", "tomorrow")
    assert (code, out, fake.asked) == (2, "", [])
    assert "still to come" in err


def loaded(*words):
    """Top-level modules that a real call of the command loads."""
    argv = [sys.executable, "-P", "-X", "importtime", "-m", "tsched", *words]
    done = subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    names = re.findall(r"^import time: .*\| +(\S+)$", done.stderr, re.MULTILINE)
    assert "tsched.cli.main" in names
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize(
    "words", [["list"], ["list", "--json"], ["schedule", "--in", "1h", "--", "true"]], ids=" ".join
)
def test_what_is_typed_all_day_loads_nothing_heavy(words, fake):
    fake.on["List"] = answering(api.ListResponse(tasks=[api.Task(id="1", state="ready", name="grüße")]))
    fake.on["Submit"] = answering(api.SubmitResponse(tasks=[api.Submitted(id="1", state="scheduled")]))
    names = loaded(*words)
    assert "grpc" in names
    assert not names & HEAVY


@pytest.mark.parametrize("verb", ["--help", *main.VERBS])
def test_help_loads_no_grpc(verb):
    names = loaded(verb, *(["--help"] if verb != "--help" else []))
    assert not names & {"grpc", "google", "asyncio", *HEAVY}
