"""A runner's answers to orders to pause and to go on, in time that only the test moves."""

from __future__ import annotations

from typing import Any

import pytest

from tsched.executor.messages import Paused, Started
from tsched.executor.pausing import GIVE_UP_S, STEP_MS, Pausing

BEGAN = (1_000_000, 5_000_000)


class Clock:
    """Wall and monotonic time go together."""

    def __init__(self) -> None:
        self.us = 100_000_000

    def now_us(self) -> int:
        return self.us

    def mono_us(self) -> int:
        return self.us + 7


class Tree:
    """Processes that stand still when the test says so."""

    def __init__(self) -> None:
        self.still = False
        self.ended = 0

    def step(self) -> bool:
        return self.still

    def end(self) -> None:
        self.ended += 1


class Scene:
    def __init__(self) -> None:
        self.clock, self.tree = Clock(), Tree()
        self.told: list[Paused] = []
        tree: Any = self.tree
        self.pausing = Pausing(Started(3, 4, 0, *BEGAN), self.clock, lambda *said: self.told.extend(said), lambda: tree)

    @property
    def answers(self) -> list[bool]:
        return [said.on for said in self.told]


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_the_answer_comes_when_everything_stands_still(scene: Scene) -> None:
    scene.pausing.turn(on=True)
    scene.pausing.step()
    assert (scene.told, scene.pausing.patience_ms) == ([], STEP_MS)
    scene.tree.still = True
    scene.pausing.step()
    assert scene.told == [Paused(3, True, scene.clock.us, scene.clock.us + 7)]
    assert scene.pausing.patience_ms is None, "nothing more is to be done until something happens"


def test_what_cannot_be_stopped_goes_on_after_a_while_and_that_is_said(scene: Scene) -> None:
    scene.pausing.turn(on=True)
    scene.clock.us += GIVE_UP_S * 1_000_000
    scene.pausing.step()
    assert scene.told == []
    scene.clock.us += 1
    scene.pausing.step()
    assert scene.told == [Paused(3, False, *BEGAN)]
    assert (scene.tree.ended, scene.pausing.patience_ms) == (1, None)


def test_an_order_that_is_overtaken_has_its_answer_too(scene: Scene) -> None:
    for on in (True, True, False, False):
        scene.pausing.turn(on=on)
    assert scene.answers == [False] * 4
    assert scene.tree.ended == 1


def test_what_stands_still_already_is_said_to_since_when(scene: Scene) -> None:
    scene.tree.still = True
    scene.pausing.turn(on=True)
    scene.pausing.step()
    scene.clock.us += 10
    scene.pausing.turn(on=True)
    assert scene.told[0] == scene.told[1]


def test_who_is_woken_from_outside_is_stopped_again_for_as_long_as_it_takes(scene: Scene) -> None:
    scene.tree.still = True
    scene.pausing.turn(on=True)
    scene.pausing.step()
    scene.tree.still = False
    scene.clock.us += 10 * GIVE_UP_S * 1_000_000
    scene.pausing.step()
    assert (scene.answers, scene.tree.ended) == ([True], 0)
    assert scene.pausing.patience_ms == STEP_MS


def test_one_that_shall_end_is_woken_and_that_is_said_unasked(scene: Scene) -> None:
    scene.tree.still = True
    scene.pausing.turn(on=True)
    scene.pausing.step()
    scene.pausing.wake()
    scene.pausing.wake()
    assert (scene.answers, scene.tree.ended) == ([True, False], 1)
    assert [said.answer for said in scene.told] == [True, False]
