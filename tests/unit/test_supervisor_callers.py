"""Who calls follows from what nobody can forge, and nothing else is believed."""

import grp
import os
import pwd

import pytest

from tsched.proto.errors import Refusal, RefusalReason
from tsched.supervisor import callers, rights
from tsched.supervisor.admins import Admins
from tsched.supervisor.callers import Access, Role
from tsched.supervisor.limits import Limits, Load

ACCESS = Access(tcp_role=Role.VIEWER, tls_role=Role.SUBMITTER, clients={"tsched://client/ops": Role.ADMIN})
FOLDER = "/run/tsched/private"
OTHER_UID = os.geteuid() + 1


class Clock:
    now = 0

    def now_us(self):
        return self.now

    mono_us = now_us


def refused(act):
    with pytest.raises(Refusal) as raised:
        act()
    return raised.value.reason


def test_over_tcp_nobody_is_known_by_name():
    caller = callers.of_tcp("ipv6:%5B::1%5D:4711", ACCESS)
    assert (caller.name, caller.role, caller.where, caller.owner) == ("tcp", Role.VIEWER, "tcp [::1]:4711", "tcp")


@pytest.mark.parametrize(
    ("uris", "role"), [(["tsched://client/ops"], Role.ADMIN), (["https://a/b", "tsched://client/ci"], Role.SUBMITTER)]
)
def test_a_certificate_names_its_client_by_one_uri_exactly(uris, role):
    caller = callers.of_certificate("ipv4:10.0.0.1:5", uris, ACCESS)
    assert (caller.name, caller.role, caller.owner) == (uris[-1], role, uris[-1])


@pytest.mark.parametrize(
    "uris",
    [
        [],
        ["https://client/ops"],
        ["tsched://client/ci", "tsched://client/ops"],
        ["tsched://client/ci", "tsched://client/ci"],
        ["tsched://client/ci", "TSCHED://client/ops"],
        ["tsched://server/ops"],
        ["tsched://client/"],
        ["tsched://client/ops/x"],
        ["tsched://client/ops\n"],
        [" tsched://client/ops"],
    ],
)
def test_none_or_several_or_odd_uris_name_nobody(uris):
    assert refused(lambda: callers.of_certificate("ipv4:10.0.0.1:5", uris, ACCESS)) is RefusalReason.UNAUTHENTICATED


def test_the_acceptor_names_who_came():
    caller = callers.of_peer(f"unix:{FOLDER}/p.{OTHER_UID}.77.3", FOLDER, lambda uid: uid == OTHER_UID)
    assert (caller.name, caller.role, caller.uid) == (f"uid:{OTHER_UID}", Role.ADMIN, OTHER_UID)
    assert caller.where == "unix pid 77"
    caller = callers.of_peer(f"unix:{FOLDER}/p.{OTHER_UID}.77.3", FOLDER, lambda _: False)
    assert (caller.role, caller.owner, caller.is_free) == (Role.SUBMITTER, f"uid:{OTHER_UID}", False)
    own = callers.of_peer(f"unix:{FOLDER}/p.{os.geteuid()}.77.3", FOLDER, lambda _: False)
    assert (own.role, own.owner) == (Role.ADMIN, "")


@pytest.mark.parametrize(
    "peer",
    [
        "unix:",
        "",
        f"unix:/tmp{FOLDER}/p.0.1.1",
        f"unix:{FOLDER}/x/p.0.1.1",
        f"unix:{FOLDER}/../private/p.0.1.1",
        f"unix:{FOLDER}/p.0.1",
        f"unix:{FOLDER}/p.0.1.1.1",
        f"unix:{FOLDER}/p.-1.1.1",
        f"unix:{FOLDER}/p.00.1.1",
        f"unix:{FOLDER}/p.٣.1.1",
        f"unix:{FOLDER}/p.0.1.1\n",
        f"unix-abstract:{FOLDER}/p.0.1.1",
        f"ipv4:{FOLDER}/p.0.1.1",
        "unix:p.0.1.1",
    ],
)
def test_whoever_is_bound_elsewhere_is_nobody(peer):
    assert refused(lambda: callers.of_peer(peer, FOLDER, lambda _: True)) is RefusalReason.UNAUTHENTICATED


def test_admins_are_users_and_groups_that_the_machine_knows():
    me = pwd.getpwuid(os.geteuid())
    group = grp.getgrgid(me.pw_gid).gr_name
    assert Admins([me.pw_name], Clock())(me.pw_uid)
    assert Admins([f"%{group}"], Clock())(me.pw_uid)
    assert not Admins([group + "x", f"%{me.pw_name}x"], Clock())(me.pw_uid)
    assert not Admins(["root"], Clock())(2_000_000_000)


def test_a_greater_role_may_all_that_a_lesser_one_may():
    assert Role.NONE < Role.VIEWER < Role.SUBMITTER < Role.ADMIN
    assert rights.least("/tsched.v1.Tasks/Unheard") is Role.ADMIN


def test_submissions_are_let_through_as_they_are_allowed_and_each_caller_pays_alone():
    clock = Clock()
    load = Load(Limits(submits_per_s=2.0, submits_burst=3), clock)
    for _ in range(3):
        load.submit("a")
    assert refused(lambda: load.submit("a")) is RefusalReason.TOO_FAST
    load.submit("b")
    clock.now += 500_000
    load.submit("a")
    assert refused(lambda: load.submit("a")) is RefusalReason.TOO_FAST
    clock.now += 3_600_000_000
    for _ in range(3):
        load.submit("a")
    assert refused(lambda: load.submit("a")) is RefusalReason.TOO_FAST


def test_calls_are_counted_while_they_last():
    load = Load(Limits(concurrent_calls=2), Clock())
    with load.call("a"):
        with load.call("a"), load.call("b"):
            assert refused(lambda: load.call("a").__enter__()) is RefusalReason.TOO_MANY_CALLS
        with load.call("a"):
            pass
