"""P10: a full disk refuses new work with a clear reason, loses nothing, and heals by itself; a read-only one is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support import mounts, store_full

if TYPE_CHECKING:
    from pathlib import Path

SIZES = {"small_beside_large": "size=4m", "nothing_at_all": "size=64k"}

pytestmark = pytest.mark.skipif("mounts.entry() is None", reason="a full disk takes a mount, which is not allowed here")


@pytest.mark.parametrize("scene", store_full.SCENES.values(), ids=lambda scene: scene.__name__)
def test_on_a_small_file_system(tmp_path: Path, scene: object) -> None:
    name = getattr(scene, "__name__", "")
    mounts.run_in(tmp_path, SIZES.get(name, "size=2m"), "support.store_full", name)
