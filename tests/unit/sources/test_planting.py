"""Trees made without Git: ids as Git makes them, and no path that leaves its folder."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from undrift import errors
from undrift.model import source
from undrift.sources.git import planting, trees

Known = dict[str, Mapping[str, trees.Entry]]
EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=6)
HOSTILE = st.sampled_from(
    ["", ".", "..", ".git", ".GIT", ".gitmodules", ".gitattributes", "git~1", "a", "A", "b\\c", "x\n", "\u200d", "-rf"]
)  # fmt: skip
PATHS = st.lists(st.one_of(NAMES, HOSTILE), min_size=1, max_size=4).map("/".join)


def file(text: str = "x") -> source.File:
    return source.File(text.encode())


def entry(letter: str) -> trees.Entry:
    return trees.Entry(trees.PLAIN, letter * 40)


@given(st.lists(PATHS, min_size=1, max_size=4, unique=True))
def test_what_is_let_through_stays_in_its_folder(paths: list[str]) -> None:
    """P16: whatever is accepted is one file below the folder on every machine, and none of Git's own."""
    try:
        planting.check(dict.fromkeys(paths, file()))
    except (errors.ArtifactRefused, errors.Several):
        return

    folded: set[str] = set()
    for path in paths:
        steps = path.split("/")
        assert not {"", ".", ".."} & set(steps)
        assert not any(step.casefold().startswith((".git", "git~")) for step in steps)
        assert "\\" not in path
        assert path.isprintable()
        assert not any(other != path and f"{path}/".startswith(f"{other}/") for other in paths)
        folded.add(unicodedata.normalize("NFC", path).casefold())
    assert len(folded) == len(paths)


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd", "../x", "a/../../x", "a//b", "a/", ".", "a/./b", ".git/config", "a/.GIT/hooks/x", ".gitmodules",
        ".git ", "git~1/config", "GIT~2", "a\\b", "a\nb", "a\0b", "\ud800", "",
    ],
)  # fmt: skip
def test_a_bad_path_is_refused(path: str) -> None:
    with pytest.raises(errors.ArtifactRefused):
        planting.check({path: file()})


@pytest.mark.parametrize(
    "paths",
    [("a.yaml", "A.yaml"), ("Deep/a", "deep/b"), ("ß", "SS"), ("é", "e\u0301")],
)
def test_what_is_one_file_elsewhere_is_refused(paths: tuple[str, str]) -> None:
    with pytest.raises(errors.ArtifactRefused, match="case of letters"):
        planting.check(dict.fromkeys(paths, file()))


def test_a_file_is_no_folder_of_another() -> None:
    with pytest.raises(errors.ArtifactRefused, match="is a file itself"):
        planting.check(dict.fromkeys(("a", "a/b/c"), file()))


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(errors.Several) as caught:
        planting.check(dict.fromkeys(("../x", ".git/x"), file()))

    assert len(caught.value.parts) == 2


def test_nothing_is_no_folder() -> None:
    assert planting.Nursery().plant({}) == ""


@pytest.mark.parametrize("size, digits", [(20, 40), (32, 64)])
def test_ids_are_as_long_as_the_repository_has_them(size: int, digits: int) -> None:
    assert len(planting.Nursery(size).plant({"a/b": file()})) == digits


def test_the_order_of_files_makes_no_difference() -> None:
    """P14."""
    files = {name: file(name) for name in ("b", "a/b", "a.b", "a-b", "a0")}
    backwards = dict(reversed(files.items()))

    assert planting.Nursery().plant(files) == planting.Nursery().plant(backwards)


def test_a_folder_is_put_beside_others() -> None:
    nursery = planting.Nursery()
    known: Known = {"": {"other": entry("a"), "apps": entry("b")}, "apps": {"x": entry("c")}}

    root = planting.graft(nursery, "apps/pet", nursery.plant({"f": file()}), known)

    assert set(known[""]) == {"other", "apps"}
    assert known[""]["other"] == entry("a")
    assert set(known["apps"]) == {"x", "pet"}
    assert root == trees.object_id("tree", trees.format_tree(known[""]), 20)


def test_a_folder_that_becomes_empty_goes_with_those_above() -> None:
    nursery = planting.Nursery()
    known: Known = {
        "": {"apps": entry("b"), "z": entry("d")},
        "apps": {"pet": entry("c")},
        "apps/pet": {"f": entry("e")},
    }

    planting.graft(nursery, "apps/pet", "", known)

    assert set(known[""]) == {"z"}


def test_a_repository_may_become_empty() -> None:
    nursery = planting.Nursery()

    root = planting.graft(nursery, "a/b", "", {"": {"a": entry("b")}, "a": {"b": entry("c")}})

    assert root == EMPTY_TREE


def test_two_folders_are_put_one_after_another() -> None:
    nursery = planting.Nursery()
    forest = planting.Forest(nursery, {"": {}}, "")
    one, two = nursery.plant({"f": file("1")}), nursery.plant({"f": file("2")})

    forest.graft("staging/pet", one)
    copied = forest.copy()
    copied.graft("production/pet", two)

    assert (copied.folder("staging/pet"), copied.folder("production/pet")) == (one, two)
    assert forest.folder("production/pet") == ""


@pytest.mark.parametrize(
    "folder, path", [("apps/pet/x", "apps/pet"), ("apps/pet", "apps/pet"), ("apps/x", "")]
)
def test_a_file_in_the_way_of_a_folder_is_seen(folder: str, path: str) -> None:
    known: Known = {"": {"apps": trees.Entry(trees.TREE, "b" * 40)}, "apps": {"pet": entry("c")}}

    assert planting.Forest(planting.Nursery(), known, "").in_the_way(folder) == path
