"""From what is asked for to what is stored."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.fake_catalogue import FakeCatalogue, entry
from tsched.proto import anys, api_pb2, call_pb2, checks, link_pb2
from tsched.proto.errors import Refusal, RefusalReason
from tsched.supervisor import config, drafts

CONFIG = config.load(None)
NOW_US = 1_800_000_000_000_000
CATALOGUE = FakeCatalogue(
    entry("add", ("a", "int"), ("b", "int")),
    entry(
        "careful",
        is_async=True,
        queue="slow",
        priority=7,
        retries=3,
        retry_delay_us=2_000_000,
        timeout_us=9_000_000,
    ),
)


def spec(**fields):
    return api_pb2.TaskSpec(command=api_pb2.Command(shell="true"), cwd="/", **fields)


def drafter(common=None, **values):
    common = common or api_pb2.TaskSpec()
    return drafts.Drafter(common, now_us=NOW_US, config=CONFIG, catalogue=CATALOGUE, **values)


def draft(**fields):
    return drafter().draft(spec(**fields))


def called(function, *args, **fields):
    made = call_pb2.Call(function=function)
    for each in args:
        made.args.append(each if isinstance(each, call_pb2.Argument) else value(each))
    return api_pb2.TaskSpec(call=made, **fields)


def value(plain):
    return call_pb2.Argument(value=anys.to_any(plain))


def after(*ids, **fields):
    return [api_pb2.Dependency(task=api_pb2.TaskRef(id=each), **fields) for each in ids]


def test_without_a_time_a_task_is_ready_and_with_one_it_is_scheduled_for_it():
    assert (draft().state, draft().due_at_us) == ("ready", NOW_US)
    assert (draft(delay_us=5).state, draft(delay_us=5).due_at_us) == ("scheduled", NOW_US + 5)
    assert draft(due_at_us=NOW_US + 9).due_at_us == NOW_US + 9


def test_what_is_not_said_comes_from_the_configuration():
    made = draft()
    assert made.grace_us == 5_000_000
    assert made.timeout_us is None
    assert made.output_cap_bytes == CONFIG.tasks_output_cap_bytes
    assert made.queue == "default"


def test_the_content_does_not_depend_on_id_key_and_surroundings_but_on_all_else():
    plain = draft().content
    assert draft(id="a", key="k", submitter_env={"PATH": "/x"}).content == plain
    assert draft(env={"A": "1"}).content != plain
    assert draft(stdin=b"").content != plain
    assert draft(delay_us=1).content != plain


def test_only_allowed_variables_of_the_surroundings_are_taken_and_all_that_were_named():
    made = draft(submitter_env={"PATH": "/bin", "LC_TIME": "C", "SECRET": "s", "LD_PRELOAD": "x"}, env={"MY": "1"})
    assert dict(link_pb2.Payload.FromString(made.payload).env) == {"PATH": "/bin", "LC_TIME": "C", "MY": "1"}


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=8)), st.lists(st.sampled_from(["A", "A*", "*", "B"])))
def test_inheriting_invents_nothing(environment, allowed):
    assert drafts.inherited(environment, allowed).items() <= environment.items()


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"id": "a/b"}, RefusalReason.BAD_ID),
        ({"id": "17"}, RefusalReason.BAD_ID),
        ({"delay_us": -1}, RefusalReason.BAD_DURATION),
        ({"timeout_us": 0}, RefusalReason.BAD_DURATION),
        ({"grace_us": -5}, RefusalReason.BAD_DURATION),
        ({"on_lost": "cry"}, RefusalReason.BAD_VALUE),
        ({"profile": "none"}, RefusalReason.BAD_VALUE),
        ({"umask": 0o1000}, RefusalReason.BAD_VALUE),
        ({"delay_us": 10**18}, RefusalReason.BAD_DURATION),
        ({"name": "n" * 3000}, RefusalReason.BAD_VALUE),
        ({"output_cap_bytes": 1}, RefusalReason.BAD_VALUE),
        ({"stdin": b"x" * (checks.STDIN_LIMIT + 1)}, RefusalReason.TOO_LARGE),
        ({"env": {"A=B": "1"}}, RefusalReason.BAD_ENVIRONMENT),
    ],
)
def test_what_cannot_be_is_refused_with_its_reason(fields, reason):
    with pytest.raises(Refusal) as caught:
        draft(**fields)
    assert caught.value.reason == reason


def test_a_call_is_stored_as_a_function_that_is_tried_again_when_it_is_lost():
    made = drafter().draft(called("add", 1, 2))
    payload = link_pb2.Payload.FromString(made.payload)
    assert (made.kind, made.shared, made.on_lost, payload.cwd) == ("function", False, "retry", "/")
    assert [anys.from_any(each.value) for each in payload.call.args] == [1, 2]
    assert (draft().kind, draft().on_lost) == ("command", "fail")


def test_what_a_submission_does_not_say_is_as_the_function_s_author_chose():
    made = drafter().draft(called("careful"))
    assert (made.queue, made.priority, made.max_attempts, made.retry_delay_us) == ("slow", 7, 4, 2_000_000)
    assert (made.timeout_us, made.shared) == (9_000_000, True)
    chosen = drafter().draft(
        called("careful", queue="q", priority=0, retries=0, retry_delay_us=1_000, timeout_us=1_000)
    )
    assert (chosen.queue, chosen.priority, chosen.max_attempts, chosen.retry_delay_us) == ("q", 0, 1, 1_000)
    assert chosen.timeout_us == 1_000


def test_what_one_task_runs_goes_before_what_all_have_in_common():
    common = api_pb2.TaskSpec(call=called("add", 1, 2).call, after=after("p"))
    own = drafter(common).draft(spec())
    assert (own.kind, [each.task for each in own.dependencies]) == ("command", ["p"])
    assert drafter(common).draft(api_pb2.TaskSpec()).kind == "function"
    assert [each.task for each in drafter(common).draft(spec(after=after("q"))).dependencies] == ["q"]


def test_dependencies_say_whose_result_is_an_argument():
    first = call_pb2.Argument(result_of=1)
    rest = call_pb2.Argument(results_of=call_pb2.Results(after=[2, 2]))
    made = drafter().draft(called("add", first, rest, after=after("a", "b", "c")))
    assert [(each.task, each.condition, each.wants_result) for each in made.dependencies] == [
        ("a", "ok", False),
        ("b", "ok", True),
        ("c", "ok", True),
    ]


def test_a_dependency_may_name_another_task_of_the_request_by_its_place():
    named = [api_pb2.Dependency(task=api_pb2.TaskRef(index=0), condition="any")]
    [made] = drafter(tasks=2).draft(spec(after=named)).dependencies
    assert (made.task, made.condition) == (0, "any")


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (called("sub", 1, 2), RefusalReason.NO_SUCH_FUNCTION),
        (called("add", 1), RefusalReason.BAD_ARGUMENTS),
        (called("add", 1, "2"), RefusalReason.BAD_ARGUMENTS),
        (called("add", 1, call_pb2.Argument(result_of=0)), RefusalReason.BAD_ARGUMENTS),
        (called("add", 1, call_pb2.Argument(result_of=1), after=after("a")), RefusalReason.BAD_ARGUMENTS),
        (called("add", 1, 2, command=api_pb2.Command(shell="true")), RefusalReason.BAD_COMMAND),
        (called("add", 1, 2, stdin=b""), RefusalReason.BAD_VALUE),
        (called("add", 1, 2, cwd="here"), RefusalReason.BAD_CWD),
        (api_pb2.TaskSpec(cwd="/"), RefusalReason.BAD_COMMAND),
        (spec(retries=1001), RefusalReason.BAD_VALUE),
        (spec(retry_delay_us=999), RefusalReason.BAD_DURATION),
        (spec(retry_delay_us=3_600_000_001), RefusalReason.BAD_DURATION),
        (spec(after=after("a", condition="well")), RefusalReason.BAD_VALUE),
        (spec(after=after("a/b")), RefusalReason.BAD_ID),
        (spec(after=[api_pb2.Dependency()]), RefusalReason.BAD_VALUE),
        (spec(after=[api_pb2.Dependency(task=api_pb2.TaskRef(index=1))]), RefusalReason.BAD_VALUE),
    ],
)
def test_a_call_or_a_dependency_that_cannot_be_is_refused_with_its_reason(asked, reason):
    with pytest.raises(Refusal) as caught:
        drafter().draft(asked)
    assert caught.value.reason == reason


def test_what_tasks_have_in_common_counts_for_each_of_them():
    drafting = drafter(api_pb2.TaskSpec(stdin=bytes(checks.STDIN_LIMIT)), tasks=100)
    with pytest.raises(Refusal) as caught:
        list(map(drafting.draft, [spec()] * 100))
    assert caught.value.reason == RefusalReason.TOO_LARGE


def test_the_dependencies_of_a_request_are_limited_all_together():
    drafting = drafter(tasks=10)
    many = spec(after=after("p") * (checks.DEPENDENCIES_LIMIT // 2))
    assert len(drafting.draft(many).dependencies) == checks.DEPENDENCIES_LIMIT // 2
    drafting.draft(many)
    with pytest.raises(Refusal) as caught:
        drafting.draft(spec(after=after("p")))
    assert caught.value.reason == RefusalReason.TOO_LARGE


def test_of_several_tasks_the_one_that_is_refused_is_named():
    many = drafter(tasks=3)
    many.draft(called("add", 1, 2))
    for asked, which in (
        (called("add", 1), "call 2 of 3: add needs b: int"),
        (called("add", 1, name="sum"), "task 'sum': add needs b: int"),
        (spec(name="tell", profile="no"), "task 'tell': no such profile: 'no'"),
        (spec(profile="no"), "no such profile: 'no'"),
    ):
        with pytest.raises(Refusal) as refused:
            many.draft(asked)
        assert refused.value.message == which
    with pytest.raises(Refusal) as refused:
        drafter().draft(called("add", 1, name="sum"))
    assert refused.value.message == "add needs b: int"


def test_tasks_that_say_nothing_of_their_own_are_as_if_each_were_alone():
    common = spec(name="all", priority=3)
    names = [{}, {"key": "k"}, {"id": "mine"}, {"id": "other", "key": "l"}, {"name": "own"}, {"key": "m"}]
    asked = [api_pb2.TaskSpec(**each) for each in names]
    together = drafter(common)
    assert [together.draft(each) for each in asked] == [drafter(common).draft(each) for each in asked]
