"""The predecessor's contract as its clients meet it: status codes, states, results as text. Tasks are scripted here."""

import asyncio
import json
import uuid
from contextlib import asynccontextmanager

import grpc
import pytest

from tsched.proto import anys, api_pb2, endpoint, taskscheduler_pb2_grpc
from tsched.proto import taskscheduler_pb2 as old
from tsched.proto.errors import Refusal, RefusalReason
from tsched.supervisor.final_answers import FinalAnswers
from tsched.supervisor.predecessor import LARGE, TEXT_LIMIT, Predecessor

WAIT_S = 10


class FakeTasks:
    """Takes every task; a test says what becomes of it."""

    def __init__(self):
        self.requests = []
        self.tasks = {}
        self.asked = []
        self.refusal = None
        self.ended = asyncio.Event()
        self.waited_for = asyncio.Event()

    async def accept(self, request):
        if self.refusal:
            raise self.refusal
        self.requests.append(request)
        [spec] = request.tasks
        existed = spec.id in self.tasks
        task = self.tasks.setdefault(spec.id, api_pb2.Task(id=spec.id, state="ready"))
        return [api_pb2.Submitted(id=spec.id, existed=existed, state=task.state)]

    async def outcome(self, task_id, *, wait):
        self.asked.append(task_id)
        if wait:
            self.waited_for.set()
            await self.ended.wait()
        if task_id not in self.tasks:
            raise Refusal(RefusalReason.NO_SUCH_TASK, f"no such task: {task_id}")
        return self.tasks[task_id]

    def end(self, task_id, state="succeeded", *, message="", **result):
        task = api_pb2.Task(id=task_id, state=state, message=message)
        if "result" in result:
            task.result.CopyFrom(anys.to_any(result["result"]))
        self.tasks[task_id] = task
        self.ended.set()


class Old:
    """The service, its scripted tasks, and a client of the predecessor."""

    def __init__(self, stub, tasks, answers):
        self.stub, self.tasks, self.answers = stub, tasks, answers

    async def submit(self, task_id="job", *, is_async=False, args=(), deps=()):
        packed = [anys.to_any(each) for each in args]
        request = old.TaskRequest(task_id=task_id, method="add", args=packed, deps=deps, is_async=is_async)
        return await self.stub.SubmitTask(request, timeout=WAIT_S)

    async def result(self, task_id="job"):
        return await self.stub.GetResult(old.ResultRequest(task_id=task_id), timeout=WAIT_S)


@asynccontextmanager
async def serving(folder):
    tasks, answers = FakeTasks(), FinalAnswers()
    server = grpc.aio.server(options=endpoint.SERVER_OPTIONS)
    taskscheduler_pb2_grpc.add_TaskSchedulerServicer_to_server(Predecessor(tasks, answers), server)
    server.add_insecure_port(f"unix:{folder}/s")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"unix:{folder}/s", endpoint.CHANNEL_OPTIONS) as channel:
            yield Old(taskscheduler_pb2_grpc.TaskSchedulerStub(channel), tasks, answers)
    finally:
        await server.stop(0)


@pytest.fixture
def played(tmp_path):
    """Plays a scene with the service."""

    def play(scene):
        async def whole():
            async with serving(tmp_path) as service:
                await scene(service)

        asyncio.run(whole())

    return play


async def code_of(call):
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return raised.value.code().name, raised.value.details()


def test_a_call_is_submitted_as_it_was_asked_for(played):
    async def scene(service):
        await service.submit("job", is_async=True, args=[1, "two", None, [3.5]], deps=["a", "42", "a"])
        [spec] = service.tasks.requests[0].tasks
        assert spec.id == "job"
        assert spec.call.function == "add"
        assert [anys.from_any(each.value) for each in spec.call.args] == [1, "two", None, [3.5]]
        assert [(each.task.id, each.condition) for each in spec.after] == [("a", "ok"), ("id:42", "ok")]

    played(scene)


def test_is_async_answers_pending_at_once(played):
    async def scene(service):
        answer = await service.submit(is_async=True)
        assert (answer.task_id, answer.status, answer.result) == ("job", old.PENDING, "")
        assert (await service.result()).status == old.PENDING

    played(scene)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is", "as it is"),
        ("", ""),
        (3, "3"),
        (True, "true"),
        (2.5, "2.5"),
        (None, "null"),
        ([1, "zwölf", None], '[1, "zwölf", null]'),
        ({"b": [1], "a": b"\0"}, '{"a": {"@bytes": "AA=="}, "b": [1]}'),
    ],
)
def test_otherwise_it_answers_with_the_result_as_text(played, value, text):
    async def scene(service):
        service.tasks.end("job", result=value)
        answer = await service.submit()
        assert (answer.task_id, answer.status, answer.result) == ("job", old.SUCCESS, text)
        assert (await service.result()).result == text

    played(scene)


def test_it_answers_when_the_call_has_ended(played):
    async def scene(service):
        waiting = asyncio.ensure_future(service.submit())
        await service.tasks.waited_for.wait()
        assert not waiting.done()
        service.tasks.end("job", result=3)
        assert (await waiting).result == "3"

    played(scene)


def test_a_client_that_leaves_ends_nothing(played):
    async def scene(service):
        waiting = asyncio.ensure_future(service.submit())
        await service.tasks.waited_for.wait()
        waiting.cancel()
        service.tasks.end("job", result=3)
        assert (await service.result()).result == "3"

    played(scene)


def test_no_id_gets_one_that_is_good_for_getting_the_result(played):
    async def scene(service):
        answer = await service.submit("", is_async=True)
        assert uuid.UUID(answer.task_id)
        service.tasks.end(answer.task_id, result=7)
        assert (await service.result(answer.task_id)).result == "7"

    played(scene)


def test_an_id_of_digits_is_the_clients_own(played):
    async def scene(service):
        service.tasks.end("id:42", result=7)
        answer = await service.submit("42")
        assert (answer.task_id, answer.result) == ("42", "7")
        assert (await service.result("42")).result == "7"

    played(scene)


def test_a_call_that_failed_is_internal_to_who_waited_and_failed_to_who_asks(played):
    async def scene(service):
        service.tasks.end("job", "failed", message="ValueError: no")
        assert await code_of(service.submit()) == ("INTERNAL", "ValueError: no")
        answer = await service.result()
        assert (answer.status, answer.result) == (old.FAILED, "ValueError: no")

    played(scene)


@pytest.mark.parametrize("state", ["skipped", "cancelled"])
def test_a_call_that_never_ran_answers_failed_and_says_why(played, state):
    async def scene(service):
        service.tasks.end("job", state, message="a failed")
        for answer in (await service.submit(), await service.submit(is_async=True), await service.result()):
            assert (answer.status, answer.result) == (old.FAILED, "a failed")

    played(scene)


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (RefusalReason.NO_SUCH_FUNCTION, "NOT_FOUND"),
        (RefusalReason.BAD_ARGUMENTS, "INVALID_ARGUMENT"),
        (RefusalReason.TOO_LARGE, "INVALID_ARGUMENT"),
        (RefusalReason.ID_TAKEN, "ALREADY_EXISTS"),
        (RefusalReason.NO_SUCH_TASK, "FAILED_PRECONDITION"),
        (RefusalReason.DRAINING, "UNAVAILABLE"),
        (RefusalReason.STORE_FULL, "RESOURCE_EXHAUSTED"),
    ],
)
def test_a_refusal_has_its_status(played, reason, code):
    async def scene(service):
        service.tasks.refusal = Refusal(reason, "said so")
        for is_async in (False, True):
            name, said = await code_of(service.submit(is_async=is_async, deps=["a"]))
            assert name == code
            assert "said so" in said

    played(scene)


def test_an_unknown_id_is_not_found_and_one_that_is_none_is_invalid(played):
    async def scene(service):
        assert (await code_of(service.result("who")))[0] == "NOT_FOUND"
        for bad in ("", "x" * 129):
            assert (await code_of(service.result(bad)))[0] == "INVALID_ARGUMENT"
        assert (await code_of(service.submit("x" * 129)))[0] == "INVALID_ARGUMENT"
        assert (await code_of(service.submit(deps=[""])))[0] == "INVALID_ARGUMENT"

    played(scene)


def test_final_results_are_at_hand_until_they_are_deleted(played):
    async def scene(service):
        service.tasks.end("job", result=1)
        assert [(await service.result()).result for _ in range(3)] == ["1"] * 3
        assert service.tasks.asked == ["job"]
        with service.answers.gone("job"):
            del service.tasks.tasks["job"]
        assert (await code_of(service.result()))[0] == "NOT_FOUND"
        service.tasks.end("job", result=2)
        assert (await service.result()).result == "2"

    played(scene)


def test_a_large_result_is_told_whole_and_one_that_no_message_holds_by_name(played):
    async def scene(service):
        service.tasks.end("large", result=["x" * LARGE])
        assert json.loads((await service.result("large")).result) == ["x" * LARGE]
        service.tasks.end("huge", result=["\0" * (TEXT_LIMIT // 6 + 1)])
        name, said = await code_of(service.result("huge"))
        assert name == "INVALID_ARGUMENT"
        assert str(TEXT_LIMIT) in said

    played(scene)
