"""P1: after a power cut at any moment the store has everything it acknowledged, and is sound.

One victim's writes and syncs are recorded; what the disk may then hold is rebuilt for many moments, and opened.
"""

from __future__ import annotations

import random
import shutil
from typing import TYPE_CHECKING

import pytest

from support.keep import kept
from support.power import CALLS, Disk, calls
from support.store_crash import everything_submitted, holds, needs_strace, nothing_twice, traced

if TYPE_CHECKING:
    from pathlib import Path

    from support.power import Call

IMAGES, MANY_IMAGES = 60, 3_000


def recorded(folder: Path) -> list[Call]:
    folder.mkdir()
    traced(folder, "-ff", "-ttt", "-xx", "-s", "10000000", "-e", f"trace={CALLS}")
    found = calls(folder.with_suffix(".trace"), folder)
    kinds = {call.kind for call in found}
    assert kinds == {"open", "write", "truncate", "sync", "unlink", "told"}, kinds
    return found


def cut_power(tmp_path: Path, images: int) -> None:
    """Cut the power at random moments, the first ones among them, and look at what is there."""
    made = recorded(tmp_path / "live")
    seed = random.randrange(2**32)
    dice = random.Random(seed)
    moments = sorted(dice.choices(range(len(made)), k=images - images // 4) + dice.choices(range(80), k=images // 4))
    disk, done = Disk(), 0
    for number, moment in enumerate(moments):
        for call in made[done:moment]:
            disk.do(call)
        done = moment
        told = [call.data.decode() for call in made[:moment] if call.kind == "told"]
        try:
            look_at(tmp_path / "image", disk.image(dice), told)
        except BaseException as error:
            error.add_note(f"seed {seed}, image {number}: the power failed after call {moment} of {len(made)}")
            raise


def look_at(folder: Path, files: dict[str, bytes], told: list[str]) -> None:
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    with kept(folder) as keep:
        holds(keep, told)
        nothing_twice(keep, told, everything_submitted())
        keep.lose("executor-s")
    shutil.rmtree(folder)


@needs_strace
def test_a_power_cut_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    cut_power(tmp_path, IMAGES)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@needs_strace
def test_power_cuts_at_many_moments_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    cut_power(tmp_path, MANY_IMAGES)
