"""Differences of fields: subset semantics, lists, secrets, unknown values, ignored paths."""

from __future__ import annotations

from typing import Any

import pytest

from undrift.engine import comparing
from undrift.model import application, plan, resource, secret

FILE = resource.ResourceId.of("File", "/etc/motd")
LATER = resource.Unknown("File//a")


@pytest.mark.parametrize(
    "reason, desired, live, expected",
    [
        ("equal is no difference", {"a": 1}, {"a": 1}, []),
        ("what only the live side has is its own", {"a": 1}, {"a": 1, "b": 2}, []),
        ("a value differs", {"a": 1}, {"a": 2}, [("a", 2, 1)]),
        ("a field is missing", {"a": 1}, {}, [("a", None, 1)]),
        ("null and missing are the same", {"a": None}, {}, []),
        ("null takes a value away", {"a": None}, {"a": 1}, [("a", 1, None)]),
        ("deep down", {"a": {"b": {"c": 1}}}, {"a": {"b": {"c": 2, "d": 3}}}, [("a.b.c", 2, 1)]),
        ("a whole branch is missing", {"a": {"b": 1}}, {}, [("a", None, {"b": 1})]),
        ("a mapping where text was", {"a": {"b": 1}}, {"a": "x"}, [("a", "x", {"b": 1})]),
        ("lists of one length item by item", {"a": [1, 2]}, {"a": [1, 3]}, [("a.1", 3, 2)]),
        ("a tuple is a list", {"a": (1, 2)}, {"a": [1, 2]}, []),
        ("lists of two lengths as wholes", {"a": [1]}, {"a": [1, 2]}, [("a", [1, 2], [1])]),
        ("a key with a dot is quoted", {"a.b": 1}, {"a.b": 2}, [('"a.b"', 2, 1)]),
        ("what is not known yet differs", {"a": LATER}, {"a": 1}, [("a", 1, LATER)]),
        ("equal secrets", {"a": secret.Secret("x")}, {"a": secret.Secret("x")}, []),
    ],
)
def test_differences(
    reason: str, desired: dict[str, Any], live: dict[str, Any], expected: list[tuple[str, Any, Any]]
) -> None:
    """Each case is a sentence."""
    found = comparing.differences(desired, live)

    assert [(one.path, one.before, one.after) for one in found] == expected, reason


def test_a_changed_secret_is_a_difference_that_shows_nothing() -> None:
    """Its path is told, its values are masked."""
    (found,) = comparing.differences({"a": secret.Secret("new")}, {"a": secret.Secret("old")})

    assert found.path == "a"
    assert "new" not in repr(found)
    assert "old" not in repr(found)


@pytest.mark.parametrize(
    "path, left", [("a", []), ("a.b", ["a.c"]), ("*.b", ["a.c"]), ("a.*", []), ("b", ["a.b", "a.c"])]
)
def test_ignored_paths_cover_what_is_below_them(path: str, left: list[str]) -> None:
    """A star stands for one step."""
    rules = (application.Ignore("File/*", path), application.Ignore("Service/*", "a"))
    ignored = comparing.left_alone(rules, (), resource.LiveResource(FILE, {}))

    found = comparing.differences({"a": {"b": 1, "c": 1}}, {"a": {"b": 2, "c": 2}}, ignored)

    assert [one.path for one in found] == left


@pytest.mark.parametrize(
    "rule, yields_to, paths",
    [
        (application.Ignore("*", "/a/b~1c"), (), [("a", "b/c")]),
        (application.Ignore("*", manager="ada"), (), [("a", "x"), ("b",)]),
        (application.Ignore("*", "a", "ada"), (), [("a", "x")]),
        (application.Ignore("*", manager="*/scale"), (), [("replicas",)]),
        (application.Ignore("Other/*", manager="ada"), ("robot/scale",), [("replicas",)]),
    ],
)
def test_fields_are_left_to_those_who_write_them(
    rule: application.Ignore, yields_to: tuple[str, ...], paths: list[tuple[str, ...]]
) -> None:
    writers = {"ada": (("a", "x"), ("b",)), "robot/scale": (("replicas",),)}
    found = resource.LiveResource(FILE, {}, writers=writers)

    assert list(comparing.left_alone((rule,), yields_to, found)) == paths


def test_what_is_left_to_others_is_not_written_in_lists_either() -> None:
    """Items are told apart by their names, or by their places."""
    desired = {
        "containers": [{"name": "main", "image": "x"}, {"name": "side", "image": "y"}],
        "plain": [{"a": 1}, 2],
    }

    left = comparing.without(desired, [("containers", "main", "image"), ("plain", "0", "a")])

    assert left == {"containers": [{"name": "main"}, {"name": "side", "image": "y"}], "plain": [{}, 2]}


def test_what_is_ignored_is_written_as_it_is_found() -> None:
    """A provider that writes whole resources must not take ignored fields back."""
    desired = {"a": {"b": 1, "c": 1}, "d": 1, "e": 1}
    live = {"a": {"b": 2}, "d": 2}

    found = comparing.overlay(desired, live, [("a", "b"), ("d",), ("e",)])

    assert found == {"a": {"b": 2, "c": 1}, "d": 2, "e": 1}
    assert comparing.overlay(desired, live, []) is desired


def test_globs_match_the_written_form() -> None:
    """`File//etc/*` and the like."""
    assert comparing.matches(("File//etc/*",), FILE)
    assert not comparing.matches(("Service/*",), FILE)
    assert str(plan.Action.CREATE) == "create"


def test_what_a_target_tells_of_a_secret_is_one() -> None:
    """It was given the value in plain, and tells so: before and after, on the way to it and below."""
    wanted = {"data": {"a.b": secret.Secret("s3cret"), "open": "x"}, "list": [{"k": secret.Secret("t")}]}
    told = (
        (("data", "a.b"), "by hand", "s3cret"),
        (("data", "open"), "w", "x"),
        (("list",), None, [{"k": "t"}]),
        (("list", "0", "k"), "o", "t"),
    )

    found = comparing.concealed(told, wanted, {})

    assert found[0] == (("data", "a.b"), secret.Secret("by hand"), secret.Secret("s3cret"))
    assert found[1] is told[1]
    assert found[2][1] is None
    assert isinstance(found[2][2], secret.Secret)
    assert found[3][2] == secret.Secret("t")
    assert "s3cret" not in repr(found)
