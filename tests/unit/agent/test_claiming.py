"""Who declares what on a target: kept up by what each reconcile rendered."""

from __future__ import annotations

from undrift.agent import claiming
from undrift.model import resource

A, B = (resource.ResourceId.of("File", name) for name in ("/a", "/b"))
NONE: frozenset[resource.ResourceId] = frozenset()


def test_others_are_all_but_oneself() -> None:
    found = claiming.Register()
    found.replace("host", "one", NONE, frozenset({A, B}))
    found.replace("host", "two", NONE, frozenset({A}))
    found.replace("elsewhere", "three", NONE, frozenset({A}))

    assert dict(found.others("host", "one")) == {A: ("two",)}
    assert dict(found.others("host", "two")) == {A: ("one",), B: ("one",)}
    assert dict(found.others("host", "new")) == {A: ("one", "two"), B: ("one",)}
    assert len(found.others("host", "one")) == 1
    assert B not in found.others("host", "one")


def test_what_is_let_go_of_is_nobodys() -> None:
    """The view is of now: who looked before sees it too."""
    found = claiming.Register()
    found.replace("host", "one", NONE, frozenset({A, B}))
    seen = found.others("host", "two")
    found.replace("host", "one", frozenset({A, B}), frozenset({B}))

    assert dict(seen) == {B: ("one",)}
    assert found.holders("host", A) == frozenset()
    assert found.holders("host", B) == {"one"}
