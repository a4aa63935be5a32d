"""A wait returns what was waited for, or fails with its name."""

from __future__ import annotations

import pytest

from tests.patience import wait_until


def test_it_asks_until_the_answer_is_true_and_returns_it() -> None:
    answers = iter([None, 0, "there"])
    assert wait_until("it comes", lambda: next(answers), every_s=0) == "there"


def test_what_never_happens_fails_with_its_name() -> None:
    with pytest.raises(AssertionError, match="never: it comes"):
        wait_until("it comes", lambda: False, seconds=0, every_s=0)
