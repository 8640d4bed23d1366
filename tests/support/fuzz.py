"""Fuzzing: one check, two tests of it. `quick` tries the same few examples each time, `slow` many others each time.

A failure of either prints what reproduces it (@reproduce_failure).
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis.strategies import SearchStrategy

    from tsched.proto.errors import Refusal, RefusalReason

MANY = 20_000
SOME = 4_000
"""Where the same code is tried by another test as well."""
FEW = 40
SLOW_TIMEOUT_S = 1800
COMMON: dict[str, Any] = {
    "deadline": None,  # a hang is seen by the test's own time limit
    "print_blob": True,
    "database": None,
    "phases": (Phase.explicit, Phase.generate, Phase.shrink),
    "suppress_health_check": list(HealthCheck),
}


def fair(refusal: Refusal, *reasons: RefusalReason) -> None:
    """A refusal as it has to be: for one of these reasons, and in a line that can be read."""
    assert not reasons or refusal.reason in reasons
    assert "\n" not in f"{refusal.message}{refusal.hint}"


def fuzzed(
    *, few: int = FEW, many: int = MANY, **strategies: SearchStrategy[Any]
) -> Callable[[Callable[..., None]], Any]:
    """Make two tests of a check that takes these values by name; what else it takes are fixtures."""
    amounts = [
        pytest.param(settings(max_examples=few, derandomize=True, **COMMON), id="quick"),
        pytest.param(
            settings(max_examples=many, **COMMON),
            id="slow",
            marks=[pytest.mark.slow, pytest.mark.timeout(SLOW_TIMEOUT_S)],
        ),
    ]

    def made(check: Callable[..., None]) -> Callable[..., None]:
        def test(amount: settings, **fixtures: Any) -> None:
            amount(given(**strategies)(check))(**fixtures)

        fixtures = [each for each in inspect.signature(check).parameters.values() if each.name not in strategies]
        own = inspect.Parameter("amount", inspect.Parameter.KEYWORD_ONLY)
        keywords = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in fixtures]
        test.__signature__ = inspect.Signature([own, *keywords])  # type: ignore[attr-defined]  # pytest reads it
        test.__name__ = check.__name__
        test.__doc__ = check.__doc__
        return pytest.mark.parametrize("amount", amounts)(test)

    return made
