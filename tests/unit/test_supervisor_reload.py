"""What a check of the program on disk says, told in one line."""

import pytest

from tsched.proto.errors import Refusal
from tsched.supervisor import reload

BROKEN = b"""Traceback (most recent call last):
  File "<frozen runpy>", line 198, in _run_module_as_main
  File "/opt/tsched/supervisor/news.py", line 12
    def ring(
            ^
SyntaxError: '(' was never closed
"""


def why(code, out=b"", err=b""):
    with pytest.raises(Refusal) as caught:
        reload.judge(code, out, err)
    return caught.value.message


def test_a_program_that_does_not_load_is_told_of_with_its_place():
    told = "the program on disk would not start: SyntaxError: '(' was never closed "
    assert why(1, err=BROKEN) == told + '(File "/opt/tsched/supervisor/news.py", line 12)'


def test_one_that_dies_without_a_word_is_told_of_with_its_code():
    assert why(-9) == "the program on disk would not start: it ended with -9"


def test_all_problems_are_told_in_one_line():
    out = b'{"problems": [{"reason": "bad_config", "message": "a"}, {"reason": "store_newer", "message": "b"}]}'
    assert why(2, out) == "a; b"


def test_one_that_would_start_is_let_through():
    reload.judge(0, b'{"problems": []}', b"a warning")
