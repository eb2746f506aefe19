"""Who works on what: every replica comes to the same answer by itself, and little moves when one comes or goes."""

from __future__ import annotations

import hypothesis
import pytest
from hypothesis import strategies as st

from undrift.agent import sharing

NAMES = [f"application-{number}" for number in range(200)]
HOLDERS = st.sets(st.text(min_size=1, max_size=8), min_size=1, max_size=6)


def test_one_alone_has_everything() -> None:
    assert sharing.share(NAMES, "a", []) == frozenset(NAMES)
    assert sharing.share(NAMES, "a", ["a"]) == frozenset(NAMES)


@hypothesis.given(HOLDERS)
def test_each_name_has_exactly_one_holder(holders: set[str]) -> None:
    shares = [sharing.share(NAMES, one, holders) for one in sorted(holders)]

    assert sum(len(one) for one in shares) == len(NAMES)
    assert frozenset().union(*shares) == frozenset(NAMES)


@hypothesis.given(HOLDERS, st.text(min_size=1, max_size=8))
def test_only_what_was_its_own_moves_when_one_goes(holders: set[str], gone: str) -> None:
    hypothesis.assume(gone not in holders)
    before = {one: sharing.share(NAMES, one, {*holders, gone}) for one in holders}

    for one in holders:
        assert before[one] <= sharing.share(NAMES, one, holders)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_shares_are_about_equal(count: int) -> None:
    holders = [f"host-{number}" for number in range(count)]
    sizes = [len(sharing.share(NAMES, one, holders)) for one in holders]

    assert min(sizes) > len(NAMES) / count / 2
