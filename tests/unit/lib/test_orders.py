"""Everything after what it needs."""

from __future__ import annotations

import pytest

from undrift.lib import orders


@pytest.mark.parametrize(
    "needs, order",
    [
        ({"d": "bc", "b": "a", "c": "a", "a": ""}, "abcd"),
        ({"a": "c", "b": "ad", "c": "", "d": ""}, "cadb"),
        ({"b": "x", "a": ""}, "ba"),
        ({"a": "b", "b": "a", "c": "a"}, "bac"),
        ({}, ""),
    ],
)
def test_each_comes_after_what_it_needs(needs: dict[str, str], order: str) -> None:
    assert "".join(orders.after(needs)) == order


def test_what_leaves_goes_first_and_before_what_it_needs() -> None:
    needs = {"a": "", "b": "a", "c": "b", "y": "x", "x": ""}
    assert "".join(orders.through(needs, {"a", "b", "c"})) == "cbaxy"


def test_a_long_chain_is_no_trouble() -> None:
    chain = {str(number): [str(number + 1)] for number in range(5000)}
    assert orders.after(chain)[0] == "4999"
