"""Calls with long arguments keep nobody else waiting."""

import threading

from support.fake_catalogue import FakeCatalogue, entry
from support.house import story
from tsched.proto import anys, api_pb2, call_pb2
from tsched.supervisor.api import CALL_AT_ONCE_BYTES
from tsched.supervisor.arguments import Params


class Watched(Params):
    """Notes where it looks at arguments."""

    def __init__(self):
        super().__init__(None)
        self.looked_in = []

    def check(self, function, call):
        self.looked_in.append(threading.current_thread() is threading.main_thread())
        super().check(function, call)


def spec(size):
    return api_pb2.TaskSpec(
        call=call_pb2.Call(function="keep", args=[call_pb2.Argument(value=anys.to_any("x" * size))])
    )


def test_long_arguments_are_looked_at_beside_the_event_loop(tmp_path):
    watched = Watched()

    async def told(house):
        long = CALL_AT_ONCE_BYTES + 1
        submitted = await house.calls.Submit(api_pb2.SubmitRequest(tasks=[spec(1), spec(long)]))
        common = api_pb2.SubmitRequest(common=spec(long), tasks=[api_pb2.TaskSpec(name="a")])
        await house.calls.Submit(common)
        await house.calls.Modify(api_pb2.ModifyRequest(id=submitted.tasks[0].id, call=spec(long).call))

    story(tmp_path, FakeCatalogue(entry("keep", params=watched)), told)
    assert watched.looked_in == [True, False, False, False]
