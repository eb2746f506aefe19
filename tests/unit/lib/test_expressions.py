"""Patterns of users have an end."""

import time

import pytest

from undrift.lib import expressions

ENDLESS = "(a|aa)+$"


def test_every_match_of_every_text() -> None:
    found = [
        (text, match[0], match["number"])
        for text, match in expressions.searched(r"#(?P<number>\d+)", ["#1 and #2", "none", "#3"])
    ]

    assert found == [("#1 and #2", "#1", "1"), ("#1 and #2", "#2", "2"), ("#3", "#3", "3")]


def test_a_pattern_that_never_ends_is_stopped() -> None:
    begun = time.monotonic()

    with pytest.raises(expressions.TooSlow, match="takes longer than 1 s"):
        list(expressions.searched(ENDLESS, ["fine", "a" * 60 + "!"], seconds=0.05))

    assert time.monotonic() - begun < 5


def test_the_time_is_for_all_texts_together() -> None:
    with pytest.raises(expressions.TooSlow):
        list(expressions.searched("a", ["a"], seconds=0.0))


@pytest.mark.parametrize("pattern", ["(", "*a", "[z-a]", "(?P<1>a)"])
def test_what_is_no_pattern_is_said(pattern: str) -> None:
    with pytest.raises(expressions.Invalid):
        expressions.compiled(pattern)
