"""Of those who keep trying what they may not, an entry a minute tells."""

import pytest

from support.keep import FakeClock
from tsched.proto.errors import Refusal, RefusalReason
from tsched.store import Store, audit
from tsched.store.cipher import PlainCipher
from tsched.supervisor.callers import Caller, Role
from tsched.supervisor.turned_away import EVERY_US, TurnedAway

ONE = Caller(name="tsched://client/ci", role=Role.VIEWER, where="tcp 10.0.0.1:5")
FORBIDDEN = Refusal(RefusalReason.FORBIDDEN, "no")
UNKNOWN = Refusal(RefusalReason.UNAUTHENTICATED, "no")


@pytest.fixture
def store(tmp_path):
    opened = Store.open(tmp_path, PlainCipher(), FakeClock())
    yield opened
    opened.close()


def told(store):
    entries = store.write(lambda db: audit.page(db, limit=99)).result()
    return [(each.who, each.role, each.where, each.what, each.outcome) for each in reversed(entries)]


def test_a_flood_of_refusals_is_an_entry_a_minute_with_how_many_there_were(store):
    clock = FakeClock()
    away = TurnedAway(store, clock)
    for _ in range(1000):
        away(ONE, "/tsched.v1.Control/Shutdown", FORBIDDEN)
        away(None, "/tsched.v1.Tasks/Get", UNKNOWN)
    away(ONE, "/tsched.v1.Tasks/Submit", FORBIDDEN)
    clock.advance(EVERY_US / 1e6)
    away(ONE, "/tsched.v1.Control/Shutdown", FORBIDDEN)
    known = ("tsched://client/ci", "viewer", "tcp 10.0.0.1:5")
    assert told(store) == [
        (*known, "Shutdown", "forbidden"),
        ("nobody", "", "", "Get", "unauthenticated"),
        (*known, "Submit", "forbidden"),
        (*known, "Shutdown", "forbidden (999 more before)"),
    ]
