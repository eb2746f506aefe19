"""What Git's objects mean, and which links and names are refused."""

import pytest

from undrift import errors
from undrift.sources import links
from undrift.sources.git import trees

ID = "0123456789abcdef0123456789abcdef01234567"
RAW = bytes.fromhex(ID)


def tree(*entries: tuple[bytes, bytes]) -> bytes:
    return b"".join(mode + b" " + name + b"\0" + RAW for mode, name in entries)


def test_a_tree() -> None:
    data = tree((b"100644", b"a b"), (b"40000", "é\n".encode()), (b"040000", b"old"), (b"160000", b"sub"))
    assert trees.parse_tree(data, 20) == {
        "a b": trees.Entry("100644", ID),
        "é\n": trees.Entry("40000", ID),
        "old": trees.Entry("40000", ID),
        "sub": trees.Entry("160000", ID),
    }


@pytest.mark.parametrize("name", [b"", b".", b"..", b"a/b", b".git", b".GIT", b"\xff"])
def test_a_name_that_is_none(name: bytes) -> None:
    with pytest.raises(errors.ArtifactRefused):
        trees.parse_tree(tree((b"100644", name)), 20)


def test_a_commit() -> None:
    found = trees.parse_commit(
        b"tree t1\nparent p1\nparent p2\nauthor Ada <a@x> 5 +0100\ncommitter Bob <b@x> 7 +0000\n"
        b"gpgsig -----BEGIN\n tree t2\n -----END\n\nSubject\n\nauthor of a body\n"
    )
    assert found == trees.Commit("t1", ("p1", "p2"), "Ada <a@x>", 7.0, "Subject\n\nauthor of a body\n")
    assert found.subject == "Subject"


@pytest.mark.parametrize("text", ["", "no mail", "Ada <a@x> never", "Ada <a@x>"])
def test_a_malformed_person_is_shown_as_it_is(text: str) -> None:
    assert trees.parse_person(text) == (text, 0.0)


def test_descending_stops_where_nothing_is_known() -> None:
    root, below = trees.Entry("40000", "r"), trees.Entry("40000", "b")
    known = {"r": {"d": below, "f": trees.Entry("100644", "f")}}
    assert trees.descend(root, ["d", "x"], known) == (below, ["x"])
    assert trees.descend(root, ["f"], known) == (trees.Entry("100644", "f"), [])
    assert trees.descend(root, ["f", "x"], known) == (trees.Entry("100644", "f"), ["x"])
    assert trees.descend(root, ["absent"], known) is None
    assert trees.descend(root, [], known) == (root, [])


def test_pointers_of_lfs() -> None:
    text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 12\n".encode()
    assert trees.parse_pointer(text) == trees.Pointer("a" * 64, 12)
    for other in (b"", b"version 1", text[:-9], text + b"more\n", text.replace(b"sha256", b"md5")):
        assert trees.parse_pointer(other) is None


@pytest.mark.parametrize(
    "found",
    [
        {"a": "b"},
        {"a": "./b/../c"},
        {"sub/a": "../b"},
        {"sub/a": "../b", "b": "c"},
        {"a": "absent/deep"},
        {"hop": "x/y", "a": "hop/../z"},
        {"a": "b", "b": "c", "c": "d"},
    ],
)
def test_links_within_the_tree(found: dict[str, str]) -> None:
    links.check(found)


@pytest.mark.parametrize(
    "found, said",
    [
        ({"a": "/etc/passwd"}, "a leads out"),
        ({"a": ".."}, "a leads out"),
        ({"sub/a": "../../b"}, "sub/a leads out"),
        ({"a": "b/../../c"}, "a leads out"),
        ({"deep/er/hop": "../..", "deep/er/a": "hop/../x"}, "deep/er/a leads out"),
        ({"a": "b", "b": "/etc"}, "leads out"),
        ({"a": "a"}, "circle"),
        ({"a": "b", "b": "a"}, "circle"),
        ({"a": "b/x", "b": "a"}, "circle"),
    ],
)
def test_links_out_of_the_tree(found: dict[str, str], said: str) -> None:
    """As the system walks them: `hop` is deep on paper and the root in truth."""
    with pytest.raises(errors.ArtifactRefused, match=said) as caught:
        links.check(found)
    assert caught.value.origin is not None


def test_a_path_never_leads_out() -> None:
    assert trees.split("./a//b/") == ["a", "b"]
    assert trees.split(".") == trees.split("") == []
    with pytest.raises(errors.PathMissing):
        trees.split("a/../../b")
