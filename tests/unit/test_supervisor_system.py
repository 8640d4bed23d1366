"""What a service of several users decides: as whom tasks run, who may connect, whether others can reach what they need."""

import grp
import os

import pytest

from support.system import open_folder
from tsched.proto.errors import Refusal, RefusalReason
from tsched.supervisor import system
from tsched.supervisor.owners import OWN, Owners

SEVERAL = Owners(several_users=True)


def test_ones_own_service_runs_everything_as_itself():
    assert [OWN.uid(owner) for owner in ("", "uid:1001", "tsched://client/ci")] == [None] * 3


def test_a_service_of_several_users_runs_each_task_as_its_owner():
    assert [SEVERAL.uid(owner) for owner in ("uid:1001", "uid:4294967294")] == [1001, 4294967294]


@pytest.mark.parametrize("owner", ["", "uid:0"])
def test_as_root_only_where_that_was_decided(owner):
    with pytest.raises(Refusal) as refused:
        SEVERAL.uid(owner)
    assert refused.value.reason == RefusalReason.FORBIDDEN
    assert "root_tasks" in refused.value.hint
    assert Owners(several_users=True, root_tasks=True).uid(owner) == 0


@pytest.mark.parametrize(
    "owner", ["tcp", "tsched://client/ci", "uid:", "uid:01", "uid:-1", "uid:1001 ", "uid:1001\n", "uid:\u0661", "UID:5"]
)
def test_who_is_no_user_runs_nothing_there(owner):
    with pytest.raises(Refusal) as refused:
        Owners(several_users=True, root_tasks=True).uid(owner)
    assert refused.value.reason == RefusalReason.FORBIDDEN


def test_the_group_opens_the_socket_a_star_opens_it_to_all_and_without_either_it_is_roots():
    group = grp.getgrgid(os.getgid())
    assert system.access(group.gr_name) == (0o660, group.gr_gid)
    assert system.access("*").mode == 0o666
    assert system.access("tsx-no-such-group").mode == 0o600


def test_the_folder_is_named_that_keeps_others_out():
    with open_folder() as base:
        see_who_is_kept_out(base)


def see_who_is_kept_out(base):
    place = base / "closed" / "python"
    place.parent.mkdir(mode=0o755)
    place.write_text("")
    place.chmod(0o755)
    assert system.closed_to_others(place) is None
    place.parent.chmod(0o750)
    assert system.closed_to_others(place) == place.parent
    link = base / "link"
    link.symlink_to("closed/python")
    assert system.closed_to_others(link) == place.parent
    place.parent.chmod(0o755)
    place.chmod(0o640)
    assert system.closed_to_others(link) == place


def test_what_others_could_change_is_no_configuration_for_root(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("")
    path.chmod(0o644)
    system.check_config(path)
    path.chmod(0o666)
    with pytest.raises(Refusal) as refused:
        system.check_config(path)
    assert refused.value.reason == RefusalReason.BAD_CONFIG
    assert str(path) in refused.value.message


def test_doctor_says_what_is_not_protected(tmp_path):
    told = [each.message for each in system.findings("tsx-no-such-group", tmp_path / "s", root_tasks=True)]
    assert any("only root can connect" in message for message in told)
    assert any("runs as root" in message for message in told)
    assert any("end or trace each other" in message for message in told)
