"""What executors say is stored as it is, but for what cannot be."""

from __future__ import annotations

import math

from tsched.proto import link_pb2
from tsched.supervisor import reports


def test_progress_that_is_no_number_is_stored_as_none_made() -> None:
    told = reports.progress_report("e", link_pb2.Progress(attempt_id=1, done=math.nan, text="t", at_us=1))
    assert (told.done, told.total) == (0.0, None)
