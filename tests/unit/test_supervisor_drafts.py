"""From what is asked for to what is stored."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsched.proto import api_pb2, checks, link_pb2
from tsched.proto.errors import Refusal, RefusalReason
from tsched.supervisor import config, drafts

CONFIG = config.load(None)
NOW_US = 1_800_000_000_000_000


def spec(**fields):
    return api_pb2.TaskSpec(command=api_pb2.Command(shell="true"), cwd="/", **fields)


def draft(**fields):
    return drafts.Drafter(api_pb2.TaskSpec(), now_us=NOW_US, config=CONFIG).draft(spec(**fields))


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
