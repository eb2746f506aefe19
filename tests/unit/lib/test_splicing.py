"""One value of a document put and dropped; paths as people write them."""

from __future__ import annotations

import pytest

from undrift.lib import dotted, splicing

APPLICATION = """\
kind: Other
---
kind: Application # the one
spec:
  # why
  target: a

  source: {path: x}
"""


def one(data: object) -> bool:
    return isinstance(data, dict) and data["kind"] == "Application"


def test_what_is_put_can_be_dropped() -> None:
    content = APPLICATION.encode()
    put = splicing.put(content, one, ["spec", "suspend"], "true")

    assert put.decode() == APPLICATION.replace("  target: a", "  suspend: true\n  target: a")
    assert splicing.drop(put, one, ["spec", "suspend"]) == content
    assert splicing.drop(content, one, ["spec", "suspend"]) == content


@pytest.mark.parametrize(
    "before, put, dropped",
    [
        ("kind: Application\nspec: {suspend: false}\n", "{suspend: true}", "{suspend: false}"),
        (
            "kind: Application\r\nspec:\r\n  a: 1\r\n",
            "\r\n  suspend: true\r\n  a: 1\r\n",
            "spec:\r\n  a: 1\r\n",
        ),
        ("\ufeffkind: Application\nspec:\n  a: 1\n", "\ufeffkind", "\ufeffkind: Application\nspec:\n  a: 1"),
        ("kind: Application\nspec:\n  suspend:\n  a: 1\n", "suspend: true\n", "spec:\n  a: 1\n"),
    ],
)
def test_styles_are_kept(before: str, put: str, dropped: str) -> None:
    done = splicing.put(before.encode(), one, ["spec", "suspend"], "true")

    assert put in done.decode()
    assert dropped in splicing.drop(done, one, ["spec", "suspend"]).decode()


@pytest.mark.parametrize(
    "content, says",
    [
        ("kind: Other\n", "no such document"),
        ("kind: Application\n---\nkind: Application\n", "several such documents"),
        ("kind: Application\nspec: 1\n", "spec is not a mapping"),
        ("kind: Application\nspec: {}\nsops: {}\n", "encrypted"),
        ("kind: Application\nx: &x {a: 1}\nspec: *x\n", "more than was asked for"),
    ],
)
def test_what_cannot_be_put_is_left_alone(content: str, says: str) -> None:
    with pytest.raises(splicing.SpliceError, match=says):
        splicing.put(content.encode(), one, ["spec", "suspend"], "true")


@pytest.mark.parametrize(
    "text, steps",
    [
        ("a.b", ("a", "b")),
        ("a[0].b[-1]", ("a", 0, "b", -1)),
        ("a['x.y'].b", ("a", "x.y", "b")),
        ('["x.y"]', ("x.y",)),
        (r"a\.b.c", ("a.b", "c")),
        ("a[name=web].b", ("a", dotted.Where("name", "web"), "b")),
        ("a-b/c", ("a-b/c",)),
    ],
)
def test_a_path_is_read_and_written(text: str, steps: tuple[dotted.Step, ...]) -> None:
    assert dotted.parse(text) == steps
    assert dotted.parse(dotted.write(steps)) == steps


@pytest.mark.parametrize("text", ["", ".a", "a..b", "a]", "a[", "a[x]", "a."])
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="path"):
        dotted.parse(text)


def test_a_path_is_followed_as_far_as_it_goes() -> None:
    data = {"a": [{"name": "x"}, {"name": "y", "b": {"c": 1}}]}

    assert dotted.resolve(data, dotted.parse("a[name=y].b.c")) == ("a", 1, "b", "c")
    assert dotted.resolve(data, dotted.parse("a[-1].b.d")) == ("a", 1, "b")
    assert dotted.resolve(data, dotted.parse("a[name=z].b")) == ("a",)
    assert ("a", 1, "b", "c") in set(dotted.leaves(data))
